//! The state of a sandbox at the start.

use std::sync::Arc;

use serde_json::Value;

use crate::credentials::KeptCredentials;
use crate::fidelity::Settings;
use crate::model::Model;
use crate::rate_limit::RateLimit;
use crate::webhook::RetrySchedule;

/// The state at the start, which a reset restores.
pub(crate) struct InitialState {
    /// What existed, and the credentials.
    pub(crate) model: Arc<Model>,
    pub(crate) credentials: KeptCredentials,
    /// What the state file has of the sandbox itself: its token, the key that signs webhooks, and what seeds have added.
    pub(crate) identity: Vec<(&'static str, Value)>,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) webhook_url: Option<String>,
    pub(crate) retry_schedule: RetrySchedule,
    pub(crate) settings: Settings,
}
