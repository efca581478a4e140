//! The message that a request becomes.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use super::Fresh;
use super::existence::Parties;
use crate::model::{Message, MessageDirection, Model, StatusChange, is_email, is_phone, of_call};
use crate::operation::Operation;

/// The message to store for an acceptable body.
pub(super) fn compose(
    operation: Operation,
    model: &Model,
    location: &str,
    parties: Parties,
    provider: Option<String>,
    body: Value,
    fresh: &Fresh,
) -> Message {
    let text = |field: &str| body.get(field).and_then(Value::as_str);
    let channel = text("type").unwrap_or_default().to_owned();
    let email = is_email(&channel);
    // Where the thread of an email comes from: the request, the email that it replies to, or itself.
    let thread_id = email.then(|| {
        let replied_to = text("emailMessageId").and_then(|id| model.thread_of(id));
        text("threadId").or(replied_to).unwrap_or(&fresh.message_id).to_owned()
    });
    // The reference says that an inbound message is outbound by default. What nobody asks for by adding an inbound
    // message is not assumed here; what is asked for is done.
    let direction = match operation {
        Operation::AddInboundMessage if text("direction") != Some("outbound") => MessageDirection::Inbound,
        _ => MessageDirection::Outbound,
    };
    let status = first_status(direction, &channel, &body).to_owned();
    let call_status = call_status(&channel, &body).map(str::to_owned);
    Message {
        id: fresh.message_id.clone(),
        email_message_id: email.then(|| fresh.email_message_id.clone()),
        thread_id,
        location_id: location.to_owned(),
        contact_id: parties.contact,
        conversation_id: parties.conversation.unwrap_or_else(|| fresh.conversation_id.clone()),
        conversation_provider_id: provider,
        direction,
        channel,
        call_status,
        date_added: text("date").and_then(in_utc).unwrap_or_else(|| fresh.now.clone()),
        history: vec![StatusChange { status: status.clone(), at: fresh.now.clone(), error: None }],
        status,
        request: body,
    }
}

/// The status that a message begins with. What was sent has the one that the request gave it; what came in has arrived.
fn first_status<'a>(direction: MessageDirection, channel: &str, request: &'a Value) -> &'a str {
    if is_phone(channel) {
        return of_call(direction, channel, call_status(channel, request));
    }
    match direction {
        MessageDirection::Inbound => "delivered",
        MessageDirection::Outbound => request.get("status").and_then(Value::as_str).unwrap_or("pending"),
    }
}

/// How a call went, if the request says so.
fn call_status<'a>(channel: &str, request: &'a Value) -> Option<&'a str> {
    request.pointer("/call/status")?.as_str().filter(|_| is_phone(channel))
}

/// A point in time as the API writes it: RFC 3339, UTC, milliseconds.
fn in_utc(date: &str) -> Option<String> {
    let date = DateTime::parse_from_rfc3339(date).ok()?;
    Some(date.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Millis, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_in_utc() {
        let cases = [
            ("2024-07-29T15:51:28.071Z", Some("2024-07-29T15:51:28.071Z")),
            ("2024-07-29T15:51:28+02:00", Some("2024-07-29T13:51:28.000Z")),
            ("yesterday", None),
        ];
        for (date, expected) in cases {
            assert_eq!(in_utc(date).as_deref(), expected, "{date}");
        }
    }
}
