//! A client of the API that uses only the address and the token of a sandbox.

use std::sync::LazyLock;

use highlevel_sandbox::ProviderKind;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use crate::conformance::Sandbox;

pub(crate) const SEND: &str = "/conversations/messages";
pub(crate) const INBOUND: &str = "/conversations/messages/inbound";
pub(crate) const OUTBOUND: &str = "/conversations/messages/outbound";

/// The response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// Returns the client of all tests. It pools no connections, so each request opens a new one, and no runtime waits for
/// another. Building a client decodes the certificates of the system, which takes longer than most tests.
pub(crate) fn client() -> Client {
    static CLIENT: LazyLock<Client> = LazyLock::new(|| build(Policy::limited(10)));
    CLIENT.clone()
}

/// Returns a client like [`client`] that follows no redirects.
pub(crate) fn client_without_redirects() -> Client {
    static CLIENT: LazyLock<Client> = LazyLock::new(|| build(Policy::none()));
    CLIENT.clone()
}

/// With other crates of the workspace, reqwest is compiled with rustls but without a provider, and takes that of the
/// process even where no TLS is used.
fn build(redirects: Policy) -> Client {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().redirect(redirects).pool_max_idle_per_host(0).build().unwrap()
}

/// Returns a valid message to the seeded contact, or one of it, on a channel. Facebook and Instagram also need an open chat.
pub(crate) fn message(sandbox: &Sandbox, path: &str, channel: &str) -> Value {
    let mut body = json!({"type": channel, "contactId": sandbox.contact_id()});
    if channel.ends_with("Call") || channel.ends_with("VoiceMail") {
        body["conversationProviderId"] = json!(sandbox.provider_id(ProviderKind::Call));
        body["call"] = json!({"to": "+15037081210", "status": "completed"});
        return body;
    }
    body[if channel == "Email" { "html" } else { "message" }] = json!("Hello");
    match path {
        SEND => body["status"] = json!("pending"),
        INBOUND if channel == "Custom" => {
            body["conversationProviderId"] = json!(sandbox.provider_id(ProviderKind::CustomSms));
        }
        _ => {}
    }
    body
}

/// Returns a request without headers or body.
pub(crate) fn bare(sandbox: &Sandbox, method: Method, path: &str) -> RequestBuilder {
    client().request(method, format!("{}{path}", sandbox.base_url()))
}

/// Returns a request with all required headers and no body.
pub(crate) fn authorised(sandbox: &Sandbox, path: &str) -> RequestBuilder {
    bare(sandbox, Method::POST, path).bearer_auth(sandbox.token()).header("Version", "2021-04-15")
}

/// Sends a request with all required headers, and a body if there is one.
pub(crate) async fn call(sandbox: &Sandbox, method: Method, path: &str, body: Option<&Value>) -> Response {
    let request = bare(sandbox, method, path).bearer_auth(sandbox.token()).header("Version", "2021-04-15");
    execute(match body {
        Some(body) => request.json(body),
        None => request,
    })
    .await
}

pub(crate) async fn post(sandbox: &Sandbox, path: &str, body: &Value) -> Response {
    execute(authorised(sandbox, path).json(body)).await
}

pub(crate) async fn execute(request: RequestBuilder) -> Response {
    let response = request.send().await.unwrap();
    Response {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.json().await.unwrap(),
    }
}
