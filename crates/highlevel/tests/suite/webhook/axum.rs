//! The layer and the extractor for axum, without a network.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::post;
use highlevel::webhook::axum::{Webhook, WebhookLayer};
use highlevel::webhook::{Event, Receiver};
use tower_service::Service;

use super::{any_app, public_key, sign, signing_key, time};

fn request(body: &str, signature: &str) -> Request<Body> {
    Request::post("/")
        .header("x-ghl-signature", signature)
        .body(Body::from(body.to_owned()))
        .expect("a request")
}

async fn send(app: &Router, body: &str) -> (u16, String) {
    answer(app, request(body, &sign(body.as_bytes()))).await
}

async fn answer(app: &Router, request: Request<Body>) -> (u16, String) {
    let response = app.clone().call(request).await.expect("axum always answers");
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    (status, String::from_utf8(body.to_vec()).expect("UTF-8"))
}

/// An app whose handler answers what the event says, and counts.
fn app(receiver: Receiver) -> (Router, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let handle = move |Webhook(event): Webhook<Event>| {
        let counter = Arc::clone(&counter);
        async move {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            match event.name() {
                "Panics" => std::panic::resume_unwind(Box::new("the handler panics")),
                "Hangs" => std::future::pending().await,
                name => {
                    let status = name.parse().expect("a status");
                    (StatusCode::from_u16(status).expect("a status"), "from the handler")
                }
            }
        }
    };
    let router = Router::new().route("/", post(handle)).layer(WebhookLayer::with_clock(receiver, time));
    (router, count)
}

/// What the handler answers, what HighLevel is answered, and what it is answered the next time.
#[tokio::test]
async fn the_handler_decides() {
    let duplicate = "the event has been handled: it was delivered again, and there is nothing to do";
    let unhandled = "the event could not be handled now";
    let rows = [
        ("200", (200, "from the handler"), (200, duplicate), 1),
        ("201", (201, "from the handler"), (200, duplicate), 1),
        ("202", (202, "from the handler"), (200, duplicate), 1),
        ("302", (429, "from the handler"), (429, "from the handler"), 2),
        ("400", (429, "from the handler"), (429, "from the handler"), 2),
        ("401", (429, "from the handler"), (429, "from the handler"), 2),
        ("500", (429, "from the handler"), (429, "from the handler"), 2),
        ("503", (429, "from the handler"), (429, "from the handler"), 2),
        ("Panics", (429, unhandled), (429, unhandled), 2),
    ];
    for (name, first, second, handled) in rows {
        let (app, count) = app(any_app());
        let body = format!(r#"{{"type":"{name}","webhookId":"w"}}"#);
        for expected in [first, second] {
            let (status, text) = send(&app, &body).await;
            assert_eq!((status, text.as_str()), expected, "{name}");
        }
        assert_eq!(count.load(Ordering::SeqCst), handled, "{name}");
    }
}

#[tokio::test]
async fn what_is_not_verified_does_not_reach_the_handler() {
    let receiver =
        Receiver::builder().any_app().key(public_key("test", &signing_key(1))).body_limit(40).build();
    let (app, count) = app(receiver);
    let body = r#"{"type":"200"}"#;
    let long = r#"{"type":"200","text":"01234567890123456789"}"#;
    let rows = [
        (request(body, "N/A"), 401),
        (request(body, &sign(b"another")), 401),
        (Request::post("/").body(Body::from(body)).expect("a request"), 401),
        (Request::get("/").body(Body::empty()).expect("a request"), 401),
        (request(long, &sign(long.as_bytes())), 413),
        (request("{}", &sign(b"{}")), 400),
    ];
    for (request, expected) in rows {
        let (status, text) = answer(&app, request).await;
        assert_eq!(status, expected, "{text}");
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
    assert_eq!(send(&app, body).await.0, 200);
}

/// While one is being handled, the same event is answered 429; a client that goes away gives it up.
#[tokio::test]
async fn a_cancelled_handler_gives_it_up() {
    let (app, count) = app(any_app());
    let body = r#"{"type":"Hangs","webhookId":"w"}"#;
    let hanging = tokio::spawn({
        let app = app.clone();
        async move { send(&app, body).await }
    });
    while count.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let (status, text) = send(&app, body).await;
    assert!(status == 429 && text.contains("being handled"), "{status} {text}");
    hanging.abort();
    hanging.await.expect_err("aborted");
    let other = body.replace("Hangs", "200");
    assert_eq!(send(&app, &other).await, (200, "from the handler".to_owned()));
}

/// 64 deliveries of one event at once: the handler runs once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_64_at_once() {
    let (app, count) = app(any_app());
    let body = r#"{"type":"200","webhookId":"w"}"#;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let app = app.clone();
        tasks.spawn(async move { send(&app, body).await.0 });
    }
    let statuses = tasks.join_all().await;
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn without_the_layer_nothing_is_lost() {
    async fn handle(_: Webhook<Event>) {}
    let app = Router::new().route("/", post(handle));
    let (status, text) = send(&app, r#"{"type":"X"}"#).await;
    assert_eq!(status, 429);
    assert!(text.contains("put a `WebhookLayer` around the route"), "{text}");
}
