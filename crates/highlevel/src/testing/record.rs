//! The requests that a mock has received.

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use crate::webhook::testing::EventBuilder;

/// A request that a mock has received.
#[derive(Debug, Clone)]
pub struct SentRequest {
    pub(super) operation: &'static str,
    pub(super) attempt: u32,
    pub(super) call: u64,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) content: Option<Bytes>,
    /// The id in the receipt of a message.
    pub(super) message_id: Option<String>,
}

impl SentRequest {
    /// Returns the name of the operation, such as `send_message`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Returns the number of the attempt in its call, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Returns the method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the path of the URL, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the query as it is in the URL, percent-encoded.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Returns the body. `None` if it is a stream, as that of an upload.
    pub fn body(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }

    /// Returns the body as JSON, if it is.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body()?).ok()
    }

    /// Starts building the event that HighLevel sends for this message. `None` if it is no SMS or email.
    ///
    /// It has the contact, the content and, if the mock has accepted the message, its id. After an outcome that is unknown, it
    /// shows how a program handles a message that was sent anyway.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use highlevel::Sms;
    /// use highlevel::testing::{Mock, MockOutcome, message};
    /// use highlevel::webhook::Receiver;
    /// use highlevel::webhook::testing::SigningKey;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mock = Mock::new();
    /// mock.expect(message()).respond(MockOutcome::unknown());
    /// let sms = Sms::to("abc123def456").text("Your table is ready");
    /// let error = mock.client().messages().send(sms).await.unwrap_err();
    ///
    /// let key = SigningKey::from_seed([7; 32]);
    /// let receiver = Receiver::builder().app_id("my-app").key(key.public_key("test")).build();
    /// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_722_268_288);
    /// let event = mock.requests()[0].event().expect("an SMS");
    /// let body = event.app_id("my-app").at(now).body();
    /// let received = receiver.receive(&key.headers(&body), body, now).await?;
    /// assert_eq!(received.event().name(), "OutboundMessage");
    /// # received.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn event(&self) -> Option<EventBuilder> {
        if self.operation != "send_message" {
            return None;
        }
        let json = self.json()?;
        let text = |field: &str| json[field].as_str().unwrap_or_default();
        let event = match text("type") {
            "SMS" => EventBuilder::outbound_sms(text("message")),
            "Email" => EventBuilder::outbound_email(text("subject"), text("html")),
            _ => return None,
        };
        let event = event.field("contactId", text("contactId"));
        Some(match &self.message_id {
            Some(id) => event.field("messageId", id.as_str()),
            None => event,
        })
    }
}
