//! Tests of eviction and of scheduled attempts.

use std::time::Duration;

use super::*;
use crate::webhook::record::DeliveryOutcome;

fn event(bytes: usize) -> OutgoingEvent {
    OutgoingEvent {
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
        outcome: DeliveryOutcome::Responded { status, headers: vec![], body: vec![] },
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
fn attempts_beyond_the_calendar_are_never_due() {
    let mut store = DeliveryStore::new();
    let id = store.add(event(1), DateTime::<Utc>::MAX_UTC);
    attempt(&mut store, id, AttemptCause::Scheduled, 500);
    assert!(store.take_due(at(253_402_300_799)).is_empty(), "it is due in the year 9999");
    assert_eq!(store.waiting(), 1);
}

#[test]
fn waits_count_from_the_due_time_of_the_attempt_before() {
    let mut store = DeliveryStore::new();
    let id = store.add(event(1), at(0));
    let first = attempt(&mut store, id, AttemptCause::Scheduled, 500);
    assert_eq!(first.next_attempt_at.as_deref(), Some("1970-01-01T00:00:10.000Z"));
    assert_eq!(store.next_due(), Some(at(10)));
    assert!(store.take_due(at(9)).is_empty());
    // A failed resend does not affect the schedule.
    attempt(&mut store, id, AttemptCause::Resend, 500);
    assert_eq!(store.next_due(), Some(at(10)));

    assert_eq!(store.take_due(at(1000)), [id]);
    attempt(&mut store, id, AttemptCause::Scheduled, 500);
    assert_eq!(store.next_due(), Some(at(20)), "due ten seconds after it was due before");
    store.take_due(at(1000));
    attempt(&mut store, id, AttemptCause::Scheduled, 500);
    assert_eq!(store.delivery(id).unwrap().state, DeliveryState::GivenUp);
    assert_eq!(store.next_due(), None);
    // A successful resend completes the delivery as delivered.
    attempt(&mut store, id, AttemptCause::Resend, 200);
    let delivery = store.delivery(id).unwrap();
    assert_eq!(delivery.state, DeliveryState::Delivered);
    let numbers: Vec<u32> = delivery.attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}

#[test]
fn a_successful_resend_ends_the_schedule() {
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
    // It was delivered in the meantime.
    assert_eq!(store.begin(id, AttemptCause::Scheduled), None);
    assert_eq!(counts(&store), (2, 0, Some(2)));
}

#[test]
fn stored_deliveries_are_bounded() {
    let mut store = DeliveryStore::within(Bounds { ended: 3, pending: 2, bytes: 100_000 });
    for _ in 0..5 {
        let id = store.add(event(1), at(0));
        attempt(&mut store, id, AttemptCause::Scheduled, 200);
    }
    assert_eq!(ids(&store), [3, 4, 5]);
    // Pending deliveries evict each other, not completed ones.
    for _ in 0..3 {
        store.add(event(1), at(0));
    }
    assert_eq!(ids(&store), [3, 4, 5, 7, 8]);
    // A delivery that completes evicts the oldest completed one.
    attempt(&mut store, 7, AttemptCause::Scheduled, 200);
    assert_eq!(ids(&store), [4, 5, 7, 8]);
    store.add(event(1), at(0));
    assert_eq!(ids(&store), [4, 5, 7, 8, 9]);
    // A large delivery evicts completed deliveries first, then pending ones, and never itself.
    store.bounds.pending = 3;
    store.add(event(98_000), at(0));
    assert_eq!(ids(&store), [8, 9, 10]);
    store.add(event(99_000), at(0));
    assert_eq!(ids(&store), [11]);
    store.add(event(200_000), at(0));
    assert_eq!(ids(&store), [12]);
    // The same holds after it completed.
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
