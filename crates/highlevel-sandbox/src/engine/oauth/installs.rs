//! Installing and uninstalling apps, and the events of both.

use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::engine::state::Engine;
use crate::oauth::InstallEvents;
use crate::oauth::SandboxApp;
use crate::oauth::authorize::distinct_scopes;
use crate::oauth::events::{self, EventMetadata};
use crate::oauth::grant::issue;
use crate::oauth::registry::{Installation, Registry, Subject, UsedCredential};
use crate::oauth::resource::{Choice, TokenResource};
use crate::oauth::token_response::{self, GeneratedTokens};
use crate::webhook::{OutgoingEvent, json_text};

/// The maximum length of the reason of an `UNINSTALL` event, in bytes.
const MAX_REASON: usize = 200;

impl Engine {
    /// Installs an app without a code, as the marketplace does. For a company, `locations` lists the locations that the app
    /// may act for; if empty, all of them. `future_locations` specifies whether locations that are created later are
    /// included, and defaults to the setting.
    pub(crate) fn install_app(
        self: &Arc<Self>,
        client_id: Option<&str>,
        resource: &TokenResource,
        locations: Vec<String>,
        future_locations: Option<bool>,
    ) -> Result<()> {
        let choice = Choice::of(&self.model(), resource.clone(), locations).map_err(not_found)?;
        let now = self.clock.now();
        let mut credentials = self.credentials_mut();
        let registry = &mut credentials.oauth;
        let app = app(registry, client_id)?.clone();
        let default = registry.settings().install_to_future_locations;
        let choice = choice.with_future_locations(future_locations.unwrap_or(default));
        record_install(registry, &app.client_id, &choice, now, false);
        self.publish_install(registry, &app, &choice, now);
        Ok(())
    }

    /// Uninstalls an app and sends it the event. Its tokens become invalid; for a company, also the tokens for the company's
    /// locations.
    ///
    /// # Errors
    ///
    /// Returns `NotFound` if the app is not installed, and `InvalidInput` if the reason is too long.
    pub(crate) fn uninstall_app(
        self: &Arc<Self>,
        client_id: Option<&str>,
        resource: &TokenResource,
        reason: Option<&str>,
    ) -> Result<()> {
        if reason.is_some_and(|reason| reason.len() > MAX_REASON) {
            let message = format!("the reason is longer than {MAX_REASON} bytes");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let now = self.clock.now();
        let mut credentials = self.credentials_mut();
        let registry = &mut credentials.oauth;
        let app = app(registry, client_id)?.clone();
        if registry.install(&app.client_id, resource).is_none() {
            return Err(not_found(format!("the app {} is not installed on the {resource}", app.client_id)));
        }
        for Installation { choice, .. } in registry.uninstall(&app.client_id, resource) {
            let webhook_id = self.identifiers.uuid();
            let metadata = EventMetadata { app_id: &app.app_id, webhook_id: &webhook_id, timestamp: now };
            let payload = events::uninstall(&choice.resource, reason, metadata);
            self.send_app_event(&app, events::UNINSTALL, webhook_id, &payload, now);
        }
        Ok(())
    }

    /// Issues tokens without a code, as an app that was installed long ago has them. Installs the app if necessary, without
    /// an event.
    pub(crate) fn issue_tokens(
        &self,
        client_id: Option<&str>,
        resource: &TokenResource,
        scopes: &[String],
    ) -> Result<Value> {
        let scopes = distinct_scopes(scopes.iter().map(String::as_str))
            .map_err(|message| Error::new(ErrorKind::InvalidInput, message))?;
        let choice = Choice::of(&self.model(), resource.clone(), Vec::new()).map_err(not_found)?;
        let now = self.clock.now();
        let mut credentials = self.credentials_mut();
        let registry = &mut credentials.oauth;
        let client_id = app(registry, client_id)?.client_id.clone();
        let choice = if let Some(install) = registry.install(&client_id, resource) {
            install.choice.clone()
        } else {
            let choice = choice.with_future_locations(registry.settings().install_to_future_locations);
            record_install(registry, &client_id, &choice, now, true);
            choice
        };
        let generated = self.generate_tokens(&self.identifiers.uuid());
        let subject = Subject { client_id, choice, scopes };
        let response = token_response::body(&subject, &generated, registry.settings().camel_case);
        registry.apply(issue(subject, UsedCredential::None, now, &generated), now);
        Ok(response)
    }

    /// Adds an app, replacing the one with the same client ID.
    pub(crate) fn put_app(&self, app: SandboxApp) -> Result<SandboxApp> {
        let app = app.checked()?;
        if let Some(url) = &app.webhook_url {
            self.checked_target(url)?;
        }
        self.credentials_mut().oauth.put_app(app.clone())?;
        Ok(app)
    }

    /// Sends the install events that an app has not received yet.
    pub(crate) fn publish_install(
        self: &Arc<Self>,
        registry: &mut Registry,
        app: &SandboxApp,
        choice: &Choice,
        now: DateTime<Utc>,
    ) {
        for choice in with_locations(choice) {
            if !registry.announce(&app.client_id, &choice.resource) {
                continue;
            }
            let Some(install) = registry.install(&app.client_id, &choice.resource) else { continue };
            let webhook_id = self.identifiers.uuid();
            let due = events::due(now, registry.settings().install_event_delay_ms);
            let metadata = EventMetadata { app_id: &app.app_id, webhook_id: &webhook_id, timestamp: now };
            let payload = events::install(install, metadata);
            self.send_app_event(app, events::INSTALL, webhook_id, &payload, due);
        }
    }

    /// Sends an event to the webhook URL of an app when it is due.
    fn send_app_event(
        self: &Arc<Self>,
        app: &SandboxApp,
        event: &str,
        webhook_id: String,
        payload: &Value,
        due: DateTime<Utc>,
    ) {
        let app_url = app.webhook_url.clone();
        let (name, body) = (event.to_owned(), json_text(payload).into());
        let send = move |engine: &Engine, now| {
            if let Some(url) = app_url.or_else(|| engine.outbox.url()) {
                engine.outbox.send(OutgoingEvent { name, webhook_id, message_id: None, url, body }, now);
            }
        };
        if due <= self.clock.now() {
            return self.after_credentials(move |engine| send(engine, engine.clock.now()));
        }
        let Ok(permit) = Arc::clone(&self.delayed_events).try_acquire_owned() else {
            tracing::warn!(event, "dropped an event because too many delayed events are pending");
            return;
        };
        // The effect runs in the thread that writes the state file, which has no runtime.
        let runtime = tokio::runtime::Handle::current();
        let engine = Arc::downgrade(self);
        self.after_credentials(move |_| {
            runtime.spawn(async move {
                let _permit = permit;
                if let Some(engine) = engine.upgrade() {
                    engine.clock.sleep_until(due).await;
                    send(&engine, engine.clock.now());
                }
            });
        });
    }

    /// Generates tokens.
    pub(crate) fn generate_tokens(&self, trace_id: &str) -> GeneratedTokens {
        GeneratedTokens {
            access_token: self.identifiers.secret("access"),
            refresh_token: self.identifiers.secret("refresh"),
            refresh_token_id: self.identifiers.object_id(),
            trace_id: trace_id.to_owned(),
        }
    }
}

/// Returns the app with this client ID. Defaults to the app of the sandbox.
pub(crate) fn app<'a>(registry: &'a Registry, client_id: Option<&str>) -> Result<&'a SandboxApp> {
    match client_id {
        Some(id) => {
            registry.app(id).ok_or_else(|| not_found(format!("there is no app with the client ID {id}")))
        }
        None => registry.apps().first().ok_or_else(|| not_found("there is no app".to_owned())),
    }
}

/// Records that an app is installed; for a company, also on its locations. `announced` suppresses the install event.
pub(crate) fn record_install(
    registry: &mut Registry,
    client_id: &str,
    choice: &Choice,
    now: DateTime<Utc>,
    announced: bool,
) {
    let announced = announced || registry.settings().install_events == InstallEvents::Never;
    for choice in with_locations(choice) {
        registry.put_install(Installation {
            client_id: client_id.to_owned(),
            choice,
            installed_at: now,
            announced,
            is_future_location: false,
        });
    }
}

/// Returns a choice, followed by the locations of a company.
fn with_locations(choice: &Choice) -> impl Iterator<Item = Choice> {
    let company_id = choice.company_id.clone();
    let locations =
        choice.locations.clone().into_iter().map(move |id| Choice::location(id, company_id.clone()));
    std::iter::once(choice.clone()).chain(locations)
}

fn not_found(message: String) -> Error {
    Error::new(ErrorKind::NotFound, message)
}
