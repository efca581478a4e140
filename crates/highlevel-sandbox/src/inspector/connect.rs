//! The Connect panel: the values, snippets and steps that connect a program to the sandbox.

mod snippets;

use std::sync::Arc;

use askama::Template;
use http::{HeaderMap, Method};
use serde_json::{Map, json};

use super::format::Time;
use super::page::Frame;
use super::response::{PageResponse, done};
use super::route::{PageRequest, Route};
use crate::access::INSPECTOR_PATH as PATH;
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::model::{
    CALL_PROVIDER_ID, CONTACT_ID, CONVERSATION_ID, CUSTOM_PROVIDER_ID, EMAIL_PROVIDER_ID, SMS_PROVIDER_ID,
};
use crate::sync::lock;
use crate::webhook::{DeliveryState, Trigger, time_text};
use snippets::Snippet;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "connect", handler: |state, page_request| show(state, page_request) },
    Route { method: Method::POST, path: "connect/message", handler: |state, _| done(send_message(state)) },
    Route { method: Method::POST, path: "connect/webhook", handler: |state, _| done(send_webhook(state)) },
    Route {
        method: Method::POST,
        path: "connect/url",
        handler: |state, page_request| done(set_url(state, page_request)),
    },
];

/// The ledger entries that affect the panel.
const LIVE: &str = "request message delivery changed";

#[derive(Template)]
#[template(path = "connect.html")]
struct ConnectPage {
    frame: Frame,
    panel: Panel,
}

/// The content of the panel.
pub(super) struct Panel {
    pub(super) base_url: String,
    pub(super) token: String,
    /// Names, values and element IDs of the seeded records and of the app.
    pub(super) ids: Vec<(&'static str, String, &'static str)>,
    pub(super) client_secret: String,
    /// The public key of webhook signatures as PEM.
    pub(super) public_key: String,
    pub(super) snippets: Vec<Snippet>,
    pub(super) webhook_url: String,
    /// The newest request to the API.
    pub(super) request: Option<LastRequest>,
    /// The newest delivery with a 2xx response.
    pub(super) delivered: Option<LastDelivery>,
    /// The newest delivery, if none has a 2xx response.
    pub(super) attempted: Option<LastDelivery>,
}

pub(super) struct LastRequest {
    pub(super) link: String,
    pub(super) text: String,
    pub(super) status: u16,
    pub(super) at: Time,
}

pub(super) struct LastDelivery {
    pub(super) link: String,
    pub(super) event: String,
    pub(super) at: Time,
}

/// Returns the URL under which the client reaches the sandbox.
pub(super) fn base_url(state: &Engine, headers: &HeaderMap) -> String {
    state.base_url.clone().unwrap_or_else(|| {
        let host = headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        format!("http://{}", host.unwrap_or("127.0.0.1"))
    })
}

/// Returns the panel for a view that has no content yet, because no program is connected.
pub(super) fn for_empty_view(state: &Engine, page_request: &PageRequest, frame: &mut Frame) -> Option<Panel> {
    let panel = Panel::new(state, page_request);
    if panel.request.is_some() {
        return None;
    }
    frame.live = LIVE;
    Some(panel)
}

/// Returns the panel for the list of deliveries while there are none.
pub(super) fn for_no_deliveries(state: &Engine, page_request: &PageRequest, frame: &mut Frame) -> Panel {
    frame.live = LIVE;
    Panel::new(state, page_request)
}

fn show(state: &Arc<Engine>, page_request: &PageRequest) -> PageResponse {
    let mut frame = Frame::plain(state, "Connect");
    frame.live = LIVE;
    PageResponse::page(&ConnectPage { frame, panel: Panel::new(state, page_request) })
}

/// Sends a message of the seeded contact, as if it had been received.
fn send_message(state: &Engine) -> Result<PageResponse, ApiError> {
    let text = json!("Hello, this is a test message");
    state.simulate_inbound(Map::from_iter([("message".to_owned(), text)]))?;
    Ok(PageResponse::See(format!("{PATH}/conversations/{CONTACT_ID}")))
}

/// Sends an event that belongs to no message.
fn send_webhook(state: &Engine) -> Result<PageResponse, ApiError> {
    let delivery = state.trigger(&Trigger::new("InboundMessage"))?;
    Ok(PageResponse::See(format!("{PATH}/deliveries/{}", delivery.id)))
}

/// Sets the webhook URL, or removes it if the field is empty.
fn set_url(state: &Engine, page_request: &PageRequest) -> Result<PageResponse, ApiError> {
    state.set_webhook_url(page_request.field("url").as_deref().map(str::trim))?;
    Ok(PageResponse::See(format!("{PATH}/connect")))
}

impl Panel {
    fn new(state: &Engine, page_request: &PageRequest) -> Self {
        let base_url = base_url(state, &page_request.headers);
        let app = lock(&state.credentials).oauth.apps().first().cloned();
        let (client_id, client_secret) =
            app.map(|app| (app.client_id, app.client_secret)).unwrap_or_default();
        let location = state.account.location_id.clone();
        let id = |name, value: &str, element| (name, value.to_owned(), element);
        let ids = vec![
            id("Location ID", &location, "connect-location"),
            id("Contact ID", CONTACT_ID, "connect-contact"),
            id("Conversation ID", CONVERSATION_ID, "connect-conversation"),
            id("SMS provider ID", SMS_PROVIDER_ID, "connect-provider"),
            id("Custom SMS provider ID", CUSTOM_PROVIDER_ID, "connect-custom-provider"),
            id("Email provider ID", EMAIL_PROVIDER_ID, "connect-email-provider"),
            id("Call provider ID", CALL_PROVIDER_ID, "connect-call-provider"),
            id("App ID", &state.account.app_id, "connect-app"),
            id("Client ID", &client_id, "connect-client"),
        ];
        let public_key = state.outbox.public_key();
        let environment = [
            ("HIGHLEVEL_BASE_URL", base_url.as_str(), false),
            ("HIGHLEVEL_TOKEN", &state.token, true),
            ("HIGHLEVEL_LOCATION_ID", &location, false),
            ("HIGHLEVEL_CONTACT_ID", CONTACT_ID, false),
            ("HIGHLEVEL_CLIENT_ID", &client_id, false),
            ("HIGHLEVEL_CLIENT_SECRET", &client_secret, true),
            ("HIGHLEVEL_WEBHOOK_PUBLIC_KEY", &public_key, false),
        ];
        let snippets = snippets::all(&base_url, &state.token, CONTACT_ID, &environment);
        let (requests, _) = state.ledger.collect(1, |request| {
            request.operation.map(|operation| LastRequest {
                link: format!("{PATH}/requests/{}", request.id),
                text: format!("{} {}", request.method, operation.path()),
                status: request.status,
                at: request.received_at.clone().into(),
            })
        });
        let newest = |is_delivered: bool| {
            let (found, _) = state
                .outbox
                .search(1, |summary| !is_delivered || matches!(summary.state, DeliveryState::Delivered));
            found.first().map(|summary| LastDelivery {
                link: format!("{PATH}/deliveries/{}", summary.id),
                event: summary.event.name.clone(),
                at: time_text(summary.created_at).into(),
            })
        };
        let delivered = newest(true);
        Self {
            ids,
            client_secret,
            public_key: pem(&public_key),
            snippets,
            webhook_url: state.outbox.url().unwrap_or_default(),
            request: requests.into_iter().next(),
            attempted: if delivered.is_none() { newest(false) } else { None },
            delivered,
            token: state.token.clone(),
            base_url,
        }
    }
}

/// Formats a base64 `SubjectPublicKeyInfo` as PEM.
fn pem(key: &str) -> String {
    let lines: Vec<String> =
        key.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", lines.join("\n"))
}
