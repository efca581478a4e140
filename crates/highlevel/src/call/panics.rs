//! Panics of plugged-in code: rate limiters, token sources and token stores.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

/// Plugged-in code panicked. The panic hook of the process has reported where; the message may contain anything and is not
/// repeated.
#[derive(Debug)]
pub(crate) struct Panicked;

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it panicked; see the output of the panic hook")
    }
}

impl std::error::Error for Panicked {}

/// Runs a future to its end.
///
/// # Errors
///
/// Returns [`Panicked`] if making, polling or dropping the future panics.
pub(crate) async fn catch_panic<F: Future>(make: impl FnOnce() -> F) -> Result<F::Output, Panicked> {
    // In a box of its own, so that dropping it can be caught as well.
    let mut future = Some(catch(|| Box::pin(make()))?);
    let result = poll_fn(|context| {
        let Some(future) = &mut future else { return Poll::Ready(Err(Panicked)) };
        match catch(|| future.as_mut().poll(context)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    })
    .await;
    // What it has returned counts, even if it does not end well.
    let _ = catch(|| drop(future.take()));
    result
}

/// What the closures share is a future that is not polled after a panic.
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
    async fn panics_of_a_future_are_caught_wherever_they_happen() {
        assert_eq!(catch_panic(|| async { 7 }).await.ok(), Some(7));
        assert!(catch_panic(|| -> std::future::Ready<()> { panic!("before the future") }).await.is_err());
        assert!(catch_panic(|| async { panic!("in the first poll") }).await.is_err());
        let later = || async {
            tokio::task::yield_now().await;
            panic!("in a later poll")
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
        assert_eq!(output.ok(), Some(8), "its output counts");
    }
}
