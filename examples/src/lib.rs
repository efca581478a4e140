//! The environment of the examples: the live API, a running sandbox, or a sandbox that the example starts itself.
//!
//! A program of your own reads the same settings from its configuration.

use std::error::Error;
use std::net::SocketAddr;

use highlevel::webhook::{PublicKey, Receiver};
use highlevel_sandbox::{ProviderKind, Sandbox};

/// If any of these variables is set, no sandbox is started.
const CREDENTIALS: [&str; 4] =
    ["HIGHLEVEL_BASE_URL", "HIGHLEVEL_TOKEN", "HIGHLEVEL_APP_ID", "HIGHLEVEL_CLIENT_ID"];

/// The settings of an example, named as environment variables.
///
/// | variable | value |
/// |---|---|
/// | `HIGHLEVEL_BASE_URL` | URL of the API; defaults to the live API |
/// | `HIGHLEVEL_TOKEN` | private integration token of a location |
/// | `HIGHLEVEL_LOCATION_ID` | the location |
/// | `HIGHLEVEL_CONTACT_ID`, `HIGHLEVEL_CONVERSATION_ID` | a contact and its conversation |
/// | `HIGHLEVEL_PROVIDER_ID` | conversation provider that messages are added through |
/// | `HIGHLEVEL_CALL_PROVIDER_ID` | conversation provider of the kind Call that calls are added through |
/// | `HIGHLEVEL_APP_ID` | app whose webhooks are received |
/// | `HIGHLEVEL_WEBHOOK_KEY` | public key of webhooks, in base64; defaults to HighLevel's |
/// | `HIGHLEVEL_CLIENT_ID`, `HIGHLEVEL_CLIENT_SECRET` | credentials of an app |
/// | `HIGHLEVEL_REDIRECT_URI` | redirect URI of an app |
/// | `HIGHLEVEL_LISTEN` | address that a server listens on; defaults to a free port on 127.0.0.1 |
#[derive(Debug)]
pub struct Environment {
    sandbox: Option<Sandbox>,
}

impl Environment {
    /// Starts a sandbox, unless environment variables name an API or credentials.
    ///
    /// # Errors
    ///
    /// Returns an error if the sandbox cannot listen.
    pub async fn load() -> std::io::Result<Self> {
        let is_configured = CREDENTIALS.iter().any(|name| variable(name).is_some());
        let sandbox = if is_configured { None } else { Some(Sandbox::start().await?) };
        Ok(Self { sandbox })
    }

    /// Returns the sandbox that was started, or `None` if the example uses the API that the environment variables name.
    pub fn sandbox(&self) -> Option<&Sandbox> {
        self.sandbox.as_ref()
    }

    /// Returns a setting, or `None` if it has no value.
    pub fn find(&self, name: &str) -> Option<String> {
        let Some(sandbox) = &self.sandbox else { return variable(name) };
        match name {
            "HIGHLEVEL_BASE_URL" => Some(sandbox.base_url()),
            "HIGHLEVEL_TOKEN" => Some(sandbox.token().to_owned()),
            "HIGHLEVEL_LOCATION_ID" => Some(sandbox.location_id().to_owned()),
            "HIGHLEVEL_CONTACT_ID" => Some(sandbox.contact_id().to_owned()),
            "HIGHLEVEL_CONVERSATION_ID" => Some(sandbox.conversation_id().to_owned()),
            "HIGHLEVEL_PROVIDER_ID" => Some(sandbox.conversation_provider_id().to_owned()),
            "HIGHLEVEL_CALL_PROVIDER_ID" => Some(sandbox.provider_id(ProviderKind::Call).to_owned()),
            "HIGHLEVEL_APP_ID" => Some(sandbox.app_id().to_owned()),
            "HIGHLEVEL_WEBHOOK_KEY" => Some(sandbox.webhook_public_key().to_owned()),
            "HIGHLEVEL_CLIENT_ID" => Some(sandbox.client_id()),
            "HIGHLEVEL_CLIENT_SECRET" => Some(sandbox.client_secret()),
            _ => variable(name),
        }
    }

    /// Returns a setting that the example cannot do without.
    ///
    /// # Errors
    ///
    /// Returns an error if the environment variable is not set.
    pub fn get(&self, name: &str) -> Result<String, String> {
        self.find(name).ok_or_else(|| {
            format!("{name} is not set; set it, or unset {} to use a sandbox", CREDENTIALS.join(", "))
        })
    }

    /// Returns the URL of the API.
    pub fn base_url(&self) -> String {
        let live = || "https://services.leadconnectorhq.com".to_owned();
        self.find("HIGHLEVEL_BASE_URL").unwrap_or_else(live)
    }

    /// Returns the address to listen on.
    ///
    /// # Errors
    ///
    /// Returns an error if `HIGHLEVEL_LISTEN` is not an address with a port.
    pub fn listen(&self) -> Result<SocketAddr, String> {
        let address = self.find("HIGHLEVEL_LISTEN").unwrap_or_else(|| "127.0.0.1:0".to_owned());
        address.parse().map_err(|error| format!("HIGHLEVEL_LISTEN {address:?}: {error}; write 0.0.0.0:8080"))
    }

    /// Returns a receiver of the app's webhooks.
    ///
    /// # Errors
    ///
    /// Returns an error if `HIGHLEVEL_APP_ID` is not set, or if `HIGHLEVEL_WEBHOOK_KEY` is not a public key.
    pub fn receiver(&self) -> Result<Receiver, Box<dyn Error>> {
        let receiver = Receiver::builder().app_id(self.get("HIGHLEVEL_APP_ID")?);
        Ok(match self.find("HIGHLEVEL_WEBHOOK_KEY") {
            Some(key) => receiver.key(PublicKey::from_base64("environment", &key)?).build(),
            None => receiver.build(),
        })
    }

    /// Lets the sandbox, if one was started, deliver webhooks to this URL. An app has its URL in its settings.
    ///
    /// # Errors
    ///
    /// Returns an error if the sandbox does not accept the URL.
    pub fn deliver_webhooks_to(&self, url: &str) -> std::io::Result<()> {
        self.sandbox.as_ref().map_or(Ok(()), |sandbox| sandbox.set_webhook_url(url))
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
