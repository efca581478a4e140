//! Receiving events.

use std::future::ready;
use std::time::SystemTime;

use bytes::Bytes;
use highlevel::webhook::testing::{EventBuilder, SigningKey};
use highlevel::webhook::{Receiver, WebhookErrorKind};
use reqwest::header::HeaderMap;

use crate::{REPETITIONS, WARM_UP, count};

/// The allocations of one event of a new id.
const BOUND: usize = 28;
const BOUND_OF_EMAIL: usize = 39;
const BOUND_WITHOUT_DEDUPLICATION: usize = 24;
const BOUND_OF_DUPLICATE: usize = 27;
const BOUND_OF_WRONG_SIGNATURE: usize = 19;

/// Returns a name, a bound and the allocations of an event.
pub(crate) async fn all() -> [(&'static str, usize, usize); 5] {
    let key = SigningKey::from_seed([7; 32]);
    let receiver = Receiver::builder().app_id("my-app").key(key.public_key("test")).build();
    let now = SystemTime::now();
    // Each event is a different one, so that none is a duplicate.
    let events = |event: fn(String) -> EventBuilder| {
        let event = |number: usize| {
            let body = event(format!("We are on our way {number:03}")).app_id("my-app").at(now).body();
            (key.headers(&body), body)
        };
        (0..WARM_UP + REPETITIONS).map(event).collect::<Vec<_>>()
    };
    let (sms, email) = (
        |text: String| EventBuilder::inbound_sms(&text),
        |text: String| {
            EventBuilder::outbound_email("Order confirmed", &format!("<p>{}</p>\n", text.repeat(400)))
        },
    );
    [
        ("an event", BOUND, received(&receiver, events(sms), now).await),
        ("an email of 8 KiB", BOUND_OF_EMAIL, received(&receiver, events(email), now).await),
        ("an event without deduplication", BOUND_WITHOUT_DEDUPLICATION, {
            let mut events = events(sms);
            count(|| {
                let (headers, body) = events.pop().expect("another event");
                drop(receiver.verify(&headers, body, now).expect("an event"));
                ready(())
            })
            .await
        }),
        ("a duplicate", BOUND_OF_DUPLICATE, {
            let (headers, body) = events(sms).pop().expect("an event");
            receiver
                .receive(&headers, body.clone(), now)
                .await
                .expect("an event")
                .commit()
                .await
                .expect("handled");
            rejected(&receiver, &headers, &body, now, WebhookErrorKind::Duplicate).await
        }),
        ("a wrong signature", BOUND_OF_WRONG_SIGNATURE, {
            let (headers, _) = events(sms).pop().expect("an event");
            let (_, body) = events(email).pop().expect("an event");
            rejected(&receiver, &headers, &body, now, WebhookErrorKind::SignatureInvalid).await
        }),
    ]
}

async fn received(receiver: &Receiver, mut events: Vec<(HeaderMap, Bytes)>, now: SystemTime) -> usize {
    count(|| {
        let (headers, body) = events.pop().expect("another event");
        async move {
            let event = receiver.receive(&headers, body, now).await.expect("an event");
            event.commit().await.expect("the claim");
        }
    })
    .await
}

async fn rejected(
    receiver: &Receiver,
    headers: &HeaderMap,
    body: &Bytes,
    now: SystemTime,
    kind: WebhookErrorKind,
) -> usize {
    count(|| async {
        let error = receiver.receive(headers, body.clone(), now).await.expect_err("no event");
        assert_eq!(error.kind(), kind);
    })
    .await
}
