//! Settings for the cases in which the live API differs from its documentation.

mod quirk;
mod refusal;
mod refusal_properties;
mod refusal_table;
mod strictness;

use std::collections::BTreeSet;
use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};

pub(crate) use quirk::EARLY;
pub use quirk::Quirk;
pub use refusal::Refusal;
pub use strictness::{Deviation, Rule, Strictness};
pub(crate) use strictness::{RULES, Requirement};

/// Settings for the validation of requests and for the responses. Changes apply from the next request on.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use highlevel_sandbox::{Quirk, Sandbox, Settings, Strictness, SuccessStatus};
///
/// let sandbox = Sandbox::start().await?;
/// let documented =
///     Settings::default().strictness(Strictness::Documented).success_status(SuccessStatus::Ok200);
/// sandbox.set_settings(documented);
/// sandbox.set_settings(sandbox.settings().quirk(Quirk::EmptySuccess));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    pub(crate) strictness: Strictness,
    pub(crate) success_status: SuccessStatus,
    pub(crate) quirks: BTreeSet<Quirk>,
    pub(crate) disabled_refusals: BTreeSet<Refusal>,
    /// The delay of [`Quirk::SearchIndexLag`] in milliseconds.
    pub(crate) search_lag_ms: u32,
}

/// The default delay of [`Quirk::SearchIndexLag`] in milliseconds.
const SEARCH_LAG_MS: u32 = 5_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            strictness: Strictness::default(),
            success_status: SuccessStatus::default(),
            quirks: BTreeSet::new(),
            disabled_refusals: BTreeSet::new(),
            search_lag_ms: SEARCH_LAG_MS,
        }
    }
}

/// The status of successful responses. The documentation specifies 200, but the live API returns 201.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub enum SuccessStatus {
    /// The documented status.
    Ok200,
    /// The status of the live API.
    #[default]
    Created201,
}

impl Settings {
    /// Sets the strictness of validation.
    pub fn strictness(mut self, strictness: Strictness) -> Self {
        self.strictness = strictness;
        self
    }

    /// Sets the status of successful responses.
    pub fn success_status(mut self, status: SuccessStatus) -> Self {
        self.success_status = status;
        self
    }

    /// Enables a quirk. All quirks are disabled by default.
    pub fn quirk(mut self, quirk: Quirk) -> Self {
        self.quirks.insert(quirk);
        self
    }

    /// Disables a quirk.
    pub fn without_quirk(mut self, quirk: Quirk) -> Self {
        self.quirks.remove(&quirk);
        self
    }

    /// Disables a refusal. All refusals except those of quirks are enabled by default.
    pub fn without_refusal(mut self, refusal: Refusal) -> Self {
        self.disabled_refusals.insert(refusal);
        self
    }

    /// Enables a refusal that was disabled.
    pub fn refusal(mut self, refusal: Refusal) -> Self {
        self.disabled_refusals.remove(&refusal);
        self
    }

    /// Sets the delay of [`Quirk::SearchIndexLag`], in sandbox time. Defaults to 5 seconds. Has a maximum of 49 days.
    pub fn search_lag(mut self, lag: Duration) -> Self {
        self.search_lag_ms = u32::try_from(lag.as_millis()).unwrap_or(u32::MAX);
        self
    }

    /// Returns the delay of searches if they are delayed.
    pub(crate) fn active_search_lag(&self) -> Option<Duration> {
        self.has(Quirk::SearchIndexLag).then(|| Duration::from_millis(self.search_lag_ms.into()))
    }

    /// Returns `true` if requests are refused for this reason.
    pub(crate) fn refuses(&self, refusal: Refusal) -> bool {
        !self.disabled_refusals.contains(&refusal) && refusal.quirk().is_none_or(|quirk| self.has(quirk))
    }

    pub(crate) fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }
}

impl SuccessStatus {
    pub(crate) fn code(self) -> StatusCode {
        match self {
            Self::Ok200 => StatusCode::OK,
            Self::Created201 => StatusCode::CREATED,
        }
    }
}

impl TryFrom<u16> for SuccessStatus {
    type Error = String;

    fn try_from(status: u16) -> Result<Self, String> {
        match status {
            200 => Ok(Self::Ok200),
            201 => Ok(Self::Created201),
            other => Err(format!("success status {other} is not supported; use 200 or 201")),
        }
    }
}

impl From<SuccessStatus> for u16 {
    fn from(status: SuccessStatus) -> Self {
        status.code().as_u16()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_round_trip_as_json() {
        let settings = Settings::default()
            .strictness(Strictness::Documented)
            .success_status(SuccessStatus::Ok200)
            .quirk(Quirk::EarlyStatus403)
            .quirk(Quirk::EmptySuccess)
            .without_quirk(Quirk::EmptySuccess)
            .without_refusal(Refusal::NoContent)
            .without_refusal(Refusal::NoPhone)
            .refusal(Refusal::NoPhone)
            .search_lag(Duration::from_millis(1_500));
        let written = json!({
            "strictness": "documented", "successStatus": 200, "quirks": ["early-status-403"],
            "disabledRefusals": ["no-content"], "searchLagMs": 1_500,
        });
        assert_eq!(serde_json::to_value(&settings).unwrap(), written);
        assert_eq!(serde_json::from_value::<Settings>(written).unwrap(), settings);
        assert!(!settings.refuses(Refusal::NoContent) && settings.refuses(Refusal::NoPhone));
        assert!(!settings.refuses(Refusal::RecordingUrl), "its quirk is disabled");
        for wrong in [
            json!({"disabledRefusals": ["x"]}),
            json!({"successStatus": 204}),
            json!({"quirks": ["x"]}),
            json!({"strict": true}),
            json!({"searchLagMs": -1}),
        ] {
            assert!(serde_json::from_value::<Settings>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
