//! What was received and accepted.

use std::sync::Arc;

use serde_json::Value;

use super::Sandbox;
use crate::ledger::{Filter, RecordedRequest, RequestFingerprint};
use crate::operation::Operation;

/// How often something was accepted. Made by [`Sandbox::accepted`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// How many requests were answered with yes.
    pub times: u64,
    /// How many of them were stored. Fewer only when a [`Quirk`](crate::Quirk) made them vanish.
    pub stored: u64,
    /// Those of the accepted requests that are kept, oldest first.
    pub requests: Vec<RecordedRequest>,
}

impl Sandbox {
    /// How often a message was accepted: what a test asks to know that it was sent exactly once. It counts requests to
    /// the sandbox's own location whose body is the same JSON, whatever the order of its keys.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use highlevel_sandbox::{Operation, Sandbox};
    /// use serde_json::json;
    ///
    /// # let _ = rustls::crypto::ring::default_provider().install_default();
    /// let sandbox = Sandbox::start().await?;
    /// let message = json!({"type": "SMS", "contactId": sandbox.contact_id(), "message": "Hello"});
    /// # let client = reqwest::Client::new();
    /// # for _ in 0..2 {
    /// #     let request = client.post(format!("{}/conversations/messages", sandbox.base_url()));
    /// #     let request = request.bearer_auth(sandbox.token()).header("Version", "2021-04-15").json(&message);
    /// #     request.send().await?;
    /// # }
    /// // … a program sends it twice …
    /// assert_eq!(sandbox.accepted_times(Operation::SendMessage, &message), 2);
    /// let second = &sandbox.requests()[1];
    /// assert_eq!(second.accepted_before, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn accepted_times(&self, operation: Operation, body: &Value) -> u64 {
        self.state.ledger.times(self.fingerprint(operation, body)).accepted
    }

    /// How often what a fingerprint stands for was accepted, and by which requests. The numbers cover the newest 200,000
    /// different messages.
    pub fn accepted(&self, fingerprint: RequestFingerprint) -> Accepted {
        let filter = Filter { fingerprint: Some(fingerprint), accepted: Some(true), ..Filter::default() };
        let requests = self.state.ledger.find_all(&filter);
        let requests = requests.into_iter().rev().map(Arc::unwrap_or_clone).collect();
        let times = self.state.ledger.times(fingerprint);
        Accepted { times: times.accepted, stored: times.stored, requests }
    }

    /// The fingerprint of a request to the sandbox's own location.
    pub fn fingerprint(&self, operation: Operation, body: &Value) -> RequestFingerprint {
        RequestFingerprint::of(operation, self.location_id(), body)
    }

    /// A request by its id, which is the `traceId` of a refusal, if it is still kept.
    pub fn request(&self, id: &str) -> Option<RecordedRequest> {
        self.state.ledger.request(id).map(Arc::unwrap_or_clone)
    }
}
