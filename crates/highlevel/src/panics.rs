//! Catches panics of the caller's implementations: rate limiters, token sources and token stores.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// An implementation of the caller panicked. The message may contain anything and is not repeated; the panic hook of the
/// process has reported it.
#[derive(Debug)]
pub(crate) struct Panicked;

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it panicked; see the output of the panic hook")
    }
}

impl std::error::Error for Panicked {}

/// Runs a future to its end. It is boxed, or otherwise movable, so that a panic while dropping it can be caught as well.
///
/// # Errors
///
/// Returns [`Panicked`] if making, polling or dropping the future panics.
pub(crate) async fn catch_panic<F: Future + Unpin>(make: impl FnOnce() -> F) -> Result<F::Output, Panicked> {
    let mut future = Some(catch(make)?);
    let result = poll_fn(|context| {
        let Some(future) = &mut future else { return Poll::Ready(Err(Panicked)) };
        match catch(|| Pin::new(future).poll(context)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    })
    .await;
    // The output counts, even if dropping the future panics.
    let _ = catch(|| drop(future.take()));
    result
}

/// Unwind safety: the future is not polled again after a panic.
fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct PanicsOnDrop;

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }

    #[tokio::test]
    async fn panics_are_caught_when_a_future_is_made_polled_or_dropped() {
        assert_eq!(catch_panic(|| Box::pin(async { 7 })).await.ok(), Some(7));
        assert!(catch_panic(|| -> std::future::Ready<()> { panic!("before the future") }).await.is_err());
        assert!(catch_panic(|| Box::pin(async { panic!("in the first poll") })).await.is_err());
        let later = || {
            Box::pin(async {
                tokio::task::yield_now().await;
                panic!("in a later poll")
            })
        };
        assert!(catch_panic(later).await.is_err());
        let guard = PanicsOnDrop;
        let output = catch_panic(move || {
            poll_fn(move |_| {
                let _ = &guard;
                Poll::Ready(8)
            })
        })
        .await;
        assert_eq!(output.ok(), Some(8), "the output is returned");
    }
}
