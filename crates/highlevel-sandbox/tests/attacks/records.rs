//! Contacts, notes, tags, conversations and scheduled messages at the limits of what is accepted.

use std::io::Write;

use serde_json::json;

use crate::raw::{Program, response};

/// KiB of address space.
const LIMIT: &str = "ulimit -v 1500000";
/// The budget of all records except messages and files.
const FULL: &str = "limit of 33554432 bytes";

/// The body of a request by its number.
type Body<'a> = &'a dyn Fn(&Program, usize) -> String;

/// Creates a contact, and returns its path.
fn contact(program: &Program) -> String {
    let body = json!({"locationId": program.ready["locationId"], "phone": "+15035550199"});
    let created = program.ask("POST", "/contacts/", &body.to_string());
    assert_eq!(created.status, 201, "{}", created.body);
    format!("/contacts/{}", created.json()["contact"]["id"].as_str().unwrap())
}

/// Sends requests until one is rejected, and returns the number of accepted ones.
fn accepted(program: &Program, path: &str, body: impl Fn(usize) -> String) -> usize {
    for number in 0..500 {
        let response = program.ask("POST", path, &body(number));
        if response.status >= 300 {
            assert!(response.body.contains(FULL), "{path}: {} {:.300}", response.status, response.body);
            program.assert_is_within_its_bounds(path);
            return number;
        }
    }
    panic!("{path} is never rejected");
}

#[test]
fn contacts_notes_and_tags_stay_within_their_budget() {
    let long = "x".repeat(1_000_000);
    let location = |program: &Program| program.ready["locationId"].clone();
    let notes = |_: &Program, _| json!({"body": long}).to_string();
    let tags = |_: &Program, number| {
        let tags: Vec<String> =
            (0..9_000).map(|index| format!("{number:03}-{index:04}-{}", "x".repeat(80))).collect();
        json!({"tags": tags}).to_string()
    };
    let fields = |program: &Program, number| {
        let fields: Vec<_> =
            (0..2_000).map(|index| json!({"id": index.to_string(), "value": [{"a": "b"}]})).collect();
        let email = format!("a{number}@example.com");
        json!({"locationId": location(program), "email": email, "customFields": fields}).to_string()
    };
    let names = |program: &Program, number| {
        json!({"locationId": location(program), "email": format!("a{number}@example.com"), "firstName": long})
            .to_string()
    };
    let cases: [(&str, Body<'_>); 4] =
        [("notes", &notes), ("tags", &tags), ("custom fields", &fields), ("names", &names)];
    for (name, body) in cases {
        let program = Program::start(LIMIT, "");
        let path = match name {
            "notes" | "tags" => format!("{}/{name}", contact(&program)),
            _ => "/contacts/upsert".to_owned(),
        };
        let count = accepted(&program, &path, |number| body(&program, number));
        assert!(count > 5, "{name}: {count}");
        // What is full can be read, searched and emptied.
        let search =
            json!({"locationId": location(&program), "pageLimit": 500, "query": "example"}).to_string();
        let found = program.ask("POST", "/contacts/search", &search);
        assert_eq!(found.status, 200, "{name}: {:.200}", found.body);
        program.assert_is_within_its_bounds(name);
        assert_eq!(program.ask("POST", "/_sandbox/reset", "").status, 204);
        assert_eq!(program.ask("POST", "/contacts/upsert", &names(&program, 0)).status, 201, "{name}");
    }
}

#[test]
fn searches_with_many_values_are_rejected() {
    let program = Program::start(LIMIT, "");
    let location = program.ready["locationId"].clone();
    let search = |filters: serde_json::Value, query: &str| {
        let body = json!({"locationId": location, "pageLimit": 1, "filters": filters, "query": query});
        program.ask("POST", "/contacts/search", &body.to_string())
    };
    let filter = |values: usize| {
        let values: Vec<String> = (0..values).map(|number| number.to_string()).collect();
        json!({"field": "tags", "operator": "contains", "value": values})
    };
    let filters = |count: usize| vec![filter(1); count];
    for (name, found, status) in [
        ("20 filters", search(json!(filters(20)), ""), 200),
        ("21 filters", search(json!(filters(21)), ""), 422),
        ("100 values", search(json!([filter(100)]), ""), 200),
        ("101 values", search(json!([filter(100), filter(1)]), ""), 422),
        ("15,000 values", search(json!([filter(15_000)]), ""), 422),
        (
            "a long value",
            search(json!([{"field": "tags", "operator": "eq", "value": "x".repeat(401)}]), ""),
            422,
        ),
        ("a long term", search(json!([]), &"x".repeat(401)), 422),
    ] {
        assert_eq!(found.status, status, "{name}: {:.300}", found.body);
    }
}

#[test]
fn scheduled_messages_are_evicted_like_others() {
    let program = Program::start(LIMIT, "--keep-messages 100");
    let mut message = program.message("later");
    for number in 0..300 {
        message["scheduledTimestamp"] = json!(4_000_000_000_u64 + number);
        assert_eq!(program.ask("POST", "/conversations/messages", &message.to_string()).status, 201);
    }
    let messages = program.health()["memory"]["messages"].clone();
    assert_eq!((&messages["count"], &messages["dropped"]), (&json!(100), &json!(200)));
    // The clock passes all of their times: only those that are retained are sent.
    let later = json!({"now": "2096-10-03T00:00:00Z"}).to_string();
    assert_eq!(program.ask("PATCH", "/_sandbox/clock", &later).status, 200);
    let pending = "/_sandbox/messages?status=pending&limit=1000";
    let count = || program.ask("GET", pending, "").json()["messages"].as_array().map(Vec::len);
    while count() != Some(100) {
        std::thread::yield_now();
    }
    program.assert_is_within_its_bounds("scheduled messages");
}

#[test]
fn requests_without_credentials_change_no_record() {
    let program = Program::start(LIMIT, "");
    let path = contact(&program);
    let conversation = program.ready["conversationId"].as_str().unwrap().to_owned();
    let mut message = program.message("later");
    message["scheduledTimestamp"] = json!(4_000_000_000_u64);
    let sent = program.ask("POST", "/conversations/messages", &message.to_string()).json();
    let id = sent["messageId"].as_str().unwrap().to_owned();
    let snapshot = || program.ask("GET", "/_sandbox/snapshot", "").body;
    let before = snapshot();
    let body = json!({
        "locationId": program.ready["locationId"], "phone": "+15035550198", "tags": ["a"], "body": "a",
        "contactId": program.ready["contactId"], "attachments": [], "unreadCount": 7, "status": "failed",
    })
    .to_string();
    for (method, path) in [
        ("POST", "/contacts/".to_owned()),
        ("POST", "/contacts/upsert".to_owned()),
        ("POST", "/contacts/search".to_owned()),
        ("PUT", path.clone()),
        ("POST", format!("{path}/tags")),
        ("DELETE", format!("{path}/tags")),
        ("POST", format!("{path}/notes")),
        ("POST", "/conversations/".to_owned()),
        ("PUT", format!("/conversations/{conversation}")),
        ("DELETE", format!("/conversations/messages/{id}/schedule")),
        ("PUT", format!("/conversations/messages/{id}/attachments")),
        ("PUT", format!("/conversations/messages/{id}/status")),
    ] {
        for token in ["", "authorization: Bearer pit-wrong\r\n"] {
            let mut stream = program.connect();
            let head = format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{token}version: 2021-07-28\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            assert_eq!(response(&mut stream).unwrap().status, 401, "{method} {path}");
        }
    }
    assert_eq!(snapshot(), before);
}
