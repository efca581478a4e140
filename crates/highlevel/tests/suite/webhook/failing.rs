//! Deduplicators and predicates that fail or panic lose no event.

use std::error::Error as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use highlevel::webhook::{
    Claim, ClaimToken, CommitResult, Deduplicator, DeduplicatorFuture, EventId, InMemoryDeduplicator,
    Receiver, WebhookError, WebhookErrorKind,
};

use super::bodies::ready;
use super::deduplicate::{UNAVAILABLE, event, with};
use super::{check, commit, public_key, receive, signing_key};

/// A deduplicator with a method that panics or returns an error.
pub(super) struct Failing {
    pub(super) method: &'static str,
    pub(super) panics: bool,
    pub(super) inner: InMemoryDeduplicator,
}

impl Failing {
    pub(super) fn new(method: &'static str, panics: bool) -> Self {
        Self { method, panics, inner: InMemoryDeduplicator::new() }
    }

    fn call<'a, T: 'a>(
        &self,
        method: &'static str,
        call: impl FnOnce() -> DeduplicatorFuture<'a, T>,
    ) -> DeduplicatorFuture<'a, T> {
        match (method == self.method, self.panics) {
            (true, true) => panic!("the database driver panics"),
            (true, false) => Box::pin(async { Err("the database is down".into()) }),
            (false, _) => call(),
        }
    }
}

impl Deduplicator for Failing {
    fn begin<'a>(&'a self, id: &'a EventId, now: SystemTime) -> DeduplicatorFuture<'a, Claim> {
        self.call("begin", || self.inner.begin(id, now))
    }

    fn commit<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, CommitResult> {
        self.call("commit", || self.inner.commit(id, token))
    }

    fn abort<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, ()> {
        self.call("abort", || self.inner.abort(id, token))
    }

    fn retain_at_least(&self, window: Duration) {
        self.inner.retain_at_least(window);
    }
}

/// If a deduplicator panics or returns an error, the response is 429, so that HighLevel redelivers the event.
#[test]
fn a_failing_deduplicator_loses_no_event() {
    let source = |error: &WebhookError| error.source().map(ToString::to_string);
    for (panics, cause) in
        [(true, "the deduplicator panicked: the database driver panics"), (false, "the database is down")]
    {
        let receiver = with(Failing::new("begin", panics));
        let error = receive(&receiver, event(1)).expect_err("begin fails");
        check("begin", &error, WebhookErrorKind::Unavailable, UNAVAILABLE);
        assert_eq!(source(&error).as_deref(), Some(cause));

        let receiver = with(Failing::new("commit", panics));
        for _ in 0..2 {
            // The claim was aborted, so each redelivery is accepted.
            let error =
                ready(receive(&receiver, event(1)).expect("claimed").commit()).expect_err("commit fails");
            let text =
                "the event was handled, but the commit failed; respond with 429, and HighLevel redelivers it";
            check("commit", &error, WebhookErrorKind::Unavailable, text);
            assert_eq!(source(&error).as_deref(), Some(cause));
        }

        let receiver = with(Failing::new("abort", panics));
        drop(receive(&receiver, event(1)).expect("claimed"));
        ready(receive(&receiver, event(2)).expect("claimed").abort());
        commit(receive(&receiver, event(3)).expect("claimed"));
        // The handler was successful, whether or not the claim can be aborted.
        commit(receive(&receiver, r#"{"type":"UNINSTALL","appId":"a"}"#).expect("claimed"));
    }
}

/// A panic of `abort` while a panic of the handler unwinds does not end the process.
#[test]
fn a_panic_of_abort_during_a_panic_is_contained() {
    let receiver = with(Failing::new("abort", true));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _received = receive(&receiver, event(1)).expect("first");
        panic!("the handler panics");
    }));
    assert_eq!(result.expect_err("it panics").downcast_ref(), Some(&"the handler panics"));
}

#[test]
fn a_panic_of_locations_where_loses_no_event() {
    let calls = AtomicUsize::new(0);
    let receiver = Receiver::builder()
        .any_app()
        .key(public_key("test", &signing_key(1)))
        .locations_where(move |_| {
            assert!(calls.fetch_add(1, Ordering::SeqCst) > 0, "the cache is not ready");
            true
        })
        .build();
    let error = receive(&receiver, event(1)).expect_err("it panics");
    let text =
        "the location of the event could not be checked; respond with 429, and HighLevel redelivers it";
    check("locations_where", &error, WebhookErrorKind::Unavailable, text);
    assert_eq!(
        error.source().expect("a cause").to_string(),
        "`locations_where` panicked: the cache is not ready"
    );
    commit(receive(&receiver, event(1)).expect("redelivered"));
}
