//! The layer and the extractor for axum, without a network.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use axum::routing::post;
use highlevel::webhook::axum::{Webhook, WebhookLayer};
use highlevel::webhook::{Event, Receiver, WebhookErrorKind};
use tower_service::Service;

use super::cancellation::gated;
use super::failing::Failing;
use super::{any_app, public_key, sign, signing_key, time};
use crate::secrets::Captured;

fn request(body: &str, signature: &str) -> Request<Body> {
    Request::post("/")
        .header("x-ghl-signature", signature)
        .body(Body::from(body.to_owned()))
        .expect("a request")
}

async fn send(app: &Router, body: &str) -> (u16, String) {
    respond(app, request(body, &sign(body.as_bytes()))).await
}

async fn respond(app: &Router, request: Request<Body>) -> (u16, String) {
    let response = app.clone().call(request).await.expect("axum always responds");
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    (status, String::from_utf8(body.to_vec()).expect("UTF-8"))
}

/// An app whose handler responds with the status that the event is named after, and counts its calls.
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
    let router = Router::new().route("/", post(handle).layer(WebhookLayer::with_clock(receiver, time)));
    (router, count)
}

#[tokio::test]
async fn a_successful_handler_commits_and_any_other_leads_to_429() {
    struct Case {
        /// The name of the event, and the status with which the handler responds to it.
        event: &'static str,
        first: (u16, &'static str),
        second: (u16, &'static str),
        handled: usize,
    }
    let succeeds = |event, status| Case {
        event,
        first: (status, "from the handler"),
        second: (200, "already handled"),
        handled: 1,
    };
    let fails = |event, text| Case { event, first: (429, text), second: (429, text), handled: 2 };
    let cases = [
        succeeds("200", 200),
        succeeds("201", 201),
        succeeds("202", 202),
        fails("302", "from the handler"),
        fails("400", "from the handler"),
        fails("401", "from the handler"),
        fails("500", "from the handler"),
        fails("503", "from the handler"),
        fails("Panics", "temporarily unavailable"),
    ];
    for Case { event, first, second, handled } in cases {
        let (app, count) = app(any_app());
        let body = format!(r#"{{"type":"{event}","webhookId":"w"}}"#);
        for expected in [first, second] {
            let (status, text) = send(&app, &body).await;
            assert_eq!((status, text.as_str()), expected, "{event}");
        }
        assert_eq!(count.load(Ordering::SeqCst), handled, "{event}");
    }
}

#[tokio::test]
async fn rejected_events_do_not_reach_the_handler() {
    let receiver = Receiver::builder()
        .app_id_if_present("a")
        .locations_where(|location| location.is_none())
        .key(public_key("test", &signing_key(1)))
        .body_limit(60)
        .build();
    let (app, count) = app(receiver);
    let body = r#"{"type":"200","webhookId":"w"}"#;
    let genuine = |body: &str| request(body, &sign(body.as_bytes()));
    let long = format!(r#"{{"type":"200","text":"{}"}}"#, "0".repeat(60));
    let rows = [
        (request(body, "N/A"), 401, "signature invalid"),
        (request(body, &sign(b"another")), 401, "signature invalid"),
        (
            Request::post("/").body(Body::from(body)).expect("a request"),
            401,
            WebhookErrorKind::SignatureMissing.public_message(),
        ),
        (
            Request::get("/").body(Body::empty()).expect("a request"),
            401,
            WebhookErrorKind::SignatureMissing.public_message(),
        ),
        (genuine(&long), 413, "too large"),
        (genuine("{}"), 400, "malformed"),
        (genuine(r#"{"type":"200","appId":"b"}"#), 403, "for another app"),
        (genuine(r#"{"type":"200","locationId":"l"}"#), 403, "of another location"),
        (genuine(r#"{"type":"200","timestamp":"2024-07-29T13:51:28Z"}"#), 400, "too old"),
        (genuine(r#"{"type":"200","timestamp":"2024-07-29T15:56:29Z"}"#), 429, "timestamp in the future"),
    ];
    for (request, status, message) in rows {
        assert_eq!(respond(&app, request).await, (status, message.to_owned()));
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
    assert_eq!(send(&app, body).await.0, 200);
    assert_eq!(send(&app, body).await, (200, "already handled".to_owned()));
}

#[tokio::test]
async fn paths_outside_the_layer_are_not_affected() {
    let (app, _) = app(any_app());
    let other = Request::get("/other").body(Body::empty()).expect("a request");
    assert_eq!(respond(&app, other).await.0, 404);
}

/// If a predicate, a deduplicator or a clock of the caller fails or panics, the response is 429.
#[tokio::test]
async fn failures_of_user_code_lead_to_429() {
    let builder = || Receiver::builder().any_app().key(public_key("test", &signing_key(1)));
    let panics = || std::panic::resume_unwind(Box::new("it panics"));
    let rows = [
        ("locations", builder().locations_where(move |_| panics()).build(), 0),
        ("begin panics", builder().deduplicator(Failing::new("begin", true)).build(), 0),
        ("begin fails", builder().deduplicator(Failing::new("begin", false)).build(), 0),
        ("commit panics", builder().deduplicator(Failing::new("commit", true)).build(), 2),
        ("commit fails", builder().deduplicator(Failing::new("commit", false)).build(), 2),
    ];
    let body = r#"{"type":"200","webhookId":"w"}"#;
    for (name, receiver, handled) in rows {
        let (app, count) = app(receiver);
        for _ in 0..2 {
            assert_eq!(send(&app, body).await, (429, "temporarily unavailable".to_owned()), "{name}");
        }
        assert_eq!(count.load(Ordering::SeqCst), handled, "{name}");
    }
    // The claim of a handler that fails or panics is aborted, which fails or panics as well.
    for (name, panics) in [("500", true), ("Panics", true), ("500", false), ("Panics", false)] {
        let (app, _) = app(builder().deduplicator(Failing::new("abort", panics)).build());
        assert_eq!(send(&app, &body.replace("200", name)).await.0, 429, "{name}");
    }
    let layer = WebhookLayer::with_clock(any_app(), || std::panic::resume_unwind(Box::new("it panics")));
    let app = Router::new().route("/", post(async || ()).layer(layer));
    assert_eq!(send(&app, body).await, (429, "temporarily unavailable".to_owned()), "clock");
}

/// The handler has succeeded, and the client disconnects before the commit is finished: the event stays handled.
#[tokio::test]
async fn a_client_that_disconnects_during_the_commit_does_not_undo_it() {
    let (deduplicator, permits) = gated();
    let receiver = Receiver::builder()
        .any_app()
        .key(public_key("test", &signing_key(1)))
        .deduplicator(deduplicator)
        .build();
    let (app, count) = app(receiver);
    let body = r#"{"type":"200","webhookId":"w"}"#;
    permits.add_permits(1);
    let request = tokio::spawn({
        let app = app.clone();
        async move { send(&app, body).await }
    });
    while count.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    // The handler yields once, so now it is the commit that waits.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    request.abort();
    request.await.expect_err("aborted");
    permits.add_permits(1_000_000);
    let redelivered = loop {
        match send(&app, body).await {
            (429, text) if text == "in progress" => tokio::task::yield_now().await,
            response => break response,
        }
    };
    assert_eq!(redelivered, (200, "already handled".to_owned()));
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

/// A body of several frames, which counts the frames that are in memory.
struct Frames {
    remaining: Vec<&'static [u8]>,
    announced: u64,
    read: Arc<AtomicUsize>,
    alive: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

/// The data of a frame.
struct FrameData(&'static [u8], Arc<AtomicUsize>);

impl AsRef<[u8]> for FrameData {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

impl Drop for FrameData {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let Some(data) = self.remaining.pop() else { return Poll::Ready(None) };
        self.read.fetch_add(1, Ordering::SeqCst);
        let alive = self.alive.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(alive, Ordering::SeqCst);
        let data = FrameData(data, Arc::clone(&self.alive));
        Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_owner(data)))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        let mut hint = http_body::SizeHint::new();
        hint.set_lower(self.announced);
        hint
    }
}

/// One frame at a time is in memory, and no frame is read beyond the limit.
#[tokio::test]
async fn bodies_are_read_frame_by_frame_up_to_the_limit() {
    struct Case {
        frames: Vec<&'static [u8]>,
        announced: u64,
        status: u16,
        frames_read: usize,
    }

    let body: &'static [u8] = br#"{"type":"200","webhookId":"w"}"#;
    let each_byte: Vec<&'static [u8]> = body.chunks(1).rev().collect();
    let spaces: Vec<&'static [u8]> = vec![b" "; 2000];
    let length = body.len();
    let cases = [
        Case { frames: each_byte.clone(), announced: 0, status: 200, frames_read: length },
        Case { frames: each_byte, announced: length as u64, status: 200, frames_read: length },
        Case { frames: vec![body], announced: 1001, status: 413, frames_read: 0 },
        Case { frames: vec![body], announced: u64::MAX, status: 413, frames_read: 0 },
        Case { frames: spaces.clone(), announced: 0, status: 413, frames_read: 1001 },
        Case { frames: spaces, announced: 1000, status: 413, frames_read: 1001 },
    ];
    for Case { frames, announced, status, frames_read } in cases {
        let receiver =
            Receiver::builder().any_app().key(public_key("test", &signing_key(1))).body_limit(1000).build();
        let (app, _) = app(receiver);
        let body_frames = Frames {
            remaining: frames,
            announced,
            read: Arc::default(),
            alive: Arc::default(),
            most: Arc::default(),
        };
        let counts = [&body_frames.read, &body_frames.most, &body_frames.alive].map(Arc::clone);
        let mut request = request("", &sign(body));
        *request.body_mut() = Body::new(body_frames);
        assert_eq!(respond(&app, request).await.0, status);
        let counts = counts.map(|count| count.load(Ordering::SeqCst));
        assert_eq!(counts, [frames_read, usize::from(frames_read > 0), 0], "read, most at once, left");
    }
}

#[tokio::test]
async fn rejections_are_logged_with_their_reason() {
    let log = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let subscriber = tracing::Dispatch::new(subscriber);
    // With a single subscriber in the process, the thread of another test could disable a call site for this one.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let _guard = tracing::dispatcher::set_default(&subscriber);
    let (app, _) = app(any_app());
    let body = r#"{"type":"200","webhookId":"w"}"#;
    let handled = || request(body, &sign(body.as_bytes()));
    let failed = r#"{"type":"503"}"#;
    let rows = [
        (
            request(body, &sign(b"another")),
            "WARN",
            "the signature does not match the body under any configured key",
        ),
        (request("{}", &sign(b"{}")), "WARN", "/type is missing"),
        (handled(), "", ""),
        (handled(), "DEBUG", "the event was handled before"),
        (request(failed, &sign(failed.as_bytes())), "WARN", "status=503"),
    ];
    for (request, level, text) in rows {
        respond(&app, request).await;
        let logged = log.take();
        assert_eq!(logged.is_empty(), level.is_empty(), "{logged}");
        assert!(logged.contains(level) && logged.contains(text), "{logged}");
    }
    let without = Router::new().route("/", post(async |_: Webhook<Event>| ()));
    assert_eq!(send(&without, body).await, (429, "temporarily unavailable".to_owned()));
    let logged = log.take();
    assert!(logged.contains("ERROR") && logged.contains("put a `WebhookLayer` around the route"), "{logged}");
}

#[tokio::test]
async fn a_cancelled_handler_aborts_the_claim() {
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
    assert_eq!((status, text.as_str()), (429, "in progress"));
    hanging.abort();
    hanging.await.expect_err("aborted");
    let other = body.replace("Hangs", "200");
    assert_eq!(send(&app, &other).await, (200, "from the handler".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_concurrent_deliveries_one_reaches_the_handler() {
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
