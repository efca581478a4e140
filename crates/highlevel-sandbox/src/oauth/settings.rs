//! Settings of the OAuth server.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::resource::TokenResource;

/// The time at which the `INSTALL` event is sent if an app is installed in the browser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InstallEvents {
    /// Sent on the redirect to the app, and thus before the app exchanges the code. This order has been observed in
    /// production.
    #[default]
    OnAuthorization,
    /// Sent once the app exchanges the code.
    OnExchange,
    /// Not sent.
    Never,
}

/// The settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Token responses use camelCase for all field names. The vendor's documents disagree on this.
    pub(crate) camel_case: bool,
    /// The choice for authorization requests that specify none. With `None`, they show the page for choosing.
    pub(crate) choose_on_authorize: Option<TokenResource>,
    pub(crate) install_events: InstallEvents,
    /// The delay of `INSTALL` events, by the sandbox's clock.
    pub(crate) install_event_delay_ms: u64,
    /// The locations for which token requests are rejected with 400 "Location is not active".
    pub(crate) inactive_locations: BTreeSet<String>,
    /// An installation on a company includes the locations that are created later, unless it specifies otherwise.
    pub(crate) install_to_future_locations: bool,
}
