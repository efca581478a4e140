//! An app is installed and uninstalled: signed events of the sandbox are verified and handled.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use highlevel::ErrorKind;
use highlevel::auth::store::{self, TokenStore};
use highlevel::auth::{App, Handled};
use highlevel::webhook::{PublicKey, Receiver};
use highlevel_sandbox::{InstallEvents, Quirk, Sandbox, TokenResource};
use tokio::sync::mpsc;

use super::setup::{SECOND, Setup, TEST_TIMEOUT, send};

type Shared = (Arc<Sandbox>, App, Arc<Receiver>, mpsc::UnboundedSender<Handled>);

/// Handles the events of an app, and sends the results to the channel.
async fn events(setup: &Setup, app: &App) -> mpsc::UnboundedReceiver<Handled> {
    async fn receive(
        State((sandbox, app, receiver, sender)): State<Shared>,
        headers: HeaderMap,
        body: Bytes,
    ) -> StatusCode {
        let event = match receiver.receive(&headers, body, sandbox.now()).await {
            Ok(event) => event,
            Err(error) => return StatusCode::from_u16(error.status()).expect("a status"),
        };
        match app.handle(&event).await {
            Ok(handled) => {
                event.commit().await.expect("committed");
                // Messages have events as well.
                if handled != Handled::NotAboutInstallation {
                    sender.send(handled).expect("the test listens");
                }
                StatusCode::OK
            }
            Err(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }
    let key = PublicKey::from_base64("sandbox", setup.sandbox.webhook_public_key()).expect("a key");
    let receiver = Arc::new(Receiver::builder().app_id(app.app_id()).key(key).build());
    let (sender, handled) = mpsc::unbounded_channel();
    let state = (Arc::clone(&setup.sandbox), app.clone(), receiver, sender);
    let router = axum::Router::new().route("/", post(receive)).with_state(state);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    setup.sandbox.set_webhook_url(format!("http://{address}/")).expect("a URL");
    tokio::spawn(async move { axum::serve(listener, router).await });
    handled
}

async fn next(handled: &mut mpsc::UnboundedReceiver<Handled>) -> Handled {
    tokio::time::timeout(TEST_TIMEOUT, handled.recv()).await.expect("an event in time").expect("a server")
}

fn location(id: &str) -> store::Resource {
    store::Resource::Location(id.into())
}

async fn stored(setup: &Setup) -> Vec<store::Resource> {
    let mut resources = setup.store.resources(&setup.sandbox.client_id()).await.expect("a store");
    resources.sort();
    resources
}

/// Covers both orders of event and exchange, and both spellings of the responses.
#[tokio::test]
async fn an_app_is_installed_on_a_location_sends_and_is_uninstalled() {
    for (order, camel_case) in [
        (InstallEvents::OnAuthorization, false),
        (InstallEvents::OnExchange, true),
        (InstallEvents::Never, true),
    ] {
        let setup = Setup::new().await;
        let (app, id) = (setup.app(), setup.sandbox.location_id());
        let mut handled = events(&setup, &app).await;
        setup.sandbox.install_events(order, Duration::ZERO);
        setup.sandbox.use_camel_case_tokens(camel_case);
        let code = setup.authorize(&app, &setup.location()).await;
        if order == InstallEvents::OnAuthorization {
            assert_eq!(next(&mut handled).await, Handled::WaitingForExchange(location(id)));
            let error = send(&app.location(id), setup.sandbox.contact_id(), "t").await.expect_err("not yet");
            assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
        }
        let tokens = app.exchange(code).await.expect("tokens");
        assert_eq!(tokens.location_id.as_ref().map(AsRef::as_ref), Some(id));
        assert_eq!(tokens.company_id.as_ref().map(AsRef::as_ref), Some(setup.sandbox.company_id()));
        assert_eq!(tokens.scopes, ["conversations/message.write", "oauth.write"]);
        if order == InstallEvents::OnExchange {
            // The event may arrive just before or just after the tokens are stored.
            let found = next(&mut handled).await;
            let expected = [Handled::AlreadyStored(location(id)), Handled::WaitingForExchange(location(id))];
            assert!(expected.contains(&found), "{found:?}");
        }
        send(&app.location(id), setup.sandbox.contact_id(), "t").await.expect("a receipt");
        setup.expire();
        send(&app.location(id), setup.sandbox.contact_id(), "u").await.expect("a receipt");
        setup.sandbox.advance_clock(SECOND);
        setup.sandbox.uninstall(&setup.location()).expect("it is installed");
        assert_eq!(next(&mut handled).await, Handled::Removed(vec![location(id)]));
        assert_eq!(stored(&setup).await, []);
        let error = send(&app.location(id), setup.sandbox.contact_id(), "v").await.expect_err("removed");
        assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
        assert_eq!(setup.texts(), ["t", "u"]);
    }
}

#[tokio::test]
async fn an_app_is_installed_on_a_company_and_uninstalled_with_its_locations() {
    let setup = Setup::new().await;
    let ids = ["location-1".to_owned(), "location-2".to_owned()];
    setup.add_locations(&ids);
    let app = setup.app();
    let mut handled = events(&setup, &app).await;
    setup.install(&app, &setup.company()).await;
    for id in &ids {
        send(&app.location(id.as_str()), &format!("{id}-contact"), id).await.expect("a receipt");
    }
    assert_eq!(setup.texts(), ids);
    // In any order of events and exchange, the installation succeeds, and all locations have tokens.
    let events = ids.len() + 2;
    for _ in 0..events {
        let found = next(&mut handled).await;
        // The event of the company lists its locations.
        let is_expected = matches!(
            found,
            Handled::WaitingForExchange(_)
                | Handled::Stored(_)
                | Handled::AlreadyStored(_)
                | Handled::Several { .. }
        );
        assert!(is_expected, "{found:?}");
    }
    setup.until_stored(events).await;
    setup.sandbox.advance_clock(SECOND);
    setup.sandbox.uninstall(&setup.company()).expect("it is installed");
    let mut removed = 0;
    for _ in 0..events {
        match next(&mut handled).await {
            Handled::Removed(resources) => removed += resources.len(),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(removed, events);
    assert_eq!(stored(&setup).await, []);
}

/// HighLevel names neither the company nor a user of a location that is created after the installation, and issues some
/// location tokens without a refresh token.
#[tokio::test]
async fn a_location_that_is_created_later_sends_with_tokens_of_its_company() {
    for quirk in [None, Some(Quirk::LocationTokenWithoutRefresh)] {
        let setup = Setup::new().await;
        let app = setup.app();
        let mut handled = events(&setup, &app).await;
        if let Some(quirk) = quirk {
            setup.sandbox.set_settings(setup.sandbox.settings().quirk(quirk));
        }
        setup.sandbox.install_events(InstallEvents::Never, Duration::ZERO);
        setup.sandbox.install_to_future_locations(true);
        setup.install(&app, &setup.company()).await;
        setup.sandbox.install_events(InstallEvents::OnAuthorization, Duration::ZERO);

        setup.add_locations(&["later".to_owned()]);
        assert_eq!(next(&mut handled).await, Handled::Stored(location("later")), "{quirk:?}");
        // Another process, which has not received the event, before and after the tokens have expired.
        for text in ["first", "second"] {
            send(&setup.app().location("later"), "later-contact", text).await.expect("a receipt");
            setup.expire();
        }
        assert_eq!(setup.texts(), ["first", "second"], "{quirk:?}");
    }
}

/// HighLevel issues tokens of the company for some installations on one location.
#[tokio::test]
async fn a_location_whose_installation_returns_tokens_of_its_company_sends() {
    let setup = Setup::new().await;
    let app = setup.app();
    let mut handled = events(&setup, &app).await;
    setup.sandbox.set_settings(setup.sandbox.settings().quirk(Quirk::CompanyTokenForLocation));
    setup.sandbox.install_events(InstallEvents::OnExchange, Duration::ZERO);
    let tokens = setup.install(&app, &setup.location()).await;
    assert_eq!(tokens.location_id, None);
    let id = setup.sandbox.location_id();
    assert_eq!(next(&mut handled).await, Handled::Stored(location(id)));
    send(&app.location(id), setup.sandbox.contact_id(), "t").await.expect("a receipt");
}

#[tokio::test]
async fn a_location_that_is_not_active_keeps_its_tokens() {
    let setup = Setup::new().await;
    let (_, client) = setup.installed().await;
    setup.expire();
    setup.sandbox.set_location_active(setup.sandbox.location_id(), false);
    let error = send(&client, setup.sandbox.contact_id(), "t").await.expect_err("not active");
    assert_eq!(error.kind(), ErrorKind::LocationInactive);
    setup.sandbox.set_location_active(setup.sandbox.location_id(), true);
    setup.sandbox.advance_clock(5 * SECOND);
    send(&client, setup.sandbox.contact_id(), "t").await.expect("a receipt");
    let requests = setup.token_requests(&setup.location());
    assert_eq!((requests.rotated, requests.refused), (1, 1));
}

#[tokio::test]
async fn the_client_of_a_company_cannot_send_messages_of_a_location() {
    let setup = Setup::new().await;
    let app = setup.app();
    setup.install(&app, &setup.company()).await;
    let company = app.company(setup.sandbox.company_id());
    let error = send(&company.client(), setup.sandbox.contact_id(), "t").await.expect_err("not a location");
    assert_eq!((error.kind(), error.status(), error.attempts()), (ErrorKind::Status, Some(401), 1));
    assert_eq!(setup.refreshes(), 0, "a refresh does not add a missing scope");
    send(&company.location(setup.sandbox.location_id()), setup.sandbox.contact_id(), "t")
        .await
        .expect("a receipt");
    let unknown = company.location("no-such-location");
    let error = send(&unknown, setup.sandbox.contact_id(), "t").await.expect_err("no such location");
    assert!(matches!(error.kind(), ErrorKind::Token | ErrorKind::NeedsAuthorization), "{error}");
    let other = TokenResource::company("another-company");
    assert_eq!(setup.token_requests(&other).location_tokens, 0);
}
