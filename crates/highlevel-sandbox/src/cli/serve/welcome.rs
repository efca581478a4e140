//! The welcome: all that is needed to send a first message, for a person and for programs.

use std::collections::BTreeMap;

use highlevel_sandbox::{BurstWindow, ProviderKind, Sandbox, TestCredentials};
use serde_json::{Value, json};

use super::args::ServeArgs;
use crate::shell::{printable, quoted};

/// The content of the welcome.
#[derive(Debug)]
pub(super) struct Facts {
    address: String,
    base_url: String,
    inspector_url: String,
    token: String,
    location_id: String,
    contact_id: String,
    conversation_id: String,
    providers: [(&'static str, String); 4],
    app_id: String,
    client_id: String,
    client_secret: String,
    webhook_url: Option<String>,
    webhook_public_key: String,
    rate_limit: Option<BurstWindow>,
    state: Option<String>,
}

impl Facts {
    pub(super) fn of(sandbox: &Sandbox, options: &ServeArgs) -> Self {
        Self {
            address: sandbox.address().to_string(),
            base_url: sandbox.base_url(),
            inspector_url: sandbox.inspector_url(),
            token: sandbox.token().to_owned(),
            location_id: sandbox.location_id().to_owned(),
            contact_id: sandbox.contact_id().to_owned(),
            conversation_id: sandbox.conversation_id().to_owned(),
            providers: [ProviderKind::Sms, ProviderKind::CustomSms, ProviderKind::Email, ProviderKind::Call]
                .map(|kind| (kind.as_str(), sandbox.provider_id(kind).to_owned())),
            app_id: sandbox.app_id().to_owned(),
            client_id: sandbox.client_id(),
            client_secret: sandbox.client_secret(),
            webhook_url: options.webhook_url.clone(),
            webhook_public_key: sandbox.webhook_public_key().to_owned(),
            rate_limit: options.fidelity.enforced_window(),
            state: options.data.state_file.as_ref().map(|path| path.display().to_string()),
        }
    }

    /// Returns the credentials that have a publicly known test value: the name of the field, and that for a person.
    fn test_credentials(&self) -> Vec<(&'static str, &'static str)> {
        let all = [
            (&self.token, TestCredentials::TOKEN, ("token", "token")),
            (&self.client_secret, TestCredentials::CLIENT_SECRET, ("clientSecret", "client secret")),
            (
                &self.webhook_public_key,
                TestCredentials::WEBHOOK_PUBLIC_KEY,
                ("webhookPublicKey", "webhook key"),
            ),
        ];
        all.into_iter()
            .filter(|(value, test_value, _)| value == test_value)
            .map(|(_, _, names)| names)
            .collect()
    }

    /// Returns the object that programs read. Fields may be added, none is removed.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "address": self.address,
            "baseUrl": self.base_url,
            "adminUrl": format!("{}/_sandbox/", self.base_url),
            "inspectorUrl": self.inspector_url,
            "token": self.token,
            "locationId": self.location_id,
            "contactId": self.contact_id,
            "conversationId": self.conversation_id,
            "conversationProviderId": self.providers[0].1,
            "providerIds": self.providers.iter().cloned().collect::<BTreeMap<_, _>>(),
            "appId": self.app_id,
            "clientId": self.client_id,
            "clientSecret": self.client_secret,
            "webhookUrl": self.webhook_url,
            "webhookPublicKey": self.webhook_public_key,
            "testCredentials": self.test_credentials().into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "stateFile": self.state,
        })
    }
}

/// Returns the text for a person.
pub(super) fn text(facts: &Facts) -> String {
    let Facts {
        address: _,
        base_url,
        inspector_url,
        token,
        location_id,
        contact_id,
        conversation_id,
        providers,
        app_id,
        client_id,
        client_secret,
        webhook_url,
        webhook_public_key,
        rate_limit,
        state,
    } = facts;
    let version = env!("CARGO_PKG_VERSION");
    let test_credentials: Vec<&str> = facts.test_credentials().into_iter().map(|(_, name)| name).collect();
    let test_credentials = if test_credentials.is_empty() {
        "none".to_owned()
    } else {
        format!("{}; the same at each start, publicly known", test_credentials.join(", "))
    };
    let webhooks = webhook_url.as_deref().map(printable);
    let webhooks =
        webhooks.as_deref().unwrap_or("none (to receive them: --webhook-url http://127.0.0.1:3000/webhooks)");
    let rate_limit = match rate_limit {
        None => "counted, not enforced (to get 429 over the limits: --rate-limit)",
        Some(BurstWindow::Fixed) => "100 requests in 10 s, at fixed times; 200,000 in a day",
        Some(BurstWindow::Sliding) => "100 requests in any 10 s; 200,000 in a day",
    };
    let [sms_provider, custom_provider, email_provider, call_provider] =
        providers.each_ref().map(|(_, id)| id);
    let storage = match state {
        None => "nothing is stored when the sandbox stops".to_owned(),
        Some(path) => format!("all records are stored in {}", printable(path)),
    };
    let bearer = quoted(&format!("Authorization: Bearer {token}"));
    format!(
        r#"HighLevel sandbox {version}

  inspector      {inspector_url}

  base URL       {base_url}
  token          {token}

  location       {location_id}
  contact        {contact_id}
  conversation   {conversation_id}
  provider       {sms_provider}
  custom SMS     {custom_provider}
  emails         {email_provider}
  calls          {call_provider}

  webhooks to    {webhooks}
  signed by      {webhook_public_key}
  app            {app_id}
  client id      {client_id}
  client secret  {client_secret}
  test values    {test_credentials}
  rate limit     {rate_limit}
  admin API      {base_url}/_sandbox/

Send a first message:

  curl {base_url}/conversations/messages \
    -H {bearer} \
    -H 'Version: 2021-04-15' \
    -H 'Content-Type: application/json' \
    -d '{{"type":"SMS","contactId":"{contact_id}","message":"Hello","status":"pending"}}'

For `highlevel-sandbox health`, `trigger` and `simulate` in another terminal, and for the examples of docs/sandbox.md:

  export HIGHLEVEL_SANDBOX_URL={base_url}

No message leaves this machine, and {storage}. Ctrl-C stops it. Times are UTC.
"#
    )
}
