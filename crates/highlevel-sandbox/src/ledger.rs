//! What happened, in the order in which it happened: each request with its answer, and each webhook attempt.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// An append-only list that can be read at any time and followed as it grows.
#[derive(Debug)]
pub(crate) struct Ledger {
    entries: Mutex<Vec<Entry>>,
    length: watch::Sender<usize>,
}

/// One thing that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Entry {
    /// A request was answered.
    Request(RecordedRequest),
    /// A webhook attempt ended.
    Delivery(Delivery),
}

/// A request and the answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// When it was received, RFC 3339.
    pub received_at: String,
    /// The HTTP method.
    pub method: String,
    /// The path, with the query if there was one.
    pub path: String,
    /// The headers in lower case, in order; of `authorization` only the scheme.
    pub headers: Vec<(String, String)>,
    /// The body as it came. Of a body that was refused for its size, the part that was read.
    pub body: Vec<u8>,
    /// The status of the answer.
    pub status: u16,
    /// The body of the answer.
    pub answer: Vec<u8>,
}

/// One attempt to deliver a webhook event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// The id of the event, as in its payload.
    pub webhook_id: String,
    /// The name of the event, for example `OutboundMessage`.
    pub event: String,
    /// Where it went.
    pub url: String,
    /// The headers in lower case, without those that say how the body is transferred.
    pub headers: Vec<(String, String)>,
    /// The bytes that were sent, which are the bytes that were signed.
    pub body: Vec<u8>,
    /// How it ended.
    pub outcome: DeliveryOutcome,
}

/// How a webhook attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryOutcome {
    /// There was an answer.
    #[non_exhaustive]
    Answered {
        /// Its status.
        status: u16,
        /// Its body, or as much of it as is kept.
        body: Vec<u8>,
    },
    /// There was none.
    #[non_exhaustive]
    Failed {
        /// Why.
        reason: String,
    },
}

impl RecordedRequest {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

impl Delivery {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self.outcome {
            DeliveryOutcome::Answered { status, .. } => Some(status),
            DeliveryOutcome::Failed { .. } => None,
        }
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self { entries: Mutex::default(), length: watch::Sender::new(0) }
    }

    pub(crate) fn record(&self, entry: Entry) {
        let length = {
            let mut entries = self.entries();
            entries.push(entry);
            entries.len()
        };
        self.length.send_replace(length);
    }

    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        let pick = |entry: &Entry| match entry {
            Entry::Request(request) => Some(request.clone()),
            Entry::Delivery(_) => None,
        };
        self.entries().iter().filter_map(pick).collect()
    }

    /// How many requests were answered with a status.
    pub(crate) fn answered(&self, status: u16) -> usize {
        let answered = |entry: &&Entry| matches!(entry, Entry::Request(request) if request.status == status);
        self.entries().iter().filter(answered).count()
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        let pick = |entry: &Entry| match entry {
            Entry::Delivery(delivery) => Some(delivery.clone()),
            Entry::Request(_) => None,
        };
        self.entries().iter().filter_map(pick).collect()
    }

    pub(crate) fn follow(self: &Arc<Self>) -> Entries {
        Entries { ledger: Arc::clone(self), length: self.length.subscribe(), position: 0 }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        // A list that only grows is whole even if a writer panicked.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What happened and what will happen, one entry after the other. Made by [`Sandbox::follow`](crate::Sandbox::follow).
#[derive(Debug)]
pub struct Entries {
    ledger: Arc<Ledger>,
    length: watch::Receiver<usize>,
    position: usize,
}

impl Entries {
    /// The next entry, as soon as there is one. Nothing is lost when the future is dropped before that.
    pub async fn next(&mut self) -> Entry {
        loop {
            self.length.mark_unchanged();
            let entry = self.ledger.entries().get(self.position).cloned();
            if let Some(entry) = entry {
                self.position += 1;
                return entry;
            }
            if self.length.changed().await.is_err() {
                // The ledger, which this holds, has the sender: it cannot be gone.
                std::future::pending::<()>().await;
            }
        }
    }
}
