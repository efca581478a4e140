//! A store and a token source with bugs: their panics are errors, and cost no tokens.

use std::future::Future;
use std::pin::Pin;

use highlevel::{Client, Delivery, ErrorKind, SecretString, TokenResult, TokenSource};

use super::mock::{MockHighLevel, SECOND, send};
use super::spy_store::{Before, SpyStore};

#[tokio::test]
async fn a_store_that_panics_once_loses_no_tokens() {
    for operation in ["get", "lease", "put", "release"] {
        for nth in 0..3 {
            let mock = MockHighLevel::new().await;
            mock.installed("loc1").await;
            mock.expire();
            let spy = SpyStore::new(mock.store.clone(), move |op, count| {
                if (op, count) == (operation, nth) { Before::Panic } else { Before::Nothing }
            });
            let app = mock.builder().store(spy).build().expect("an app");
            let client = app.location("loc1").with_call_timeout(20 * SECOND);
            let calls = (0..5).map(|_| {
                let client = client.clone();
                tokio::spawn(async move { send(&client).await })
            });
            for call in calls.collect::<Vec<_>>() {
                if let Err(error) = call.await.expect("no panic in a call") {
                    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Token, Delivery::NotSent));
                }
            }
            mock.clock.advance(60 * SECOND);
            send(&client).await.unwrap_or_else(|error| panic!("{operation} {nth}: {error}"));
            assert_eq!(mock.refreshes(), 1, "{operation} {nth}");
        }
    }
}

#[tokio::test]
async fn tokens_stay_in_memory_while_the_store_panics() {
    let mock = MockHighLevel::new().await;
    mock.installed("loc1").await;
    mock.expire();
    let spy = SpyStore::new(mock.store.clone(), |op, count| match (op, count) {
        ("put", 0..=5) => Before::Panic,
        _ => Before::Nothing,
    });
    let app = mock.builder().store(spy.clone()).build().expect("an app");
    let error = send(&app.location("loc1")).await.expect_err("not stored");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Token, Delivery::NotSent));
    let source = std::error::Error::source(&error).and_then(std::error::Error::source).expect("a source");
    assert_eq!(source.to_string(), "it panicked; see the output of the panic hook");
    mock.clock.advance(60 * SECOND);
    app.flush().await;
    assert_eq!(spy.count("put"), 7);
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!(mock.refreshes(), 1);
}

/// Panics when it is called, or when its future is polled.
#[derive(Debug)]
struct Broken {
    at_once: bool,
}

impl TokenSource for Broken {
    fn token<'a>(
        &'a self,
        _: Option<&'a SecretString>,
    ) -> Pin<Box<dyn Future<Output = TokenResult> + Send + 'a>> {
        assert!(!self.at_once, "a source with a bug");
        Box::pin(async { panic!("a source with a bug") })
    }
}

#[tokio::test]
async fn a_token_source_that_panics_is_an_error() {
    let mock = MockHighLevel::new().await;
    for at_once in [true, false] {
        let client = Client::builder().token_source(Broken { at_once }).base_url(mock.server.url());
        let error = send(&client.build().expect("a client")).await.expect_err("no token");
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Token, Delivery::NotSent));
    }
    assert_eq!(mock.server.requests().len(), 0);
}

/// A generator in the memory of a process repeats itself in a fork: two processes would hold one lease.
#[tokio::test]
async fn lease_holders_do_not_depend_on_generators_in_memory() {
    let mut holders = Vec::new();
    for _ in 0..4 {
        let mock = MockHighLevel::new().await;
        mock.installed("loc1").await;
        mock.expire();
        let spy = SpyStore::new(mock.store.clone(), |_, _| Before::Nothing);
        let client = mock.builder().store(spy.clone()).build().expect("an app").location("loc1");
        fastrand::seed(7);
        send(&client).await.expect("a receipt");
        mock.expire();
        fastrand::seed(7);
        send(&client).await.expect("a receipt");
        holders.extend(spy.holders());
    }
    let mut different = holders.clone();
    different.sort();
    different.dedup();
    assert_eq!((holders.len(), different.len()), (8, 8), "{holders:?}");
    assert!(holders.iter().all(|holder| holder.len() == 32), "{holders:?}");
}
