//! Counts of token requests, with which tests verify that a client refreshes only once.

use serde::{Deserialize, Serialize};

use super::resource::TokenResource;

/// The number of token requests for a location or company, by outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct TokenRequests {
    /// The location or company; `None` for requests with an unknown code or token.
    pub resource: Option<TokenResource>,
    /// The number of exchanged codes.
    pub codes_exchanged: u64,
    /// The number of rejected code exchanges.
    pub codes_refused: u64,
    /// The number of refreshes that issued new tokens.
    pub rotated: u64,
    /// The number of refreshes that were repeated within 30 seconds and got the same response.
    pub repeated: u64,
    /// The number of rejected refreshes.
    pub refused: u64,
    /// The number of location tokens issued for the token of a company.
    pub location_tokens: u64,
    /// The number of rejected requests for a location token.
    pub location_tokens_refused: u64,
}

/// The outcome of a token request.
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
    pub(crate) fn is_rejection(self) -> bool {
        matches!(self, Self::CodeRefused | Self::Refused | Self::LocationTokenRefused)
    }
}

impl TokenRequests {
    /// Returns the number of refreshes with any outcome.
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
