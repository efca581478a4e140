//! Many calls at the same time, and one refresh. The sandbox counts the requests for tokens.

use fastrand::Rng;
use highlevel::auth::store::{self, Key, MemoryStore, Precondition, TokenStore};
use highlevel::{Client, Delivery, Error, ErrorKind};
use highlevel_sandbox::TokenResource;
use secrecy::ExposeSecret;

use super::setup::{SECOND, Setup, send};

/// Sends one message with each client, all at the same time. Each text is unique.
async fn send_all(clients: impl IntoIterator<Item = (Client, String, String)>) -> Vec<Result<(), Error>> {
    let calls: Vec<_> = clients
        .into_iter()
        .map(|(client, contact, text)| tokio::spawn(async move { send(&client, &contact, &text).await }))
        .collect();
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.expect("no panic"));
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_on_an_expired_token_make_one_refresh_and_all_succeed() {
    const CALLS: usize = 1_000;
    let setup = Setup::new().await;
    let (app, _) = setup.installed().await;
    setup.expire();
    let (location, contact) = (setup.sandbox.location_id(), setup.sandbox.contact_id());
    let text = |call| format!("message {call:04}");
    let clients = (0..CALLS).map(|call| (app.location(location), contact.to_owned(), text(call)));
    for result in send_all(clients).await {
        result.expect("a receipt");
    }
    let requests = setup.token_requests(&setup.location());
    assert_eq!((requests.rotated, requests.refreshes()), (1, 1));
    assert_eq!(setup.refreshes(), 1);
    assert_eq!(setup.texts(), (0..CALLS).map(text).collect::<Vec<_>>());
    // No message was sent with the old token.
    let sends = setup.sandbox.requests().iter().filter(|request| request.path.contains("messages")).count();
    assert_eq!(sends, CALLS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_whose_token_is_revoked_make_one_refresh_and_all_succeed() {
    const CALLS: usize = 1_000;
    let setup = Setup::new().await;
    let (app, _) = setup.installed().await;
    let tokens = setup.install(&app, &setup.location()).await;
    assert!(setup.sandbox.revoke_token(tokens.access_token.expose_secret()));
    let (location, contact) = (setup.sandbox.location_id(), setup.sandbox.contact_id());
    let text = |call| format!("message {call:04}");
    let clients = (0..CALLS).map(|call| (app.location(location), contact.to_owned(), text(call)));
    for result in send_all(clients).await {
        result.expect("a receipt");
    }
    // A request whose response was lost may be repeated, but uses no other refresh token.
    let requests = setup.token_requests(&setup.location());
    assert!(requests.rotated == 1 && requests.refused == 0, "{requests:?}");
    assert_eq!(setup.texts(), (0..CALLS).map(text).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_locations_under_one_company_make_one_refresh_of_the_company() {
    let setup = Setup::new().await;
    let ids: Vec<String> = (0..50).map(|number| format!("location-{number:02}")).collect();
    setup.add_locations(&ids);
    setup.install(&setup.app(), &setup.company()).await;
    // All locations have obtained their tokens in the background. Another app has only those of the company.
    setup.until_stored(ids.len() + 2).await;
    setup.expire();
    let store = MemoryStore::new();
    let company = store::Resource::Company(setup.sandbox.company_id().into());
    let key = Key::new(setup.sandbox.client_id(), company.clone());
    store.put(&key, &setup.stored(company).await, Precondition::Nothing).await.expect("a store");
    let app = setup.builder().store(store).build().expect("an app");
    let before = setup.token_requests(&setup.company());
    let company = app.company(setup.sandbox.company_id());
    let clients = ids.iter().map(|id| (company.location(id.as_str()), format!("{id}-contact"), id.clone()));
    for result in send_all(clients).await {
        result.expect("a receipt");
    }
    assert_eq!(setup.token_requests(&setup.company()).refreshes() - before.refreshes(), 1);
    assert_eq!(setup.texts(), ids);
    for id in &ids {
        let requests = setup.token_requests(&TokenResource::location(id));
        assert_eq!((requests.refreshes(), requests.location_tokens_refused), (0, 0), "{id}");
    }
}

/// Access tokens are revoked and expire at random between calls. Each call succeeds and sends its message once.
#[tokio::test]
async fn tokens_that_are_revoked_between_calls_are_refreshed() {
    const CALLS: usize = 200;
    let setup = Setup::new().await;
    let (app, client) = setup.installed().await;
    let other = app.location(setup.sandbox.location_id());
    let mut random = Rng::with_seed(0x5eed_0a07);
    let mut ended = 0;
    for call in 0..CALLS {
        match random.usize(..4) {
            0 => ended += setup.sandbox.expire_access_tokens(&setup.location()),
            1 => {
                let location = store::Resource::Location(setup.sandbox.location_id().into());
                let tokens = setup.stored(location).await;
                ended += usize::from(setup.sandbox.revoke_token(tokens.access_token.expose_secret()));
            }
            _ => {}
        }
        // A 401 refreshes tokens once in thirty seconds.
        setup.sandbox.advance_clock(30 * SECOND);
        let client = if random.bool() { &client } else { &other };
        let sent = send(client, setup.sandbox.contact_id(), &format!("message {call:03}")).await;
        sent.unwrap_or_else(|error| panic!("call {call}: {error}"));
    }
    assert!(ended > 50, "{ended}");
    assert_eq!(setup.texts(), (0..CALLS).map(|call| format!("message {call:03}")).collect::<Vec<_>>());
    // Each token that ended was refreshed at most once.
    let requests = setup.token_requests(&setup.location());
    let rotated = usize::try_from(requests.rotated).expect("a number");
    assert!(rotated <= ended && requests.refused == 0 && requests.repeated == 0, "{requests:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_refresh_token_fails_all_calls_and_is_sent_once_in_thirty_seconds() {
    let setup = Setup::new().await;
    let (app, _) = setup.installed().await;
    setup.sandbox.set_clock_speed(0.0);
    setup.sandbox.revoke_tokens(&setup.location());
    setup.expire();
    let (location, contact) = (setup.sandbox.location_id(), setup.sandbox.contact_id());
    for (passes, attempts) in [(0, 1), (0, 1), (29, 1), (1, 2), (29, 2), (1, 3)] {
        setup.sandbox.advance_clock(passes * SECOND);
        let clients = (0..100).map(|call| (app.location(location), contact.to_owned(), call.to_string()));
        let mut texts: Vec<String> = Vec::new();
        for result in send_all(clients).await {
            let error = result.expect_err("no token");
            assert_eq!((error.kind(), error.delivery()), (ErrorKind::NeedsAuthorization, Delivery::NotSent));
            texts.push(error.to_string());
        }
        texts.dedup();
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(texts[0].contains(&format!("must be reinstalled on the location {location}")), "{texts:?}");
        assert_eq!(setup.refreshes(), attempts, "after {passes} s");
    }
    assert_eq!(setup.texts(), Vec::<String>::new());
    // After a reinstallation, calls succeed at once.
    setup.install(&setup.app(), &setup.location()).await;
    send(&app.location(location), contact, "again").await.expect("a receipt");
    assert_eq!(setup.texts(), ["again"]);
}
