//! A line for each thing that happens.

use highlevel_sandbox::{Delivery, DeliveryOutcome, Entry, RecordedRequest};
use serde_json::Value;

pub(crate) fn line(entry: &Entry) -> String {
    match entry {
        Entry::Request(request) => request_line(request),
        Entry::Delivery(delivery) => delivery_line(delivery),
        _ => String::new(),
    }
}

fn request_line(request: &RecordedRequest) -> String {
    let RecordedRequest { method, path, status, .. } = request;
    let time = request.received_at.get(11..19).unwrap_or_default();
    let details = details(request).map(|details| format!("  {details}")).unwrap_or_default();
    format!("{time}  {status}  {method} {path}{details}")
}

/// What was accepted, or why it was not, each reason on a line of its own.
fn details(request: &RecordedRequest) -> Option<String> {
    let answer: Value = serde_json::from_slice(&request.answer).ok()?;
    if request.status < 300 {
        let body: Value = serde_json::from_slice(&request.body).ok()?;
        let channel = body.get("type")?.as_str()?;
        return Some(format!("{channel}, message {}", answer.get("messageId")?.as_str()?));
    }
    let reasons = match answer.get("message")? {
        Value::Array(reasons) => reasons.iter().filter_map(Value::as_str).collect(),
        reason => vec![reason.as_str()?],
    };
    Some(reasons.join("\n               "))
}

fn delivery_line(delivery: &Delivery) -> String {
    let (status, reason) = match &delivery.outcome {
        DeliveryOutcome::Answered { status, .. } => (status.to_string(), String::new()),
        DeliveryOutcome::Failed { reason, .. } => ("---".to_owned(), format!("  {reason}")),
        _ => ("---".to_owned(), String::new()),
    };
    format!("          {status}  webhook {} to {}{reason}", delivery.event, delivery.url)
}
