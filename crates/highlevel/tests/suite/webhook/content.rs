//! The content of message events, by channel.

use std::time::Duration;

use highlevel::Direction;
use highlevel::webhook::{CallOutcome, Content, Event, MessageEvent};
use serde_json::{Value, json};

use super::{any_app, receive};

fn read(body: impl AsRef<[u8]>) -> Event {
    receive(&any_app(), body).expect("an event").event().clone()
}

/// Returns the content of an event as text.
fn show(body: &str) -> String {
    match read(body).content() {
        Some(Content::Text(text)) => {
            format!("text {:?} {:?} {:?}", text.channel, text.text, text.attachments)
        }
        Some(Content::Email(email)) => format!(
            "email {:?} from {:?} to {:?} cc {:?} bcc {:?}: {:?} {:?} {:?}",
            email.subject,
            email.from,
            email.to,
            email.cc,
            email.bcc,
            email.body,
            email.plain_text,
            email.attachments
        ),
        Some(Content::Call(call)) => {
            format!("call {:?} {:?} {:?}", call.outcome, call.duration, call.recordings)
        }
        Some(Content::Voicemail(voicemail)) => format!("voicemail {:?}", voicemail.recordings),
        None => "none".to_owned(),
        Some(other) => panic!("no row for {other:?}"),
    }
}

#[test]
fn content_follows_the_channel() {
    let rows = [
        (
            include_str!("../../data/events/outbound_message.json"),
            r#"text Some("SMS") Some("This is a test message") []"#,
        ),
        (
            include_str!("../../data/events/outbound_call.json"),
            r#"call Answered Some(120s) ["call recording url"]"#,
        ),
        (include_str!("../../data/events/outbound_voicemail.json"), r#"voicemail ["voicemail url"]"#),
        (
            include_str!("../../data/events/outbound_email.json"),
            r#"email Some("Order Confirmed") from Some("Internal Notify <sample@email.service>") to ["example@email.com"] cc [] bcc []: Some("<div style=\"font-family: verdana, geneva; font-size: 11pt;\">Testing Email Notification</div>") None []"#,
        ),
        (
            include_str!("../../data/events/provider_sms.json"),
            r#"text Some("SMS") Some("Your table is ready") []"#,
        ),
        (
            r#"{"type":"Email","messageId":"m","html":"<p>h</p>","message":"t","emailTo":"a@b","attachments":["u"]}"#,
            r#"email None from None to ["a@b"] cc [] bcc []: Some("<p>h</p>") Some("t") ["u"]"#,
        ),
        (
            r#"{"type":"OutboundMessage","messageType":"Email","cc":"a@b","ccList":["c@d"],"bccList":["e@f","g@h"]}"#,
            r#"email None from None to [] cc ["a@b"] bcc ["e@f", "g@h"]: None None []"#,
        ),
        (r#"{"type":"InboundMessage","messageType":"FB","body":"t"}"#, r#"text Some("FB") Some("t") []"#),
        (r#"{"type":"InboundMessage","messageType":"Pigeon"}"#, r#"text Some("Pigeon") None []"#),
        (r#"{"type":"InboundMessage"}"#, "text None None []"),
        (r#"{"type":"InboundMessage","messageTypeString":"TYPE_CAMPAIGN_CALL"}"#, "call Unknown None []"),
        (r#"{"type":"InboundMessage","messageTypeString":"TYPE_IVR_CALL"}"#, "call Unknown None []"),
        (r#"{"type":"InboundMessage","messageTypeString":"TYPE_CAMPAIGN_VOICEMAIL"}"#, "voicemail []"),
        (r#"{"type":"InboundMessage","messageType":"Call"}"#, "call Unknown None []"),
        (
            r#"{"type":"InboundMessage","messageTypeString":"TYPE_CUSTOM_EMAIL"}"#,
            "email None from None to [] cc [] bcc []: None None []",
        ),
        (
            r#"{"type":"InboundMessage","messageType":"TYPE_CUSTOM_PROVIDER_EMAIL"}"#,
            "email None from None to [] cc [] bcc []: None None []",
        ),
        (r#"{"type":"InboundMessage","messageTypeString":"TYPE_CUSTOM_CALL"}"#, "call Unknown None []"),
        (
            r#"{"type":"InboundMessage","messageTypeString":"TYPE_CAMPAIGN_MANUAL_CALL"}"#,
            "call Unknown None []",
        ),
        (
            r#"{"type":"InboundMessage","messageTypeString":"TYPE_CUSTOM_PROVIDER_SMS"}"#,
            r#"text Some("TYPE_CUSTOM_PROVIDER_SMS") None []"#,
        ),
        // `messageTypeString` counts only if `messageType` implies no form.
        (
            r#"{"type":"InboundMessage","messageType":"","messageTypeString":"TYPE_CALL"}"#,
            "call Unknown None []",
        ),
        (
            r#"{"type":"InboundMessage","messageType":"","messageTypeString":"TYPE_SMS"}"#,
            r#"text Some("TYPE_SMS") None []"#,
        ),
        (
            r#"{"type":"InboundMessage","messageType":7,"messageTypeString":"TYPE_CALL"}"#,
            "call Unknown None []",
        ),
        (
            r#"{"type":"InboundMessage","messageType":"Custom","messageTypeString":"TYPE_CUSTOM_CALL"}"#,
            "call Unknown None []",
        ),
        (
            r#"{"type":"InboundMessage","messageType":"Custom","messageTypeString":"TYPE_CUSTOM_SMS"}"#,
            r#"text Some("Custom") None []"#,
        ),
        (
            r#"{"type":"InboundMessage","messageType":"SMS","messageTypeString":"TYPE_CALL"}"#,
            r#"text Some("SMS") None []"#,
        ),
        (r#"{"type":"InboundMessage","messageType":"RECALL"}"#, r#"text Some("RECALL") None []"#),
        (r#"{"type":"UNINSTALL","appId":"a"}"#, "none"),
        (r#"{"type":"ContactCreate","messageType":"SMS"}"#, "none"),
    ];
    for (body, expected) in rows {
        assert_eq!(show(body), expected, "{body}");
    }
}

#[test]
fn call_outcomes_follow_from_both_statuses() {
    let rows = [
        ("completed", "completed", CallOutcome::Answered),
        ("completed", "answered", CallOutcome::Answered),
        ("completed", "voicemail", CallOutcome::Voicemail),
        ("voicemail", "voicemail", CallOutcome::Voicemail),
        ("voicemail", "completed", CallOutcome::Unknown),
        ("failed", "completed", CallOutcome::Unknown),
        ("failed", "voicemail", CallOutcome::Unknown),
        ("completed", "busy", CallOutcome::Busy),
        ("failed", "busy", CallOutcome::Busy),
        ("failed", "no-response", CallOutcome::NoAnswer),
        ("failed", "failed", CallOutcome::Failed),
        ("failed", "canceled", CallOutcome::Canceled),
        ("pending", "pending", CallOutcome::Pending),
        ("completed", "teleported", CallOutcome::Unknown),
        ("vanished", "completed", CallOutcome::Unknown),
    ];
    for name in ["OutboundMessage", "InboundMessage"] {
        for (status, call_status, expected) in rows {
            let body =
                json!({ "type": name, "messageType": "CALL", "status": status, "callStatus": call_status });
            let event = read(body.to_string());
            let Some(Content::Call(call)) = event.content() else { panic!("{body}") };
            assert_eq!(call.outcome, expected, "{body}");
        }
    }
}

#[test]
fn call_durations_are_numbers_or_text() {
    let rows = [
        (json!(120), Some(Duration::from_secs(120))),
        (json!(1.5), Some(Duration::from_millis(1500))),
        (json!(0), Some(Duration::ZERO)),
        (json!("120"), Some(Duration::from_secs(120))),
        (json!(-1), None),
        (json!(1e300), None),
        (json!("NaN"), None),
        (json!("long"), None),
        (json!([120]), None),
        (Value::Null, None),
    ];
    for (seconds, expected) in rows {
        let body = json!({ "type": "OutboundMessage", "messageType": "CALL", "callDuration": seconds });
        let event = read(body.to_string());
        let Some(Content::Call(call)) = event.content() else { panic!("{body}") };
        assert_eq!(call.duration, expected, "{body}");
    }
}

/// The name of the event counts only if it has no `direction`.
#[test]
fn directions_follow_from_the_field_or_the_name() {
    let rows = [
        ("OutboundMessage", json!({}), "outbound"),
        ("InboundMessage", json!({}), "inbound"),
        ("OutboundMessage", json!({ "direction": "inbound" }), "inbound"),
        ("InboundMessage", json!({ "direction": "outbound" }), "outbound"),
        ("InboundMessage", json!({ "direction": "sideways" }), "sideways"),
        ("SMS", json!({ "messageId": "m" }), "outbound"),
    ];
    for (name, mut body, expected) in rows {
        body["type"] = json!(name);
        let direction = match read(body.to_string()) {
            Event::OutboundMessage(message) => message.direction(),
            Event::InboundMessage(message) => message.direction(),
            Event::ProviderOutboundMessage(message) => message.direction(),
            event => panic!("{event:?}"),
        };
        assert_eq!(direction, Direction::from(expected), "{body}");
    }
}
