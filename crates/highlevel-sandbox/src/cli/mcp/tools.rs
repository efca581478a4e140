//! The tools: their names, arguments and requests to the admin API.

use std::io::{self, ErrorKind};

use form_urlencoded::{Serializer, byte_serialize};
use http::Method;
use rmcp::handler::server::common::schema_for_type;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use rmcp::schemars::{self, JsonSchema};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::admin_client::AdminClient;
use super::explanation;

/// The number of items in a list by default.
const ITEMS: u16 = 20;
/// The number of requests among which the latest rejected one is searched.
const SEARCHED_REQUESTS: u16 = 200;

/// A call of a tool with its arguments.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "tool", content = "arguments", rename_all = "snake_case")]
pub(super) enum ToolCall {
    SandboxStatus(NoArguments),
    ListConversations(ListConversations),
    ReadConversation(ReadConversation),
    SendAsContact(SendAsContact),
    SetMessageStatus(SetMessageStatus),
    ListRequests(ListRequests),
    ExplainRejection(ExplainRejection),
    ListWebhooks(ListWebhooks),
    SetWebhookUrl(SetWebhookUrl),
    ListFaults(NoArguments),
    BreakNextRequest(BreakNextRequest),
    ClearFaults(NoArguments),
    AdvanceClock(AdvanceClock),
    Reset(NoArguments),
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoArguments {}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListConversations {
    /// Only the conversation of this contact.
    contact_id: Option<String>,
    /// The maximum number of conversations. Defaults to 20.
    limit: Option<u16>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReadConversation {
    conversation_id: String,
    /// The maximum number of messages, the newest ones. Defaults to 20.
    limit: Option<u16>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SendAsContact {
    /// The contact that sends the message. Defaults to one that always exists.
    contact_id: Option<String>,
    message: Option<String>,
    /// SMS, Email, WhatsApp, IG, FB or another channel. Defaults to SMS.
    channel: Option<String>,
    /// Other fields of `POST /conversations/messages/inbound`, for example `{"subject": "Tonight"}`.
    #[serde(default)]
    fields: Map<String, Value>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SetMessageStatus {
    message_id: String,
    /// `delivered`, `read` or `failed`; the status only moves forward.
    status: String,
    /// The reason of a failure.
    error: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListRequests {
    /// Only requests with this status, for example 422.
    status: Option<u16>,
    /// Only requests for this operation, for example `sendMessage`.
    operation: Option<String>,
    /// The maximum number of requests. Defaults to 20.
    limit: Option<u16>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ExplainRejection {
    /// The ID of the request, which error responses contain as `traceId`. Defaults to the latest rejected request.
    request_id: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListWebhooks {
    /// Only webhooks about this message.
    message_id: Option<String>,
    /// The maximum number of webhooks. Defaults to 20.
    limit: Option<u16>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SetWebhookUrl {
    /// The URL of the program under test, for example `http://127.0.0.1:3000/webhooks`.
    url: String,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BreakNextRequest {
    /// The name of a fault that `list_faults` returns, for example `reset`, `silence`, `cut-body` or `internal-error`.
    fault: String,
    /// `before` the request is processed, or `after` it: then it is done, and the client cannot know. Defaults to the
    /// stage of the fault.
    stage: Option<String>,
    /// Only requests for this operation, for example `sendMessage`.
    operation: Option<String>,
    /// The number of requests to break. Defaults to 1.
    requests: Option<u32>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AdvanceClock {
    /// The time to advance. Webhook retries and scheduled messages in between become due, and tokens expire.
    seconds: u32,
}

/// Returns the definition of a tool.
fn tool<T: JsonSchema + 'static>(name: &'static str, effect: Effect, description: &'static str) -> Tool {
    let annotations =
        ToolAnnotations::new().read_only(effect == Effect::Reads).destructive(effect == Effect::Deletes);
    Tool::new(name, description, schema_for_type::<T>()).with_annotations(annotations)
}

/// The effect of a tool on the sandbox.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Reads,
    Changes,
    Deletes,
}

/// Returns the definitions of all tools.
pub(super) fn all() -> Vec<Tool> {
    vec![
        tool::<NoArguments>(
            "sandbox_status",
            Effect::Reads,
            "Returns the URL, the version, the webhook URL and key, the validation settings and the time of the sandbox.",
        ),
        tool::<ListConversations>(
            "list_conversations",
            Effect::Reads,
            "Lists conversations with their contact and their latest message.",
        ),
        tool::<ReadConversation>(
            "read_conversation",
            Effect::Reads,
            "Returns the messages of a conversation, oldest first, with direction, channel, status and text.",
        ),
        tool::<SendAsContact>(
            "send_as_contact",
            Effect::Changes,
            "Sends a message as the contact. It is stored, and the program under test gets the InboundMessage webhook.",
        ),
        tool::<SetMessageStatus>(
            "set_message_status",
            Effect::Changes,
            "Changes the status of a message, as a carrier reports it, and sends the webhook.",
        ),
        tool::<ListRequests>(
            "list_requests",
            Effect::Reads,
            "Lists requests of the program under test, newest first, with their status and the message they created.",
        ),
        tool::<ExplainRejection>(
            "explain_rejection",
            Effect::Reads,
            "Explains why a request was rejected or lost, field by field, and the fix.",
        ),
        tool::<ListWebhooks>(
            "list_webhooks",
            Effect::Reads,
            "Lists webhooks, newest first, with the response or error of the latest attempt.",
        ),
        tool::<SetWebhookUrl>(
            "set_webhook_url",
            Effect::Changes,
            "Sends the webhooks from now on to another URL.",
        ),
        tool::<NoArguments>(
            "list_faults",
            Effect::Reads,
            "Lists the faults that can be injected, and the active ones.",
        ),
        tool::<BreakNextRequest>(
            "break_next_request",
            Effect::Changes,
            "Injects a fault into the next request of the program under test.",
        ),
        tool::<NoArguments>("clear_faults", Effect::Changes, "Removes all injected faults."),
        tool::<AdvanceClock>("advance_clock", Effect::Changes, "Advances the clock of the sandbox."),
        tool::<NoArguments>(
            "reset",
            Effect::Deletes,
            "Restores the state of the start. Deletes messages, requests, webhooks and faults.",
        ),
    ]
}

impl ToolCall {
    /// # Errors
    ///
    /// Returns `InvalidInput` if there is no such tool or an argument is missing, unknown or of another type.
    pub(super) fn parse(name: &str, arguments: &JsonObject) -> io::Result<Self> {
        serde_json::from_value(json!({ "tool": name, "arguments": arguments })).map_err(|error| {
            io::Error::new(ErrorKind::InvalidInput, format!("the arguments of {name} are invalid: {error}"))
        })
    }

    /// Sends the requests of the tool to the sandbox.
    pub(super) async fn run(self, sandbox: &AdminClient) -> io::Result<Value> {
        let post = async |path: &str, body: Value| sandbox.request(Method::POST, path, Some(&body)).await;
        match self {
            Self::SandboxStatus(_) => sandbox_status(sandbox).await,
            Self::ListConversations(arguments) => arguments.run(sandbox).await,
            Self::ReadConversation(arguments) => arguments.run(sandbox).await,
            Self::SendAsContact(arguments) => {
                Ok(message(&post("simulate/inbound", arguments.into_body()).await?))
            }
            Self::SetMessageStatus(arguments) => {
                Ok(message(&post("simulate/status", arguments.into_body()).await?))
            }
            Self::ListRequests(arguments) => arguments.run(sandbox).await,
            Self::ExplainRejection(arguments) => arguments.run(sandbox).await,
            Self::ListWebhooks(ListWebhooks { message_id, limit }) => {
                let found = get(sandbox, list("deliveries", limit, &[("messageId", message_id)])).await?;
                let webhooks: Vec<Value> = items(&found, "deliveries").iter().map(webhook).collect();
                Ok(json!({ "webhooks": webhooks }))
            }
            Self::SetWebhookUrl(SetWebhookUrl { url }) => {
                sandbox.request(Method::PATCH, "webhooks", Some(&json!({ "url": url }))).await
            }
            Self::ListFaults(_) => Ok(json!({
                "catalogue": get(sandbox, "faults/catalogue").await?["faults"],
                "active": get(sandbox, "faults").await?["faults"],
            })),
            Self::BreakNextRequest(arguments) => post("faults", arguments.into_rule()).await,
            Self::ClearFaults(_) => {
                sandbox.request(Method::DELETE, "faults", None).await?;
                Ok(json!({ "active": [] }))
            }
            Self::AdvanceClock(AdvanceClock { seconds }) => {
                let change = json!({ "advanceMs": u64::from(seconds) * 1_000 });
                sandbox.request(Method::PATCH, "clock", Some(&change)).await
            }
            Self::Reset(_) => {
                sandbox.request(Method::POST, "reset", None).await?;
                Ok(json!({ "reset": true }))
            }
        }
    }
}

async fn get(sandbox: &AdminClient, path: impl AsRef<str>) -> io::Result<Value> {
    sandbox.request(Method::GET, path.as_ref(), None).await
}

async fn sandbox_status(sandbox: &AdminClient) -> io::Result<Value> {
    let health = get(sandbox, "health").await?;
    Ok(json!({
        "url": sandbox.url(),
        "version": health["version"],
        "status": health["status"],
        "clock": get(sandbox, "clock").await?,
        "webhooks": get(sandbox, "webhooks").await?,
        "webhookKeys": get(sandbox, "webhooks/keys").await?["keys"],
        "settings": get(sandbox, "settings").await?,
        "faults": get(sandbox, "faults").await?["faults"],
    }))
}

impl ListConversations {
    async fn run(self, sandbox: &AdminClient) -> io::Result<Value> {
        let found =
            get(sandbox, list("conversations", self.limit, &[("contactId", self.contact_id)])).await?;
        let mut conversations = Vec::new();
        for conversation in items(&found, "conversations") {
            let contact = get(sandbox, format!("contacts/{}", segment(&conversation["contactId"]))).await?;
            let id = conversation["id"].as_str().map(str::to_owned);
            let latest = get(sandbox, list("messages", Some(1), &newest_of(id))).await?;
            conversations.push(json!({
                "id": conversation["id"],
                "contact": {
                    "id": contact["id"],
                    "name": contact["name"],
                    "phone": contact["phone"],
                    "email": contact["email"],
                },
                "latestMessage": items(&latest, "messages").first().map(message),
            }));
        }
        Ok(json!({ "conversations": conversations }))
    }
}

impl ReadConversation {
    async fn run(self, sandbox: &AdminClient) -> io::Result<Value> {
        let id = json!(self.conversation_id);
        get(sandbox, format!("conversations/{}", segment(&id))).await?;
        let newest = newest_of(Some(self.conversation_id));
        let found = get(sandbox, list("messages", self.limit, &newest)).await?;
        let messages: Vec<Value> = items(&found, "messages").iter().rev().map(message).collect();
        Ok(json!({ "messages": messages }))
    }
}

impl SendAsContact {
    fn into_body(self) -> Value {
        let mut body = self.fields;
        for (name, value) in
            [("contactId", self.contact_id), ("message", self.message), ("type", self.channel)]
        {
            if let Some(value) = value {
                body.insert(name.to_owned(), json!(value));
            }
        }
        Value::Object(body)
    }
}

impl SetMessageStatus {
    fn into_body(self) -> Value {
        let mut body = json!({ "messageId": self.message_id, "status": self.status });
        if let Some(error) = self.error {
            body["error"] = json!(error);
        }
        body
    }
}

impl ListRequests {
    async fn run(self, sandbox: &AdminClient) -> io::Result<Value> {
        let status = self.status.map(|status| status.to_string());
        let filters = [("status", status), ("operation", self.operation)];
        let found = get(sandbox, list("requests", self.limit, &filters)).await?;
        let requests: Vec<Value> =
            items(&found, "requests").iter().map(explanation::request_summary).collect();
        Ok(json!({ "requests": requests }))
    }
}

impl ExplainRejection {
    async fn run(self, sandbox: &AdminClient) -> io::Result<Value> {
        if let Some(id) = self.request_id {
            let request = get(sandbox, format!("requests/{}", segment(&json!(id)))).await?;
            return Ok(explanation::explain(&request));
        }
        let found = get(sandbox, list("requests", Some(SEARCHED_REQUESTS), &[])).await?;
        let requests = items(&found, "requests");
        match requests.iter().find(|request| explanation::is_failure(request)) {
            Some(request) => Ok(explanation::explain(request)),
            None => Err(io::Error::new(
                ErrorKind::NotFound,
                format!("none of the latest {} requests was rejected or lost", requests.len()),
            )),
        }
    }
}

impl BreakNextRequest {
    fn into_rule(self) -> Value {
        let mut rule = json!({ "fault": self.fault, "schedule": { "first": self.requests.unwrap_or(1) } });
        for (name, value) in [("stage", self.stage), ("operation", self.operation)] {
            if let Some(value) = value {
                rule[name] = json!(value);
            }
        }
        rule
    }
}

/// Returns the filters that list the newest messages of a conversation.
fn newest_of(conversation_id: Option<String>) -> [(&'static str, Option<String>); 2] {
    [("conversationId", conversation_id), ("order", Some("newest".to_owned()))]
}

/// Returns the path of a list with a limit and the filters that have a value.
fn list(path: &str, limit: Option<u16>, filters: &[(&str, Option<String>)]) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("limit", &limit.unwrap_or(ITEMS).to_string());
    for (name, value) in filters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    format!("{path}?{}", query.finish())
}

/// Encodes an ID as a segment of a path.
fn segment(id: &Value) -> String {
    byte_serialize(id.as_str().unwrap_or_default().as_bytes()).collect::<String>().replace('+', "%20")
}

fn items<'a>(page: &'a Value, name: &str) -> &'a [Value] {
    page[name].as_array().map_or(&[], Vec::as_slice)
}

/// Returns the fields of a message that an agent needs.
fn message(message: &Value) -> Value {
    json!({
        "id": message["id"],
        "conversationId": message["conversationId"],
        "contactId": message["contactId"],
        "direction": message["direction"],
        "channel": message["channel"],
        "status": message["status"],
        "date": message["dateAdded"],
        "content": message["request"],
    })
}

/// Returns the fields of a webhook that an agent needs, with its latest attempt.
fn webhook(delivery: &Value) -> Value {
    let latest = items(delivery, "attempts").last();
    json!({
        "event": delivery["event"],
        "messageId": delivery["messageId"],
        "url": delivery["url"],
        "state": delivery["state"],
        "attempts": items(delivery, "attempts").len(),
        "nextAttemptAt": delivery["nextAttemptAt"],
        "latestResponse": latest.and_then(|attempt| attempt.get("response")),
        "latestError": latest.and_then(|attempt| attempt.get("error")),
        "payload": delivery["payload"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> JsonObject {
        serde_json::from_value(value).unwrap()
    }

    /// Returns a value that the schema of a property accepts.
    fn example(schema: &Value) -> Value {
        let types = schema["type"].as_array().map_or_else(|| vec![schema["type"].clone()], Clone::clone);
        match types[0].as_str() {
            Some("string") => json!("a"),
            Some("integer") => json!(1),
            Some("object") => json!({"a": 1}),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn tools_accept_the_arguments_of_their_schema_and_no_others() {
        let tools = all();
        assert_eq!(tools.len(), 14);
        for tool in tools {
            let properties = tool.input_schema.get("properties").cloned().unwrap_or_else(|| json!({}));
            let properties = properties.as_object().unwrap();
            let arguments: JsonObject =
                properties.iter().map(|(name, schema)| (name.clone(), example(schema))).collect();
            ToolCall::parse(&tool.name, &arguments).unwrap();
            let mut misspelt = arguments;
            misspelt.insert("unknown".to_owned(), json!(1));
            let error = ToolCall::parse(&tool.name, &misspelt).unwrap_err().to_string();
            assert!(error.contains("unknown field `unknown`"), "{}: {error}", tool.name);
        }
    }

    #[test]
    fn invalid_calls_are_explained() {
        for (name, arguments, expected) in [
            ("list_contacts", json!({}), "unknown variant `list_contacts`, expected one of `sandbox_status`"),
            ("read_conversation", json!({}), "missing field `conversationId`"),
            ("advance_clock", json!({"seconds": -1}), "invalid value: integer `-1`"),
        ] {
            let error = ToolCall::parse(name, &object(arguments)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn ids_and_filters_are_encoded() {
        assert_eq!(segment(&json!("a/b c?é")), "a%2Fb%20c%3F%C3%A9");
        let filters = [("contactId", Some("a&b".to_owned())), ("order", None)];
        assert_eq!(list("messages", None, &filters), "messages?limit=20&contactId=a%26b");
    }
}
