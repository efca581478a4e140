//! Delivering events: in order, one attempt each, every outcome recorded.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Response, Url};
use tokio::sync::mpsc::UnboundedReceiver;

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
    pub(crate) url: Url,
    pub(crate) signature: String,
    pub(crate) body: Vec<u8>,
}

/// Takes parcels to their receivers.
#[derive(Debug)]
pub(crate) struct Courier {
    client: Client,
    ledger: Arc<Ledger>,
}

impl Courier {
    pub(crate) fn new(ledger: Arc<Ledger>) -> io::Result<Self> {
        let client = Client::builder()
            // A proxy of the environment would take what is meant for this machine elsewhere.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ATTEMPT_TIMEOUT)
            .build()
            .map_err(io::Error::other)?;
        Ok(Self { client, ledger })
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
        let request = self
            .client
            .post(parcel.url)
            .header("content-type", "application/json")
            .header("user-agent", concat!("highlevel-sandbox/", env!("CARGO_PKG_VERSION")))
            .header("x-ghl-signature", &parcel.signature)
            .body(parcel.body.clone())
            .build();
        let (headers, outcome) = match request {
            Ok(request) => {
                let headers = crate::server::readable(request.headers());
                (headers, self.exchange(request).await)
            }
            Err(error) => (Vec::new(), failed(error)),
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

    async fn exchange(&self, request: reqwest::Request) -> DeliveryOutcome {
        match self.client.execute(request).await {
            Ok(response) => {
                let status = response.status().as_u16();
                DeliveryOutcome::Answered { status, body: beginning(response).await }
            }
            Err(error) => failed(error),
        }
    }
}

/// As much of the body as is kept. An answer that breaks off has been an answer: its status was read.
async fn beginning(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < KEPT_ANSWER {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    body.truncate(KEPT_ANSWER);
    body
}

/// The error with its causes: the first one alone says "error sending request".
fn failed(error: reqwest::Error) -> DeliveryOutcome {
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        let words = error.to_string();
        if !reason.contains(&words) {
            reason = format!("{reason}: {words}");
        }
        cause = error.source();
    }
    DeliveryOutcome::Failed { reason }
}
