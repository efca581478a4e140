//! A line for each thing that happens.

use highlevel_sandbox::{DeliveryAttempt, DeliveryOutcome, Entry, RecordedRequest};
use serde_json::Value;

use crate::shell::printable;

pub(crate) fn line(entry: &Entry) -> Option<String> {
    match entry {
        Entry::Request(request) => Some(request_line(request)),
        Entry::Delivery(delivery) => Some(delivery_line(delivery)),
        Entry::Missed(entries) => Some(format!("          ...  {entries} more, too fast to print")),
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

/// The most unknown fields that a line names.
const MAX_NAMED: usize = 10;

/// What was let pass, and what made the answer what it is.
fn remarks(request: &RecordedRequest) -> String {
    let mut remarks = Vec::new();
    if !request.tolerated.is_empty() {
        remarks.push(format!("by the documentation it is wrong: {}", request.tolerated.join(", ")));
    }
    if !request.unknown_fields.is_empty() {
        let named = &request.unknown_fields[..request.unknown_fields.len().min(MAX_NAMED)];
        let more = request.unknown_fields.len() - named.len() + request.more_unknown_fields;
        let more = if more > 0 { format!(", … and {more} more") } else { String::new() };
        remarks.push(format!("fields unknown to the specification: {}{more}", named.join(", ")));
    }
    if request.accepted && request.accepted_before > 0 {
        remarks.push(format!("the same was accepted before, {} times", request.accepted_before));
    }
    if let Some(quirk) = request.quirk {
        remarks.push(format!("by the quirk {quirk}"));
    }
    remarks.into_iter().fold(String::new(), |text, remark| text + "\n               " + &printable(&remark))
}

/// What was accepted, or why it was not, each reason on a line of its own.
fn details(request: &RecordedRequest) -> Option<String> {
    let answer: Value = serde_json::from_slice(&request.answer).ok()?;
    if request.status < 300 {
        let body: Value = serde_json::from_slice(&request.body).ok()?;
        let channel = body.get("type")?.as_str()?;
        let message = answer.get("messageId")?.as_str()?;
        return Some(format!("{}, message {}", printable(channel), printable(message)));
    }
    let reasons: Vec<String> = match answer.get("message")? {
        Value::Array(reasons) => reasons.iter().filter_map(Value::as_str).map(printable).collect(),
        reason => vec![printable(reason.as_str()?)],
    };
    Some(reasons.join("\n               "))
}

fn delivery_line(delivery: &DeliveryAttempt) -> String {
    let (status, reason) = match &delivery.outcome {
        DeliveryOutcome::Answered { status, .. } => (status.to_string(), String::new()),
        DeliveryOutcome::Failed { reason, .. } => ("---".to_owned(), format!("  {reason}")),
        _ => ("---".to_owned(), String::new()),
    };
    let (event, url, reason) = (printable(&delivery.event), printable(&delivery.url), printable(&reason));
    format!("          {status}  webhook {event} to {url}{reason}")
}
