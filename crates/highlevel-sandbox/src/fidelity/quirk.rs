//! Behaviours of the live API that contradict its documentation.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An undocumented behaviour that users of the live API report, for testing clients against it.
///
/// All quirks are disabled by default. An enabled quirk applies to every request that it is relevant to.
///
#[doc = include_str!("quirks.md")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
#[non_exhaustive]
pub enum Quirk {
    /// An unknown conversation provider returns 500.
    WrongProvider500,
    /// An invalid token returns 500.
    BadToken500,
    /// An inbound `Custom` message without a provider returns success with an empty body, and is not stored.
    CustomInboundVanishes,
    /// A status update within 10 seconds of sending the message returns 403.
    EarlyStatus403,
    /// A message that is stored returns an empty body.
    EmptySuccess,
    /// The authorization page requires `version_id`, as for private apps.
    VersionIdRequired,
    /// An invalid refresh token returns 401.
    UsedRefreshToken401,
    /// The response to a request for a location token has no refresh token.
    LocationTokenWithoutRefresh,
    /// The code of an installation on one location is exchanged for tokens of its company.
    CompanyTokenForLocation,
    /// A token of a private integration has no access to conversation providers.
    PrivateIntegration401,
    /// An unknown `Version` returns 401 instead of 400.
    UnknownVersion401,
    /// A recording that is not stored at HighLevel returns 422.
    RecordingUrl422,
    /// An empty list of attachments returns 422.
    EmptyAttachments422,
    /// Searches return new and changed records only after a [delay](crate::Settings::search_lag), as the live search index.
    SearchIndexLag,
}

/// The time after sending a message in which a status update is [early](Quirk::EarlyStatus403), in seconds.
pub(crate) const EARLY: i64 = 10;

impl Quirk {
    /// All quirks.
    pub const ALL: [Self; 14] = [
        Self::WrongProvider500,
        Self::BadToken500,
        Self::CustomInboundVanishes,
        Self::EarlyStatus403,
        Self::EmptySuccess,
        Self::VersionIdRequired,
        Self::UsedRefreshToken401,
        Self::LocationTokenWithoutRefresh,
        Self::CompanyTokenForLocation,
        Self::PrivateIntegration401,
        Self::UnknownVersion401,
        Self::RecordingUrl422,
        Self::EmptyAttachments422,
        Self::SearchIndexLag,
    ];

    /// Returns the name in settings, on the command line and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongProvider500 => "wrong-provider-500",
            Self::BadToken500 => "bad-token-500",
            Self::CustomInboundVanishes => "custom-inbound-vanishes",
            Self::EarlyStatus403 => "early-status-403",
            Self::EmptySuccess => "empty-success",
            Self::VersionIdRequired => "version-id-required",
            Self::UsedRefreshToken401 => "used-refresh-token-401",
            Self::LocationTokenWithoutRefresh => "location-token-without-refresh",
            Self::CompanyTokenForLocation => "company-token-for-location",
            Self::PrivateIntegration401 => "private-integration-401",
            Self::UnknownVersion401 => "unknown-version-401",
            Self::RecordingUrl422 => "recording-url-422",
            Self::EmptyAttachments422 => "empty-attachments-422",
            Self::SearchIndexLag => "search-index-lag",
        }
    }

    /// Returns the effect of the quirk.
    pub fn description(self) -> &'static str {
        match self {
            Self::WrongProvider500 => "an unknown `conversationProviderId` returns 500 instead of 401",
            Self::BadToken500 => "an invalid token returns 500 instead of 401",
            Self::CustomInboundVanishes => {
                "an inbound `Custom` message without `conversationProviderId` returns an empty success response and is \
                 not stored, instead of returning 400"
            }
            Self::EarlyStatus403 => {
                "status updates within 10 seconds (sandbox time) of sending the message return 403"
            }
            Self::EmptySuccess => "success responses have an empty body; the message is stored",
            Self::VersionIdRequired => {
                "the authorization page shows `error.noversionid` if the URL has no `version_id`, as for private apps"
            }
            Self::UsedRefreshToken401 => {
                "a used, expired, revoked or unknown refresh token returns 401 `Invalid refresh token` instead of 400 \
                 `invalid_grant`"
            }
            Self::LocationTokenWithoutRefresh => "`/oauth/locationToken` returns no refresh token",
            Self::CompanyTokenForLocation => {
                "the code of an installation on one location returns tokens of its company, without \
                 `approvedLocations`"
            }
            Self::PrivateIntegration401 => {
                "a private integration token returns 401 with a conversation provider, which only the token of its app can \
                 use"
            }
            Self::UnknownVersion401 => "an unknown `Version` returns 401 instead of 400",
            Self::RecordingUrl422 => "a call whose recording is not stored at HighLevel returns 422",
            Self::EmptyAttachments422 => "an inbound message with an empty `attachments` array returns 422",
            Self::SearchIndexLag => {
                "contact and conversation searches return new and changed records only after the search lag (5 seconds by \
                 default, sandbox time); reads by ID are not delayed"
            }
        }
    }
}

impl Display for Quirk {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Quirk {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|quirk| quirk.name() == text).ok_or_else(|| {
            format!("quirk `{text}` does not exist; choose one of {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}

impl TryFrom<String> for Quirk {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Quirk> for &'static str {
    fn from(quirk: Quirk) -> Self {
        quirk.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_all_quirks() {
        let mut table = vec!["| quirk | effect \\[seen\\] |\n|---|---|".to_owned()];
        for quirk in Quirk::ALL {
            table.push(format!("| `{quirk}` | {} |", quirk.description()));
            assert_eq!(quirk.name().parse(), Ok(quirk));
        }
        let table = table.join("\n") + "\n";
        assert_eq!(include_str!("quirks.md"), table, "src/fidelity/quirks.md must be:\n{table}");
        assert!(Quirk::EarlyStatus403.description().contains(&format!("{EARLY} seconds")));
    }
}
