//! A request on two lines.

use crate::inspector::format;
use crate::json_fields;
use crate::ledger::RecordedRequest;

/// The maximum size of the part of a body that is parsed, in bytes.
const MOST_PARSED: usize = 16 * 1024;
/// The path that the operations of the conversations API share.
const COMMON: &str = "/conversations/";

/// What a request is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// The `type` of the message.
    pub(super) channel: Option<String>,
    /// The ID of the contact.
    pub(super) contact: Option<String>,
    /// The first error, the text of the message, the query, or the operation.
    pub(super) line: String,
    /// `true` if the line is an error.
    pub(super) is_error: bool,
}

/// Summarizes a request.
pub(super) fn of(request: &RecordedRequest) -> Summary {
    const FIELDS: [&str; 5] = ["type", "contactId", "message", "subject", "html"];
    let body = &request.body[..request.body.len().min(MOST_PARSED)];
    let mut fields: [Option<String>; 5] = Default::default();
    for (field, text) in json_fields::texts(body, &FIELDS) {
        fields[field].get_or_insert(text);
    }
    let [channel, contact, message, subject, html] = fields;
    let texts = if html.is_some() { [subject, message, html] } else { [message, subject, None] };
    let text = texts.into_iter().flatten().find(|text| !text.trim().is_empty());
    let error = (request.status >= 400).then(|| error(request)).flatten();
    let query = request.path.split_once('?').map(|(_, query)| decoded(query));
    let operation = request.operation.map(|operation| operation.id().to_owned());
    let is_error = error.is_some();
    Summary { channel, contact, line: error.or(text).or(query).or(operation).unwrap_or_default(), is_error }
}

/// Returns the first validation error, or the message of the response.
fn error(request: &RecordedRequest) -> Option<String> {
    let violation = request.violations.first().map(|violation| violation.message.clone());
    let response = &request.response[..request.response.len().min(MOST_PARSED)];
    violation
        .or_else(|| json_fields::text(response, "message"))
        .or_else(|| json_fields::text(response, "error"))
        .filter(|text| !text.trim().is_empty())
}

/// Formats a query for reading.
fn decoded(query: &str) -> String {
    let query = format::beginning(query, MOST_PARSED);
    let pairs = form_urlencoded::parse(query.as_bytes());
    pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// Returns the path without its query and without the part that most operations share.
pub(super) fn resource(path: &str) -> &str {
    let path = path.split('?').next().unwrap_or_default();
    match path.strip_prefix(COMMON).map(|rest| rest.trim_end_matches('/')) {
        Some(rest) if !rest.is_empty() => rest,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Operation;
    use crate::spec::Spec;

    fn request(status: u16, path: &str, body: &str, response: &str) -> RecordedRequest {
        RecordedRequest {
            status,
            path: path.to_owned(),
            body: body.as_bytes().to_vec(),
            response: response.as_bytes().to_vec(),
            operation: (path != "/nowhere").then_some(Operation::SendMessage),
            ..RecordedRequest::default()
        }
    }

    #[test]
    fn the_line_is_the_first_error_or_the_text() {
        let sms = r#"{"type":"SMS","contactId":"g","message":"Hello"}"#;
        let email = r#"{"type":"Email","subject":"Table","html":"<p>Hi"}"#;
        let cases = [
            (201, "/conversations/messages", sms, "", "Hello"),
            (201, "/conversations/messages", email, "", "Table"),
            (201, "/conversations/messages", r#"{"html":"<p>Hi"}"#, "", "<p>Hi"),
            (201, "/conversations/messages", r#"{"message":" "}"#, "", "sendMessage"),
            (200, "/conversations/search?query=a%20b&limit=1", "", "", "query=a b limit=1"),
            (200, "/nowhere", "", "", ""),
            (400, "/x", sms, r#"{"message":"No such contact"}"#, "! No such contact"),
            (422, "/x", sms, r#"{"message":["first","second"]}"#, "! first"),
            (401, "/x", "", r#"{"error":"invalid_grant"}"#, "! invalid_grant"),
            (502, "/x", sms, "<html>", "Hello"),
        ];
        for (status, path, body, response, expected) in cases {
            let found = of(&request(status, path, body, response));
            let line = if found.is_error { format!("! {}", found.line) } else { found.line };
            assert_eq!(line, expected, "{status} {path} {body} {response}");
        }
        let violations =
            Spec::embedded().validate("SendMessageRequest", &serde_json::json!({"contactId": 5}));
        let first = format!("! {}", violations[0].message);
        let found =
            of(&RecordedRequest { violations, ..request(422, "/x", sms, r#"{"message":"generic"}"#) });
        assert_eq!(format!("! {}", found.line), first);
        assert_eq!((found.channel.as_deref(), found.contact.as_deref()), (Some("SMS"), Some("g")));
    }

    #[test]
    fn the_shared_part_of_the_path_is_omitted() {
        let cases = [
            ("/conversations/messages", "messages"),
            ("/conversations/messages/m1/status?a=/b", "messages/m1/status"),
            ("/conversations/", "/conversations/"),
            ("/conversations", "/conversations"),
            ("/contacts/c1", "/contacts/c1"),
            ("*", "*"),
        ];
        for (path, expected) in cases {
            assert_eq!(resource(path), expected);
        }
    }
}
