//! The form that sends test events.

use serde_json::{Map, Value};

use crate::access::INSPECTOR_PATH as PATH;
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::inspector::response::PageResponse;
use crate::inspector::route::PageRequest;
use crate::spec::Spec;
use crate::webhook::{self, EventExamples, Trigger, WebhookDelivery};

pub(super) struct TestEvents {
    pub(super) events: Vec<EventExamples>,
    /// The last delivery sent from this page, if it is still stored.
    pub(super) sent: Option<WebhookDelivery>,
}

impl TestEvents {
    pub(super) fn of(state: &Engine, page_request: &PageRequest) -> Self {
        let sent = page_request.query("sent").and_then(|id| state.outbox.delivery(id.parse().ok()?));
        let mut events = webhook::events(Spec::embedded());
        // Message events first; the names of app events are in capitals.
        events.sort_by_key(|event| event.event.bytes().all(|byte| byte.is_ascii_uppercase()));
        Self { events, sent }
    }
}

/// Sends a test event and redirects to the card with its delivery.
pub(super) fn trigger(state: &Engine, page_request: &PageRequest) -> Result<PageResponse, ApiError> {
    let chosen = page_request.field("event").unwrap_or_default();
    let Some((event, example)) = chosen.split_once('/') else {
        return Err(ApiError::bad_request("Event type is required"));
    };
    let mut trigger = Trigger::new(event).example(example);
    for (name, value) in fields(&page_request.field("fields").unwrap_or_default())? {
        trigger = trigger.field(name, value);
    }
    if let Some(url) = page_request.field("url") {
        trigger = trigger.url(url.trim());
    }
    let delivery = state.trigger(&trigger)?;
    Ok(PageResponse::See(format!("{PATH}/controls?sent={}#events", delivery.id)))
}

/// Parses the fields that override those of the example.
fn fields(text: &str) -> Result<Map<String, Value>, ApiError> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(text).map_err(|error| {
        ApiError::bad_request(format!(
            "Override fields: not a JSON object: {error}; for example {{\"body\": \"Hello\", \"userId\": null}}"
        ))
    })
}
