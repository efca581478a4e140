//! Any other endpoint of the API.

use std::fmt;

use highlevel_wire::ResponseValue;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::classify::RepeatSafety;
use crate::executor::Operation;
use crate::telemetry::HttpRoute;
use crate::{Client, Error, Receipt, RequestPath, Result};

impl Client {
    /// Starts a request to any other endpoint of HighLevel's API, with the same token, limits, timeouts and errors.
    ///
    /// `path` is text that begins with a slash, or the segments of the path, which are percent-encoded. A path that could
    /// become another one on its way, for example through an id of `../locations/l1`, is rejected: see [`RequestPath`].
    ///
    /// Methods that may be repeated (GET, HEAD, PUT, DELETE, OPTIONS) are retried after transient failures; POST and PATCH
    /// are never sent again once they may have been done, like messages.
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
    /// println!("{}", found.response()["conversations"][0]["id"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, method: Method, path: impl Into<RequestPath>) -> Request {
        Request { client: self.clone(), method, path: path.into(), query: Vec::new(), json: Ok(None) }
    }
}

/// A request to any endpoint. From [`Client::request`].
#[derive(Debug)]
#[must_use = "a request is made by `send` or `send_json`"]
pub struct Request {
    client: Client,
    method: Method,
    path: RequestPath,
    query: Vec<(String, String)>,
    json: std::result::Result<Option<Value>, serde_json::Error>,
}

impl Request {
    /// Adds a parameter to the query. Can be called several times.
    pub fn query(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.query.push((name.into(), format!("{value}")));
        self
    }

    /// Sets the body, as JSON.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.json = serde_json::to_value(body).map(Some);
        self
    }

    /// Sends the request. The body of the response is [`Receipt::body`].
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] whose [`operation`](Error::operation) are the method and the path. [`Error::delivery`] reports what is
    /// known about the request, and [`Error::is_retryable`] if it may be sent again.
    pub async fn send(self) -> Result<Receipt<()>> {
        let (method, path) = self.target();
        let result = match self.prepare() {
            Ok((client, raw)) => client.execute(&raw).await,
            Err(error) => Err(error),
        };
        result.map_err(|error| error.of_request(&method, &path))
    }

    /// Sends the request and reads the response as JSON.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send). A response of another shape is [`Delivery::Accepted`](crate::Delivery::Accepted): the
    /// request was done.
    pub async fn send_json<T: DeserializeOwned>(self) -> Result<Receipt<T>> {
        let (method, path) = self.target();
        let receipt = self.send().await?;
        let receipt = receipt.try_map(|body| serde_json::from_slice(body), Raw::NAME);
        receipt.map_err(|error| error.of_request(&method, &path))
    }

    /// Returns the method and the path, which every error names.
    fn target(&self) -> (Method, String) {
        (self.method.clone(), self.path.as_str().to_owned())
    }

    /// Checks what can be checked before sending.
    fn prepare(self) -> Result<(Client, Raw)> {
        let json = self.json.map_err(|error| {
            Error::invalid(Raw::NAME, "the body cannot be written as JSON").with_source(error)
        })?;
        if self.method == Method::CONNECT {
            return Err(Error::invalid(Raw::NAME, "CONNECT opens a tunnel and is no request to the API"));
        }
        let path = self.path.into_checked().map_err(|text| Error::invalid(Raw::NAME, text))?;
        Ok((self.client, Raw { method: self.method, path, query: self.query, json }))
    }
}

struct Raw {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    json: Option<Value>,
}

impl Operation for Raw {
    type Response = ();

    const NAME: &'static str = "request";

    fn route(&self) -> HttpRoute {
        HttpRoute::raw(&self.method)
    }

    fn replay(&self) -> RepeatSafety {
        match (self.method.is_safe(), self.method.is_idempotent()) {
            (true, _) => RepeatSafety::ReadOnly,
            (false, true) => RepeatSafety::Idempotent,
            (false, false) => RepeatSafety::Unsafe,
        }
    }

    fn read(_: &[u8]) -> serde_json::Result<()> {
        Ok(())
    }

    async fn send(
        &self,
        wire: &highlevel_wire::Client,
    ) -> std::result::Result<ResponseValue<()>, highlevel_wire::Error<()>> {
        wire.request(self.method.clone(), &self.path, &self.query, self.json.as_ref()).await
    }
}
