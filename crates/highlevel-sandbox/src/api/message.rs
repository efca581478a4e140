//! Creates the message of an accepted request.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use super::Generated;
use super::existence::Parties;
use crate::model::{
    Message, MessageDirection, MessageSource, Model, SCHEDULED, StatusChange, is_email, is_phone,
    scheduled_time, status_of_call,
};
use crate::operation::Operation;

/// Returns the message to store for a valid body.
pub(super) fn compose(
    operation: Operation,
    model: &Model,
    location: &str,
    parties: Parties,
    provider: Option<String>,
    body: Value,
    generated: &Generated,
) -> Message {
    let text = |field: &str| body.get(field).and_then(Value::as_str);
    let channel = text("type").unwrap_or_default().to_owned();
    let email = is_email(&channel);
    // The thread of an email is that of the request, or that of the email it replies to, or a new one.
    let thread_id = email.then(|| {
        let replied_to = text("emailMessageId").and_then(|id| model.thread_of(id));
        text("threadId").or(replied_to).unwrap_or(&generated.message_id).to_owned()
    });
    // The deviation `inbound-direction`: according to the reference, `direction` defaults to outbound here as well.
    let direction = match operation {
        Operation::AddInboundMessage if text("direction") != Some("outbound") => MessageDirection::Inbound,
        _ => MessageDirection::Outbound,
    };
    let is_scheduled = operation == Operation::SendMessage
        && scheduled_time(&body).is_some_and(|time| time > seconds(&generated.now));
    let status = if is_scheduled { SCHEDULED } else { initial_status(direction, &channel, &body) }.to_owned();
    let call_status = call_status(&channel, &body).map(str::to_owned);
    Message {
        id: generated.message_id.clone(),
        email_message_id: email.then(|| generated.email_message_id.clone()),
        thread_id,
        location_id: location.to_owned(),
        contact_id: parties.contact,
        conversation_id: parties.conversation.unwrap_or_else(|| generated.conversation_id.clone()),
        conversation_provider_id: provider,
        direction,
        source: MessageSource::Api,
        channel,
        call_status,
        date_added: text("date").and_then(to_utc).unwrap_or_else(|| generated.now.clone()),
        history: vec![StatusChange { status: status.clone(), at: generated.now.clone(), error: None }],
        status,
        request: body,
    }
}

/// Returns a warning about a message whose scheduled time is in milliseconds.
pub(super) fn warning(message: &Message) -> Option<String> {
    /// As seconds, this is in the year 5138; as milliseconds, in 1973.
    const MILLISECONDS: i64 = 100_000_000_000;
    let time = scheduled_time(&message.request).filter(|_| message.status == SCHEDULED)?;
    (time >= MILLISECONDS).then(|| {
        format!(
            "scheduledTimestamp is {time}, which looks like milliseconds: it counts seconds, so the message is never sent; \
             divide it by 1000"
        )
    })
}

/// Returns a time in seconds since 1970.
fn seconds(time: &str) -> i64 {
    DateTime::parse_from_rfc3339(time).map_or(0, |time| time.timestamp())
}

/// Returns the initial status of a message: `delivered` if it is inbound, and otherwise that of the request.
pub(crate) fn initial_status<'a>(direction: MessageDirection, channel: &str, request: &'a Value) -> &'a str {
    if is_phone(channel) {
        return status_of_call(direction, channel, call_status(channel, request));
    }
    match direction {
        MessageDirection::Inbound => "delivered",
        MessageDirection::Outbound => request.get("status").and_then(Value::as_str).unwrap_or("pending"),
    }
}

/// Returns the status of a call, if the request has one.
fn call_status<'a>(channel: &str, request: &'a Value) -> Option<&'a str> {
    request.get("call")?.get("status")?.as_str().filter(|_| is_phone(channel))
}

/// Returns a time in the format of the API: RFC 3339, UTC, milliseconds.
fn to_utc(date: &str) -> Option<String> {
    let date = DateTime::parse_from_rfc3339(date).ok()?;
    Some(date.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Millis, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_converted_to_utc() {
        let cases = [
            ("2024-07-29T15:51:28.071Z", Some("2024-07-29T15:51:28.071Z")),
            ("2024-07-29T15:51:28+02:00", Some("2024-07-29T13:51:28.000Z")),
            ("yesterday", None),
        ];
        for (date, expected) in cases {
            assert_eq!(to_utc(date).as_deref(), expected, "{date}");
        }
    }
}
