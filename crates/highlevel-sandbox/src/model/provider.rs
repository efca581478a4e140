//! Conversation providers.

use serde::{Deserialize, Serialize};

use super::seed::location;
use crate::weight;

/// A conversation provider: the channel that an app adds to a location.
///
/// ```
/// use highlevel_sandbox::{ConversationProvider, ProviderKind};
///
/// let provider = ConversationProvider::new("provider-1")
///     .kind(ProviderKind::CustomSms)
///     .delivery_url("http://127.0.0.1:8080/deliver");
/// # let _ = provider;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct ConversationProvider {
    /// The id used in requests.
    pub id: String,
    /// The location of the provider.
    #[serde(default = "location")]
    pub location_id: String,
    /// The kind, which limits the types of messages. A provider without a kind accepts all types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ProviderKind>,
    /// The app that owns the provider. Tokens of other apps have no access to it. Defaults to the sandbox's own app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// Set if messages that name no provider are sent through it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_default: bool,
    /// The plain `http` URL that receives the messages sent through the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_url: Option<String>,
}

/// The kind of a conversation provider, which an app chooses when it is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProviderKind {
    /// Replaces the location's SMS service: sends and adds `SMS`.
    Sms,
    /// A channel with its own tab: sends `SMS` and `Custom`, adds `Custom`.
    CustomSms,
    /// Emails: sends and adds `Email` and `Custom`.
    Email,
    /// Calls: adds `Call`.
    Call,
}

impl ProviderKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Sms, Self::CustomSms, Self::Email, Self::Call];

    /// Returns the name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::CustomSms => "custom-sms",
            Self::Email => "email",
            Self::Call => "call",
        }
    }
}

impl ConversationProvider {
    /// Creates a provider of the default location and the sandbox's own app, without a kind.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            location_id: location(),
            kind: None,
            app_id: None,
            is_default: false,
            delivery_url: None,
        }
    }

    /// Sets the location.
    pub fn location(mut self, id: impl Into<String>) -> Self {
        self.location_id = id.into();
        self
    }

    /// Sets the kind.
    pub fn kind(mut self, kind: ProviderKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Sets the app that owns the provider.
    pub fn app(mut self, id: impl Into<String>) -> Self {
        self.app_id = Some(id.into());
        self
    }

    /// Makes it the location's default for the types that its kind sends.
    pub fn default_of_location(mut self) -> Self {
        self.is_default = true;
        self
    }

    /// Sets the URL that receives the messages sent through the provider.
    pub fn delivery_url(mut self, url: impl Into<String>) -> Self {
        self.delivery_url = Some(url.into());
        self
    }

    /// Returns the bytes of all fields but the id.
    pub(super) fn field_weight(&self) -> usize {
        let Self { id: _, location_id, kind: _, app_id, is_default: _, delivery_url } = self;
        weight::text(location_id) + weight::option(app_id.as_ref()) + weight::option(delivery_url.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_have_one_name_in_code_and_json() {
        for kind in ProviderKind::ALL {
            assert_eq!(json!(kind), json!(kind.as_str()));
        }
    }
}
