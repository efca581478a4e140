//! Memory of clients, limits, events and keys.

use std::time::{Duration, SystemTime};

use highlevel::auth::App;
use highlevel::auth::store::MemoryStore;
use highlevel::limit::RateLimitHeaders;
use highlevel::webhook::testing::{EventBuilder, SigningKey};
use highlevel::webhook::{Claim, CommitResult, Deduplicator, EventId, InMemoryDeduplicator, Receiver};
use highlevel::{Client, LocalRateLimiter, RateLimiter};
use stats_alloc::Region;

use crate::ALLOCATOR;

const CLIENTS: usize = 10_000;
/// All clients of a process together.
const CLIENTS_BOUND: usize = 100_000_000;
const LOCATIONS: usize = 1_000;
/// The documented size of a busy location.
const LOCATION_BOUND: usize = 1024;
/// The default capacity.
const EVENTS: usize = 500_000;
/// The documented size of an event is about 100 bytes.
const EVENT_BOUND: usize = 110;
/// The documented size of a key is 41 KB. A receiver without a deduplicator is counted as well.
const KEY_BOUND: usize = 42_500;

/// Returns a name, a bound and the bytes that are held.
pub(crate) async fn all() -> [(&'static str, usize, usize); 5] {
    let app = App::builder()
        .client_id("665c6bb13d4e5364bdec0e2f-lz1abcde")
        .client_secret("8d5e6c1a-1c5e-4f0e-9d2b-3f2b8c1e7a54")
        .store(MemoryStore::new())
        .build()
        .expect("an app");
    [
        (
            "10,000 clients",
            CLIENTS_BOUND,
            clients(|number| {
                let token = format!("pit-12345678-1234-1234-1234-{number:012}");
                Client::builder().token(token).location(location(number)).build().expect("a client")
            }),
        ),
        ("10,000 clients of an app", CLIENTS_BOUND, clients(|number| app.location(location(number)))),
        ("a busy location", LOCATION_BOUND, locations().await),
        ("an event that was handled", EVENT_BOUND, events().await),
        ("a key that has verified", KEY_BOUND, key()),
    ]
}

/// Returns the bytes that were allocated and not released since the region began.
fn held(region: &Region<'_, std::alloc::System>) -> usize {
    let change = region.change();
    change.bytes_allocated.saturating_sub(change.bytes_deallocated)
}

/// Returns an id with the length of those of HighLevel.
fn location(number: usize) -> String {
    format!("l1C08ntBrFjLS0e{number:05}")
}

fn clients(client: impl Fn(usize) -> Client) -> usize {
    let region = Region::new(ALLOCATOR);
    let clients: Vec<Client> = (0..CLIENTS).map(client).collect();
    let held = held(&region);
    assert_eq!(clients.len(), CLIENTS);
    held
}

/// Locations that have used up their limits.
async fn locations() -> usize {
    // The longest interval, so that none of the requests is forgotten during the measurement.
    let limiter = LocalRateLimiter::with_limits(100, Duration::from_secs(7 * 24 * 60 * 60), 200_000);
    let region = Region::new(ALLOCATOR);
    for number in 0..LOCATIONS {
        let name = location(number);
        for _ in 0..100 {
            let permit = limiter.acquire(&name, Duration::ZERO).await.expect("a permit");
            assert!(permit.begin());
            permit.observe(&RateLimitHeaders::default(), None);
        }
        assert!(limiter.acquire(&name, Duration::ZERO).await.is_err(), "the limit is used up");
    }
    assert_eq!(limiter.locations(), LOCATIONS);
    held(&region) / LOCATIONS
}

async fn events() -> usize {
    let region = Region::new(ALLOCATOR);
    let deduplicator = InMemoryDeduplicator::new();
    for number in 0..EVENTS {
        let id = EventId::from_text(&format!("[\"webhook\",\"3f2b8c1e-7a54-4f0e-9d2b-{number:012}\",null]"));
        let claim = deduplicator.begin(&id, SystemTime::UNIX_EPOCH).await.expect("a claim");
        let Claim::Granted(token) = claim else { panic!("{claim:?}") };
        let result = deduplicator.commit(&id, token).await.expect("a commit");
        assert_eq!(result, CommitResult::Committed);
    }
    let id = EventId::from_text("one more");
    assert!(deduplicator.begin(&id, SystemTime::UNIX_EPOCH).await.is_err(), "it is full");
    held(&region) / EVENTS
}

/// A second key, because the first one computes the multiples of the base point as well.
fn key() -> usize {
    let verify = |seed: u8| {
        let key = SigningKey::from_seed([seed; 32]);
        let receiver =
            Receiver::builder().any_app().without_deduplication().key(key.public_key("test")).build();
        let body = EventBuilder::inbound_sms("We are on our way").body();
        drop(receiver.verify(&key.headers(&body), body, SystemTime::now()).expect("genuine"));
        receiver
    };
    let first = verify(1);
    let region = Region::new(ALLOCATOR);
    let second = verify(2);
    let held = held(&region);
    drop((first, second));
    held
}
