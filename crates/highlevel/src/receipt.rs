//! The answer to a request that was accepted.

use std::ops::Deref;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::{Delivery, Error, ErrorKind, RateLimitHeaders, Result};

/// What HighLevel answered, with everything that came along. It dereferences to the answer itself, so that its
/// fields are at hand: `sent.message_id`.
#[derive(Debug, Clone)]
pub struct Receipt<T> {
    value: T,
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    attempts: u32,
}

impl<T> Receipt<T> {
    pub(crate) fn new(value: T, answer: highlevel_wire::RawResponse) -> Self {
        Self {
            value,
            status: answer.status.as_u16(),
            headers: answer.headers,
            body: answer.body,
            attempts: 0,
        }
    }

    pub(crate) fn after(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The same receipt with its body read as something else.
    pub(crate) fn try_map<U>(
        self,
        read: impl FnOnce(&[u8]) -> serde_json::Result<U>,
        operation: &'static str,
    ) -> Result<Receipt<U>> {
        match read(&self.body) {
            Ok(value) => Ok(Receipt {
                value,
                status: self.status,
                headers: self.headers,
                body: self.body,
                attempts: self.attempts,
            }),
            Err(source) => {
                let text = format!("HighLevel answered {} with a body of another shape", self.status);
                let answer = highlevel_wire::RawResponse {
                    status: StatusCode::from_u16(self.status).unwrap_or_default(),
                    headers: self.headers,
                    redirected: false,
                    body: self.body,
                    end: highlevel_wire::End::Complete,
                };
                let error = Error::answered(operation, Delivery::Accepted, ErrorKind::Receipt, text, answer);
                Err(error.after(self.attempts, false, None).with_source(source))
            }
        }
    }

    /// The answer alone.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// The HTTP status. HighLevel documents 200 and answers 201.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as it came.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// What the answer says about the limits of the location.
    pub fn rate_limit(&self) -> RateLimitHeaders {
        RateLimitHeaders::read(&self.headers)
    }

    /// The id under which HighLevel's support finds the request, if the answer has one.
    pub fn trace_id(&self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        body.get("traceId")?.as_str().map(str::to_owned)
    }

    /// How often the request was begun until there was this answer.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }
}

impl<T> Deref for Receipt<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
