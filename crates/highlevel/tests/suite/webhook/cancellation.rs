//! Requests that are cancelled while a deduplicator behind a network is called.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use highlevel::webhook::{
    Claim, ClaimToken, CommitResult, Deduplicator, DeduplicatorFuture, EventId, InMemoryDeduplicator,
    ReceivedEvent, Receiver, WebhookError, WebhookErrorKind,
};
use tokio::sync::Semaphore;

use super::{headers, public_key, sign, signing_key, time};

/// Only ends a run in which something is broken.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A deduplicator whose calls wait for a permit each before they take effect.
pub(super) struct Gated {
    inner: InMemoryDeduplicator,
    pub(super) permits: Arc<Semaphore>,
}

impl Gated {
    fn call<'a, T: Send + 'a>(&'a self, call: DeduplicatorFuture<'a, T>) -> DeduplicatorFuture<'a, T> {
        Box::pin(async move {
            self.permits.acquire().await?.forget();
            call.await
        })
    }
}

impl Deduplicator for Gated {
    fn begin<'a>(&'a self, id: &'a EventId, now: SystemTime) -> DeduplicatorFuture<'a, Claim> {
        self.call(self.inner.begin(id, now))
    }

    fn commit<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, CommitResult> {
        self.call(self.inner.commit(id, token))
    }

    fn abort<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, ()> {
        self.call(self.inner.abort(id, token))
    }

    fn retain_at_least(&self, window: Duration) {
        self.inner.retain_at_least(window);
    }
}

pub(super) fn gated() -> (Arc<Gated>, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(0));
    (Arc::new(Gated { inner: InMemoryDeduplicator::new(), permits: Arc::clone(&permits) }), permits)
}

fn receiver(deduplicator: Arc<Gated>) -> Receiver {
    Receiver::builder().any_app().key(public_key("test", &signing_key(1))).deduplicator(deduplicator).build()
}

async fn receive(receiver: &Receiver) -> Result<ReceivedEvent, WebhookError> {
    let body = r#"{"type":"X","webhookId":"w"}"#;
    receiver.receive(&headers(&[&sign(body.as_bytes())]), body, time()).await
}

/// Polls a future until it waits for the deduplicator, and drops it.
async fn cancel<T>(future: impl Future<Output = T>) {
    tokio::select! {
        biased;
        _ = future => panic!("the deduplicator has no permit"),
        () = tokio::task::yield_now() => {}
    }
}

/// Waits until the event is no longer in progress.
async fn redeliver(receiver: &Receiver) -> Result<ReceivedEvent, WebhookError> {
    let redelivered = async {
        loop {
            match receive(receiver).await {
                Err(error) if error.kind() == WebhookErrorKind::InProgress => tokio::task::yield_now().await,
                result => return result,
            }
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, redelivered).await.expect("the claim ends")
}

#[tokio::test]
async fn a_request_that_is_cancelled_while_it_claims_leaves_no_claim() {
    let (deduplicator, permits) = gated();
    let receiver = receiver(deduplicator);
    cancel(receive(&receiver)).await;
    permits.add_permits(1_000_000);
    redeliver(&receiver).await.expect("granted").commit().await.expect("committed");
}

#[tokio::test]
async fn a_request_that_is_cancelled_while_it_commits_is_committed() {
    let (deduplicator, permits) = gated();
    let receiver = receiver(deduplicator);
    permits.add_permits(1);
    let event = receive(&receiver).await.expect("granted");
    cancel(event.commit()).await;
    permits.add_permits(1_000_000);
    assert_eq!(redeliver(&receiver).await.expect_err("handled").kind(), WebhookErrorKind::Duplicate);
}

#[tokio::test]
async fn an_event_that_is_dropped_is_aborted_in_the_background() {
    for cancels_abort in [false, true] {
        let (deduplicator, permits) = gated();
        let receiver = receiver(deduplicator);
        permits.add_permits(1);
        let event = receive(&receiver).await.expect("granted");
        if cancels_abort {
            cancel(event.abort()).await;
        } else {
            drop(event);
        }
        permits.add_permits(1_000_000);
        redeliver(&receiver).await.expect("granted").commit().await.expect("committed");
    }
}

/// Without a runtime there is nothing that could finish an abort: the claim stays until its timeout, and dropping the
/// event neither blocks nor panics.
#[test]
fn an_event_that_is_dropped_outside_of_a_runtime_does_no_harm() {
    struct NeedsRuntime(InMemoryDeduplicator, AtomicBool);

    impl Deduplicator for NeedsRuntime {
        fn begin<'a>(&'a self, id: &'a EventId, now: SystemTime) -> DeduplicatorFuture<'a, Claim> {
            self.0.begin(id, now)
        }

        fn commit<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, CommitResult> {
            self.0.commit(id, token)
        }

        fn abort<'a>(&'a self, _: &'a EventId, _: ClaimToken) -> DeduplicatorFuture<'a, ()> {
            self.1.store(true, Ordering::SeqCst);
            // Panics without a runtime, as the drivers of databases do.
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(())
            })
        }

        fn retain_at_least(&self, window: Duration) {
            self.0.retain_at_least(window);
        }
    }

    let deduplicator = Arc::new(NeedsRuntime(InMemoryDeduplicator::new(), AtomicBool::new(false)));
    let receiver = Receiver::builder()
        .any_app()
        .key(public_key("test", &signing_key(1)))
        .deduplicator(Arc::clone(&deduplicator))
        .build();
    drop(super::bodies::ready(receive(&receiver)).expect("granted"));
    assert!(deduplicator.1.load(Ordering::SeqCst), "the abort was tried");
    let error = super::bodies::ready(receive(&receiver)).expect_err("the claim is still there");
    assert_eq!(error.kind(), WebhookErrorKind::InProgress);
}
