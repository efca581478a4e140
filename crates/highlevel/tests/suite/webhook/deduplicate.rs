//! Each event is handled once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use highlevel::webhook::{Deduplicator, ReceivedEvent, Receiver, WebhookError, WebhookErrorKind};

use super::bodies::ready;
use super::{any_app, check, commit, public_key, receive, signing_key, time};

pub(super) const DUPLICATE: &str = "the event was handled before; respond with 200";
pub(super) const IN_PROGRESS: &str = "another delivery of the event is in progress; respond with 429, and HighLevel redelivers it in \
                           case that one fails";
pub(super) const UNAVAILABLE: &str =
    "the event could not be claimed; respond with 429, and HighLevel redelivers it";

pub(super) fn with(deduplicator: impl Deduplicator + 'static) -> Receiver {
    Receiver::builder().any_app().key(public_key("test", &signing_key(1))).deduplicator(deduplicator).build()
}

pub(super) fn event(id: usize) -> String {
    format!(r#"{{"type":"X","webhookId":"{id}"}}"#)
}

pub(super) fn rejected(result: Result<ReceivedEvent, WebhookError>, kind: WebhookErrorKind, text: &str) {
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
            // Two tasks deliver each event.
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
