//! Requests that the sandbox does not serve: the vendor's response, with a note that tells endpoints of `HighLevel` from
//! misspelt paths. And fields that were probably misspelt.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::{SEND, bare, execute, post};
use crate::conformance::Sandbox;

const NOTE: &str = "x-sandbox-note";

#[tokio::test]
async fn unserved_requests_get_the_response_of_the_vendor_and_a_note() {
    struct Case {
        method: Method,
        path: &'static str,
        /// The note after "not served by the sandbox: ".
        note: &'static str,
    }
    let case = |method, path, note| Case { method, path, note };
    let cases = [
        case(
            Method::GET,
            "/opportunities/abc?a=1",
            "GET /opportunities/{id} of HighLevel is not implemented",
        ),
        case(
            Method::PUT,
            "/calendars/events/appointments/x",
            "PUT /calendars/events/appointments/{eventId} of HighLevel is not implemented",
        ),
        case(Method::GET, SEND, "HighLevel has /conversations/messages with POST only"),
        case(
            Method::POST,
            "/conversation/messages",
            "HighLevel does not document this path; did you mean POST /conversations/messages?",
        ),
        case(
            Method::POST,
            "/v2/conversations/messages/inbuond",
            "HighLevel does not document this path; did you mean POST /conversations/messages/inbound?",
        ),
        case(
            Method::POST,
            "/oauth/tokne",
            "HighLevel does not document this path; did you mean POST /oauth/token?",
        ),
        case(Method::DELETE, "/nothing/at/all", "HighLevel does not document this path"),
        case(Method::GET, "/", "HighLevel does not document this path"),
    ];
    let sandbox = Sandbox::start().await.unwrap();
    for Case { method, path, note } in cases {
        // Neither the token nor the body are examined before the route.
        let response = execute(bare(&sandbox, method.clone(), path)).await;
        assert_eq!(response.status, 404, "{method} {path}");
        let shown = path.split('?').next().unwrap();
        let message = if path.starts_with("/oauth") { shown } else { path };
        assert_eq!(response.body["message"], format!("Cannot {method} {message}"));
        assert_eq!(response.body["error"], "Not Found");
        let expected = format!("not served by the sandbox: {note}");
        assert_eq!(response.headers[NOTE], expected.as_str(), "{method} {path}");
        assert!(!response.headers.contains_key("allow"), "{method} {path}");
        let recorded = sandbox.requests().pop().unwrap();
        assert_eq!(recorded.response_header(NOTE), Some(&*expected), "{recorded:?}");
    }
    let invalid = json!({"type": "SMS", "contactId": 5});
    let served = post(&sandbox, SEND, &invalid).await;
    assert_eq!((served.status.as_u16(), served.headers.get(NOTE)), (422, None));
    // The note of a path that is served explains the response.
    let unknown = bare(&sandbox, Method::PUT, &format!("{SEND}/none/status")).bearer_auth(sandbox.token());
    let unknown =
        execute(unknown.header("Version", "2021-04-15").json(&json!({"status": "delivered"}))).await;
    assert_eq!(unknown.status, 401);
    let note = unknown.headers[NOTE].to_str().unwrap();
    assert!(note.starts_with("there is no message with this ID in the location "), "{note}");
}

#[tokio::test]
async fn misspelt_fields_come_with_a_suggestion() {
    struct Case {
        fields: Value,
        suggestions: &'static [(&'static str, &'static str)],
    }
    let cases = [
        Case { fields: json!({"mesage": "Hello"}), suggestions: &[("/mesage", "message")] },
        Case { fields: json!({"contact_id": "c"}), suggestions: &[("/contact_id", "contactId")] },
        Case {
            fields: json!({"attachment": ["https://a.example/b"]}),
            suggestions: &[("/attachment", "attachments")],
        },
        // The field that is meant is there already, or no field is similar.
        Case { fields: json!({"message": "Hello", "mesage": "Hello"}), suggestions: &[] },
        Case { fields: json!({"priority": 1, "x": 2}), suggestions: &[] },
    ];
    let sandbox = Sandbox::start().await.unwrap();
    for Case { fields, suggestions } in cases {
        let mut body = json!({"type": "SMS"});
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        post(&sandbox, SEND, &body).await;
        let recorded = sandbox.requests().pop().unwrap();
        let expected: BTreeMap<String, String> =
            suggestions.iter().map(|(pointer, name)| ((*pointer).to_owned(), (*name).to_owned())).collect();
        assert_eq!(recorded.suggestions, expected, "{fields}");
    }
}
