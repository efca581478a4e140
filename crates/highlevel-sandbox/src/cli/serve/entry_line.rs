//! Lines for a person: one for each request and each attempt to deliver a webhook.

use highlevel_sandbox::{DeliveryAttempt, DeliveryOutcome, Entry, RecordedRequest, Rule};
use serde::Deserialize;
use serde_json::Value;

use crate::shell::printable;

/// Returns the line of an entry, with an indented line for each remark. `None` for entries that are not printed.
pub(super) fn entry_line(entry: &Entry) -> Option<String> {
    match entry {
        Entry::Request(request) => Some(request_line(request)),
        Entry::Delivery(delivery) => Some(delivery_line(delivery)),
        Entry::Missed(entries) => Some(format!(
            "          ...  {entries} more entries, which were evicted before they could be printed"
        )),
        _ => None,
    }
}

fn request_line(request: &RecordedRequest) -> String {
    let RecordedRequest { method, path, status, .. } = request;
    let time = request.received_at.get(11..19).unwrap_or_default();
    let details = details(request).map(|details| format!("  {details}")).unwrap_or_default();
    let (method, path) = (printable(method), printable(path));
    format!("{time}  {status}  {method} {path}{details}{}", remarks(request))
}

/// The most unknown fields that a line lists.
const MAX_UNKNOWN_FIELDS: usize = 10;

/// Returns the violations that were tolerated, and facts that explain the response.
fn remarks(request: &RecordedRequest) -> String {
    let mut remarks = Vec::new();
    remarks.extend(request.tolerated.iter().map(|name| tolerated(name)));
    if !request.unknown_fields.is_empty() {
        let listed = &request.unknown_fields[..request.unknown_fields.len().min(MAX_UNKNOWN_FIELDS)];
        let more = request.unknown_fields.len() - listed.len() + request.more_unknown_fields;
        let listed = listed.iter().map(|pointer| match request.suggestions.get(pointer) {
            Some(name) => format!("{pointer} (did you mean {name}?)"),
            None => pointer.clone(),
        });
        let listed: Vec<String> = listed.collect();
        let more = if more > 0 { format!(", … and {more} more") } else { String::new() };
        remarks.push(format!("fields that are not in the spec: {}{more}", listed.join(", ")));
    }
    remarks.extend(request.response_header("x-sandbox-note").map(str::to_owned));
    if request.accepted && request.accepted_before > 0 {
        remarks.push(format!("an equal message was accepted before, {} times", request.accepted_before));
    }
    if let Some(quirk) = request.quirk {
        remarks.push(format!("quirk {quirk}"));
    }
    if let Some(refusal) = request.refusal {
        remarks.push(format!("refused as by the live API (refusal {refusal})"));
    }
    remarks.extend(request.note.clone());
    remarks.into_iter().fold(String::new(), |text, remark| text + "\n               " + &printable(&remark))
}

/// Returns the rule that a request was accepted against.
fn tolerated(name: &str) -> String {
    let rule = Rule::all().iter().find(|rule| rule.name == name);
    let documented = rule.map_or("otherwise", |rule| rule.documented);
    format!("accepted; according to the documentation, {documented} (rule {name})")
}

/// The part of a request that its line has. Parsing all fields would take several times as long.
#[derive(Deserialize)]
struct PrintedRequest {
    #[serde(rename = "type")]
    channel: String,
}

/// The part of a response that the line of an accepted request has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrintedResponse {
    message_id: Option<String>,
    #[serde(default)]
    message_ids: Vec<String>,
}

/// Returns the accepted message, or the reasons of a rejection, each on a separate line.
fn details(request: &RecordedRequest) -> Option<String> {
    if request.status < 300 {
        let PrintedRequest { channel } = serde_json::from_slice(&request.body).ok()?;
        let PrintedResponse { message_id, message_ids } = serde_json::from_slice(&request.response).ok()?;
        let message = message_id.or_else(|| message_ids.into_iter().next())?;
        return Some(format!("{}, message {}", printable(&channel), printable(&message)));
    }
    let response: Value = serde_json::from_slice(&request.response).ok()?;
    let reasons: Vec<String> = match response.get("message")? {
        Value::Array(reasons) => reasons.iter().filter_map(Value::as_str).map(printable).collect(),
        reason => vec![printable(reason.as_str()?)],
    };
    Some(reasons.join("\n               "))
}

fn delivery_line(delivery: &DeliveryAttempt) -> String {
    let (status, reason) = match &delivery.outcome {
        DeliveryOutcome::Responded { status, .. } => (status.to_string(), String::new()),
        DeliveryOutcome::Failed { reason, .. } => ("---".to_owned(), format!("  {reason}")),
        _ => ("---".to_owned(), String::new()),
    };
    let (event, url, reason) = (printable(&delivery.event), printable(&delivery.url), printable(&reason));
    format!("          {status}  webhook {event} to {url}{reason}")
}
