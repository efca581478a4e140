//! A deduplicator behind a network.

use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use highlevel::webhook::{Claim, ClaimToken, CommitResult, Deduplicator, DeduplicatorFuture, EventId};

/// Suspends a task once.
pub(super) async fn pause() {
    let mut is_resumed = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut is_resumed, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A deduplicator at the other end of a network: a call takes effect after a pause, and its result arrives after a
/// second one.
pub(super) struct Remote<D> {
    pub(super) inner: D,
    pub(super) result_pauses: bool,
    pub(super) oracle: Arc<Mutex<Oracle>>,
}

/// The claims that a deduplicator has granted.
#[derive(Default)]
pub(super) struct Oracle {
    last: Option<ClaimToken>,
    /// The last claim could not be committed.
    pub(super) lost_last: bool,
}

impl<D: Deduplicator> Remote<D> {
    fn call<'a, T: Send + 'a>(&'a self, call: DeduplicatorFuture<'a, T>) -> DeduplicatorFuture<'a, T> {
        Box::pin(async move {
            pause().await;
            let result = call.await;
            if self.result_pauses {
                pause().await;
            }
            result
        })
    }
}

impl<D: Deduplicator> Deduplicator for Remote<D> {
    fn begin<'a>(&'a self, id: &'a EventId, now: SystemTime) -> DeduplicatorFuture<'a, Claim> {
        self.call(Box::pin(async move {
            let claim = self.inner.begin(id, now).await?;
            if let Claim::Granted(token) = claim {
                self.oracle.lock().expect("a lock").last = Some(token);
            }
            Ok(claim)
        }))
    }

    fn commit<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, CommitResult> {
        self.call(Box::pin(async move {
            let result = self.inner.commit(id, token).await?;
            let mut oracle = self.oracle.lock().expect("a lock");
            oracle.lost_last |= result == CommitResult::ClaimLost && oracle.last == Some(token);
            Ok(result)
        }))
    }

    fn abort<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, ()> {
        self.call(self.inner.abort(id, token))
    }

    fn retain_at_least(&self, window: Duration) {
        self.inner.retain_at_least(window);
    }
}
