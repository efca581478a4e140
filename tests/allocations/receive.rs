//! Receiving events.

use std::time::SystemTime;

use highlevel::webhook::Receiver;
use highlevel::webhook::testing::{EventBuilder, SigningKey};

use crate::{REPETITIONS, WARM_UP, count};

/// The allocations of one event of a new id.
const BOUND: usize = 28;

/// Returns a name, a bound and the allocations of an event.
pub(crate) async fn all() -> [(&'static str, usize, usize); 1] {
    let key = SigningKey::from_seed([7; 32]);
    let receiver = Receiver::builder().app_id("my-app").key(key.public_key("test")).build();
    let now = SystemTime::now();
    // Each event is a different one, so that none is a duplicate.
    let mut events: Vec<_> = (0..WARM_UP + REPETITIONS)
        .map(|number| {
            let event = EventBuilder::inbound_sms(&format!("We are on our way {number:03}"));
            let body = event.app_id("my-app").at(now).body();
            (key.headers(&body), body)
        })
        .collect();
    let receive = || {
        let (headers, body) = events.pop().expect("another event");
        let receiver = &receiver;
        async move {
            let event = receiver.receive(&headers, body, now).await.expect("an event");
            event.commit().await.expect("the claim");
        }
    };
    [("an event", BOUND, count(receive).await)]
}
