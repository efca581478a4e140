//! A client of a running sandbox's admin API.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::DEFAULT_URL;

/// The longest time that a request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The options that choose a running sandbox. An empty environment variable counts as unset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Sandbox")]
pub(super) struct AdminClient {
    /// Base URL of the sandbox, as `serve` prints it [default: `http://127.0.0.1:4010`]
    #[arg(long, global = true, value_name = "URL")]
    #[arg(env = "HIGHLEVEL_SANDBOX_URL", hide_env_values = true)]
    url: Option<String>,
    /// Admin token, if the sandbox was started with one
    #[arg(long, global = true, value_name = "TOKEN", allow_hyphen_values = true)]
    #[arg(env = "HIGHLEVEL_SANDBOX_ADMIN_TOKEN", hide_env_values = true)]
    admin_token: Option<String>,
}

impl AdminClient {
    /// Returns the base URL of the sandbox, without a slash at its end.
    pub(super) fn url(&self) -> &str {
        self.url.as_deref().filter(|url| !url.is_empty()).unwrap_or(DEFAULT_URL).trim_end_matches('/')
    }

    /// Sends a request to a path below `/_sandbox/`. Returns the response's JSON, `Null` if its body is empty.
    ///
    /// # Errors
    ///
    /// Returns an error if no sandbox can be reached, or with the reason of the sandbox if it rejects the request.
    pub(super) fn call(&self, method: Method, path: &str, body: Option<&Value>) -> io::Result<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.request(method, path, body))
    }

    /// The same as [`call`](Self::call) in an async runtime.
    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> io::Result<Value> {
        tokio::time::timeout(TIMEOUT, self.send(method, path, body)).await.unwrap_or_else(|_| {
            let message = format!("the sandbox did not respond within {} seconds", TIMEOUT.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, message))
        })
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> io::Result<Value> {
        let url = self.url();
        let target = format!("{url}/_sandbox/{path}");
        let mut request = Request::builder().method(method).uri(&target);
        if let Some(token) = self.admin_token.as_deref().filter(|token| !token.is_empty()) {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("no request can be sent to {target}: {error}"),
            )
        })?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request).await.map_err(|error| unreachable(url, &error))?;
        let status = response.status();
        let bytes =
            response.into_body().collect().await.map_err(|error| unreachable(url, &error))?.to_bytes();
        let value: Value =
            if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap_or_default() };
        if status.is_success() { Ok(value) } else { Err(rejected(status, &value)) }
    }
}

fn unreachable(url: &str, error: &dyn Error) -> io::Error {
    let message =
        format!("no sandbox responds at {url}: {error}; start one, or pass the URL that it printed as --url");
    io::Error::new(io::ErrorKind::NotConnected, message)
}

fn rejected(status: StatusCode, response: &Value) -> io::Error {
    let reason = response.get("error").and_then(Value::as_str).unwrap_or("no reason given");
    io::Error::other(format!("the sandbox rejected the request ({}): {reason}", status.as_u16()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_url_is_used_unless_another_one_is_given() {
        for (given, expected) in [
            (None, DEFAULT_URL),
            (Some(""), DEFAULT_URL),
            (Some("http://127.0.0.1:81/"), "http://127.0.0.1:81"),
        ] {
            let client = AdminClient { url: given.map(str::to_owned), admin_token: None };
            assert_eq!(client.url(), expected, "{given:?}");
        }
    }
}
