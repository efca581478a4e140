//! Test events.

use std::io::{self, ErrorKind};

use serde_json::{Value, json};

use super::state::Engine;
use crate::spec::Spec;
use crate::webhook::payload::PROVIDER_EVENT;
use crate::webhook::{OutgoingEvent, Trigger, WebhookDelivery, example, json_text, merge};

impl Engine {
    /// Sends a test event and returns its delivery.
    pub(crate) fn trigger(&self, trigger: &Trigger) -> io::Result<WebhookDelivery> {
        let now = self.clock.now();
        let url = self.target(trigger)?;
        let mut payload = example(Spec::embedded(), trigger)?;
        let envelope = self.envelope(now);
        payload.insert("timestamp".to_owned(), json!(envelope.timestamp));
        payload.insert("webhookId".to_owned(), json!(envelope.webhook_id));
        if trigger.event != PROVIDER_EVENT {
            payload.insert("appId".to_owned(), json!(envelope.app_id));
            payload.insert("versionId".to_owned(), json!(envelope.version_id));
        }
        merge(&mut payload, trigger.fields.clone());

        let text = |field: &str| payload.get(field).and_then(Value::as_str).map(str::to_owned);
        let event = OutgoingEvent {
            name: trigger.event.clone(),
            webhook_id: text("webhookId").unwrap_or_default(),
            message_id: text("messageId"),
            url,
            body: json_text(&Value::Object(payload)).into(),
        };
        let id = self.outbox.send(event, now);
        self.changed("deliveries");
        self.outbox.delivery(id).ok_or_else(|| io::Error::other("the event was evicted immediately"))
    }

    fn target(&self, trigger: &Trigger) -> io::Result<String> {
        if let Some(url) = &trigger.url {
            self.checked_target(url)?;
            return Ok(url.clone());
        }
        if trigger.event == PROVIDER_EVENT {
            let model = self.model();
            let url = model.providers().find_map(|provider| provider.delivery_url.clone());
            return url.ok_or_else(|| {
                invalid(
                    "no conversation provider has a delivery URL: set the `deliveryUrl` of one (PUT /_sandbox/providers/{id}), \
                     or pass a URL for this event (`--to URL` on the command line, `url` over HTTP)",
                )
            });
        }
        self.outbox.url().ok_or_else(|| {
            invalid(
                "no webhook URL is set: start the sandbox with `--webhook-url URL`, set one with \
                 PATCH /_sandbox/webhooks {\"url\": \"URL\"}, or pass one for this event (`--to URL` on the command line, \
                 `url` over HTTP)",
            )
        })
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, message)
}
