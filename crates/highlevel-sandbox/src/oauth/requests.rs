//! How often tokens were asked for: what proves that a program refreshes once.

use serde::{Deserialize, Serialize};

use super::resource::TokenResource;

/// How often tokens for one location or company were asked for, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct TokenRequests {
    /// What they were for; `None` for those with a code or token that nobody was given.
    pub resource: Option<TokenResource>,
    /// Codes that were exchanged.
    pub codes_exchanged: u64,
    /// Exchanges that were refused.
    pub codes_refused: u64,
    /// Refreshes that gave new tokens.
    pub rotated: u64,
    /// Refreshes that came again soon enough to be answered as before.
    pub repeated: u64,
    /// Refreshes that were refused.
    pub refused: u64,
    /// Tokens for a location that were given for the token of its company.
    pub location_tokens: u64,
    /// Requests for such a token that were refused.
    pub location_tokens_refused: u64,
}

/// What came of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    CodeExchanged,
    CodeRefused,
    Rotated,
    Repeated,
    Refused,
    LocationToken,
    LocationTokenRefused,
}

impl Outcome {
    pub(crate) fn is_refusal(self) -> bool {
        matches!(self, Self::CodeRefused | Self::Refused | Self::LocationTokenRefused)
    }
}

impl TokenRequests {
    /// Refreshes that reached the sandbox, whatever came of them.
    pub fn refreshes(&self) -> u64 {
        self.rotated + self.repeated + self.refused
    }

    pub(crate) fn of(resource: Option<TokenResource>) -> Self {
        Self { resource, ..Self::default() }
    }

    pub(crate) fn add(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::CodeExchanged => &mut self.codes_exchanged,
            Outcome::CodeRefused => &mut self.codes_refused,
            Outcome::Rotated => &mut self.rotated,
            Outcome::Repeated => &mut self.repeated,
            Outcome::Refused => &mut self.refused,
            Outcome::LocationToken => &mut self.location_tokens,
            Outcome::LocationTokenRefused => &mut self.location_tokens_refused,
        } += 1;
    }
}
