//! Each event once: what is handled, what is being handled, and what is forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use highlevel::webhook::{
    Claimed, Deduplicate, Event, EventId, InMemory, Receiver, Verified, WebhookError, WebhookErrorKind,
};

use super::{any_app, check, public_key, receive, signing_key, time};

const DUPLICATE: &str = "the event has been handled: it was delivered again, and there is nothing to do";
const IN_PROGRESS: &str = "the event is being handled, from an earlier delivery: answer 429, and it comes again in case \
                           that one fails";
const UNAVAILABLE: &str = "the event cannot be taken now, because the memory of events is full or cannot be reached: \
                           answer 429, and it comes again";

fn with(store: impl Deduplicate + 'static) -> Receiver {
    Receiver::builder().any_app().key(public_key("test", &signing_key(1))).deduplicate(store).build()
}

fn event(id: usize) -> String {
    format!(r#"{{"type":"X","webhookId":"{id}"}}"#)
}

fn refused(result: Result<Verified<Event>, WebhookError>, kind: WebhookErrorKind, text: &str) {
    check(text, &result.expect_err(text), kind, text);
}

#[test]
fn an_event_is_handled_once() {
    let receiver = any_app();
    let first = receive(&receiver, event(1)).expect("first");
    refused(receive(&receiver, event(1)), WebhookErrorKind::InProgress, IN_PROGRESS);
    refused(receive(&receiver.clone(), event(1)), WebhookErrorKind::InProgress, IN_PROGRESS);
    drop(receive(&receiver, event(2)).expect("another"));

    // A clone holds on to it, and the last that goes gives it up.
    let clone = first.clone();
    drop(first);
    refused(receive(&receiver, event(1)), WebhookErrorKind::InProgress, IN_PROGRESS);
    drop(clone);
    let again = receive(&receiver, event(1)).expect("the first one failed");

    again.commit();
    again.commit();
    refused(receive(&receiver, event(1)), WebhookErrorKind::Duplicate, DUPLICATE);
    drop(again);
    refused(receive(&receiver, event(1)), WebhookErrorKind::Duplicate, DUPLICATE);
    drop(receive(&receiver, event(2)).expect("another, which nobody committed"));
}

#[test]
fn a_panic_gives_it_up() {
    let receiver = any_app();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _verified = receive(&receiver, event(1)).expect("first");
        std::panic::resume_unwind(Box::new("the handler panics"));
    }));
    assert!(result.is_err());
    drop(receive(&receiver, event(1)).expect("it is delivered again"));
}

/// What is refused for another reason claims nothing.
#[test]
fn what_is_refused_is_not_claimed() {
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

/// The ids, written down and not computed. SHA-256 by `printf … | sha256sum`.
#[test]
fn ids() {
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
        // An empty id is none: two messages without one are told apart by their bodies.
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
fn what_differs_is_another_event() {
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
        receive(&receiver, body).expect(body).commit();
    }
    for body in bodies {
        refused(receive(&receiver, body), WebhookErrorKind::Duplicate, DUPLICATE);
    }
    // The same message to deliver, spelt otherwise; the same event with another time of delivery.
    for body in [r#"{"type":"SMS", "messageId":"m"}"#, r#"{"type":"X","webhookId":"w","appId":"a","n":1}"#] {
        refused(receive(&receiver, body), WebhookErrorKind::Duplicate, DUPLICATE);
    }
}

/// An event that carries nothing of its own is the same to the byte when it happens again: each one is handled.
#[test]
fn what_happens_again_is_handled_again() {
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
        // Twice at once it is not handled in any case.
        refused(receive(&receiver, body), WebhookErrorKind::InProgress, IN_PROGRESS);
        first.commit();
        if is_unique {
            refused(receive(&receiver, body), WebhookErrorKind::Duplicate, DUPLICATE);
        } else {
            let second = receive(&receiver, body).expect(body);
            // The first one has nothing to say about the second.
            first.commit();
            drop(first);
            refused(receive(&receiver, body), WebhookErrorKind::InProgress, IN_PROGRESS);
            drop(second);
            drop(receive(&receiver, body).expect(body));
        }
    }
}

/// A memory that panics while a handler's panic goes up does not end the process.
#[test]
fn a_memory_that_panics_twice() {
    let receiver = with(Panics("abort"));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _verified = receive(&receiver, event(1)).expect("first");
        std::panic::resume_unwind(Box::new("the handler panics"));
    }));
    assert_eq!(result.expect_err("it panics").downcast_ref(), Some(&"the handler panics"));
    drop(receive(&receiver, event(1)).expect("dropped without a panic"));
}

/// A memory of which one function panics.
#[derive(Debug)]
pub(super) struct Panics(pub(super) &'static str);

impl Panics {
    fn at(&self, name: &str) {
        if self.0 == name {
            std::panic::resume_unwind(Box::new("the memory panics"));
        }
    }
}

impl Deduplicate for Panics {
    fn begin(&self, _: &EventId, _: std::time::SystemTime) -> Claimed {
        self.at("begin");
        Claimed::First
    }

    fn commit(&self, _: &EventId) {
        self.at("commit");
    }

    fn abort(&self, _: &EventId) {
        self.at("abort");
    }
}

#[test]
fn the_memory_is_bounded_and_forgets() {
    let store = Arc::new(InMemory::new().capacity(2).retention(Duration::from_secs(60)));
    let receiver = with(Shared(Arc::clone(&store)));
    let held = receive(&receiver, event(1)).expect("first");
    let other = receive(&receiver, event(2)).expect("second");
    refused(receive(&receiver, event(3)), WebhookErrorKind::Unavailable, UNAVAILABLE);
    other.commit();
    // What is done makes room, what is being handled does not.
    receive(&receiver, event(3)).expect("in the place of 2").commit();
    receive(&receiver, event(2)).expect("forgotten").commit();
    refused(receive(&receiver, event(1)), WebhookErrorKind::InProgress, IN_PROGRESS);

    let id = held.id().clone();
    held.commit();
    let minute = Duration::from_secs(60);
    assert_eq!(store.begin(&id, time() + minute), Claimed::Done);
    assert_eq!(store.begin(&id, time() + minute + Duration::from_millis(1)), Claimed::First);
    // A clock that is set back forgets nothing.
    assert_eq!(store.begin(&id, time() - 100 * minute), Claimed::InProgress);
    // What is being handled is not forgotten either, however long it takes.
    assert_eq!(store.begin(&id, time() + 100_000 * minute), Claimed::InProgress);
    // Nothing happens to what is not claimed, and nothing undoes what is done.
    store.commit(&id);
    store.abort(&id);
    assert_eq!(store.begin(&id, time()), Claimed::Done);
    let none = with(InMemory::default().capacity(0));
    refused(receive(&none, event(1)), WebhookErrorKind::Unavailable, UNAVAILABLE);
}

#[derive(Debug)]
struct Shared(Arc<InMemory>);

impl Deduplicate for Shared {
    fn begin(&self, id: &EventId, now: std::time::SystemTime) -> Claimed {
        self.0.begin(id, now)
    }

    fn commit(&self, id: &EventId) {
        self.0.commit(id);
    }

    fn abort(&self, id: &EventId) {
        self.0.abort(id);
    }
}

#[test]
fn deduplicated_elsewhere() {
    let receiver = Receiver::builder()
        .any_app()
        .key(public_key("test", &signing_key(1)))
        .deduplicate_elsewhere()
        .build();
    let first = receive(&receiver, event(1)).expect("first");
    let second = receive(&receiver, event(1)).expect("second");
    first.commit();
    let third = receive(&receiver, event(1)).expect("third");
    assert!(first.id() == second.id() && second.id() == third.id());
}

#[test]
fn one_of_64_at_once() {
    let receiver = any_app();
    let barrier = std::sync::Barrier::new(64);
    let handled = AtomicUsize::new(0);
    let refused: Vec<WebhookErrorKind> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..64)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let result = receive(&receiver, event(1));
                    if let Ok(verified) = &result {
                        handled.fetch_add(1, Ordering::SeqCst);
                        verified.commit();
                    }
                    result.err().map(|error| error.kind())
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(handled.into_inner(), 1);
    assert_eq!(refused.len(), 63);
    let both = [WebhookErrorKind::Duplicate, WebhookErrorKind::InProgress];
    assert!(refused.iter().all(|kind| both.contains(kind)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_events_from_64_tasks() {
    let receiver = any_app();
    let (sender, mut handled) = tokio::sync::mpsc::unbounded_channel();
    for task in 0..64 {
        let (receiver, sender) = (receiver.clone(), sender.clone());
        tokio::spawn(async move {
            // Each event comes from two tasks.
            for id in (0..10_000).filter(|id| id % 64 == task || (id + 1) % 64 == task) {
                if let Ok(verified) = receive(&receiver, event(id)) {
                    tokio::task::yield_now().await;
                    sender.send(id).expect("somebody counts");
                    verified.commit();
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
