//! The actions in a conversation: send a message from either side, set a status.

use serde_json::{Map, Value, json};

use super::labels;
use super::list::Search;
use crate::access::INSPECTOR_PATH as PATH;
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::inspector::response::PageResponse;
use crate::inspector::route::PageRequest;
use crate::model::{Contact, Model, StatusUpdate, is_call, is_email, is_phone};
use crate::spec::Spec;
use crate::webhook::{SimulatedCall, SimulatedCallOutcome};

/// The options of the composer.
pub(super) struct Composer {
    pub(super) inbound: Vec<Group>,
    pub(super) outbound: Vec<Group>,
    /// The selected channel.
    pub(super) channel: String,
    pub(super) providers: Vec<String>,
    /// The possible outcomes of a simulated call.
    pub(super) outcomes: [SimulatedCallOutcome; 7],
}

/// Channels of one category.
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) channels: Vec<&'static str>,
}

/// The categories of channels, in display order.
const SORTS: [&str; 6] = ["Text", "Email", "Phone", "Social media", "Web chat", "Other"];

impl Composer {
    pub(super) fn new(model: &Model, contact: &Contact) -> Self {
        let spec = Spec::embedded();
        let last = model.messages_with(&contact.id).next_back();
        let providers = model.providers().filter(|provider| provider.location_id == contact.location_id);
        let mut outbound = spec.allowed_values("SendMessageType");
        outbound.extend(spec.allowed_values("OutboundCallType"));
        Self {
            inbound: grouped(&spec.allowed_values("InboundMessageType")),
            outbound: grouped(&outbound),
            channel: last.map_or("SMS", |message| &message.channel).to_owned(),
            providers: providers.map(|provider| provider.id.clone()).collect(),
            outcomes: SimulatedCallOutcome::ALL,
        }
    }
}

fn grouped(channels: &[&'static str]) -> Vec<Group> {
    let of = |name: &'static str| Group {
        name,
        channels: channels.iter().copied().filter(|channel| sort(channel) == name).collect(),
    };
    SORTS.into_iter().map(of).filter(|group| !group.channels.is_empty()).collect()
}

fn sort(channel: &str) -> &'static str {
    match channel {
        "SMS" | "RCS" | "WhatsApp" => "Text",
        _ if is_email(channel) => "Email",
        _ if is_phone(channel) => "Phone",
        "FB" | "IG" | "GMB" | "TIKTOK" => "Social media",
        "WebChat" | "Live_Chat" | "ALL_IN_ONE_CHAT" => "Web chat",
        _ => "Other",
    }
}

/// Sends the message in the form, from the contact or from the business.
pub(super) fn send(state: &Engine, page_request: &PageRequest) -> Result<PageResponse, ApiError> {
    let contact = page_request.parameter(0);
    let as_location = page_request.field("by").as_deref() == Some("location");
    let channel = page_request.field(if as_location { "outbound" } else { "inbound" });
    let channel = channel.unwrap_or_else(|| "SMS".to_owned());
    let message = if channel == "Call" {
        state.simulate_call(&call(page_request, contact, as_location)?)?
    } else {
        let mut fields = fields(page_request, contact, &channel)?;
        if as_location {
            add_html(&channel, &mut fields);
            state.simulate_outbound(fields)?
        } else {
            state.simulate_inbound(fields)?
        }
    };
    // Keep the search only if it shows the new message.
    let model = state.model();
    let filter = page_request.filter();
    let search = Search::new(&filter);
    let is_wanted = model.contact(contact).is_some_and(|contact| search.is_about(contact));
    let query = if search.fits(is_wanted, &message.to_stored()) { filter.query() } else { String::new() };
    Ok(PageResponse::See(format!("{}{query}", address(contact))))
}

fn call(page_request: &PageRequest, contact: &str, as_location: bool) -> Result<SimulatedCall, ApiError> {
    let recordings: Vec<String> =
        lines(page_request, "recording").chain(lines(page_request, "attachments")).collect();
    let mut call = json!({
        "direction": if as_location { "outbound" } else { "inbound" },
        "contactId": contact,
        "outcome": page_request.field("outcome").unwrap_or_else(|| "answered".to_owned()),
        "recordings": recordings,
        "conversationProviderId": page_request.field("provider"),
    });
    if let Some(seconds) = seconds(page_request)? {
        call["durationSeconds"] = json!(seconds);
    }
    serde_json::from_value(call).map_err(|error| ApiError::bad_request(format!("invalid call: {error}")))
}

/// Builds the request body that an API client would send.
fn fields(page_request: &PageRequest, contact: &str, channel: &str) -> Result<Map<String, Value>, ApiError> {
    let attachments: Vec<String> =
        lines(page_request, "attachments").chain(lines(page_request, "recording")).collect();
    // Forms use CRLF as line break.
    let text = page_request.field("text").map(|text| text.replace("\r\n", "\n"));
    let html = page_request.field("html").filter(|_| is_email(channel));
    if text.is_none() && html.is_none() && attachments.is_empty() && !is_phone(channel) {
        return Err(ApiError::bad_request("nothing to send; enter a message or add an attachment"));
    }
    let mut fields =
        Map::from_iter([("type".to_owned(), json!(channel)), ("contactId".to_owned(), json!(contact))]);
    let mut set = |name: &str, value: Option<Value>| value.map(|value| fields.insert(name.to_owned(), value));
    set("message", text.map(Value::from));
    set("html", html.map(Value::from));
    set("subject", page_request.field("subject").filter(|_| is_email(channel)).map(Value::from));
    set("attachments", (!attachments.is_empty()).then(|| json!(attachments)));
    set("conversationProviderId", page_request.field("provider").map(Value::from));
    if is_call(channel) {
        let outcome = json!(page_request.field("outcome").unwrap_or_else(|| "answered".to_owned()));
        let outcome: SimulatedCallOutcome = serde_json::from_value(outcome)
            .map_err(|error| ApiError::bad_request(format!("invalid call: {error}")))?;
        let mut call = json!({ "status": outcome.call_status() });
        if let Some(seconds) = seconds(page_request)? {
            call["duration"] = json!(seconds);
        }
        set("call", Some(call));
    }
    Ok(fields)
}

/// Adds the text of an email as HTML if it has none, because an email without HTML is refused.
fn add_html(channel: &str, fields: &mut Map<String, Value>) {
    let text = fields.get("message").and_then(Value::as_str).filter(|_| is_email(channel));
    if let Some(text) = text.filter(|_| !fields.contains_key("html")) {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        fields.insert("html".to_owned(), json!(format!("<p>{}</p>", escaped.replace('\n', "<br>"))));
    }
}

fn seconds(page_request: &PageRequest) -> Result<Option<u64>, ApiError> {
    page_request
        .field("duration")
        .map(|text| labels::seconds(&text).map_err(ApiError::bad_request))
        .transpose()
}

/// Returns the lines of a field that are not blank.
fn lines(page_request: &PageRequest, field: &str) -> impl Iterator<Item = String> {
    let text = page_request.field(field).unwrap_or_default();
    let lines: Vec<String> =
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    lines.into_iter()
}

/// Sets the status of a message.
pub(super) fn status(state: &Engine, page_request: &PageRequest) -> Result<PageResponse, ApiError> {
    let id = page_request.parameter(0);
    let word = page_request.field("status").ok_or_else(|| ApiError::bad_request("status is required"))?;
    let is_call = state.model().message(id).is_some_and(|message| is_call(&message.channel));
    let mut update = if is_call { StatusUpdate::call(word) } else { StatusUpdate::new(word) };
    if let Some(reason) = page_request.field("reason").filter(|_| update.status.as_deref() == Some("failed"))
    {
        update = update.error(reason);
    }
    let message = state.simulate_status(id, update)?;
    Ok(PageResponse::See(format!("{}{}", address(&message.contact_id), page_request.filter().query())))
}

fn address(contact: &str) -> String {
    format!("{PATH}/{}", labels::path(contact))
}
