//! The options that select the events to accept.

use clap::Args;
use highlevel::webhook::{PublicKey, Receiver};

use crate::failure::CommandError;

/// The events that are accepted.
#[derive(Debug, Args)]
pub(super) struct AcceptedEventArgs {
    /// Public key to verify with, in base64 [default: the key that HighLevel has published]
    #[arg(long, value_name = "BASE64", env = "HIGHLEVEL_WEBHOOK_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Reject events of other apps than this one [default: accept events of all apps]
    #[arg(long, value_name = "ID", env = "HIGHLEVEL_APP_ID", hide_env_values = true)]
    app: Option<String>,
}

impl AcceptedEventArgs {
    /// Returns a receiver that accepts redelivered events.
    pub(super) fn receiver(&self) -> Result<Receiver, CommandError> {
        let builder = match self.app.as_deref().filter(|app| !app.is_empty()) {
            Some(app) => Receiver::builder().app_id_if_present(app),
            None => Receiver::builder().any_app(),
        };
        let builder = match self.key.as_deref().filter(|key| !key.is_empty()) {
            Some(key) => builder.key(PublicKey::from_base64("given", key).map_err(|error| {
                CommandError::usage(error.to_string(), "pass the whole key, without quotation marks")
            })?),
            None => builder,
        };
        Ok(builder.without_deduplication().build())
    }
}
