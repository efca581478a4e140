//! Talking to the admin API of a sandbox that runs.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use lexopt::Parser;
use serde_json::Value;

use super::arguments::{Stop, text};

/// The options that every command has that talks to a sandbox, for its help.
macro_rules! target_help {
    () => {
        "  --url URL            the base URL of the sandbox, as it prints it
                       [default: the environment variable HIGHLEVEL_SANDBOX_URL]
  --admin-token TOKEN  the admin token, if the sandbox was started with one
                       [default: the environment variable HIGHLEVEL_SANDBOX_ADMIN_TOKEN]
  -h, --help           print this"
    };
}
pub(crate) use target_help;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Which sandbox it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    url: Option<String>,
    admin_token: Option<String>,
}

impl Target {
    /// Reads the value of an option, if it is one about the sandbox. Whether it was.
    pub(crate) fn read(&mut self, option: &str, parser: &mut Parser) -> Result<bool, Stop> {
        match option {
            "url" => self.url = Some(text(parser, "--url")?),
            "admin-token" => self.admin_token = Some(text(parser, "--admin-token")?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Sends a request to a path below `/_sandbox/`, and answers the JSON of the answer, `Null` if there is none.
    ///
    /// # Errors
    ///
    /// There is no such sandbox, or it says no: the error has its words.
    pub(crate) fn call(&self, method: Method, path: &str, body: Option<&Value>) -> io::Result<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let exchange = self.exchange(method, path, body);
            tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or_else(|_| {
                let words = format!("the sandbox did not answer in {} seconds", TIMEOUT.as_secs());
                Err(io::Error::new(io::ErrorKind::TimedOut, words))
            })
        })
    }

    async fn exchange(&self, method: Method, path: &str, body: Option<&Value>) -> io::Result<Value> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let url = self.url.clone().or_else(|| variable("HIGHLEVEL_SANDBOX_URL")).ok_or_else(|| {
            let words = "which sandbox? say --url http://127.0.0.1:PORT, or set HIGHLEVEL_SANDBOX_URL";
            io::Error::new(io::ErrorKind::InvalidInput, words)
        })?;
        let target = format!("{}/_sandbox/{path}", url.trim_end_matches('/'));
        let mut request = Request::builder().method(method).uri(&target);
        if let Some(token) = self.admin_token.clone().or_else(|| variable("HIGHLEVEL_SANDBOX_ADMIN_TOKEN")) {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let unusable = |error: http::Error| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{target} cannot be asked: {error}"))
        };
        let request = request.body(Full::new(Bytes::from(body))).map_err(unusable)?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let unreachable = |error: &dyn std::error::Error| {
            let words = format!(
                "no sandbox answers at {url}: {error}; is it running, and is that the URL it printed?"
            );
            io::Error::new(io::ErrorKind::NotConnected, words)
        };
        let answer = client.request(request).await.map_err(|error| unreachable(&error))?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await.map_err(|error| unreachable(&error))?.to_bytes();
        let value: Value =
            if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap_or_default() };
        if status.is_success() { Ok(value) } else { Err(refused(status, &value)) }
    }
}

fn refused(status: StatusCode, answer: &Value) -> io::Error {
    let words = answer.get("error").and_then(Value::as_str).unwrap_or("it gives no reason");
    io::Error::other(format!("the sandbox says no ({}): {words}", status.as_u16()))
}
