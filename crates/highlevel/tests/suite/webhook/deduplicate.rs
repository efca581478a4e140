//! Each event is handled once.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use highlevel::webhook::{
    Claim, ClaimToken, CommitResult, Deduplicator, DeduplicatorFuture, EventId, InMemoryDeduplicator, OnFull,
    ReceivedEvent, Receiver, WebhookError, WebhookErrorKind,
};

use super::bodies::ready;
use super::{any_app, check, commit, public_key, receive, signing_key, time};
use crate::secrets::Captured;

const DUPLICATE: &str = "the event was handled before: respond with 200, nothing is left to do";
const IN_PROGRESS: &str = "another delivery of the event is in progress: respond with 429, and HighLevel redelivers it in \
                           case that one fails";
const UNAVAILABLE: &str = "the event could not be claimed: respond with 429, and HighLevel redelivers it";

fn with(deduplicator: impl Deduplicator + 'static) -> Receiver {
    Receiver::builder().any_app().key(public_key("test", &signing_key(1))).deduplicator(deduplicator).build()
}

fn event(id: usize) -> String {
    format!(r#"{{"type":"X","webhookId":"{id}"}}"#)
}

fn rejected(result: Result<ReceivedEvent, WebhookError>, kind: WebhookErrorKind, text: &str) {
    check(text, &result.expect_err(text), kind, text);
}

#[test]
fn an_event_is_handled_once() {
    let receiver = any_app();
    let first = receive(&receiver, event(1)).expect("first");
    rejected(receive(&receiver, event(1)), WebhookErrorKind::InProgress, IN_PROGRESS);
    rejected(receive(&receiver.clone(), event(1)), WebhookErrorKind::InProgress, IN_PROGRESS);
    drop(receive(&receiver, event(2)).expect("an independent event"));

    drop(first);
    let second = receive(&receiver, event(1)).expect("the first delivery was dropped");
    ready(second.abort());
    let third = receive(&receiver, event(1)).expect("the second delivery was aborted");
    drop(third.commit());
    let fourth = receive(&receiver, event(1)).expect("the third commit was never polled");
    commit(fourth);
    rejected(receive(&receiver, event(1)), WebhookErrorKind::Duplicate, DUPLICATE);
    drop(receive(&receiver, event(2)).expect("an event that was not committed"));
}

#[test]
fn verification_alone_claims_nothing() {
    let receiver = any_app();
    let verify = || receiver.verify(&super::headers(&[&super::sign(event(1).as_bytes())]), event(1), time());
    let verified = verify().expect("first");
    assert_eq!(verify().expect("redelivered").id(), verified.id());
    let received = receive(&receiver, event(1)).expect("not claimed");
    assert_eq!((received.id(), received.body()), (verified.id(), verified.body()));
    commit(received);
    assert_eq!(verify().expect("handled").id(), verified.id());
}

#[test]
fn a_panic_of_the_handler_aborts_the_claim() {
    let receiver = any_app();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _received = receive(&receiver, event(1)).expect("first");
        std::panic::resume_unwind(Box::new("the handler panics"));
    }));
    assert!(result.is_err());
    drop(receive(&receiver, event(1)).expect("redelivered"));
}

#[test]
fn rejected_events_are_not_claimed() {
    let receiver = Receiver::builder().app_id("mine").key(public_key("test", &signing_key(1))).build();
    for body in [
        r#"{"type":"X","webhookId":"1","appId":"other"}"#,
        r#"{"type":"INSTALL","webhookId":"1","timestamp":"2001-01-01T00:00:00Z","appId":"mine"}"#,
        r#"{"webhookId":"1","appId":"mine"}"#,
    ] {
        receive(&receiver, body).expect_err(body);
    }
    drop(receive(&receiver, r#"{"type":"X","webhookId":"1","appId":"mine"}"#).expect("first"));
}

/// The digests are of `printf … | sha256sum`.
#[test]
fn ids_are_stable() {
    let long = "x".repeat(300);
    let with_long_id = format!(r#"{{"type":"X","webhookId":"{long}"}}"#);
    let rows = [
        (r#"{"type":"X","webhookId":"w"}"#, r#"["webhook","w",null]"#),
        (r#"{"type":"X","webhookId":"w","appId":"a"}"#, r#"["webhook","w","a"]"#),
        (r#"{"type":"SMS","webhookId":"w","messageId":"m"}"#, r#"["webhook","w",null]"#),
        (r#"{"type":"SMS","messageId":"m","message":"t"}"#, r#"["provider","SMS",null,"m",null]"#),
        (
            r#"{"type":"Email","messageId":"m","emailMessageId":"e","locationId":"l","webhookId":null}"#,
            r#"["provider","Email","l","m","e"]"#,
        ),
        (r#"{"type":"Custom","messageId":"m\",\"n"}"#, r#"["provider","Custom",null,"m\",\"n",null]"#),
        (r#"{"type":"Email","messageId":"","emailMessageId":"e"}"#, r#"["provider","Email",null,null,"e"]"#),
        // An empty id is no id: two messages without one are distinguished by their bodies.
        (
            r#"{"type":"SMS","messageId":"","message":"a"}"#,
            r#"["body","60ed67ec088fa0b3c5eabd6131b84bcb908f9a8373163bfc6247bcadf90fabe2"]"#,
        ),
        (
            r#"{"type":"SMS","messageId":"","emailMessageId":"","message":"b"}"#,
            r#"["body","2009f82c9c8b2661f75ef6b2f0ee29af13750606ee9fe532e3395def38b7b42d"]"#,
        ),
        (r#"{"type":"X"}"#, r#"["body","bde1a8ba70543caf9252d87ed94dfcf8dd8d2d134ed837e7c18eef24d1bb605a"]"#),
        (
            r#"{"type":"X","webhookId":""}"#,
            r#"["body","dda257f4645bc63e760aa6d35e355aefd29feefa0dd0f3d3e568fd197aea9b44"]"#,
        ),
        (
            with_long_id.as_str(),
            r#"["sha256","ab5c159e38cbf918891cb7c94c10f8bc3d29f3caaa31f990d872446b7396683c"]"#,
        ),
    ];
    for (body, expected) in rows {
        let verified = receive(&any_app(), body).expect(body);
        assert_eq!(verified.id().as_str(), expected, "{body}");
        assert_eq!(verified.id().to_string(), expected);
    }
}

/// Two events of the same message, and two messages with the same text, are two events.
#[test]
fn events_that_differ_are_not_duplicates() {
    let receiver = any_app();
    let bodies = [
        r#"{"type":"OutboundMessage","messageId":"m","status":"pending"}"#,
        r#"{"type":"OutboundMessage","messageId":"m","status":"delivered"}"#,
        r#"{"type":"SMS","messageId":"m","message":"t"}"#,
        r#"{"type":"SMS","messageId":"n","message":"t"}"#,
        r#"{"type":"SMS","messageId":"m","locationId":"l","message":"t"}"#,
        r#"{"type":"X","webhookId":"w","appId":"a"}"#,
        r#"{"type":"X","webhookId":"w","appId":"b"}"#,
    ];
    for body in bodies {
        commit(receive(&receiver, body).expect(body));
    }
    for body in bodies {
        rejected(receive(&receiver, body), WebhookErrorKind::Duplicate, DUPLICATE);
    }
    // The same message to deliver, with another space; the same event, with another field.
    for body in [r#"{"type":"SMS", "messageId":"m"}"#, r#"{"type":"X","webhookId":"w","appId":"a","n":1}"#] {
        rejected(receive(&receiver, body), WebhookErrorKind::Duplicate, DUPLICATE);
    }
}

/// An event that carries nothing of its own has the same bytes each time it happens: each one is handled.
#[test]
fn events_without_a_unique_id_are_handled_each_time() {
    let rows = [
        (r#"{"type":"UNINSTALL","appId":"a","locationId":"l"}"#, false),
        (r#"{"type":"UNINSTALL","appId":"a","companyId":"c","timestamp":null,"webhookId":""}"#, false),
        (r#"{"type":"INSTALL","appId":"a"}"#, false),
        (include_str!("../../data/events/uninstall.json"), false),
        (r#"{"type":"UNINSTALL","appId":"a","timestamp":"2024-07-29T15:51:28.071Z"}"#, true),
        (r#"{"type":"UNINSTALL","appId":"a","webhookId":"w"}"#, true),
        // The id and the time of a contact are those of all its events.
        (r#"{"type":"ContactTagUpdate","messageId":"m","dateAdded":"2024-07-29T15:51:28.071Z"}"#, false),
        (r#"{"type":"OutboundMessage","messageId":"m"}"#, true),
        (r#"{"type":"InboundMessage","emailMessageId":"m"}"#, true),
        (r#"{"type":"InboundMessage","dateAdded":"2024-07-29T15:51:28.071Z"}"#, true),
        (r#"{"type":"InboundMessage","messageId":"","dateAdded":7,"body":"yes"}"#, false),
        (r#"{"type":"SMS","messageId":"m"}"#, true),
        (r#"{"type":"SMS","messageId":"","message":"yes"}"#, false),
    ];
    for (body, is_unique) in rows {
        let receiver = any_app();
        let first = receive(&receiver, body).expect(body);
        assert_eq!(first.id().is_unique(), is_unique, "{body}");
        // Two deliveries at the same time are not handled in any case.
        rejected(receive(&receiver, body), WebhookErrorKind::InProgress, IN_PROGRESS);
        commit(first);
        if is_unique {
            rejected(receive(&receiver, body), WebhookErrorKind::Duplicate, DUPLICATE);
        } else {
            let second = receive(&receiver, body).expect(body);
            rejected(receive(&receiver, body), WebhookErrorKind::InProgress, IN_PROGRESS);
            drop(second);
            drop(receive(&receiver, body).expect(body));
        }
    }
}

/// A deduplicator of which one method fails, by a panic or by an error.
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

/// The errors of a deduplicator, and its panics, lose no event: HighLevel is asked to redeliver it.
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
                "the event was handled, but the commit failed: respond with 429, and HighLevel redelivers it";
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
        "the location of the event could not be checked: respond with 429, and HighLevel redelivers it";
    check("locations_where", &error, WebhookErrorKind::Unavailable, text);
    assert_eq!(
        error.source().expect("a cause").to_string(),
        "`locations_where` panicked: the cache is not ready"
    );
    commit(receive(&receiver, event(1)).expect("redelivered"));
}

fn begin(deduplicator: &impl Deduplicator, id: &EventId, now: SystemTime) -> Result<Claim, String> {
    ready(deduplicator.begin(id, now)).map_err(|error| error.to_string())
}

/// Returns ids of events.
fn ids(count: usize) -> Vec<EventId> {
    let receiver =
        Receiver::builder().any_app().key(public_key("test", &signing_key(1))).without_deduplication();
    let receiver = receiver.build();
    (0..count).map(|id| receive(&receiver, event(id)).expect("an event").id().clone()).collect()
}

fn handle(deduplicator: &impl Deduplicator, id: &EventId, now: SystemTime) -> Result<(), String> {
    match begin(deduplicator, id, now)? {
        Claim::Granted(token) => {
            let result = ready(deduplicator.commit(id, token)).expect("a result");
            assert_eq!(result, CommitResult::Committed);
            Ok(())
        }
        other => Err(format!("{other:?}")),
    }
}

/// One more event than the capacity, all of them inside the window.
#[test]
fn a_full_deduplicator_rejects_new_events_inside_the_window() {
    let receiver = with(InMemoryDeduplicator::new().capacity(100));
    for id in 0..100 {
        commit(receive(&receiver, event(id)).expect("there is room"));
    }
    let error = receive(&receiver, event(100)).expect_err("full");
    check("full", &error, WebhookErrorKind::Unavailable, UNAVAILABLE);
    assert_eq!(
        error.source().expect("a cause").to_string(),
        "the deduplicator is full: 100 events are in progress (0) or younger than 7500 s; raise `.capacity(..)`, or \
         choose `.on_full(OnFull::EvictOldest)`"
    );
    for id in 0..100 {
        rejected(receive(&receiver, event(id)), WebhookErrorKind::Duplicate, DUPLICATE);
    }
}

#[test]
fn events_that_left_the_window_make_room() {
    let deduplicator = InMemoryDeduplicator::new().capacity(3);
    let (window, moment) = (Duration::from_secs(7500), Duration::from_millis(1));
    deduplicator.retain_at_least(window);
    deduplicator.retain_at_least(Duration::from_secs(60));
    let ids = ids(6);
    for (id, seconds) in ids.iter().zip([0, 10, 20]) {
        handle(&deduplicator, id, time() + Duration::from_secs(seconds)).expect("there is room");
    }
    handle(&deduplicator, &ids[3], time() + window).expect_err("the oldest is still inside the window");
    // As long as no other event needs the room, an older one is recognized as well.
    assert_eq!(begin(&deduplicator, &ids[0], time() + 2 * window), Ok(Claim::Handled));
    let deduplicator = Arc::new(InMemoryDeduplicator::new().capacity(3).retention(window));
    for (id, seconds) in ids.iter().zip([0, 10, 20]) {
        handle(&deduplicator, id, time() + Duration::from_secs(seconds)).expect("there is room");
    }
    handle(&deduplicator, &ids[3], time() + window).expect_err("the oldest is still inside the window");
    handle(&deduplicator, &ids[3], time() + window + moment).expect("the oldest has left the window");
    handle(&deduplicator, &ids[4], time() + window + moment)
        .expect_err("the second is still inside the window");
    for (id, expected) in
        ids.iter().zip([None, Some(Claim::Handled), Some(Claim::Handled), Some(Claim::Handled)])
    {
        if let Some(expected) = expected {
            assert_eq!(begin(&deduplicator, id, time() + window + moment), Ok(expected), "{id}");
        }
    }
    handle(&deduplicator, &ids[0], time() + window + moment)
        .expect_err("it was evicted, and there is no room");
}

#[test]
fn eviction_inside_the_window_is_a_choice_and_is_logged() {
    let log = Captured::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    let subscriber = tracing::Dispatch::new(subscriber);
    // With a single subscriber in the process, the thread of another test could disable a call site for this one.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let _guard = tracing::dispatcher::set_default(&subscriber);

    let deduplicator = InMemoryDeduplicator::new().capacity(2).on_full(OnFull::EvictOldest);
    deduplicator.retain_at_least(Duration::from_secs(7500));
    let ids = ids(2_003);
    let in_progress = begin(&deduplicator, &ids[0], time()).expect("there is room");
    assert!(matches!(in_progress, Claim::Granted(_)));
    for id in &ids[1..] {
        handle(&deduplicator, id, time()).expect("the oldest is evicted");
    }
    assert_eq!(begin(&deduplicator, &ids[0], time()), Ok(Claim::InProgress), "it is never evicted");
    assert_eq!(begin(&deduplicator, &ids[2_002], time()), Ok(Claim::Handled));
    handle(&deduplicator, &ids[1], time()).expect("it was evicted, and is handled a second time");
    let logged = log.take();
    let warnings: Vec<&str> = logged.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 3, "of 2002 evictions, the first and every 1,000th are logged: {logged}");
    assert!(warnings[0].contains("evicted=1") && warnings[0].contains("raise `.capacity(..)`"), "{logged}");

    // Full of events in progress, there is nothing to evict.
    let deduplicator = InMemoryDeduplicator::new().capacity(0).on_full(OnFull::EvictOldest);
    assert!(matches!(begin(&deduplicator, &ids[0], time()), Ok(Claim::Granted(_))), "at least one");
    let error = begin(&deduplicator, &ids[1], time()).expect_err("full");
    assert!(error.contains("1 events are in progress (1)"), "{error}");
}

/// A clock that jumps ahead and back neither empties the deduplicator nor fills it for ever.
#[test]
fn a_jumping_clock_neither_empties_nor_blocks_it() {
    let (day, year) = (Duration::from_secs(24 * 3600), Duration::from_secs(365 * 24 * 3600));
    let ids = ids(1_000);
    let deduplicator = InMemoryDeduplicator::new().capacity(600);
    deduplicator.retain_at_least(Duration::from_secs(7500));
    for id in &ids[..500] {
        handle(&deduplicator, id, time()).expect("there is room");
    }
    // Ten events arrive while the clock is a year ahead: they evict twenty, and not all.
    for id in &ids[500..510] {
        handle(&deduplicator, id, time() + year).expect("there is room");
    }
    for id in &ids[20..510] {
        assert_eq!(begin(&deduplicator, id, time()), Ok(Claim::Handled), "{id}");
    }
    // Back at the right time, those of the future leave the window with all others.
    for (number, id) in ids[510..1_000].iter().enumerate() {
        let now = time() + day * u32::try_from(number).expect("small");
        handle(&deduplicator, id, now).expect("those before have left the window");
    }

    // Readings that are out of order, as from threads that wait for the lock, do not age anything.
    let deduplicator = InMemoryDeduplicator::new().capacity(1);
    deduplicator.retain_at_least(Duration::from_secs(60));
    handle(&deduplicator, &ids[0], time()).expect("there is room");
    for _ in 0..1_000 {
        for offset in [0, 50] {
            let now = time() + Duration::from_secs(offset);
            handle(&deduplicator, &ids[1], now).expect_err("the first is inside the window");
        }
    }
}

#[test]
fn tokens_of_earlier_claims_change_nothing() {
    let deduplicator = InMemoryDeduplicator::new();
    let id = &ids(1)[0];
    let granted = || match begin(&deduplicator, id, time()) {
        Ok(Claim::Granted(token)) => token,
        other => panic!("{other:?}"),
    };
    let result = |token| ready(deduplicator.commit(id, token)).expect("a result");
    let stale = granted();
    ready(deduplicator.abort(id, stale)).expect("aborted");
    let current = granted();
    assert_ne!(stale, current);
    ready(deduplicator.abort(id, stale)).expect("nothing to abort");
    assert_eq!(result(stale), CommitResult::ClaimLost);
    assert_eq!(begin(&deduplicator, id, time()), Ok(Claim::InProgress));
    assert_eq!(result(current), CommitResult::Committed);
    assert_eq!(result(current), CommitResult::Committed);
    assert_eq!(result(stale), CommitResult::ClaimLost);
    ready(deduplicator.abort(id, current)).expect("nothing to abort");
    assert_eq!(begin(&deduplicator, id, time()), Ok(Claim::Handled));
}

#[test]
fn without_deduplication_each_delivery_is_accepted() {
    let receiver = Receiver::builder()
        .any_app()
        .key(public_key("test", &signing_key(1)))
        .without_deduplication()
        .build();
    let first = receive(&receiver, event(1)).expect("first");
    let second = receive(&receiver, event(1)).expect("second");
    let id = first.id().clone();
    commit(first);
    let third = receive(&receiver, event(1)).expect("third");
    assert!(id == *second.id() && id == *third.id());
}

#[test]
fn of_64_concurrent_deliveries_one_is_handled() {
    let receiver = any_app();
    let barrier = std::sync::Barrier::new(64);
    let handled = AtomicUsize::new(0);
    let rejected: Vec<WebhookErrorKind> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..64)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let result = receive(&receiver, event(1));
                    result.map_err(|error| error.kind()).map_or_else(Some, |received| {
                        handled.fetch_add(1, Ordering::SeqCst);
                        commit(received);
                        None
                    })
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(handled.into_inner(), 1);
    assert_eq!(rejected.len(), 63);
    let both = [WebhookErrorKind::Duplicate, WebhookErrorKind::InProgress];
    assert!(rejected.iter().all(|kind| both.contains(kind)), "{rejected:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_events_from_64_tasks_are_handled_once_each() {
    let receiver = any_app();
    let (sender, mut handled) = tokio::sync::mpsc::unbounded_channel();
    for task in 0..64 {
        let (receiver, sender) = (receiver.clone(), sender.clone());
        tokio::spawn(async move {
            // Each event comes from two tasks.
            for id in (0..10_000).filter(|id| id % 64 == task || (id + 1) % 64 == task) {
                if let Ok(received) = receive(&receiver, event(id)) {
                    tokio::task::yield_now().await;
                    sender.send(id).expect("the test counts");
                    received.commit().await.expect("committed");
                }
            }
        });
    }
    drop(sender);
    let mut counts = BTreeMap::new();
    while let Some(id) = handled.recv().await {
        *counts.entry(id).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 10_000);
    assert!(counts.values().all(|count| *count == 1));
}
