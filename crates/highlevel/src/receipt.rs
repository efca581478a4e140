//! The response to a request that was accepted.

use bytes::Bytes;
use highlevel_wire::types::{AddMessageResponse, SendMessageResponse};
use http::{HeaderMap, StatusCode};

use crate::{ConversationId, Delivery, Error, ErrorKind, MessageId, RateLimitHeaders, Result};

/// The proof that HighLevel accepted a request: its response, the HTTP status and headers, and the number of attempts.
///
/// ```no_run
/// # async fn example(client: highlevel::Client) -> highlevel::Result<()> {
/// use highlevel::Sms;
///
/// let sent = client.messages().send(Sms::to("abc123def456").text("Your table is ready")).await?;
/// println!("{} in {}", sent.message_id(), sent.conversation_id());
/// println!("status of the message: {:?}, of the response: {}", sent.response().status, sent.http_status());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Receipt<T> {
    response: T,
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    attempts: u32,
}

impl<T> Receipt<T> {
    pub(crate) fn new(value: T, response: highlevel_wire::RawResponse) -> Self {
        Self {
            response: value,
            status: response.status.as_u16(),
            headers: response.headers,
            body: response.body,
            attempts: 0,
        }
    }

    pub(crate) fn after(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Reads the body as another type.
    pub(crate) fn try_map<U>(
        self,
        read: impl FnOnce(&[u8]) -> serde_json::Result<U>,
        operation: &'static str,
    ) -> Result<Receipt<U>> {
        match read(&self.body) {
            Ok(value) => Ok(Receipt {
                response: value,
                status: self.status,
                headers: self.headers,
                body: self.body,
                attempts: self.attempts,
            }),
            Err(source) => {
                let text =
                    format!("HighLevel responded with {} and a body of an unexpected shape", self.status);
                let error = self.into_error(operation, Delivery::Accepted, ErrorKind::Receipt, text);
                Err(error.with_source(source))
            }
        }
    }

    /// Returns the error of a response that reports a failure although its status is a success.
    pub(crate) fn into_rejection(self, operation: &'static str, text: String) -> Error {
        self.into_error(operation, Delivery::Rejected, ErrorKind::Status, text)
    }

    fn into_error(self, operation: &'static str, delivery: Delivery, kind: ErrorKind, text: String) -> Error {
        let attempts = self.attempts;
        let response = highlevel_wire::RawResponse {
            status: StatusCode::from_u16(self.status).unwrap_or_default(),
            headers: self.headers,
            redirected: false,
            body: self.body,
            end: highlevel_wire::End::Complete,
        };
        Error::from_response(operation, delivery, kind, text, response).after(attempts, false, None)
    }

    /// Returns the response.
    pub fn response(&self) -> &T {
        &self.response
    }

    /// Returns the response alone.
    pub fn into_response(self) -> T {
        self.response
    }

    /// Returns the HTTP status of the response. HighLevel documents 200 and responds 201. The status of the message is
    /// a field of [`response`](Self::response).
    pub fn http_status(&self) -> u16 {
        self.status
    }

    /// Returns a header of the response.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the body of the response as it was received.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the limits of the location, from the headers of the response.
    pub fn rate_limit(&self) -> RateLimitHeaders {
        RateLimitHeaders::read(&self.headers)
    }

    /// Returns the id under which HighLevel's support finds the request, if the response has one.
    pub fn trace_id(&self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        body.get("traceId")?.as_str().map(str::to_owned)
    }

    /// Returns the number of attempts, this response included.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }
}

impl Receipt<SendMessageResponse> {
    /// Returns the id of the message, or of the first one if the channel returns several.
    ///
    /// Every receipt has one: a response without any id is an error of the kind [`ErrorKind::Receipt`].
    pub fn message_id(&self) -> &MessageId {
        static MISSING: MessageId = MessageId(String::new());
        self.message_ids().next().unwrap_or(&MISSING)
    }

    /// Returns the ids of all messages. The GMB channel may create several from one request; other channels create one.
    pub fn message_ids(&self) -> impl Iterator<Item = &MessageId> {
        message_ids(&self.response)
    }

    /// Returns the id of the conversation that the message is in.
    pub fn conversation_id(&self) -> &ConversationId {
        &self.response.conversation_id
    }
}

/// Returns the ids of the messages that a response names: `messageId`, or `messageIds` if it is missing.
pub(crate) fn message_ids(response: &SendMessageResponse) -> impl Iterator<Item = &MessageId> {
    let list = response.message_ids.as_deref().filter(|_| response.message_id.is_none());
    response.message_id.iter().chain(list.into_iter().flatten())
}

impl Receipt<AddMessageResponse> {
    /// Returns the id of the message.
    pub fn message_id(&self) -> &MessageId {
        &self.response.message_id
    }

    /// Returns the id of the conversation that the message is in.
    pub fn conversation_id(&self) -> &ConversationId {
        &self.response.conversation_id
    }
}
