//! The time of an attempt.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// The time for reading a response after the attempt has timed out.
///
/// A process that was stopped, or whose runtime was not driven, wakes up with a timer that has expired and a response that
/// has arrived. The response counts, and the runtime needs a moment to read it.
pub const GRACE: Duration = Duration::from_millis(250);

/// The time limit of one attempt. Events that have happened are checked before the clock.
pub(crate) struct Timer<'a> {
    timeout: Duration,
    sleep: Pin<&'a mut Sleep>,
    is_in_grace: bool,
}

impl<'a> Timer<'a> {
    /// Takes a sleep that ends after `timeout`.
    pub(crate) fn new(timeout: Duration, sleep: Pin<&'a mut Sleep>) -> Self {
        Self { timeout, sleep, is_in_grace: false }
    }

    /// Runs a part of the attempt.
    ///
    /// # Errors
    ///
    /// The time is over. A grace is granted once, if `was_begun` returns `true`: there may be a response then.
    pub(crate) async fn run<F: Future>(
        &mut self,
        future: F,
        was_begun: impl Fn() -> bool,
    ) -> Result<F::Output, TimedOut> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            loop {
                ready!(self.sleep.as_mut().poll(context));
                if self.is_in_grace || !was_begun() {
                    return Poll::Ready(Err(TimedOut { after: self.timeout }));
                }
                self.is_in_grace = true;
                self.sleep.as_mut().reset(Instant::now() + GRACE);
            }
        })
        .await
    }
}

/// The time of an attempt is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimedOut {
    after: Duration,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no complete response within {:?}", self.after)
    }
}

impl std::error::Error for TimedOut {}

impl From<TimedOut> for std::io::Error {
    fn from(error: TimedOut) -> Self {
        Self::new(std::io::ErrorKind::TimedOut, error)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::sleep;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_counts_however_late_it_is() {
        let sleep_until_timeout = pin!(sleep(TIMEOUT));
        let mut timer = Timer::new(TIMEOUT, sleep_until_timeout);
        tokio::time::advance(10 * TIMEOUT).await;
        assert_eq!(timer.run(ready(7), || true).await.ok(), Some(7));
        assert_eq!(timer.run(ready(8), || false).await.ok(), Some(8));
    }

    #[tokio::test(start_paused = true)]
    async fn the_grace_is_granted_once_and_only_for_what_was_begun() {
        struct Row {
            was_begun: bool,
            takes: Duration,
            is_in_time: bool,
        }
        let (early, in_grace) = (TIMEOUT / 2, TIMEOUT + GRACE / 2);
        let rows = [
            Row { was_begun: false, takes: early, is_in_time: true },
            Row { was_begun: false, takes: in_grace, is_in_time: false },
            Row { was_begun: true, takes: in_grace, is_in_time: true },
            Row { was_begun: true, takes: TIMEOUT + 2 * GRACE, is_in_time: false },
        ];
        for Row { was_begun, takes, is_in_time } in rows {
            let sleep_until_timeout = pin!(sleep(TIMEOUT));
            let mut timer = Timer::new(TIMEOUT, sleep_until_timeout);
            let result = timer.run(sleep(takes), || was_begun).await;
            assert_eq!(result.is_ok(), is_in_time, "{takes:?}");
        }

        let sleep_until_timeout = pin!(sleep(TIMEOUT));
        let (mut timer, began) = (Timer::new(TIMEOUT, sleep_until_timeout), Instant::now());
        timer.run(sleep(in_grace), || true).await.expect("within the grace");
        let error = timer.run(pending::<()>(), || true).await.expect_err("the grace is over");
        assert_eq!(error.to_string(), "no complete response within 30s");
        assert!(began.elapsed() < TIMEOUT + GRACE + Duration::from_millis(50), "{:?}", began.elapsed());
    }
}
