//! Settings, rate limits, and the ledger.

use std::io::{Read, Write};
use std::net::TcpStream;

use reqwest::Method;
use serde_json::json;

use super::Row;

use crate::conformance::Sandbox;

pub(super) fn settings(_: &Sandbox) -> Vec<Row> {
    let change = |body| Row::new(Method::PATCH, "settings", Some(body));
    vec![
        Row::get("settings"),
        Row::get("settings/catalogue"),
        change(json!({})),
        change(json!({"strictness": "documented", "successStatus": 200, "quirks": ["empty-success"]})),
        change(json!({"quirks": []})),
        change(json!({"strictness": "strict"})).expects(400),
        change(json!({"successStatus": 204})).expects(400),
        change(json!({"quirks": ["none"]})).expects(400),
        change(json!({"strict": true})).expects(400),
    ]
}

pub(super) fn rate_limit(_: &Sandbox) -> Vec<Row> {
    let change = |body| Row::new(Method::PUT, "rate-limit", Some(body));
    let take = |body| Row::new(Method::POST, "rate-limit/use", Some(body));
    vec![
        Row::get("rate-limit"),
        change(json!({"burst": 5, "intervalMs": 60_000, "daily": 10, "window": "fixed", "retryAfter": true})),
        take(json!({"requests": 3})),
        take(json!({"requests": 3, "appId": "another", "locationId": "elsewhere"})),
        change(json!({"enforced": false})),
        change(json!({"burst": 0})).expects(400),
        change(json!({"window": "both"})).expects(400),
        take(json!({})).expects(400),
    ]
}

pub(super) fn ledger(sandbox: &Sandbox) -> Vec<Row> {
    ask(sandbox);
    let question = json!({"operation": "sendMessage", "body": {"type": "SMS"}, "locationId": "elsewhere"});
    vec![
        Row::get("ledger"),
        Row::get("requests"),
        Row::get("requests/{/requests/0/id}"),
        Row::get(
            "requests?limit=1&before=9&status=201&method=POST&path=/a&operation=sendMessage&locationId=a&messageId=b\
             &fingerprint=00000000000000000000000000000000&accepted=true&repeated=false",
        ),
        Row::get("requests?limit=0").expects(400),
        Row::get("requests?status=ok").expects(400),
        Row::get("requests?fingerprint=").expects(400),
        Row::get("requests?operation=send").expects(400),
        Row::get("requests?state=201").expects(400),
        Row::get("requests/none").expects(404),
        Row::new(Method::POST, "ledger", Some(question)),
        Row::get("ledger/{/fingerprint}"),
        Row::get("ledger/none").expects(400),
        Row::new(Method::POST, "ledger", Some(json!({"operation": "send", "body": {}}))).expects(400),
    ]
}

/// Sends a request to the API, so that the ledger has one.
fn ask(sandbox: &Sandbox) {
    let address = sandbox.base_url().replace("http://", "");
    let mut connection = TcpStream::connect(&address).unwrap();
    let head = "POST /conversations/messages HTTP/1.1\r\nConnection: close";
    write!(connection, "{head}\r\nHost: {address}\r\nContent-Length: 4\r\n\r\n\u{e9}\u{e9}").unwrap();
    connection.read_to_end(&mut Vec::new()).unwrap();
}
