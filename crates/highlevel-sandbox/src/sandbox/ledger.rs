//! The ledger: requests, and counts of accepted messages.

use std::sync::Arc;

use serde_json::Value;

use super::Sandbox;
use crate::ledger::{Filter, RecordedRequest, RequestFingerprint};
use crate::operation::Operation;

/// The number of times a message was accepted. Returned by [`Sandbox::accepted`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcceptedCounts {
    /// The number of accepted requests.
    pub times: u64,
    /// The number of them that stored a message. Lower only if a [`Quirk`](crate::Quirk) discarded some.
    pub stored: u64,
    /// The accepted requests that are still in the ledger, oldest first.
    pub requests: Vec<RecordedRequest>,
}

impl Sandbox {
    /// Returns how many times a message was accepted, to test that it was sent exactly once. Counts the requests to the
    /// default location whose body is the same JSON, regardless of the order of its keys.
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

    /// Returns how many times the content of a fingerprint was accepted, and by which requests. Covers the newest
    /// 200,000 distinct messages.
    pub fn accepted(&self, fingerprint: RequestFingerprint) -> AcceptedCounts {
        let filter = Filter { fingerprint: Some(fingerprint), accepted: Some(true), ..Filter::default() };
        let requests = self.state.ledger.find_all(&filter);
        let requests = requests.into_iter().rev().map(Arc::unwrap_or_clone).collect();
        let times = self.state.ledger.times(fingerprint);
        AcceptedCounts { times: times.accepted, stored: times.stored, requests }
    }

    /// Returns the fingerprint of a request to the default location.
    pub fn fingerprint(&self, operation: Operation, body: &Value) -> RequestFingerprint {
        RequestFingerprint::of(operation, self.location_id(), body)
    }

    /// Returns a request by its ID, which error responses contain as `traceId`, if it is still in the ledger.
    pub fn request(&self, id: &str) -> Option<RecordedRequest> {
        self.state.ledger.request(id).map(Arc::unwrap_or_clone)
    }
}
