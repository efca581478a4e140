//! Validation, response and rate limit settings.

use std::io;

use super::Sandbox;
use crate::fidelity::Settings;
use crate::rate_limit::RateLimit;
use crate::sync::lock;

impl Sandbox {
    /// Returns the validation and response settings.
    pub fn settings(&self) -> Settings {
        lock(&self.state.settings).clone()
    }

    /// Changes the validation and response settings, from the next request on.
    pub fn set_settings(&self, settings: Settings) {
        self.state.change_settings(|current| *current = settings);
    }

    /// Returns the enforced limits, or `None`.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        lock(&self.state.limiter).limits()
    }

    /// Sets or disables the enforced limits, and resets the counts.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` if the limits allow no request or cannot be represented in the headers.
    pub fn set_rate_limit(&self, limit: impl Into<Option<RateLimit>>) -> io::Result<()> {
        self.state
            .set_rate_limit(limit.into())
            .map_err(|words| io::Error::new(io::ErrorKind::InvalidInput, words))
    }
}
