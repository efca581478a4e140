//! Any other endpoint of the API.

use std::fmt;
use std::time::SystemTime;

use highlevel_wire::ResponseValue;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::call::Operation;
use crate::classify::Replay;
use crate::{Client, Error, Fingerprint, Receipt, Result};

impl Client {
    /// A request to any other endpoint of HighLevel's API, with the same token, limits, timeouts and errors.
    ///
    /// `path` begins with a slash. What may safely be done twice (GET, HEAD, PUT, DELETE, OPTIONS) is made again after
    /// failures that pass; POST and PATCH are as careful as sending a message.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client) -> highlevel::Result<()> {
    /// use highlevel::Method;
    ///
    /// let found = client
    ///     .request(Method::GET, "/conversations/search")
    ///     .query("contactId", "abc123def456")
    ///     .send_json::<serde_json::Value>()
    ///     .await?;
    /// println!("{}", found["conversations"][0]["id"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, method: Method, path: impl Into<String>) -> Request {
        Request { client: self.clone(), method, path: path.into(), query: Vec::new(), json: Ok(None) }
    }
}

/// A request to any endpoint. From [`Client::request`].
#[derive(Debug)]
#[must_use = "a request is made by `send` or `send_json`"]
pub struct Request {
    client: Client,
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    json: std::result::Result<Option<Value>, serde_json::Error>,
}

impl Request {
    /// One parameter of the query. Can be called several times.
    pub fn query(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.query.push((name.into(), format!("{value}")));
        self
    }

    /// The body, as JSON.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.json = serde_json::to_value(body).map(Some);
        self
    }

    /// Makes the request. The body of the answer, if there is one, is [`Receipt::body`].
    ///
    /// # Errors
    ///
    /// [`Error::delivery`] says what is known about it.
    pub async fn send(self) -> Result<Receipt<()>> {
        let json = self.json.map_err(|error| {
            Error::invalid(Raw::NAME, "the body cannot be written as JSON").with_source(error)
        })?;
        check(&self.path).map_err(|text| Error::invalid(Raw::NAME, text))?;
        let raw = Raw { method: self.method, path: self.path, query: self.query, json };
        self.client.call(&raw).await
    }

    /// Makes the request and reads the answer as JSON.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send). An answer of another shape is [`Delivery::Accepted`](crate::Delivery::Accepted): it
    /// was done.
    pub async fn send_json<T: DeserializeOwned>(self) -> Result<Receipt<T>> {
        let receipt = self.send().await?;
        receipt.try_map(|body| serde_json::from_slice(body), Raw::NAME)
    }
}

/// What is wrong with a path.
fn check(path: &str) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err(format!(
            "the path `{}` does not begin with a slash: write it like /contacts/ID",
            path.escape_debug()
        ));
    }
    if path.contains(['?', '#']) {
        return Err("the path has a query or a fragment: add parameters with `.query(…)`".to_owned());
    }
    if path.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return Err(format!(
            "the path `{}` contains white space: is an id in it empty or cut?",
            path.escape_debug()
        ));
    }
    Ok(())
}

struct Raw {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    json: Option<Value>,
}

impl Operation for Raw {
    type Answer = ();

    const NAME: &'static str = "request";

    fn replay(&self) -> Replay {
        if self.method.is_idempotent() { Replay::Idempotent } else { Replay::Unsafe }
    }

    fn fingerprint(&self, _: SystemTime) -> Option<Fingerprint> {
        None
    }

    async fn run(
        &self,
        wire: &highlevel_wire::Client,
    ) -> std::result::Result<ResponseValue<()>, highlevel_wire::Error<()>> {
        wire.request(self.method.clone(), &self.path, &self.query, self.json.as_ref()).await
    }
}
