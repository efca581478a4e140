//! The client for programs without an async runtime.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use highlevel::auth::store::{Key, MemoryStore, Resource, TokenStore};
use highlevel::{
    Client, Contact, Delivery, ErrorKind, Finding, Fingerprint, Inbound, Method, OutboundCall, RetryPolicy,
    Sms, TokenResult, TokenSource, blocking,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::runtime::Builder;

use crate::server::{Action, Server, TOKEN, json as json_response, receipt, response, serve};

fn client(server: &Server) -> blocking::Client {
    server.builder().build_blocking().expect("a client")
}

fn send(client: &blocking::Client) -> highlevel::Result<u16> {
    client.messages().send(Sms::to("c").text("t")).map(|receipt| receipt.http_status())
}

/// Waits until the connection of the last call is back in the pool. A task of the runtime returns it, which is behind the
/// response on a busy machine, but has run when a later task of the same thread has yielded a few times.
fn return_the_connection(client: &blocking::Client) {
    let later = async {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    };
    client
        .run(async {
            tokio::spawn(later).await.expect("no panic");
            Ok(())
        })
        .expect("a runtime");
}

#[test]
fn every_operation_works_without_a_runtime() {
    let (server, _end) = serve(|request| match request.line.split(' ').next() {
        Some("GET") => Action::Respond(json_response("200 OK", &json!({ "contact": { "id": "c1" } }))),
        _ => Action::Respond(receipt()),
    });
    let client = client(&server);
    assert_eq!(send(&client).expect("a receipt"), 201);
    return_the_connection(&client);
    let inbound = client.messages().add_inbound(Inbound::default_sms().from_contact("c").text("t"));
    assert_eq!(inbound.expect("a receipt").http_status(), 201);
    return_the_connection(&client);
    let call = client.calls().add_outbound(OutboundCall::to_contact("c", "p").to("+15037081210"));
    assert_eq!(call.expect("a receipt").http_status(), 201);
    return_the_connection(&client);
    let found = client.request(Method::GET, ["contacts", "c1"]).query("limit", 1);
    let found = found.send_json::<serde_json::Value>().expect("a contact");
    assert_eq!(found.response()["contact"]["id"], "c1");
    return_the_connection(&client);
    client.request(Method::PUT, "/contacts/c1").json(&json!({ "name": "Ada" })).send().expect("a receipt");
    return_the_connection(&client);
    let messages = client.as_async().messages();
    let sent = client.run(messages.send(Sms::to("c").text("t"))).expect("a receipt");
    assert_eq!((sent.http_status(), client.base_url()), (201, server.url().as_str()));
    assert_eq!((server.requests().len(), server.connections()), (6, 1));
}

#[test]
fn lists_recordings_and_reads_work_without_a_runtime() {
    let (server, _end) = serve(|request| match request.line.split(['?', ' ']).nth(1) {
        Some("/conversations/messages/m1/locations/l1/recording") => Action::Respond(
            b"HTTP/1.1 200 OK\r\ncontent-type: audio/x-wav\r\ncontent-length: 4\r\n\r\nRIFF".to_vec(),
        ),
        Some("/conversations/v1/messages") => {
            let is_second = request.line.contains("lastMessageId=m2");
            let ids = if is_second { vec!["m3"] } else { vec!["m1", "m2"] };
            let messages: Vec<_> = ids.iter().map(|id| json!({ "id": id })).collect();
            let page = json!({ "lastMessageId": ids.last(), "nextPage": !is_second, "messages": messages });
            Action::Respond(json_response("200 OK", &json!({ "messages": page })))
        }
        Some("/conversations/search") => {
            Action::Respond(json_response("200 OK", &json!({ "conversations": [] })))
        }
        Some("/conversations/messages/export") => {
            Action::Respond(json_response("200 OK", &json!({ "messages": [] })))
        }
        _ => Action::Respond(json_response("200 OK", &json!({ "contact": { "id": "c1" } }))),
    });
    let client = Client::builder().token(TOKEN).base_url(server.url()).location("l1").build_blocking();
    let client = client.expect("a client");
    let contact = client.contacts().upsert(Contact::phone("+15037081210")).expect("a contact");
    assert_eq!(contact.contact_id().as_str(), "c1");
    let listed =
        client.messages().list(&"v1".into()).collect::<highlevel::Result<Vec<_>>>().expect("messages");
    assert_eq!(listed.iter().map(|message| message.id.as_str()).collect::<Vec<_>>(), ["m1", "m2", "m3"]);
    let recording = client.calls().recording(&"m1".into()).expect("a recording");
    assert_eq!(recording.content_type(), Some("audio/x-wav"));
    let parts = recording.collect::<highlevel::Result<Vec<_>>>().expect("all parts");
    assert_eq!(parts.concat(), b"RIFF");
    let fingerprint = Fingerprint::of(&Sms::to("c1").text("t"), SystemTime::now());
    let found = client.find(&fingerprint).expect("a result");
    assert!(matches!(found, Finding::NotFound(examined) if examined.messages == 0));
}

#[test]
fn errors_are_those_of_the_async_client() {
    let (server, _end) = serve(|_| Action::Respond(response("503 Service Unavailable", "", "")));
    let client = client(&server);
    let error = send(&client).expect_err("503");
    assert_eq!((error.delivery(), error.status(), error.attempts()), (Delivery::Unknown, Some(503), 1));
    let error = client.request(Method::GET, "/a/../b").send().expect_err("a dot segment");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    let (server, _end) = serve(|_| Action::Stall(Vec::new()));
    let quick = self::client(&server).with_attempt_timeout(Duration::from_millis(100));
    assert_eq!(send(&quick).expect_err("too late").kind(), ErrorKind::Timeout);
    let late = self::client(&server).with_call_timeout(Duration::ZERO).with_retry_policy(RetryPolicy::none());
    assert_eq!(send(&late).expect_err("no time").delivery(), Delivery::NotSent);
    assert!(Client::builder().build_blocking().is_err());
}

#[test]
fn threads_share_a_client() {
    let (server, _end) = serve(|_| Action::Respond(receipt()));
    let client = client(&server);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..10).for_each(|_| assert_eq!(send(&client).expect("a receipt"), 201)));
        }
    });
    assert_eq!(server.requests().len(), 80);
    // A thread may be faster than the return of its connection to the pool, though not often.
    assert!(server.connections() < 40, "{} connections", server.connections());
}

/// The server closes the connection after each response. The runtime is driven between the calls, so the next call
/// opens another connection.
#[test]
fn closed_connections_are_noticed_between_calls() {
    let (server, _end) = serve(|_| Action::Close(receipt()));
    let client = client(&server);
    for _ in 0..5 {
        assert_eq!(send(&client).expect("a receipt"), 201);
        thread::sleep(Duration::from_millis(30));
    }
    assert_eq!((server.requests().len(), server.connections()), (5, 5));
}

/// The server may need the thread that the call would block, so a call would be a deadlock.
#[test]
fn calls_inside_async_tasks_return_an_error() {
    let (server, _end) = serve(|_| Action::Respond(receipt()));
    let client = client(&server);
    let check = |place: &str| {
        let error = send(&client).expect_err(place);
        assert_eq!(
            (error.kind(), error.delivery()),
            (ErrorKind::Configuration, Delivery::NotSent),
            "{place}"
        );
        assert_eq!(
            error.to_string(),
            "blocking: a blocking client was used inside an async task: use the async client there, or \
             tokio::task::spawn_blocking"
        );
    };
    let current = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let multi = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    current.block_on(async { check("current thread") });
    multi.block_on(async { check("multi thread") });
    current.block_on(tokio::task::LocalSet::new().run_until(async { check("local set") }));
    let spawned = client.clone();
    let error = multi.block_on(async move { tokio::spawn(async move { send(&spawned) }).await });
    assert_eq!(error.expect("no panic").expect_err("a task").kind(), ErrorKind::Configuration);
    current.block_on(async {
        tokio::task::yield_now().await;
        check("after a yield");
        // A client may be built and dropped there.
        drop(server.builder().build_blocking().expect("a client"));
    });
    assert!(server.requests().is_empty());
}

#[test]
fn calls_on_blocking_threads_succeed() {
    let (server, _end) = serve(|_| Action::Respond(receipt()));
    let client = client(&server);
    let current = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let multi = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    for runtime in [&current, &multi] {
        let client = client.clone();
        let sent = runtime.block_on(async move { tokio::task::spawn_blocking(move || send(&client)).await });
        assert_eq!(sent.expect("no panic").expect("a receipt"), 201);
    }
    let sent = multi.block_on(async { tokio::task::block_in_place(|| send(&client)) });
    assert_eq!(sent.expect("a receipt"), 201);
    let entered = current.enter();
    assert_eq!(send(&client).expect("a receipt"), 201);
    drop(entered);
}

#[test]
fn the_runtime_survives_a_panic_of_a_token_source() {
    #[derive(Debug)]
    struct PanicsOnce(AtomicBool);

    impl TokenSource for PanicsOnce {
        fn token<'a>(
            &'a self,
            _: Option<&'a SecretString>,
        ) -> Pin<Box<dyn Future<Output = TokenResult> + Send + 'a>> {
            Box::pin(async {
                assert!(!self.0.swap(false, Ordering::SeqCst), "the token source panics once");
                Ok(TOKEN.into())
            })
        }
    }

    let (server, _end) = serve(|_| Action::Respond(receipt()));
    let builder = Client::builder().base_url(server.url()).token_source(PanicsOnce(AtomicBool::new(true)));
    let client = builder.build_blocking().expect("a client");
    let first = client.clone();
    // The calling thread panics or receives an error.
    assert!(!matches!(thread::spawn(move || send(&first)).join(), Ok(Ok(_))));
    assert_eq!(send(&client).expect("a receipt"), 201);
}

/// Refresh tokens work once, so tokens that HighLevel issues while an app is dropped have to be stored.
#[test]
fn dropping_an_app_stores_its_tokens() {
    let refreshed = AtomicBool::new(false);
    let (server, _end) = serve(move |request| {
        if !request.line.starts_with("POST /oauth/token") {
            return Action::Respond(receipt());
        }
        let number = if refreshed.swap(true, Ordering::SeqCst) { 2 } else { 1 };
        let tokens = json!({
            "access_token": format!("access-{number}"), "refresh_token": format!("refresh-{number}"),
            "expires_in": 86_399, "token_type": "Bearer", "scope": "conversations/message.write",
            "userType": "Location", "locationId": "l1", "companyId": "co1",
        });
        Action::Late(Duration::from_millis(300), json_response("200 OK", &tokens))
    });
    let store = MemoryStore::new();
    let ahead = Arc::new(AtomicBool::new(false));
    let clock = {
        let ahead = Arc::clone(&ahead);
        move || SystemTime::now() + Duration::from_secs(if ahead.load(Ordering::SeqCst) { 86_340 } else { 0 })
    };
    let app = highlevel::auth::App::builder()
        .client_id("app1-x")
        .client_secret("s")
        .base_url(server.url())
        .clock(clock)
        .store(store.clone())
        .build_blocking()
        .expect("an app");
    assert_eq!(app.app_id().as_str(), "app1");
    app.exchange("code-1").expect("tokens");
    // The tokens are about to expire: this call starts their refresh.
    ahead.store(true, Ordering::SeqCst);
    let client = app.location("l1");
    assert_eq!(send(&client).expect("a receipt"), 201);
    drop((app, client));

    let key = Key::new("app1-x", Resource::Location("l1".to_owned().into()));
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let stored = runtime.block_on(store.get(&key)).expect("no error").expect("tokens");
    assert_eq!(stored.tokens.access_token.expose_secret(), "access-2");
}
