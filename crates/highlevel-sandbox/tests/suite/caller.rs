//! A caller of the API that uses nothing of the crate but the address and the token.

use std::sync::LazyLock;

use highlevel_sandbox::Sandbox;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::Value;

pub(crate) const SEND: &str = "/conversations/messages";
pub(crate) const INBOUND: &str = "/conversations/messages/inbound";
pub(crate) const OUTBOUND: &str = "/conversations/messages/outbound";

/// What came back.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// The client of all tests. It keeps no connections, so each request opens one of its own and no runtime waits for
/// another's. Building a client decodes the certificates of the system, which takes longer than most tests.
pub(crate) fn client() -> Client {
    static CLIENT: LazyLock<Client> = LazyLock::new(|| build(Policy::limited(10)));
    CLIENT.clone()
}

/// A client like [`client`] that follows no redirects.
pub(crate) fn client_without_redirects() -> Client {
    static CLIENT: LazyLock<Client> = LazyLock::new(|| build(Policy::none()));
    CLIENT.clone()
}

/// Beside other crates of the workspace, reqwest is compiled with rustls but without a provider, and asks the process
/// for one even where no TLS is used.
fn build(redirects: Policy) -> Client {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().redirect(redirects).pool_max_idle_per_host(0).build().unwrap()
}

/// A request without headers or body.
pub(crate) fn bare(sandbox: &Sandbox, method: Method, path: &str) -> RequestBuilder {
    client().request(method, format!("{}{path}", sandbox.base_url()))
}

/// A request with all that it takes but a body.
pub(crate) fn authorised(sandbox: &Sandbox, path: &str) -> RequestBuilder {
    bare(sandbox, Method::POST, path).bearer_auth(sandbox.token()).header("Version", "2021-04-15")
}

pub(crate) async fn post(sandbox: &Sandbox, path: &str, body: &Value) -> Answered {
    execute(authorised(sandbox, path).json(body)).await
}

pub(crate) async fn execute(request: RequestBuilder) -> Answered {
    let response = request.send().await.unwrap();
    Answered {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.json().await.unwrap(),
    }
}
