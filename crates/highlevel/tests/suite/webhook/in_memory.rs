//! The deduplicator in memory: its capacity, its retention and its tokens.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use highlevel::webhook::{
    Claim, CommitResult, Deduplicator, EventId, InMemoryDeduplicator, OnFull, Receiver, WebhookErrorKind,
};

use super::bodies::ready;
use super::deduplicate::{DUPLICATE, UNAVAILABLE, event, rejected, with};
use super::{check, commit, public_key, receive, signing_key, time};
use crate::secrets::Captured;

/// A window of the receiver: 2 hours and 5 minutes.
const WINDOW: Duration = Duration::from_secs(7500);
const MOMENT: Duration = Duration::from_millis(1);

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
        commit(receive(&receiver, event(id)).expect("there is capacity"));
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

/// Handles three events, ten seconds apart.
fn handle_three(deduplicator: &impl Deduplicator, ids: &[EventId]) {
    for (id, seconds) in ids.iter().zip([0, 10, 20]) {
        handle(deduplicator, id, time() + Duration::from_secs(seconds)).expect("there is capacity");
    }
}

#[test]
fn events_are_retained_for_the_longest_required_window() {
    let deduplicator = InMemoryDeduplicator::new().capacity(3);
    deduplicator.retain_at_least(WINDOW);
    deduplicator.retain_at_least(Duration::from_secs(60));
    let ids = ids(4);
    handle_three(&deduplicator, &ids);
    handle(&deduplicator, &ids[3], time() + WINDOW).expect_err("the oldest is still inside the window");
    // An older event is recognized for as long as no other event needs its place.
    assert_eq!(begin(&deduplicator, &ids[0], time() + 2 * WINDOW), Ok(Claim::Handled));
}

#[test]
fn events_that_left_the_window_are_evicted_for_new_ones() {
    let deduplicator = InMemoryDeduplicator::new().capacity(3).retention(WINDOW);
    let ids = ids(5);
    handle_three(&deduplicator, &ids);
    handle(&deduplicator, &ids[3], time() + WINDOW).expect_err("the oldest is still inside the window");
    let now = time() + WINDOW + MOMENT;
    handle(&deduplicator, &ids[3], now).expect("the oldest has left the window");
    handle(&deduplicator, &ids[4], now).expect_err("the second is still inside the window");
    for id in &ids[1..4] {
        assert_eq!(begin(&deduplicator, id, now), Ok(Claim::Handled), "{id}");
    }
    handle(&deduplicator, &ids[0], now).expect_err("it was evicted, and the deduplicator is full");
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
    deduplicator.retain_at_least(WINDOW);
    let ids = ids(2_003);
    let in_progress = begin(&deduplicator, &ids[0], time()).expect("there is capacity");
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
}

#[test]
fn events_in_progress_are_never_evicted() {
    let ids = ids(2);
    let deduplicator = InMemoryDeduplicator::new().capacity(0).on_full(OnFull::EvictOldest);
    assert!(matches!(begin(&deduplicator, &ids[0], time()), Ok(Claim::Granted(_))), "at least one");
    let error = begin(&deduplicator, &ids[1], time()).expect_err("full");
    assert!(error.contains("1 events are in progress (1)"), "{error}");
}

/// A clock that jumps ahead and back neither empties the deduplicator nor fills it forever.
#[test]
fn a_clock_that_jumps_neither_empties_nor_blocks_the_deduplicator() {
    let (day, year) = (Duration::from_secs(24 * 3600), Duration::from_secs(365 * 24 * 3600));
    let ids = ids(1_000);
    let deduplicator = InMemoryDeduplicator::new().capacity(600);
    deduplicator.retain_at_least(WINDOW);
    for id in &ids[..500] {
        handle(&deduplicator, id, time()).expect("there is capacity");
    }
    // Ten events arrive while the clock is a year ahead: they evict twenty, and not all.
    for id in &ids[500..510] {
        handle(&deduplicator, id, time() + year).expect("there is capacity");
    }
    for id in &ids[20..510] {
        assert_eq!(begin(&deduplicator, id, time()), Ok(Claim::Handled), "{id}");
    }
    // At the right time, those of the future leave the window with all others.
    for (number, id) in ids[510..1_000].iter().enumerate() {
        let now = time() + day * u32::try_from(number).expect("small");
        handle(&deduplicator, id, now).expect("earlier events have left the window");
    }
}

/// Threads that wait for the lock pass readings of the clock out of order.
#[test]
fn out_of_order_clock_readings_do_not_age_events() {
    let ids = ids(2);
    let deduplicator = InMemoryDeduplicator::new().capacity(1);
    deduplicator.retain_at_least(Duration::from_secs(60));
    handle(&deduplicator, &ids[0], time()).expect("there is capacity");
    for _ in 0..1_000 {
        for offset in [0, 50] {
            let now = time() + Duration::from_secs(offset);
            handle(&deduplicator, &ids[1], now).expect_err("the first is inside the window");
        }
    }
}

#[test]
fn tokens_of_earlier_claims_have_no_effect() {
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
