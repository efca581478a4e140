//! A permit to send one request.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::Expiry;
use crate::headers::RateLimitHeaders;

/// The response to a request that was rejected for its rate (429).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RateLimited {
    /// The time to wait, if the response has a `Retry-After` header.
    pub retry_after: Option<Duration>,
}

impl RateLimited {
    /// A response with this `Retry-After` header, if any.
    pub fn new(retry_after: Option<Duration>) -> Self {
        Self { retry_after }
    }
}

/// The limiter's side of a [`Permit`].
///
/// Each permit calls [`begin`](Self::begin) at most once, and then one of [`observe`](Self::observe) and
/// [`no_response`](Self::no_response), or instead of both [`give_back`](Self::give_back). The methods are called by the
/// task of a request: they must not block. A limiter with a store records what it learns, and writes it with its next
/// statement. A panic is logged and otherwise ignored.
pub trait PermitHandler: Send + Sync {
    /// Called immediately before the request is sent. Returns `false` if the permit has lapsed: the request must not be
    /// sent, and no further method is called.
    fn begin(&self) -> bool {
        true
    }

    /// Called with the limits reported by the response. `rate_limited` is set if the request was rejected for its rate.
    fn observe(&self, headers: &RateLimitHeaders, rate_limited: Option<RateLimited>) {
        let _ = (headers, rate_limited);
    }

    /// Called if the request was started and no response arrived. The permit counts as used.
    fn no_response(&self) {}

    /// Called if the request was not started. Its capacity can be used by another request; a limiter whose unused
    /// permits lapse does nothing.
    fn give_back(&self) {}
}

/// A permit to send one request, issued by a [`RateLimiter`](super::RateLimiter).
///
/// Call [`begin`](Self::begin) immediately before the first byte of the request is written, and
/// [`observe`](Self::observe) with the response. A permit that is dropped before `begin` is given back; one that is
/// dropped later without a response counts as used.
pub struct Permit {
    expiry: Option<Expiry>,
    grant: Option<Box<dyn PermitHandler>>,
    state: AtomicU8,
}

const GRANTED: u8 = 0;
const BEGUN: u8 = 1;
/// Observed, or lapsed: the grant is not called again.
const CLOSED: u8 = 2;

impl Permit {
    /// A permit that can be used until `expiry`, and reports to `grant`.
    pub fn new(expiry: Expiry, grant: impl PermitHandler + 'static) -> Self {
        Self { expiry: Some(expiry), grant: Some(Box::new(grant)), state: AtomicU8::new(GRANTED) }
    }

    /// A permit that never expires and reports to nothing, for limiters that do not limit.
    pub fn unlimited() -> Self {
        Self { expiry: None, grant: None, state: AtomicU8::new(GRANTED) }
    }

    /// The time before which the request has to be started. `None` if the permit does not expire.
    pub fn expiry(&self) -> Option<Expiry> {
        self.expiry
    }

    /// Marks the request as started. Returns `false` if the permit has expired: the request must not be sent.
    ///
    /// Further calls return `true` as long as the first one did.
    #[must_use = "a request must not be sent with an expired permit"]
    pub fn begin(&self) -> bool {
        match self.state.load(Ordering::Acquire) {
            BEGUN => return true,
            CLOSED => return false,
            _ => {}
        }
        if self.expiry.is_some_and(|expiry| expiry.has_passed()) {
            return false;
        }
        match self.state.compare_exchange(GRANTED, BEGUN, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {}
            Err(state) => return state == BEGUN,
        }
        let begun = self.report(PermitHandler::begin).unwrap_or(true);
        if !begun {
            self.state.store(CLOSED, Ordering::Release);
        }
        begun
    }

    /// Reports the response to the limiter. `rate_limited` is set if the request was rejected for its rate (429).
    ///
    /// Only the first call has an effect.
    pub fn observe(&self, headers: &RateLimitHeaders, rate_limited: Option<RateLimited>) {
        match self.state.swap(CLOSED, Ordering::AcqRel) {
            BEGUN => {}
            GRANTED => {
                // A response proves that the request was sent, whatever the expiry.
                self.report(PermitHandler::begin);
            }
            _ => return,
        }
        self.report(|grant| grant.observe(headers, rate_limited));
    }

    /// Calls the grant. The limiter may be a caller's: its panic costs no receipt.
    fn report<T>(&self, call: impl FnOnce(&(dyn PermitHandler + 'static)) -> T) -> Option<T> {
        let grant = self.grant.as_deref()?;
        let result = catch_unwind(AssertUnwindSafe(|| call(grant)));
        if result.is_err() {
            tracing::error!("the rate limiter panicked; its count of this request may be wrong");
        }
        result.ok()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        match *self.state.get_mut() {
            GRANTED => self.report(PermitHandler::give_back),
            BEGUN => self.report(PermitHandler::no_response),
            _ => None,
        };
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("expiry", &self.expiry).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;

    /// Records its calls.
    #[derive(Clone, Default)]
    struct Recorder {
        calls: Arc<Mutex<Vec<&'static str>>>,
        lapsed: bool,
        panics: bool,
    }

    impl Recorder {
        fn note(&self, call: &'static str) {
            self.calls.lock().unwrap().push(call);
            assert!(!self.panics, "a limiter that panics");
        }
    }

    impl PermitHandler for Recorder {
        fn begin(&self) -> bool {
            self.note("begin");
            !self.lapsed
        }

        fn observe(&self, _: &RateLimitHeaders, _: Option<RateLimited>) {
            self.note("observe");
        }

        fn no_response(&self) {
            self.note("no response");
        }

        fn give_back(&self) {
            self.note("give back");
        }
    }

    fn response(permit: &Permit) {
        permit.observe(&RateLimitHeaders::default(), None);
    }

    #[test]
    fn each_use_of_a_permit_is_reported_once() {
        type Use = fn(Permit);
        struct Row {
            name: &'static str,
            lifetime: Duration,
            use_permit: Use,
            calls: &'static [&'static str],
        }
        let hour = Duration::from_secs(3600);
        let row = |name, lifetime, use_permit, calls| Row { name, lifetime, use_permit, calls };
        let rows = [
            row("dropped unused", hour, drop, &["give back"]),
            row("dropped after it was started", hour, |it| assert!(it.begin()), &["begin", "no response"]),
            row(
                "started twice and observed twice",
                hour,
                |it| {
                    assert!(it.begin() && it.begin());
                    response(&it);
                    response(&it);
                },
                &["begin", "observe"],
            ),
            row("observed without a start", hour, |it| response(&it), &["begin", "observe"]),
            row("expired", Duration::ZERO, |it| assert!(!it.begin() && !it.begin()), &["give back"]),
        ];
        for Row { name, lifetime, use_permit, calls } in rows {
            for panics in [false, true] {
                let recorder = Recorder { panics, ..Recorder::default() };
                use_permit(Permit::new(Expiry::after(lifetime), recorder.clone()));
                assert_eq!(*recorder.calls.lock().unwrap(), calls, "{name}, panics: {panics}");
            }
        }
    }

    #[test]
    fn a_permit_that_its_limiter_has_revoked_cannot_be_used() {
        let recorder = Recorder { lapsed: true, ..Recorder::default() };
        let permit = Permit::new(Expiry::after(Duration::from_secs(3600)), recorder.clone());
        assert!(!permit.begin() && !permit.begin());
        drop(permit);
        assert_eq!(*recorder.calls.lock().unwrap(), ["begin"]);
    }
}
