//! The claim of an event in progress: committed, aborted, or dropped.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use super::EventId;
use super::deduplicator::{Claim, ClaimToken, CommitResult, Deduplicator, DeduplicatorError};
use super::error::{WebhookError, WebhookErrorKind};

/// Claims an event.
pub(super) async fn begin(
    deduplicator: &Arc<dyn Deduplicator>,
    id: &EventId,
    now: SystemTime,
) -> Result<ClaimGuard, WebhookError> {
    // A caller that is cancelled meanwhile must not leave a claim behind: the detached future drops the guard.
    Detached::new(claim(Arc::clone(deduplicator), id.clone(), now)).await
}

async fn claim(
    deduplicator: Arc<dyn Deduplicator>,
    id: EventId,
    now: SystemTime,
) -> Result<ClaimGuard, WebhookError> {
    let claim = caught(async { deduplicator.begin(&id, now).await }).await.map_err(|error| {
        unavailable("the event could not be claimed; respond with 429, and HighLevel redelivers it", error)
    })?;
    let (kind, text) = match claim {
        Claim::Granted(token) => {
            return Ok(ClaimGuard(Some(OpenClaim { id, token, deduplicator })));
        }
        Claim::Handled => (WebhookErrorKind::Duplicate, "the event was handled before; respond with 200"),
        Claim::InProgress => (
            WebhookErrorKind::InProgress,
            "another delivery of the event is in progress; respond with 429, and HighLevel redelivers it in case that \
             one fails",
        ),
    };
    Err(WebhookError::new(kind, text))
}

/// The right to handle an event. Dropping it aborts the claim.
pub(super) struct ClaimGuard(Option<OpenClaim>);

impl ClaimGuard {
    /// Creates a guard without a claim, for a receiver without a deduplicator.
    pub(super) fn none() -> Self {
        Self(None)
    }

    pub(super) async fn commit(mut self) -> Result<(), WebhookError> {
        let Some(claim) = self.0.take() else { return Ok(()) };
        // The event was handled: a caller that is cancelled meanwhile must not undo that.
        Detached::new(claim.commit()).await
    }

    pub(super) async fn abort(mut self) {
        if let Some(claim) = self.0.take() {
            Detached::new(claim.abort()).await;
        }
    }
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        if let Some(claim) = self.0.take() {
            let abort = pin!(Detached::new(claim.abort()));
            // The in-memory deduplicator finishes at once. Dropping an unfinished future detaches it.
            let _ = abort.poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl fmt::Debug for ClaimGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClaimGuard").field(&self.0.as_ref().map(|claim| claim.token)).finish()
    }
}

/// A claim that was neither committed nor aborted.
struct OpenClaim {
    id: EventId,
    token: ClaimToken,
    deduplicator: Arc<dyn Deduplicator>,
}

impl OpenClaim {
    async fn commit(self) -> Result<(), WebhookError> {
        if !self.id.is_unique() {
            // The next event with this id is another event, so the id must not be recorded.
            self.abort().await;
            return Ok(());
        }
        let failed =
            "the event was handled, but the commit failed; respond with 429, and HighLevel redelivers it";
        match caught(async { self.deduplicator.commit(&self.id, self.token).await }).await {
            Ok(CommitResult::Committed) => Ok(()),
            Ok(CommitResult::ClaimLost) => Err(WebhookError::new(
                WebhookErrorKind::ClaimLost,
                "the claim ended before the commit, and another delivery may have been handled; respond with 429, and \
                 HighLevel redelivers the event",
            )),
            Err(error) => {
                // Should the commit have happened after all, this changes nothing.
                self.abort().await;
                Err(unavailable(failed, error))
            }
        }
    }

    async fn abort(self) {
        if let Err(error) = caught(async { self.deduplicator.abort(&self.id, self.token).await }).await {
            tracing::error!(
                id = %self.id,
                error,
                "the claim of an event could not be aborted; redeliveries are rejected until it ends by its timeout"
            );
        }
    }
}

fn unavailable(text: &'static str, cause: DeduplicatorError) -> WebhookError {
    WebhookError::new(WebhookErrorKind::Unavailable, text).with_source(cause)
}

/// Returns the result of a future, and an error if it panics.
async fn caught<T>(
    future: impl Future<Output = Result<T, DeduplicatorError>>,
) -> Result<T, DeduplicatorError> {
    let mut future = pin!(future);
    poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))).unwrap_or_else(|panic| {
            let text = format!("the deduplicator panicked: {}", panic_text(panic.as_ref()));
            Poll::Ready(Err(text.into()))
        })
    })
    .await
}

/// Returns the message of a panic.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}

/// A future that is finished even if it is dropped: as a task of the current tokio runtime, if there is one.
struct Detached<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> Detached<T> {
    fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<T: Send + 'static> Future for Detached<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(future) = &mut self.0 else { return Poll::Pending };
        let poll = future.as_mut().poll(context);
        if poll.is_ready() {
            self.0 = None;
        }
        poll
    }
}

// Without the client there is no tokio to run it.
#[cfg(feature = "client")]
impl<T: Send + 'static> Drop for Detached<T> {
    fn drop(&mut self) {
        if let Some(future) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(future);
        }
    }
}
