//! Compares every response and every event of the sandboxes of this suite with the spec.
//!
//! The tests start their sandboxes through this module. When a test drops one, each response in its ledger has to have a
//! documented status, and a body that a validator of JSON Schema accepts. So has each event that it created. The validator reads the spec by itself, without the
//! code of the sandbox.

use std::collections::BTreeMap;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::LazyLock;

use highlevel_sandbox::{Message, RecordedRequest, SandboxBuilder, WebhookDelivery};
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

/// Statuses that belong to the sandbox: its limits of a body, and its own failures.
const OF_THE_SANDBOX: [u16; 4] = [408, 413, 500, 503];

/// A sandbox whose responses are compared with the spec when it is dropped.
#[derive(Debug)]
pub(crate) struct Sandbox(Option<highlevel_sandbox::Sandbox>);

impl Sandbox {
    pub(crate) async fn start() -> io::Result<Self> {
        Self::builder().start_checked().await
    }

    pub(crate) fn builder() -> SandboxBuilder {
        highlevel_sandbox::Sandbox::builder()
    }

    pub(crate) async fn stop(mut self) {
        self.check();
        if let Some(sandbox) = self.0.take() {
            sandbox.stop().await;
        }
    }

    fn check(&self) {
        let Some(sandbox) = &self.0 else { return };
        for request in sandbox.requests() {
            if let Some(problem) = problem(&request) {
                let (method, path, status) = (&request.method, &request.path, request.status);
                panic!("{method} {path}: {status} {}: {problem}", String::from_utf8_lossy(&request.response));
            }
        }
        for delivery in sandbox.deliveries() {
            let message = delivery.message_id.as_deref().and_then(|id| sandbox.message(id));
            if let Some(problem) = event_problem(&delivery, message.as_ref()) {
                panic!("{}: {}: {problem}", delivery.event, String::from_utf8_lossy(&delivery.body));
            }
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.check();
        }
    }
}

impl Deref for Sandbox {
    type Target = highlevel_sandbox::Sandbox;

    fn deref(&self) -> &Self::Target {
        self.0.as_ref().expect("it has not been stopped")
    }
}

impl DerefMut for Sandbox {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.0.as_mut().expect("it has not been stopped")
    }
}

/// Starts a [`Sandbox`] from the settings of a builder.
pub(crate) trait StartChecked {
    async fn start_checked(self) -> io::Result<Sandbox>;
}

impl StartChecked for SandboxBuilder {
    async fn start_checked(self) -> io::Result<Sandbox> {
        Ok(Sandbox(Some(self.start().await?)))
    }
}

/// The responses of an operation: the validator of the body by status, `None` for a status without a documented body.
type Responses = BTreeMap<u16, Option<Validator>>;

/// The documented responses by the id of the operation.
static DOCUMENTED: LazyLock<BTreeMap<String, Responses>> = LazyLock::new(|| {
    let mut documented = BTreeMap::new();
    let document: Value = serde_saphyr::from_str(highlevel_spec::OPENAPI_YAML).expect("YAML");
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("operations").values() {
            let id = operation["operationId"].as_str().expect("an id").to_owned();
            documented.insert(id, responses(&document, operation));
        }
    }
    documented
});

/// The validator of the payload by the name of the event.
static EVENTS: LazyLock<BTreeMap<String, Validator>> = LazyLock::new(|| {
    let document: Value = serde_saphyr::from_str(highlevel_spec::OPENAPI_YAML).expect("YAML");
    let events = document["x-webhooks"].as_object().expect("events").iter();
    events.map(|(name, event)| (name.clone(), validator(&document, &event["payload"]))).collect()
});

fn validator(document: &Value, schema: &Value) -> Validator {
    let root = json!({ "allOf": [schema], "components": document["components"] });
    let options = jsonschema::options().with_draft(Draft::Draft4);
    options.build(&nullable_as_type(&root)).expect("a valid schema")
}

fn responses(document: &Value, operation: &Value) -> Responses {
    let mut responses = Responses::new();
    for (status, response) in operation["responses"].as_object().expect("responses") {
        let response = match response["$ref"].as_str() {
            Some(reference) => document.pointer(&reference[1..]).expect("a response"),
            None => response,
        };
        let schema = response.pointer("/content/application~1json/schema");
        let validator = schema.map(|schema| validator(document, schema));
        responses.insert(status.parse().expect("a status"), validator);
    }
    responses
}

/// Rewrites `nullable`, the one keyword of `OpenAPI` in the spec that JSON Schema does not have.
fn nullable_as_type(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: serde_json::Map<String, Value> =
                fields.iter().map(|(name, value)| (name.clone(), nullable_as_type(value))).collect();
            if fields.get("nullable") == Some(&json!(true))
                && let Some(kind) = fields.remove("type")
            {
                fields.insert("type".to_owned(), json!([kind, "null"]));
            }
            Value::Object(fields)
        }
        Value::Array(entries) => entries.iter().map(nullable_as_type).collect(),
        other => other.clone(),
    }
}

/// Returns the reason why a response is not documented. `None` if it is, or if the request is outside the spec.
fn problem(request: &RecordedRequest) -> Option<String> {
    let operation = request.operation?;
    // A fault and a quirk deviate on purpose, and their tests compare the response.
    if request.fault.is_some() || request.quirk.is_some() {
        return None;
    }
    let responses = &DOCUMENTED[operation.id()];
    let Some(body) = responses.get(&request.status) else {
        let is_expected = OF_THE_SANDBOX.contains(&request.status);
        return (!is_expected).then(|| "the status is not documented".to_owned());
    };
    let validator = body.as_ref()?;
    let body: Value = match serde_json::from_slice(&request.response) {
        Ok(body) => body,
        Err(error) => return Some(format!("the body is not JSON: {error}")),
    };
    if let Some(error) = validator.iter_errors(&body).next() {
        return Some(format!("{}: {error}", error.instance_path()));
    }
    let said = body.get("statusCode").filter(|said| **said != json!(request.status));
    said.map(|said| format!("statusCode is {said}"))
}

/// The fields that every event of a message has on the live API.
const OF_EVERY_MESSAGE: [&str; 9] = [
    "messageId",
    "conversationId",
    "contactId",
    "messageType",
    "userId",
    "source",
    "from",
    "to",
    "dateAdded",
];

/// Returns the reason why an event is not documented, or lacks a field that every event of a stored message has. `None` if
/// there is no such reason.
fn event_problem(delivery: &WebhookDelivery, message: Option<&Message>) -> Option<String> {
    let body: Value = match serde_json::from_slice(&delivery.body) {
        Ok(body) => body,
        Err(error) => return Some(format!("the body is not JSON: {error}")),
    };
    let Some(validator) = EVENTS.get(&delivery.event) else {
        return Some("the event is not documented".to_owned());
    };
    if let Some(error) = validator.iter_errors(&body).next() {
        return Some(format!("{}: {error}", error.instance_path()));
    }
    let is_of_message = matches!(&*delivery.event, "InboundMessage" | "OutboundMessage");
    if message.is_none() || !is_of_message {
        return None;
    }
    if body.get("attachments") == Some(&json!([])) {
        return Some("attachments is empty".to_owned());
    }
    let missing = OF_EVERY_MESSAGE.into_iter().find(|field| body.get(*field).is_none());
    missing.map(|field| format!("{field} is missing"))
}

/// A recorded request to `sendMessage` with this response.
async fn recorded() -> RecordedRequest {
    let sandbox = Sandbox::start().await.unwrap();
    let body =
        json!({"type": "SMS", "contactId": sandbox.contact_id(), "message": "Hello", "status": "pending"});
    crate::caller::post(&sandbox, crate::caller::SEND, &body).await;
    sandbox.requests().pop().unwrap()
}

#[tokio::test]
async fn undocumented_responses_are_found() {
    let request = recorded().await;
    assert_eq!(problem(&request), None);
    let cases = [
        (418, json!({}), "the status is not documented"),
        (201, json!({ "messageId": "m" }), "\"conversationId\" is a required property"),
        (
            201,
            json!({ "conversationId": 7, "messageId": "m" }),
            "/conversationId: 7 is not of type \"string\"",
        ),
        (401, json!({ "statusCode": 400, "message": "no" }), "statusCode is 400"),
        (422, json!({ "statusCode": 422, "message": [1] }), "/message: "),
    ];
    for (status, body, expected) in cases {
        let mut request = request.clone();
        (request.status, request.response) = (status, body.to_string().into_bytes());
        let found = problem(&request).unwrap_or_else(|| panic!("{status} {body} passes"));
        assert!(found.contains(expected), "{found}");
    }
    let mut empty = request;
    empty.response.clear();
    assert!(problem(&empty).is_some_and(|found| found.starts_with("the body is not JSON")));
}

#[tokio::test]
async fn undocumented_events_are_found() {
    let receiver = crate::receiver::Receiver::start(http::StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).start_checked().await.unwrap();
    let message = sandbox.simulate_inbound([("message", "Hello".into())]).unwrap();
    let delivery = sandbox.deliveries().pop().unwrap();
    assert_eq!(event_problem(&delivery, Some(&message)), None);
    let cases = [
        ("InboundMessage", json!({ "type": "InboundMessage", "messageTypeId": "2" }), "/messageTypeId: "),
        ("InboundMessage", json!({ "type": "Inbound" }), "/type: "),
        ("ContactDndUpdate", json!({ "type": "ContactDndUpdate", "dnd": "yes" }), "/dnd: "),
        ("ProviderOutboundMessage", json!({ "type": "SMS", "message": 7 }), "/message: "),
        ("MessageFailed", json!({}), "the event is not documented"),
        ("InboundMessage", json!({ "type": "InboundMessage" }), "messageId is missing"),
        ("InboundMessage", json!({ "type": "InboundMessage", "attachments": [] }), "attachments is empty"),
    ];
    for (event, body, expected) in cases {
        let mut delivery = delivery.clone();
        (delivery.event, delivery.body) = (event.to_owned(), body.to_string().into_bytes().into());
        let found =
            event_problem(&delivery, Some(&message)).unwrap_or_else(|| panic!("{event} {body} passes"));
        assert!(found.contains(expected), "{found}");
    }
}
