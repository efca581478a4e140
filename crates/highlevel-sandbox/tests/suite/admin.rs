//! The admin API conforms to its description: each operation is called, and its requests and responses are validated
//! against the schemas.
//!
//! Each area is a file with a table of [`Row`]s. The test fails for an operation without a row.

mod clock;
mod deliveries;
mod faults;
mod fidelity;
mod health;
mod oauth;
mod state;

use std::collections::BTreeSet;

use std::pin::pin;

use highlevel_sandbox::Spec;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::caller::{bare, execute};
use crate::conformance::Sandbox;

/// One request to the admin API, and the expected status.
pub(crate) struct Row {
    method: Method,
    /// The path below `/_sandbox/`, with the query. A JSON pointer in braces is replaced by a value of the previous
    /// response: `deliveries/{/deliveries/0/id}`.
    path: &'static str,
    /// JSON. A string that is a JSON pointer in braces is replaced as in the path.
    body: Option<Value>,
    status: u16,
}

impl Row {
    pub(crate) fn get(path: &'static str) -> Self {
        Self { method: Method::GET, path, body: None, status: 200 }
    }

    pub(crate) fn new(method: Method, path: &'static str, body: impl Into<Option<Value>>) -> Self {
        Self { method, path, body: body.into(), status: 200 }
    }

    pub(crate) fn expects(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

/// The rows of an area, which are called in order on a separate sandbox.
type Area = fn(&Sandbox) -> Vec<Row>;

const AREAS: &[Area] = &[
    health::rows,
    clock::rows,
    fidelity::settings,
    fidelity::rate_limit,
    fidelity::ledger,
    faults::rows,
    oauth::rows,
    state::records,
    state::whole,
    state::events,
    deliveries::rows,
    deliveries::events,
];

#[tokio::test]
async fn every_operation_conforms_to_its_description() {
    let sandbox = Sandbox::start().await.unwrap();
    let description = Description::of(&sandbox).await;
    let mut called = BTreeSet::new();
    for area in AREAS {
        let sandbox = Sandbox::start().await.unwrap();
        let mut before = Value::Null;
        for row in area(&sandbox) {
            let (operation, response) = call(&description, &sandbox, row, &before).await;
            called.insert(operation);
            before = response;
        }
    }
    let described = description.operations();
    let missing: Vec<_> = described.difference(&called).collect();
    assert!(missing.is_empty(), "no row in tests/suite/admin calls {missing:?}");
}

#[tokio::test]
async fn unknown_operations_are_rejected_with_a_fix() {
    struct Row {
        method: Method,
        path: &'static str,
        status: u16,
        error: &'static str,
    }

    let sandbox = Sandbox::start().await.unwrap();
    let cases = [
        Row {
            method: Method::GET,
            path: "nothing",
            status: 404,
            error: "there is nothing at /_sandbox/nothing; GET /_sandbox/openapi.json lists",
        },
        Row {
            method: Method::DELETE,
            path: "clock",
            status: 405,
            error: "/_sandbox/clock does not take DELETE; it takes GET and PATCH",
        },
    ];
    for Row { method, path, status, error } in cases {
        let response = execute(bare(&sandbox, method, &format!("/_sandbox/{path}"))).await;
        assert_eq!(response.status, status);
        assert!(response.body["error"].as_str().unwrap().starts_with(error), "{}", response.body);
    }
    assert!(sandbox.requests().is_empty(), "the ledger is about the API");
}

#[tokio::test]
async fn the_root_lists_all_operations() {
    let sandbox = Sandbox::start().await.unwrap();
    let described = Description::of(&sandbox).await.operations();
    let described: BTreeSet<String> = described.into_iter().map(|(operation, _)| operation).collect();
    for path in ["/_sandbox/", "/_sandbox"] {
        let response = execute(bare(&sandbox, Method::GET, path)).await;
        assert_eq!(response.status, 200, "{path}");
        let listed = response.body["operations"].as_object().unwrap();
        assert_eq!(listed.keys().cloned().collect::<BTreeSet<_>>(), described, "{path}");
        assert!(listed.values().all(|summary| summary.as_str().is_some_and(|text| !text.is_empty())));
        let description = response.body["description"].as_str().unwrap();
        assert_eq!(execute(bare(&sandbox, Method::GET, description)).await.status, 200);
    }
    assert!(sandbox.requests().is_empty(), "the ledger is about the API");
}

#[tokio::test]
async fn every_schema_declares_additional_properties() {
    let sandbox = Sandbox::start().await.unwrap();
    let description = Description::of(&sandbox).await;
    let mut objects = 0;
    visit(&description.document["components"]["schemas"], "", &mut |pointer, value| {
        if value.get("type") == Some(&Value::from("object")) {
            objects += 1;
            assert!(
                value.get("additionalProperties").is_some(),
                "{pointer} does not say additionalProperties"
            );
        }
    });
    assert!(objects > 3, "{objects}");
}

/// Sends the request of a row, validates both sides, and returns the operation with the status, and the response body.
async fn call(
    description: &Description,
    sandbox: &Sandbox,
    row: Row,
    before: &Value,
) -> ((String, String), Value) {
    let Row { method, path, mut body, status } = row;
    let path = format!("/_sandbox/{}", filled(path, before));
    let name = format!("{method} {path}");
    let (template, operation) = description.operation(&method, &path);
    if let Some(body) = &mut body {
        fill(body, before);
    }
    if status < 400 {
        description.check_query(operation, &path);
        description.check_body(operation, body.as_ref(), &name);
    }
    let request = bare(sandbox, method.clone(), &path);
    let request = if let Some(body) = &body { request.json(body) } else { request };
    let response = request.send().await.unwrap();
    let found = response.status().as_u16();
    let media_type = response.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned());

    let responses = &operation["responses"];
    let listed = status.to_string();
    let key = if responses[&listed].is_object() { listed } else { "default".to_owned() };
    assert!(status >= 400 || key != "default", "{name}: {status} is not described");
    let described = description.resolved(&responses[&key]);
    assert!(described.is_object(), "{name}: {status} is not described");
    let mut body = Value::Null;
    match &media_type {
        None => assert_eq!(response.text().await.unwrap(), "", "{name}"),
        Some(json) if json.starts_with("application/json") => {
            body = response.json().await.unwrap();
            assert_eq!(found, status, "{name}: {body}");
            let schema = reference(&described["content"]["application/json"]["schema"]);
            assert_eq!(description.spec.validate(schema, &body), [], "{name}: {body}");
        }
        // An event stream does not end, so it is not read.
        Some(other) => {
            let bare = other.split(';').next().unwrap();
            assert!(described["content"][bare].is_object(), "{name}: {other} is not described");
        }
    }
    assert_eq!(found, status, "{name}");
    assert_eq!(media_type.is_some(), described["content"].is_object(), "{name}: body or no body?");
    ((format!("{method} {template}"), key), body)
}

struct Description {
    document: Value,
    spec: Spec,
}

impl Description {
    async fn of(sandbox: &Sandbox) -> Self {
        let response = bare(sandbox, Method::GET, "/_sandbox/openapi.json").send().await.unwrap();
        let document: Value = response.json().await.unwrap();
        // JSON is YAML.
        let spec = Spec::parse(&document.to_string()).unwrap();
        Self { document, spec }
    }

    /// Returns each operation with each documented success status; errors need no row.
    fn operations(&self) -> BTreeSet<(String, String)> {
        let mut operations = BTreeSet::new();
        for (path, item) in self.document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let responses = operation["responses"].as_object().into_iter().flatten();
                for (status, _) in responses.filter(|(status, _)| *status != "default") {
                    operations.insert((format!("{} {path}", method.to_uppercase()), status.clone()));
                }
            }
        }
        operations
    }

    fn operation(&self, method: &Method, path: &str) -> (&str, &Value) {
        let path = path.split('?').next().unwrap();
        let fits = |template: &str| {
            let (template, path): (Vec<_>, Vec<_>) =
                (template.split('/').collect(), path.split('/').collect());
            template.len() == path.len()
                && template.iter().zip(path).all(|(one, other)| one.starts_with('{') || *one == other)
        };
        let method = method.as_str().to_lowercase();
        let mut found: Vec<(&str, &Value)> = (self.document["paths"].as_object().unwrap().iter())
            .filter(|(template, item)| fits(template) && item[&method].is_object())
            .map(|(template, item)| (template.as_str(), &item[&method]))
            .collect();
        // A path without parameters takes precedence over one with parameters.
        found.sort_by_key(|(template, _)| template.matches('{').count());
        *found.first().unwrap_or_else(|| panic!("{method} {path} is not described"))
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
            None => value,
        }
    }

    fn check_query(&self, operation: &Value, path: &str) {
        let Some((_, query)) = path.split_once('?') else { return };
        let described: Vec<&str> = (operation["parameters"].as_array().into_iter().flatten())
            .map(|parameter| self.resolved(parameter))
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        for name in query.split('&').map(|pair| pair.split('=').next().unwrap()) {
            assert!(described.contains(&name), "{path}: {name} is not described");
        }
    }

    fn check_body(&self, operation: &Value, body: Option<&Value>, name: &str) {
        let described = self.resolved(&operation["requestBody"]);
        match body {
            Some(body) => {
                let schema = reference(&described["content"]["application/json"]["schema"]);
                assert_eq!(self.spec.validate(schema, body), [], "{name}: {body}");
            }
            None => assert_ne!(described["required"], true, "{name} is to have a body"),
        }
    }
}

/// Returns the name of the referenced schema.
fn reference(schema: &Value) -> &str {
    let reference = schema["$ref"].as_str().unwrap_or_else(|| panic!("{schema} is no named schema"));
    reference.strip_prefix("#/components/schemas/").unwrap()
}

/// Replaces each JSON pointer in braces by the value that it points to.
fn filled(text: &str, before: &Value) -> String {
    let Some((start, rest)) = text.split_once("{/") else { return text.to_owned() };
    let (pointer, end) = rest.split_once('}').unwrap();
    let value = before.pointer(&format!("/{pointer}"));
    let value = match value.unwrap_or_else(|| panic!("the response before has no /{pointer}: {before}")) {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!("{start}{value}{}", filled(end, before))
}

fn fill(body: &mut Value, before: &Value) {
    match body {
        Value::String(text) if text.starts_with("{/") => *text = filled(text, before),
        Value::Array(values) => values.iter_mut().for_each(|value| fill(value, before)),
        Value::Object(fields) => fields.values_mut().for_each(|value| fill(value, before)),
        _ => {}
    }
}

fn visit(value: &Value, pointer: &str, each: &mut impl FnMut(&str, &Value)) {
    each(pointer, value);
    let Some(fields) = value.as_object() else { return };
    for (name, field) in fields.iter().filter(|(name, _)| *name != "example") {
        visit(field, &format!("{pointer}/{name}"), each);
    }
}

/// Only seeds and snapshots may be large. Other bodies are small, so they cannot fill the memory.
#[tokio::test]
async fn only_seeds_and_snapshots_may_exceed_the_body_limit() {
    struct Row {
        method: Method,
        path: &'static str,
        body: Value,
        status: u16,
    }

    let sandbox = Sandbox::start().await.unwrap();
    let long = "x".repeat(2 * 1024 * 1024);
    for Row { method, path, body, status } in [
        Row {
            method: Method::PUT,
            path: "seed",
            body: json!({"contacts": [{"id": "a", "name": long}]}),
            status: 204,
        },
        Row {
            method: Method::PUT,
            path: "snapshot",
            body: json!({"locations": [{"id": "a", "name": long}]}),
            status: 204,
        },
        Row { method: Method::PUT, path: "contacts/a", body: json!({"name": long}), status: 413 },
        Row { method: Method::POST, path: "tokens", body: json!({"locationId": long}), status: 413 },
        Row {
            method: Method::POST,
            path: "seed",
            body: json!({"contacts": [{"id": "a", "name": long}]}),
            status: 413,
        },
        Row { method: Method::PUT, path: "nothing", body: json!(long), status: 413 },
    ] {
        let response = bare(&sandbox, method, &format!("/_sandbox/{path}")).json(&body).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        if status == 413 {
            let error = response.json::<Value>().await.unwrap()["error"].take();
            assert_eq!(error, "a body has at most 1048576 bytes");
        }
    }
}

#[tokio::test]
async fn a_slow_large_body_does_not_delay_another() {
    let sandbox = Sandbox::start().await.unwrap();
    let body = |name: &str| {
        json!({"contacts": [{"id": "a", "name": name, "email": "x".repeat(2 * 1024 * 1024)}]}).to_string()
    };
    let address = sandbox.base_url().strip_prefix("http://").unwrap().to_owned();
    let connect = async |body: &str| {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "PUT /_sandbox/seed HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    };
    let line = async |stream: &mut TcpStream| {
        let mut line: Vec<u8> = Vec::new();
        while !line.ends_with(b"\r\n\r\n") {
            line.push(stream.read_u8().await.unwrap());
        }
        String::from_utf8(line).unwrap()
    };
    let (first, second) = (body("first"), body("second"));
    let mut one = connect(&first).await;
    // The server receives half of the body.
    assert!(line(&mut one).await.starts_with("HTTP/1.1 100 "));
    one.write_all(&first.as_bytes()[..first.len() / 2]).await.unwrap();
    let mut other = connect(&second).await;
    assert!(line(&mut other).await.starts_with("HTTP/1.1 100 "));
    other.write_all(second.as_bytes()).await.unwrap();
    assert!(line(&mut other).await.starts_with("HTTP/1.1 204 "));
    assert_eq!(sandbox.contact("a").unwrap().name.as_deref(), Some("second"));
    one.write_all(&first.as_bytes()[first.len() / 2..]).await.unwrap();
    assert!(line(&mut one).await.starts_with("HTTP/1.1 204 "));
    assert_eq!(sandbox.contact("a").unwrap().name.as_deref(), Some("first"));
}

#[tokio::test]
async fn a_large_seed_does_not_delay_other_requests() {
    let sandbox = Sandbox::start().await.unwrap();
    let message = |number: usize| {
        json!({
            "id": format!("m{number}"), "contactId": sandbox.contact_id(),
            "conversationId": sandbox.conversation_id(), "direction": "inbound", "channel": "SMS",
            "dateAdded": "2026-01-31T09:30:00Z", "status": "delivered", "request": {"message": "Hello"},
        })
    };
    let seed = json!({ "messages": (0..20_000).map(message).collect::<Vec<_>>() });
    let mut seeding = pin!(bare(&sandbox, Method::PUT, "/_sandbox/seed").json(&seed).send());
    let mut meanwhile = 0;
    let seeded = loop {
        let health = bare(&sandbox, Method::GET, "/_sandbox/health").send();
        tokio::select! {
            biased;
            seeded = &mut seeding => break seeded.unwrap(),
            health = health => {
                assert_eq!(health.unwrap().status(), 200);
                meanwhile += 1;
            }
        }
    };
    assert_eq!(seeded.status(), 204);
    assert_eq!(sandbox.messages().len(), 20_000);
    assert!(meanwhile >= 5, "{meanwhile} responses");
}
