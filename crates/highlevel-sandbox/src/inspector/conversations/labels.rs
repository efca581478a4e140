//! Messages, calls and attachments as short texts.

use std::fmt::Write as _;

use serde_json::Value;

use crate::inspector::format;
use crate::model::{Contact, Message, MessageDirection, is_call, is_email, is_voicemail};

/// The maximum length of a message preview, or of the name of an attachment that is not a URL, in characters.
const LINE: usize = 90;
/// The maximum length of a name in characters.
pub(in crate::inspector) const NAME: usize = 80;
/// The maximum size of a URL that is rendered as a link, in bytes.
const MAX_LINK: usize = 2048;

/// Returns the name of a contact, or its ID if it has none.
pub(in crate::inspector) fn name(contact: &Contact) -> &str {
    contact.name.as_deref().filter(|name| !name.trim().is_empty()).unwrap_or(&contact.id)
}

/// Returns up to two initials of a name.
pub(super) fn initials(name: &str) -> String {
    let mut words =
        name.split_whitespace().filter_map(|word| word.chars().find(|each| each.is_alphanumeric()));
    let first = words.next();
    let letters = first.into_iter().chain(words.next_back());
    letters.flat_map(char::to_uppercase).collect()
}

/// Formats a message on one line.
pub(in crate::inspector) fn line(message: &Message) -> String {
    if is_call(&message.channel) {
        return call_line(message);
    }
    let text = if is_email(&message.channel) {
        message.field("subject").or_else(|| message.text())
    } else {
        message.text().or_else(|| message.field("subject"))
    };
    let text = text.map(|text| format::start(text, LINE)).filter(|text| !text.is_empty());
    let said = text.unwrap_or_else(|| match (attachments(message).next(), attachments(message).count()) {
        (Some(only), 1) => AttachmentLabel::of(only).name,
        (Some(_), count) => format!("{count} attachments"),
        (None, _) if message.field("html").is_some() => "HTML".to_owned(),
        (None, _) => "(no text)".to_owned(),
    });
    if is_voicemail(&message.channel) { format!("Voicemail: {said}") } else { said }
}

/// Formats a call: `Call, completed, 1:00`.
fn call_line(message: &Message) -> String {
    let mut line = format!("{}, {}", call_kind(&message.channel), outcome(message));
    if let Some(seconds) = call_seconds(message).filter(|seconds| *seconds > 0) {
        line.push_str(", ");
        line.push_str(&duration(seconds));
    }
    line
}

/// Returns the kind of a call channel.
fn call_kind(channel: &str) -> &str {
    match channel {
        "IVR_Call" => "IVR call",
        "Campaign_Call" => "Campaign call",
        _ => "Call",
    }
}

/// Returns the heading of a call or a voicemail.
pub(super) fn call_title(message: &Message) -> String {
    if is_voicemail(&message.channel) {
        return "Voicemail".to_owned();
    }
    let direction = match message.direction {
        MessageDirection::Inbound => "Incoming",
        MessageDirection::Outbound => "Outgoing",
    };
    let kind = match message.channel.as_str() {
        "IVR_Call" => "IVR call",
        "Campaign_Call" => "campaign call",
        _ => "call",
    };
    format!("{direction} {kind}")
}

/// Returns the outcome of a call.
pub(super) fn outcome(message: &Message) -> &str {
    let said = message.call_status.as_deref();
    match said.or_else(|| message.request.pointer("/call/status")?.as_str()).unwrap_or(&message.status) {
        "no-answer" => "no answer",
        other => other,
    }
}

/// Returns the duration of a call in seconds, if known.
pub(super) fn call_seconds(message: &Message) -> Option<u64> {
    message.request.pointer("/call/duration")?.as_u64()
}

/// Formats a duration as `mm:ss` or `h:mm:ss`.
pub(super) fn duration(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Parses the format of [`duration`], or a number of seconds.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("duration {text:?} is invalid; enter seconds or mm:ss, for example 1:30");
    let parts: Vec<&str> = text.trim().split(':').collect();
    if parts.len() > 3 {
        return Err(wrong());
    }
    parts.iter().try_fold(0_u64, |seconds, part| {
        let digits = !part.is_empty() && part.len() <= 6 && part.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = part.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
        Ok(seconds * 60 + number)
    })
}

/// An attachment of a message. Its URL is never loaded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AttachmentLabel {
    pub(super) name: String,
    /// The host of the URL; empty if there is none.
    pub(super) host: String,
    /// The URL, if it is safe to link to.
    pub(super) link: Option<String>,
}

/// Returns the attachment URLs of a message.
pub(super) fn attachments(message: &Message) -> impl Iterator<Item = &str> {
    let all = message.request.get("attachments").and_then(Value::as_array);
    all.into_iter().flatten().filter_map(Value::as_str)
}

impl AttachmentLabel {
    /// Links only complete `http` and `https` URLs; anything else is shown as text.
    pub(super) fn of(text: &str) -> Self {
        Self::linked(text).unwrap_or_else(|| Self {
            name: format::start(text, LINE),
            host: String::new(),
            link: None,
        })
    }

    fn linked(text: &str) -> Option<Self> {
        if text.len() > MAX_LINK {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let odd = |each: char| each.is_whitespace() || each.is_control() || each == '\\';
        if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) || text.contains(odd) {
            return None;
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let host = authority.rsplit('@').next().filter(|host| !host.is_empty())?;
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let name = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(host);
        Some(Self {
            name: format::start(name, LINE),
            host: format::start(host, LINE),
            link: Some(text.to_owned()),
        })
    }
}

/// Returns the path of a conversation, relative to the inspector.
pub(in crate::inspector) fn path(contact: &str) -> String {
    format!("conversations/{}", segment(contact))
}

/// Percent-encodes a text as one path segment.
pub(in crate::inspector) fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(segment, "%{byte:02X}");
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(channel: &str, call_status: Option<&str>, request: &Value) -> Message {
        serde_json::from_value(json!({
            "id": "m", "contactId": "c", "conversationId": "v", "direction": "inbound", "channel": channel,
            "dateAdded": "2026-01-31T09:30:00Z", "status": "delivered", "callStatus": call_status, "request": request,
        }))
        .unwrap()
    }

    #[test]
    fn a_message_is_one_line() {
        let call = |status: &str, seconds: u64| json!({ "call": { "status": status, "duration": seconds } });
        let cases = [
            ("SMS", None, json!({ "message": "one\ntwo\u{2028} three" }), "one two three"),
            ("SMS", None, json!({ "message": "  " }), "(no text)"),
            ("SMS", None, json!({ "attachments": ["https://a.example/b/c.png?d"] }), "c.png"),
            ("SMS", None, json!({ "attachments": ["x", "y"] }), "2 attachments"),
            ("SMS", None, json!({ "message": 5, "attachments": "x" }), "(no text)"),
            ("Email", None, json!({ "subject": "Tonight", "message": "At eight" }), "Tonight"),
            ("Email", None, json!({ "message": "At eight" }), "At eight"),
            ("Email", None, json!({ "html": "<p>At eight</p>" }), "HTML"),
            ("Call", Some("completed"), call("completed", 60), "Call, completed, 1:00"),
            ("Call", Some("no-answer"), call("no-answer", 0), "Call, no answer"),
            ("IVR_Call", None, call("voicemail", 3_725), "IVR call, voicemail, 1:02:05"),
            ("Campaign_Call", None, json!({}), "Campaign call, delivered"),
            (
                "Campaign_VoiceMail",
                None,
                json!({ "attachments": ["https://a.example/b.mp3"] }),
                "Voicemail: b.mp3",
            ),
        ];
        for (channel, status, request, expected) in cases {
            assert_eq!(line(&message(channel, status, &request)), expected, "{channel} {request}");
        }
    }

    #[test]
    fn durations_are_read_as_they_are_written() {
        for (number, text) in [(0, "0:00"), (9, "0:09"), (60, "1:00"), (3_599, "59:59"), (3_600, "1:00:00")] {
            assert_eq!(duration(number), text);
            assert_eq!(seconds(text), Ok(number));
            assert_eq!(seconds(&number.to_string()), Ok(number));
        }
        for wrong in ["", "a", "-1", "1:", "1:2:3:4", "1.5", "9999999", "+3"] {
            assert!(seconds(wrong).unwrap_err().contains("for example 1:30"), "{wrong}");
        }
    }

    #[test]
    fn only_addresses_of_the_web_become_links() {
        let long = format!("https://a.example/{}", "b".repeat(MAX_LINK));
        let long_name = format!("{}…", &long[..LINE]);
        let cases = [
            ("https://a.example/b/c.png?d=/e#f/g", "c.png", "a.example", true),
            ("HTTP://a.example:8080", "a.example:8080", "a.example:8080", true),
            ("https://good.example@a.example/c", "c", "a.example", true),
            ("https://a.example/ä ö.png", "https://a.example/ä ö.png", "", false),
            ("javascript:alert(1)", "javascript:alert(1)", "", false),
            ("javascript://a.example/%0aalert(1)", "javascript://a.example/%0aalert(1)", "", false),
            (" https://a.example/", "https://a.example/", "", false),
            ("https://a.example\\@b.example/", "https://a.example\\@b.example/", "", false),
            ("java\nscript:alert(1)", "java script:alert(1)", "", false),
            (
                "data:text/html,<script>alert(1)</script>",
                "data:text/html,<script>alert(1)</script>",
                "",
                false,
            ),
            ("file:///etc/passwd", "file:///etc/passwd", "", false),
            ("//a.example/b", "//a.example/b", "", false),
            ("/b", "/b", "", false),
            ("https:///b", "https:///b", "", false),
            ("", "", "", false),
            (&long, &long_name, "", false),
        ];
        for (text, name, host, is_link) in cases {
            let link = is_link.then(|| text.to_owned());
            let expected = AttachmentLabel { name: name.to_owned(), host: format::start(host, LINE), link };
            assert_eq!(AttachmentLabel::of(text), expected, "{text}");
        }
    }

    #[test]
    fn names_have_initials() {
        let cases =
            [("Ada", "A"), ("Ada Lovelace", "AL"), ("a b  c", "AC"), ("(Ö) ß", "ÖSS"), ("", ""), ("--", "")];
        for (name, expected) in cases {
            assert_eq!(initials(name), expected, "{name}");
        }
    }

    #[test]
    fn an_id_is_one_segment_of_a_path() {
        for (id, expected) in
            [("abc-1_~", "abc-1_~"), ("a/b?c#d", "a%2Fb%3Fc%23d"), ("ü ..", "%C3%BC%20%2E%2E")]
        {
            assert_eq!(segment(id), expected);
        }
    }
}
