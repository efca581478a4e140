//! Layers below the client: they can record and drop requests, and cannot send one twice.

use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use highlevel::middleware::{BoxError, HttpService, RequestBody, RequestInfo, ResponseBody};
use highlevel::{Client, Delivery, Error, ErrorKind, Method, RetryPolicy, Sms};
use http::{Request, Response};
use http_body::Body;
use tokio::sync::Notify;
use tower_layer::layer_fn;
use tower_service::Service;

use crate::server::{Action, Server, TOKEN, json, receipt};

type Responding = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, BoxError>> + Send>>;

/// The function of a layer.
type Handle = dyn Fn(HttpService, Request<RequestBody>) -> Responding + Send + Sync;

/// A layer from a function.
#[derive(Clone)]
struct Layered {
    inner: HttpService,
    handle: Arc<Handle>,
}

impl Service<Request<RequestBody>> for Layered {
    type Response = Response<ResponseBody>;
    type Error = BoxError;
    type Future = Responding;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Responding {
        (self.handle)(self.inner.clone(), request)
    }
}

/// Returns a client whose transport has a layer.
fn client<F>(server: &Server, policy: RetryPolicy, handle: F) -> Client
where
    F: Fn(HttpService, Request<RequestBody>) -> Responding + Send + Sync + 'static,
{
    let handle: Arc<Handle> = Arc::new(handle);
    let layer = layer_fn(move |inner| Layered { inner, handle: Arc::clone(&handle) });
    server.builder().retry_policy(policy).layer(layer).build().expect("a client")
}

async fn send(client: &Client, text: &str) -> Result<String, Error> {
    let sent = client.messages().send(Sms::to("c").text(text)).await;
    sent.map(|receipt| receipt.message_id().to_string())
}

fn failed() -> BoxError {
    "the layer drops the request".into()
}

/// Reads the first part of a body.
async fn read_part(body: &mut RequestBody) -> Result<Option<bytes::Bytes>, BoxError> {
    match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
        Some(frame) => Ok(frame?.into_data().ok()),
        None => Ok(None),
    }
}

/// Returns how often each text has reached the server.
fn texts(server: &Server) -> BTreeMap<String, usize> {
    let mut texts = BTreeMap::new();
    for request in server.requests() {
        *texts.entry(request.json()["message"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    texts
}

#[tokio::test]
async fn a_recorder_observes_what_the_server_receives() {
    let server = Server::always(Action::Respond(receipt())).await;
    let recorded = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::new(Mutex::new(Vec::new()));
    let client = client(&server, RetryPolicy::default(), {
        let (recorded, lines) = (Arc::clone(&recorded), Arc::clone(&lines));
        move |mut inner, request| {
            let info = *request.extensions().get::<RequestInfo>().expect("the client describes its requests");
            let (recorded, lines) = (Arc::clone(&recorded), Arc::clone(&lines));
            let request = request.map(|body| {
                body.observe(move |part| recorded.lock().expect("no panic").extend_from_slice(part))
            });
            Box::pin(async move {
                let response = inner.call(request).await?;
                let line = format!("{} {} {}", info.operation(), info.attempt(), response.status().as_u16());
                lines.lock().expect("no panic").push(line);
                Ok(response)
            })
        }
    });
    assert_eq!(send(&client, "Hello").await.expect("a receipt"), "t22c6DQcTDf3MjRhwf77");
    assert_eq!(*recorded.lock().expect("no panic"), server.request().text().as_bytes());
    assert_eq!(*lines.lock().expect("no panic"), ["send_message 1 201"]);
    let plain = Client::builder().token(TOKEN).base_url(server.url()).build().expect("a client");
    send(&plain, "Hello").await.expect("a receipt");
    let [layered, plain] = &server.requests()[..] else { panic!("two requests") };
    assert_eq!(layered.head, plain.head, "a layer changes no header");
}

/// The behaviours of a layer that loses a request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Drops {
    /// Without reading the body.
    Unread,
    /// After the first part of the body was read.
    Read,
    /// After the server has responded.
    Response,
    /// After the server has responded, with an error that looks like a refused connection.
    ResponseAsRefused,
    /// Never responds, without reading the body.
    SilentUnread,
    /// Never responds, after the body was read.
    SilentRead,
}

async fn drop_request(
    drops: Drops,
    mut inner: HttpService,
    mut request: Request<RequestBody>,
) -> Result<Response<ResponseBody>, BoxError> {
    match drops {
        Drops::Unread => {}
        Drops::Read => drop(read_part(request.body_mut()).await?),
        Drops::Response => drop(inner.call(request).await?),
        Drops::ResponseAsRefused => {
            drop(inner.call(request).await?);
            return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into());
        }
        Drops::SilentUnread => pending().await,
        Drops::SilentRead => {
            read_part(request.body_mut()).await?;
            pending::<()>().await;
        }
    }
    Err(failed())
}

#[tokio::test]
async fn dropped_requests_have_the_outcome_of_what_was_read() {
    struct Row {
        drops: Drops,
        delivery: Delivery,
        kind: ErrorKind,
        attempts: u32,
        arrived: usize,
    }
    let row = |drops, delivery, kind, attempts, arrived| Row { drops, delivery, kind, attempts, arrived };
    for Row { drops, delivery, kind, attempts, arrived } in [
        row(Drops::Unread, Delivery::NotSent, ErrorKind::Connection, 3, 0),
        row(Drops::Read, Delivery::Unknown, ErrorKind::Connection, 1, 0),
        row(Drops::Response, Delivery::Unknown, ErrorKind::Connection, 1, 1),
        row(Drops::ResponseAsRefused, Delivery::Unknown, ErrorKind::Connect, 1, 1),
        row(Drops::SilentUnread, Delivery::NotSent, ErrorKind::Timeout, 3, 0),
        row(Drops::SilentRead, Delivery::Unknown, ErrorKind::Timeout, 1, 0),
    ] {
        let server = Server::always(Action::Respond(receipt())).await;
        let client = client(&server, RetryPolicy::default(), move |inner, request| {
            Box::pin(drop_request(drops, inner, request))
        });
        let client = client.with_attempt_timeout(Duration::from_millis(200));
        let error = send(&client, "Hello").await.expect_err("the layer drops it");
        let found = (error.delivery(), error.kind(), error.attempts(), server.requests().len());
        assert_eq!(found, (delivery, kind, attempts, arrived), "{drops:?}");
    }
}

/// A layer that retains request bodies and sends them with later requests, and twice, cannot make one arrive after the client
/// has reported that it was not sent, nor twice.
#[tokio::test]
async fn retained_bodies_are_closed_when_the_attempt_ends() {
    let server = Server::always(Action::Respond(receipt())).await;
    let retained = Arc::new(Mutex::new(Vec::<RequestBody>::new()));
    let later_errors = Arc::new(AtomicUsize::new(0));
    let client = client(&server, RetryPolicy::none(), {
        let (retained, later_errors) = (Arc::clone(&retained), Arc::clone(&later_errors));
        move |mut inner, request| {
            let (retained, later_errors) = (Arc::clone(&retained), Arc::clone(&later_errors));
            Box::pin(async move {
                let (parts, body) = request.into_parts();
                let earlier = std::mem::take(&mut *retained.lock().expect("no panic"));
                if earlier.is_empty() {
                    retained.lock().expect("no panic").push(body);
                    return Err(failed());
                }
                for body in earlier {
                    let repeated = inner.call(Request::from_parts(parts.clone(), body)).await;
                    later_errors.fetch_add(usize::from(repeated.is_err()), Ordering::Relaxed);
                }
                inner.call(Request::from_parts(parts, body)).await
            })
        }
    });
    let error = send(&client, "first").await.expect_err("the layer retains it");
    assert_eq!(error.delivery(), Delivery::NotSent);
    send(&client, "second").await.expect("a receipt");
    assert_eq!(later_errors.load(Ordering::Relaxed), 1);
    assert_eq!(texts(&server), BTreeMap::from([("second".to_owned(), 1)]));
}

/// A layer that exchanges the bodies of concurrent requests: each arrives once, and each receipt is that of a request.
#[tokio::test]
async fn exchanged_bodies_are_written_once() {
    let server = Server::always(Action::Respond(receipt())).await;
    let waiting = Arc::new(Mutex::new(None::<RequestBody>));
    let both = Arc::new(tokio::sync::Barrier::new(2));
    let client = client(&server, RetryPolicy::default(), {
        move |mut inner, request| {
            let (waiting, both) = (Arc::clone(&waiting), Arc::clone(&both));
            Box::pin(async move {
                let (parts, body) = request.into_parts();
                let other = waiting.lock().expect("no panic").replace(body);
                both.wait().await;
                let body = match other {
                    Some(other) => other,
                    None => waiting.lock().expect("no panic").take().expect("the body of the other request"),
                };
                inner.call(Request::from_parts(parts, body)).await
            })
        }
    });
    let (first, second) = tokio::join!(send(&client, "first"), send(&client, "other"));
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    assert_eq!(texts(&server), BTreeMap::from([("first".to_owned(), 1), ("other".to_owned(), 1)]));
}

/// A layer that sends a request in the background after the call was dropped.
#[tokio::test]
async fn dropped_calls_are_not_sent_by_a_layer_later() {
    let server = Server::always(Action::Respond(receipt())).await;
    let (received, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (finished, result) = tokio::sync::mpsc::unbounded_channel();
    let result = Arc::new(tokio::sync::Mutex::new(result));
    let client = client(&server, RetryPolicy::default(), {
        let (received, go) = (Arc::clone(&received), Arc::clone(&go));
        move |mut inner, request| {
            let (received, go, finished) = (Arc::clone(&received), Arc::clone(&go), finished.clone());
            tokio::spawn(async move {
                received.notify_one();
                go.notified().await;
                let _ = finished.send(inner.call(request).await.is_ok());
            });
            Box::pin(pending())
        }
    });
    let call = tokio::spawn(async move { send(&client, "Hello").await });
    received.notified().await;
    call.abort();
    assert!(call.await.is_err_and(|error| error.is_cancelled()));
    go.notify_one();
    assert_eq!(result.lock().await.recv().await, Some(false), "the body is closed");
    assert_eq!(server.requests().len(), 0);
}

/// The last check before the first byte happens when the body is read, however long a layer delays it.
#[tokio::test]
async fn late_requests_are_not_sent() {
    let server = Server::always(Action::Respond(receipt())).await;
    let deadline = Instant::now() + Duration::from_millis(300);
    let client = client(&server, RetryPolicy::none(), move |mut inner, request| {
        Box::pin(async move {
            tokio::time::sleep_until((deadline + Duration::from_millis(50)).into()).await;
            inner.call(request).await
        })
    });
    let error = send(&client.with_begin_before(deadline), "Hello").await.expect_err("too late");
    assert_eq!((error.delivery(), server.requests().len()), (Delivery::NotSent, 0));
}

#[tokio::test]
async fn a_cache_responds_without_the_server() {
    let server = Server::always(Action::Respond(json("200 OK", &serde_json::json!({ "id": 1 })))).await;
    let stored = Arc::new(Mutex::new(None::<bytes::Bytes>));
    let client = client(&server, RetryPolicy::default(), move |mut inner, request| {
        let stored = Arc::clone(&stored);
        Box::pin(async move {
            let cached = stored.lock().expect("no panic").clone();
            if let Some(content) = cached {
                return Ok(Response::new(content.into()));
            }
            let (parts, mut body) = inner.call(request).await?.into_parts();
            let mut content = Vec::new();
            while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                content.extend(frame?.into_data().unwrap_or_default());
            }
            let content = bytes::Bytes::from(content);
            *stored.lock().expect("no panic") = Some(content.clone());
            Ok(Response::from_parts(parts, content.into()))
        })
    });
    for _ in 0..3 {
        let receipt = client.request(Method::GET, "/custom").send().await.expect("a response");
        assert_eq!(receipt.body(), br#"{"id":1}"#.as_slice());
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_layer_can_send_requests_to_another_server() {
    let server = Server::always(Action::Reset).await;
    let mirror = Server::always(Action::Respond(receipt())).await;
    let address = mirror.url();
    let client = client(&server, RetryPolicy::default(), move |mut inner, mut request| {
        let path = request.uri().path();
        *request.uri_mut() = format!("{address}{path}").parse().expect("a URI");
        Box::pin(async move { inner.call(request).await })
    });
    send(&client, "Hello").await.expect("a receipt");
    assert_eq!((server.connections(), mirror.requests().len()), (0, 1));
}

#[tokio::test]
async fn the_layer_that_is_added_last_is_called_first() {
    let server = Server::always(Action::Respond(receipt())).await;
    let called = Arc::new(Mutex::new(Vec::new()));
    let named = |name: &'static str| {
        let called = Arc::clone(&called);
        layer_fn(move |inner| {
            let called = Arc::clone(&called);
            let handle: Arc<Handle> = Arc::new(move |mut inner: HttpService, request| {
                called.lock().expect("no panic").push(name);
                inner.call(request)
            });
            Layered { inner, handle }
        })
    };
    let client = server.builder().layer(named("inner")).layer(named("outer")).build().expect("a client");
    send(&client, "Hello").await.expect("a receipt");
    assert_eq!(*called.lock().expect("no panic"), ["outer", "inner"]);
}

/// Errors of a connection pass through a layer with their classification.
#[tokio::test]
async fn errors_of_connections_keep_their_kind() {
    let client =
        Client::builder().token(TOKEN).base_url(format!("http://{}", crate::server::nowhere().await));
    let layer = layer_fn(|inner: HttpService| inner);
    let client = client.retry_policy(RetryPolicy::none()).layer(layer).build().expect("a client");
    let error = send(&client, "Hello").await.expect_err("no server");
    assert_eq!((error.delivery(), error.kind()), (Delivery::NotSent, ErrorKind::Connect));

    let server = Server::always(Action::Reset).await;
    let layer = layer_fn(|inner: HttpService| inner);
    let client = server.builder().layer(layer).build().expect("a client");
    let error = send(&client, "Hello").await.expect_err("a reset");
    assert_eq!((error.delivery(), error.kind()), (Delivery::Unknown, ErrorKind::Connection));
}
