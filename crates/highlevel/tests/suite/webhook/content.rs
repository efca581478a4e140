//! The content of message events, by channel.

use highlevel::Direction;
use highlevel::webhook::{Attachment, Content, Event, MessageEvent, TextContent};
use serde_json::{Value, json};

use super::{any_app, receive};

pub(super) fn read(body: impl AsRef<[u8]>) -> Event {
    receive(&any_app(), body).expect("an event").event().clone()
}

/// Returns the content of an event as text.
fn show(body: &str) -> String {
    match read(body).content() {
        Some(Content::Text(text)) => format!("text {}", show_text(&text)),
        Some(Content::PublicComment(comment)) => format!("public comment {}", show_text(&comment)),
        Some(Content::Other(text)) => format!("other {}", show_text(&text)),
        Some(Content::InternalComment(comment)) => format!(
            "internal comment {:?} by {:?} for {:?} {}",
            comment.text,
            comment.author,
            comment.mentions,
            show_files(&comment.attachments)
        ),
        Some(Content::Email(email)) => format!(
            "email {:?} from {:?} to {:?} cc {:?} bcc {:?}: {:?} {:?} {}",
            email.subject,
            email.from,
            email.to,
            email.cc,
            email.bcc,
            email.body,
            email.plain_text,
            show_files(&email.attachments)
        ),
        Some(Content::Call(call)) => {
            format!("call {:?} {:?} {}", call.outcome, call.duration, show_files(&call.recordings))
        }
        Some(Content::Voicemail(voicemail)) => format!("voicemail {}", show_files(&voicemail.recordings)),
        None => "none".to_owned(),
        Some(other) => panic!("no row for {other:?}"),
    }
}

fn show_text(text: &TextContent<'_>) -> String {
    format!("{:?} {:?} {}", text.channel, text.text, show_files(&text.attachments))
}

/// Returns attachments as text: their URLs, and type and name where the event specifies them.
fn show_files(attachments: &[Attachment<'_>]) -> String {
    let show = |file: &Attachment<'_>| {
        let details = [file.content_type, file.name].into_iter().flatten();
        details.fold(format!("{:?}", file.url), |text, detail| format!("{text} {detail}"))
    };
    format!("[{}]", attachments.iter().map(show).collect::<Vec<_>>().join(", "))
}

/// An event and its content.
pub(super) struct Row {
    pub(super) event: &'static str,
    pub(super) content: &'static str,
}

pub(super) fn check(rows: &[Row]) {
    for Row { event, content } in rows {
        assert_eq!(show(event), *content, "{event}");
    }
}

#[test]
fn content_follows_the_channel() {
    check(&[
        Row {
            event: include_str!("../../data/events/outbound_message.json"),
            content: r#"text Some("SMS") Some("This is a test message") []"#,
        },
        Row {
            event: include_str!("../../data/events/outbound_call.json"),
            content: r#"call Answered Some(120s) ["call recording url"]"#,
        },
        Row {
            event: include_str!("../../data/events/outbound_voicemail.json"),
            content: r#"voicemail ["voicemail url"]"#,
        },
        Row {
            event: include_str!("../../data/events/outbound_email.json"),
            content: r#"email Some("Order Confirmed") from Some("Internal Notify <sample@email.service>") to ["example@email.com"] cc [] bcc []: Some("<div style=\"font-family: verdana, geneva; font-size: 11pt;\">Testing Email Notification</div>") None []"#,
        },
        Row {
            event: include_str!("../../data/events/provider_sms.json"),
            content: r#"text Some("SMS") Some("Your table is ready") []"#,
        },
        Row {
            event: r#"{"type":"Email","messageId":"m","html":"<p>h</p>","message":"t","emailTo":"a@b","attachments":["u"]}"#,
            content: r#"email None from None to ["a@b"] cc [] bcc []: Some("<p>h</p>") Some("t") ["u"]"#,
        },
        Row {
            event: r#"{"type":"Custom","messageId":"m","html":"<p>h</p>","subject":"s","message":"t","emailFrom":"c@d"}"#,
            content: r#"email Some("s") from Some("c@d") to [] cc [] bcc []: Some("<p>h</p>") Some("t") []"#,
        },
        Row {
            event: r#"{"type":"Custom","messageId":"m","html":"","emailTo":[],"message":"t"}"#,
            content: r#"text Some("Custom") Some("t") []"#,
        },
        Row { event: r#"{"type":"UNINSTALL","appId":"a"}"#, content: "none" },
        Row { event: r#"{"type":"ContactCreate","messageType":"SMS"}"#, content: "none" },
    ]);
}

/// `cc` and `bcc` contain the first address only.
#[test]
fn recipients_of_copies_are_those_of_the_list() {
    check(&[
        Row {
            event: r#"{"type":"OutboundMessage","messageType":"Email","cc":"a@b","ccList":["a@b","c@d"],"bccList":["e@f","g@h"]}"#,
            content: r#"email None from None to [] cc ["a@b", "c@d"] bcc ["e@f", "g@h"]: None None []"#,
        },
        Row {
            event: r#"{"type":"OutboundMessage","messageType":"Email","cc":"a@b","ccList":[],"bcc":["c@d"],"bccList":null}"#,
            content: r#"email None from None to [] cc ["a@b"] bcc ["c@d"]: None None []"#,
        },
        Row {
            event: r#"{"type":"InboundMessage","messageType":"Email","to":{},"from":{},"cc":"","ccList":{}}"#,
            content: "email None from None to [] cc [] bcc []: None None []",
        },
    ]);
}

/// The name and the number of the channel of an event, and the form of its content.
struct Channel {
    message_type: Value,
    type_string: Value,
    type_id: Value,
    form: &'static str,
}

#[test]
fn the_form_follows_from_the_families_of_all_names() {
    const TEXT: &str = "text";
    let channel = |message_type: &str, type_string: &str, type_id: u32, form| Channel {
        message_type: json!(message_type),
        type_string: json!(type_string),
        type_id: json!(type_id),
        form,
    };
    let none = || Value::Null;
    for Channel { message_type, type_string, type_id, form } in [
        // All three agree.
        channel("SMS", "TYPE_SMS", 2, TEXT),
        channel("WhatsApp", "TYPE_WHATSAPP", 19, TEXT),
        channel("FB", "TYPE_FACEBOOK", 11, TEXT),
        channel("IG", "TYPE_INSTAGRAM", 18, TEXT),
        channel("GMB", "TYPE_GMB", 15, TEXT),
        channel("Live Chat", "TYPE_LIVE_CHAT", 29, TEXT),
        channel("WebChat", "TYPE_WEBCHAT", 5, TEXT),
        channel("TIKTOK", "TYPE_TIKTOK", 41, TEXT),
        channel("SMS", "TYPE_GROUP_SMS", 35, TEXT),
        channel("Email", "TYPE_EMAIL", 3, "email"),
        channel("CALL", "TYPE_CALL", 1, "call"),
        channel("CALL", "TYPE_IVR_CALL", 24, "call"),
        channel("VoiceMail", "TYPE_CAMPAIGN_VOICEMAIL", 10, "voicemail"),
        channel("InternalComment", "TYPE_INTERNAL_COMMENTS", 37, "internal comment"),
        // A provider of SMS, email or calls.
        channel("Custom", "TYPE_CUSTOM_SMS", 20, TEXT),
        channel("Custom", "TYPE_CUSTOM_PROVIDER_SMS", 22, TEXT),
        channel("Custom", "TYPE_CUSTOM_EMAIL", 21, "email"),
        channel("Custom", "TYPE_CUSTOM_PROVIDER_EMAIL", 23, "email"),
        channel("Custom", "TYPE_CUSTOM_CALL", 34, "call"),
        // `messageType` decides about a voicemail of a call.
        channel("CALL", "TYPE_VOICEMAIL", 10, "call"),
        channel("SMS", "TYPE_CALL", 1, TEXT),
        // Any name marks a comment.
        channel("FB", "TYPE_FACEBOOK_COMMENT", 32, "public comment"),
        channel("IG", "TYPE_INSTAGRAM_COMMENT", 33, "public comment"),
        channel("TIKTOK", "TYPE_TIKTOK_COMMENT", 42, "public comment"),
        channel("FB", "", 32, "public comment"),
        channel("SMS", "TYPE_INTERNAL_COMMENT", 0, "internal comment"),
        channel("SMS", "", 37, "internal comment"),
        // One name or number is enough.
        Channel {
            message_type: none(),
            type_string: json!("TYPE_TIKTOK_COMMENT"),
            type_id: none(),
            form: "public comment",
        },
        Channel {
            message_type: none(),
            type_string: json!("TYPE_CAMPAIGN_CALL"),
            type_id: none(),
            form: "call",
        },
        Channel { message_type: json!("Call"), type_string: none(), type_id: none(), form: "call" },
        Channel { message_type: none(), type_string: none(), type_id: json!(34), form: "call" },
        Channel { message_type: json!("Custom"), type_string: none(), type_id: json!("34"), form: "call" },
        Channel { message_type: json!(""), type_string: json!("TYPE_CALL"), type_id: none(), form: "call" },
        Channel { message_type: json!(7), type_string: json!("TYPE_CALL"), type_id: none(), form: "call" },
        // Unknown names and numbers decide nothing.
        channel("Pigeon", "TYPE_EMAIL", 99, "email"),
        channel("Custom", "TYPE_CUSTOM_PIGEON", 99, TEXT),
        channel("", "", 99, TEXT),
        channel("Pigeon", "TYPE_PIGEON", 99, "other"),
        channel("RECALL", "TYPE_SPAM_CALL", 0, "other"),
        channel("Pigeon", "TYPE_PIGEON_COMMENT", 0, "other"),
        Channel { message_type: none(), type_string: none(), type_id: json!(2.5), form: TEXT },
        Channel { message_type: none(), type_string: none(), type_id: none(), form: TEXT },
        // Records of activities.
        channel("Activity", "TYPE_ACTIVITY_APPOINTMENT", 31, "other"),
        channel("", "TYPE_LIVE_CHAT_INFO_MESSAGE", 30, "other"),
    ] {
        for name in ["InboundMessage", "OutboundMessage"] {
            let event = json!({
                "type": name, "messageType": message_type, "messageTypeString": type_string, "messageTypeId": type_id,
            });
            let found = match read(event.to_string()).content() {
                Some(Content::Text(_)) => TEXT,
                Some(Content::Email(_)) => "email",
                Some(Content::Call(_)) => "call",
                Some(Content::Voicemail(_)) => "voicemail",
                Some(Content::InternalComment(_)) => "internal comment",
                Some(Content::PublicComment(_)) => "public comment",
                Some(Content::Other(_)) => "other",
                content => panic!("no row for {content:?}"),
            };
            assert_eq!(found, form, "{event}");
        }
    }
}

#[test]
fn a_custom_channel_without_a_further_name_is_decided_by_the_fields() {
    check(&[
        Row {
            event: r#"{"type":"OutboundMessage","messageType":"Custom","callStatus":"busy"}"#,
            content: "call Busy None []",
        },
        Row {
            event: r#"{"type":"OutboundMessage","callDuration":"7","status":"completed"}"#,
            content: "call Completed Some(7s) []",
        },
        Row {
            event: r#"{"type":"InboundMessage","messageType":"Custom","subject":"s","body":"b"}"#,
            content: r#"email Some("s") from None to [] cc [] bcc []: Some("b") None []"#,
        },
        Row {
            event: r#"{"type":"InboundMessage","messageType":"Custom","subject":"","callStatus":"","body":"b"}"#,
            content: r#"text Some("Custom") Some("b") []"#,
        },
    ]);
}

#[test]
fn comments_have_their_text_author_and_mentions() {
    check(&[
        Row {
            event: r#"{"type":"OutboundMessage","messageType":"InternalComment","body":"Call @Bo<userId>u2</userId>","userId":"u1","mentions":["u2","u3"]}"#,
            content: r#"internal comment Some("Call @Bo<userId>u2</userId>") by Some(UserId("u1")) for ["u2", "u3"] []"#,
        },
        Row {
            event: r#"{"type":"OutboundMessage","messageType":"InternalComment","userId":"","mentions":null,"attachments":["u"]}"#,
            content: r#"internal comment None by None for [] ["u"]"#,
        },
        Row {
            event: r#"{"type":"InboundMessage","messageType":"IG","messageTypeString":"TYPE_INSTAGRAM_COMMENT","body":"Open today?"}"#,
            content: r#"public comment Some("IG") Some("Open today?") []"#,
        },
        Row {
            event: r#"{"type":"InboundMessage","messageType":"Pigeon","body":"coo"}"#,
            content: r#"other Some("Pigeon") Some("coo") []"#,
        },
    ]);
}

#[test]
fn attachments_are_urls_or_objects() {
    check(&[
        Row {
            event: r#"{"type":"InboundMessage","messageType":"SMS","attachments":[{"url":"https://a/b%20c.png","contentType":"image/png","name":"b c.png"}]}"#,
            content: r#"text Some("SMS") None ["https://a/b%20c.png" image/png b c.png]"#,
        },
        Row {
            event: r#"{"type":"InboundMessage","messageType":"SMS","attachments":["https://a/b",{"url":"https://a/c"},null,{"name":"lost"},""]}"#,
            content: r#"text Some("SMS") None ["https://a/b", "https://a/c"]"#,
        },
        Row {
            event: r#"{"type":"OutboundMessage","messageType":"CALL","attachments":[{"url":"https://a/d","contentType":null}]}"#,
            content: r#"call Unknown None ["https://a/d"]"#,
        },
        Row {
            event: r#"{"type":"InboundMessage","messageType":"SMS","attachments":"https://a/b"}"#,
            content: r#"text Some("SMS") None ["https://a/b"]"#,
        },
        Row { event: r#"{"type":"InboundMessage","attachments":null}"#, content: "text None None []" },
    ]);
}

/// White space and characters without a glyph are part of a text.
#[test]
fn texts_are_unchanged() {
    let text = "Ready\r\n \u{200b}\t\u{1f389} ";
    for name in ["InboundMessage", "OutboundMessage", "SMS"] {
        let body =
            json!({ "type": name, "messageId": "m", "messageType": "SMS", "body": text, "message": text });
        let event = read(body.to_string());
        let Some(Content::Text(content)) = event.content() else { panic!("{body}") };
        assert_eq!(content.text, Some(text), "{body}");
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
        ("InboundMessage", json!({ "direction": "" }), "inbound"),
        ("OutboundMessage", json!({ "direction": null }), "outbound"),
        ("OutboundMessage", json!({ "direction": ["inbound"] }), "outbound"),
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
