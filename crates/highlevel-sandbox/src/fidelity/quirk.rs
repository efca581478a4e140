//! What the live API has been seen to do against its documentation.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Something odd that users of the live API report. Each is off unless it is switched on, and then holds always where it
/// applies, so that a program can be tried against it.
///
#[doc = include_str!("quirks.md")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
#[non_exhaustive]
pub enum Quirk {
    /// A conversation provider that does not exist is answered 500.
    WrongProvider500,
    /// A token that is not good is answered 500.
    BadToken500,
    /// An inbound `Custom` message without a provider is answered with success and an empty body, and not stored.
    CustomInboundVanishes,
    /// The status of a message cannot be changed in the first 10 seconds after it was sent, which is answered 403.
    EarlyStatus403,
    /// A message that was stored is answered with an empty body.
    EmptySuccess,
}

/// How long after a message was sent its status is [early](Quirk::EarlyStatus403), in seconds.
pub(crate) const EARLY: i64 = 10;

impl Quirk {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::WrongProvider500,
        Self::BadToken500,
        Self::CustomInboundVanishes,
        Self::EarlyStatus403,
        Self::EmptySuccess,
    ];

    /// As it is written in settings, on the command line and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongProvider500 => "wrong-provider-500",
            Self::BadToken500 => "bad-token-500",
            Self::CustomInboundVanishes => "custom-inbound-vanishes",
            Self::EarlyStatus403 => "early-status-403",
            Self::EmptySuccess => "empty-success",
        }
    }

    /// What happens when it is on.
    pub fn description(self) -> &'static str {
        match self {
            Self::WrongProvider500 => "an unknown `conversationProviderId` returns 500 instead of 400",
            Self::BadToken500 => "an invalid token returns 500 instead of 401",
            Self::CustomInboundVanishes => {
                "an inbound `Custom` message without `conversationProviderId` returns an empty success response and is \
                 not stored, instead of returning 422"
            }
            Self::EarlyStatus403 => {
                "status updates within 10 seconds (sandbox time) of sending the message return 403"
            }
            Self::EmptySuccess => "success responses have an empty body; the message is stored",
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
            format!("there is no quirk `{text}`; there are {}", Self::ALL.map(Self::name).join(", "))
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
    fn the_table_of_the_documentation_has_every_quirk() {
        let mut table = vec!["| quirk | effect \\[seen\\] |\n|---|---|".to_owned()];
        for quirk in Quirk::ALL {
            table.push(format!("| `{quirk}` | {} |", quirk.description()));
            assert_eq!(quirk.name().parse(), Ok(quirk));
        }
        let table = table.join("\n") + "\n";
        assert_eq!(include_str!("quirks.md"), table, "src/fidelity/quirks.md has to be:\n{table}");
        assert!(Quirk::EarlyStatus403.description().contains(&format!("{EARLY} seconds")));
    }
}
