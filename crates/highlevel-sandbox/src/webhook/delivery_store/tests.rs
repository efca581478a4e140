//! What is remembered, and when it is tried again.

use std::time::Duration;

use super::*;
use crate::webhook::record::DeliveryOutcome;

fn event(bytes: usize) -> Event {
    Event {
        name: "OutboundMessage".to_owned(),
        webhook_id: String::new(),
        message_id: None,
        url: String::new(),
        body: vec![b'a'; bytes].into(),
    }
}

fn answered(
    store: &DeliveryStore,
    id: u64,
    cause: AttemptCause,
    number: u32,
    status: u16,
) -> DeliveryAttempt {
    let event = store.event(id).unwrap();
    DeliveryAttempt {
        delivery_id: id,
        number,
        cause,
        tamper_mode: None,
        webhook_id: String::new(),
        event: event.name.clone(),
        message_id: None,
        url: String::new(),
        started_at: String::new(),
        latency: Duration::ZERO,
        key_id: None,
        headers: vec![],
        body: Arc::clone(&event.body),
        outcome: DeliveryOutcome::Answered { status, headers: vec![], body: vec![] },
        next_attempt_at: None,
    }
}

fn attempt(store: &mut DeliveryStore, id: u64, cause: AttemptCause, status: u16) -> Arc<DeliveryAttempt> {
    let number = store.begin(id, cause).unwrap();
    let attempt = answered(store, id, cause, number, status);
    let schedule = RetrySchedule::Custom(vec![Duration::from_secs(10); 2]);
    store.file(attempt, &schedule).0
}

fn ids(store: &DeliveryStore) -> Vec<u64> {
    store.deliveries().map(|delivery| delivery.id).collect()
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

#[test]
fn what_is_due_after_the_end_of_time_is_never_due() {
    let mut store = DeliveryStore::new();
    let id = store.add(event(1), DateTime::<Utc>::MAX_UTC);
    attempt(&mut store, id, AttemptCause::Scheduled, 500);
    assert!(store.take_due(at(253_402_300_799)).is_empty(), "it is due in the year 9999");
    assert_eq!(store.waiting(), 1);
}

#[test]
fn the_schedule_goes_by_what_was_due() {
    let mut store = DeliveryStore::new();
    let id = store.add(event(1), at(0));
    let first = attempt(&mut store, id, AttemptCause::Scheduled, 500);
    assert_eq!(first.next_attempt_at.as_deref(), Some("1970-01-01T00:00:10.000Z"));
    assert_eq!(store.next_due(), Some(at(10)));
    assert!(store.take_due(at(9)).is_empty());
    // A resend that fails changes nothing.
    attempt(&mut store, id, AttemptCause::Resend, 500);
    assert_eq!(store.next_due(), Some(at(10)));

    assert_eq!(store.take_due(at(1000)), [id]);
    attempt(&mut store, id, AttemptCause::Scheduled, 500);
    assert_eq!(store.next_due(), Some(at(20)), "due ten seconds after it was due before");
    store.take_due(at(1000));
    attempt(&mut store, id, AttemptCause::Scheduled, 500);
    assert_eq!(store.delivery(id).unwrap().state, DeliveryState::GivenUp);
    assert_eq!(store.next_due(), None);
    // A resend that is taken ends it well.
    attempt(&mut store, id, AttemptCause::Resend, 200);
    let delivery = store.delivery(id).unwrap();
    assert_eq!(delivery.state, DeliveryState::Delivered);
    let numbers: Vec<u32> = delivery.attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}

#[test]
fn a_resend_that_is_taken_ends_the_schedule() {
    let mut store = DeliveryStore::new();
    let id = store.add(event(1), at(0));
    attempt(&mut store, id, AttemptCause::Scheduled, 500);
    attempt(&mut store, id, AttemptCause::Resend, 200);
    assert_eq!(store.next_due(), None);
    assert_eq!(store.begin(id, AttemptCause::Scheduled), None);
}

#[test]
fn a_summary_counts_attempts() {
    let mut store = DeliveryStore::new();
    let id = store.add(event(1), at(0));
    let counts = |store: &DeliveryStore| {
        let summary = store.summary(id).unwrap();
        (summary.ended, summary.open, summary.last.map(|attempt| attempt.number))
    };
    assert_eq!(counts(&store), (0, 1, None));
    attempt(&mut store, id, AttemptCause::Scheduled, 500);
    assert_eq!(counts(&store), (1, 0, Some(1)));
    store.take_due(at(10));
    store.expect(id);
    assert_eq!(counts(&store), (1, 2, Some(1)));
    attempt(&mut store, id, AttemptCause::Resend, 200);
    assert_eq!(counts(&store), (2, 1, Some(2)));
    // It was taken in the meantime.
    assert_eq!(store.begin(id, AttemptCause::Scheduled), None);
    assert_eq!(counts(&store), (2, 0, Some(2)));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut store = DeliveryStore::within(Bounds { ended: 3, pending: 2, bytes: 100_000 });
    for _ in 0..5 {
        let id = store.add(event(1), at(0));
        attempt(&mut store, id, AttemptCause::Scheduled, 200);
    }
    assert_eq!(ids(&store), [3, 4, 5]);
    // Those on their way do not displace those that ended, but each other.
    for _ in 0..3 {
        store.add(event(1), at(0));
    }
    assert_eq!(ids(&store), [3, 4, 5, 7, 8]);
    // One that ends is no longer on its way, and displaces the one that ended first.
    attempt(&mut store, 7, AttemptCause::Scheduled, 200);
    assert_eq!(ids(&store), [4, 5, 7, 8]);
    store.add(event(1), at(0));
    assert_eq!(ids(&store), [4, 5, 7, 8, 9]);
    // What is large displaces those that ended first, then those on their way, and never itself.
    store.bounds.pending = 3;
    store.add(event(98_000), at(0));
    assert_eq!(ids(&store), [8, 9, 10]);
    store.add(event(99_000), at(0));
    assert_eq!(ids(&store), [11]);
    store.add(event(200_000), at(0));
    assert_eq!(ids(&store), [12]);
    // Also when it has ended.
    attempt(&mut store, 12, AttemptCause::Scheduled, 200);
    attempt(&mut store, 12, AttemptCause::Resend, 200);
    assert_eq!(ids(&store), [12]);
    store.add(event(1), at(0));
    assert_eq!(ids(&store), [13]);
    store.clear();
    assert_eq!((store.bytes, store.pending.len(), store.ended.len(), store.records.len()), (0, 0, 0, 0));
}

#[test]
fn the_attempts_of_one_delivery_are_bounded() {
    let mut store = DeliveryStore::new();
    let id = store.add(event(1), at(0));
    let empty = store.bytes;
    for _ in 0..200 {
        attempt(&mut store, id, AttemptCause::Resend, 500);
    }
    let delivery = store.delivery(id).unwrap();
    assert_eq!(delivery.attempts.len(), ATTEMPTS_KEPT);
    assert_eq!(delivery.last().unwrap().number, 200);
    let size: usize = delivery.attempts.iter().map(|attempt| attempt.weight()).sum();
    assert_eq!(store.bytes, empty + size);
}
