//! The initial state of a sandbox.

use std::sync::Arc;

use serde_json::Value;

use crate::credentials::StoredCredentials;
use crate::fidelity::Settings;
use crate::model::Model;
use crate::rate_limit::RateLimit;
use crate::webhook::RetrySchedule;

/// The initial state, which a reset restores.
pub(crate) struct InitialState {
    pub(crate) model: Arc<Model>,
    pub(crate) credentials: StoredCredentials,
    /// The `setting` rows of the state file: the private integration token, the webhook signing key, and the names of the
    /// applied seeds.
    pub(crate) identity: Vec<(&'static str, Value)>,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) webhook_url: Option<String>,
    pub(crate) retry_schedule: RetrySchedule,
    pub(crate) settings: Settings,
}
