//! Delivering events: in order, one attempt each, every outcome recorded.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout_at};

use crate::ledger::{Delivery, DeliveryOutcome, Entry, Ledger};

/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer's body is kept.
const KEPT_ANSWER: usize = 64 * 1024;

/// An event that is ready to go.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) webhook_id: String,
    pub(crate) event: &'static str,
    pub(crate) url: Uri,
    pub(crate) signature: String,
    pub(crate) body: Vec<u8>,
}

/// Takes parcels to their receivers.
///
/// It speaks plain HTTP, takes no proxy of the environment, and follows no redirect.
#[derive(Debug)]
pub(crate) struct Courier {
    client: Client<HttpConnector, Full<Bytes>>,
    ledger: Arc<Ledger>,
}

impl Courier {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), ledger }
    }

    /// Delivers what comes, until nothing can come any more.
    pub(crate) async fn run(self, mut parcels: UnboundedReceiver<Parcel>) {
        while let Some(parcel) = parcels.recv().await {
            let delivery = self.attempt(parcel).await;
            tracing::debug!(
                event = delivery.event,
                webhook_id = delivery.webhook_id,
                status = delivery.status(),
                "webhook attempt ended"
            );
            self.ledger.record(Entry::Delivery(delivery));
        }
    }

    async fn attempt(&self, parcel: Parcel) -> Delivery {
        let url = parcel.url.to_string();
        let request = Request::post(parcel.url)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("highlevel-sandbox/", env!("CARGO_PKG_VERSION")))
            .header("x-ghl-signature", &parcel.signature)
            .body(Full::from(parcel.body.clone()));
        let (headers, outcome) = match request {
            Ok(request) => {
                let headers = crate::server::readable(request.headers());
                (headers, self.exchange(request).await)
            }
            Err(error) => (Vec::new(), failed(&error)),
        };
        Delivery {
            webhook_id: parcel.webhook_id,
            event: parcel.event.to_owned(),
            url,
            headers,
            body: parcel.body,
            outcome,
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> DeliveryOutcome {
        let deadline = Instant::now() + ATTEMPT_TIMEOUT;
        match timeout_at(deadline, self.client.request(request)).await {
            Ok(Ok(response)) => {
                let status = response.status().as_u16();
                DeliveryOutcome::Answered { status, body: beginning(response.into_body(), deadline).await }
            }
            Ok(Err(error)) => failed(&error),
            Err(_) => DeliveryOutcome::Failed {
                reason: format!("no answer within {} seconds", ATTEMPT_TIMEOUT.as_secs()),
            },
        }
    }
}

/// As much of the body as is kept. An answer that breaks off has been an answer: its status was read.
async fn beginning(mut answer: Incoming, deadline: Instant) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < KEPT_ANSWER {
        match timeout_at(deadline, answer.frame()).await {
            Ok(Some(Ok(frame))) => body.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            _ => break,
        }
    }
    body.truncate(KEPT_ANSWER);
    body
}

/// The error with its causes: the first one alone says "client error".
fn failed(error: &(dyn std::error::Error + 'static)) -> DeliveryOutcome {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !reason.contains(&words) {
            reason = format!("{reason}: {words}");
        }
        cause = error.source();
    }
    DeliveryOutcome::Failed { reason }
}
