//! The rows of the registry in the state file.

use crate::oauth::resource::TokenResource;

/// Identifies a row of the state file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Row {
    Settings,
    SandboxApp(String),
    Install(String, TokenResource),
    Code(String),
    AccessToken(String),
    RefreshToken(String),
    Requests(Option<TokenResource>),
}

impl Row {
    /// Returns the kind and the ID of the row in the state file.
    pub(crate) fn key(&self) -> (&'static str, String) {
        match self {
            Self::Settings => ("oauth-settings", String::new()),
            Self::SandboxApp(id) => ("app", id.clone()),
            Self::Install(client, resource) => ("install", format!("{client} {resource}")),
            Self::Code(text) => ("code", text.clone()),
            Self::AccessToken(text) => ("access-token", text.clone()),
            Self::RefreshToken(text) => ("refresh-token", text.clone()),
            Self::Requests(None) => ("token-requests", String::new()),
            Self::Requests(Some(resource)) => ("token-requests", resource.to_string()),
        }
    }
}
