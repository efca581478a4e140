//! The HTTP client: a caller's configuration cannot change the guarantees of the SDK.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use highlevel::{Client, Delivery, Error, ErrorKind, Method, RetryPolicy, Sms, Tls, Transport};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::ClientBuilder as Http;
use reqwest::redirect::Policy;
use tokio::runtime::{Builder, Runtime};
use tower_layer::Layer;
use tower_service::Service;

use crate::server::{Action, Server, TOKEN, receipt, response, serve};

/// A hang guard, far longer than anything here takes.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

type Configure = fn(Http) -> Http;

type Build = fn(&Server, &Transport) -> highlevel::ClientBuilder;

async fn send(client: &Client) -> Result<String, Error> {
    let sent = client.messages().send(Sms::to("c").text("t")).await;
    sent.map(|receipt| receipt.message_id().to_string())
}

/// Everything that a closure can set and that could resend, redirect, cut or relabel a request.
#[allow(
    clippy::redundant_closure_for_method_calls,
    reason = "reqwest does not export the type of one attempt, and the other has a lifetime"
)]
fn knobs() -> Vec<(&'static str, Configure)> {
    vec![
        ("nothing", |http| http),
        ("redirects", |http| http.redirect(Policy::default())),
        ("all redirects", |http| http.redirect(Policy::custom(|attempt| attempt.follow()))),
        ("referer", |http| http.referer(true)),
        ("retries", |http| {
            http.retry(
                reqwest::retry::for_host("127.0.0.1")
                    .no_budget()
                    .max_retries_per_request(5)
                    .classify_fn(|attempt| attempt.retryable()),
            )
        }),
        ("short timeouts", |http| {
            http.timeout(Duration::from_millis(1)).read_timeout(Duration::from_millis(1))
        }),
        ("no time to connect", |http| http.connect_timeout(Duration::from_nanos(1))),
        ("no pool", |http| http.pool_max_idle_per_host(0).pool_idle_timeout(Duration::ZERO)),
        ("endless pool", |http| http.pool_idle_timeout(None)),
        ("http 0.9", |http| http.http09_responses()),
        ("http 1", |http| http.http1_only().http1_title_case_headers().http1_max_headers(200)),
        #[cfg(feature = "http2")]
        ("http 2", |http| http.http2_prior_knowledge().http2_keep_alive_interval(None)),
        ("lenient http", |http| {
            http.http1_allow_obsolete_multiline_headers_in_responses(true)
                .http1_ignore_invalid_headers_in_responses(true)
                .http1_allow_spaces_after_header_name_in_responses(true)
        }),
        ("logging", |http| http.connection_verbose(true)),
        ("sockets", |http| http.tcp_nodelay(false).tcp_keepalive(None).local_address(None)),
        ("proxies off", |http| http.no_proxy()),
        ("user agent", |http| http.user_agent("evil/1.0")),
        ("headers", |http| {
            let names =
                ["authorization", "version", "user-agent", "accept", "content-type", "expect", "x-own"];
            let value = HeaderValue::from_static("evil");
            let headers = names.map(|name| (HeaderName::from_static(name), value.clone()));
            http.default_headers(headers.into_iter().collect())
        }),
        ("own layer", |http| http.connector_layer(Passing)),
        ("resolver", |http| http.resolve("localhost", "127.0.0.1:0".parse().expect("an address"))),
    ]
}

/// A layer around connecting that changes nothing.
#[derive(Clone)]
struct Passing;

impl<S> Layer<S> for Passing {
    type Service = Passed<S>;

    fn layer(&self, inner: S) -> Passed<S> {
        Passed(inner)
    }
}

#[derive(Clone)]
struct Passed<S>(S);

impl<S: Service<R>, R> Service<R> for Passed<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.0.call(request)
    }
}

/// A layer that never connects.
#[derive(Clone)]
struct Refusing;

impl<S> Layer<S> for Refusing {
    type Service = Refused<S>;

    fn layer(&self, inner: S) -> Refused<S> {
        Refused(inner)
    }
}

#[derive(Clone)]
struct Refused<S>(S);

impl<S, R> Service<R> for Refused<S>
where
    S: Service<R>,
    S::Response: Send + 'static,
    S::Error: From<std::io::Error> + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, _: R) -> Self::Future {
        Box::pin(async { Err(std::io::Error::other("the layer does not connect").into()) })
    }
}

#[tokio::test]
async fn every_configuration_sends_once_with_the_headers_of_this_crate() {
    for (name, configure) in knobs() {
        let server = Server::always(Action::Late(Duration::from_millis(20), receipt())).await;
        let client =
            server.builder().user_agent("front-desk/1.4").http_client(configure).build().expect(name);
        for _ in 0..3 {
            assert_eq!(send(&client).await.expect(name), "t22c6DQcTDf3MjRhwf77", "{name}");
        }
        // The pool is that of this crate.
        assert_eq!((server.requests().len(), server.connections()), (3, 1), "{name}");
        for request in server.requests() {
            assert_eq!(request.line, "POST /conversations/messages HTTP/1.1", "{name}");
            assert_eq!(request.header("authorization"), [format!("Bearer {TOKEN}")], "{name}");
            assert_eq!(request.header("version"), ["2021-04-15"], "{name}");
            assert_eq!(request.header("user-agent"), ["front-desk/1.4"], "{name}");
            assert_eq!(request.header("content-type"), ["application/json"], "{name}");
            assert_eq!(request.json()["message"], "t", "{name}");
        }
    }
}

/// A redirect of a POST to the same address used to be followed by a GET, whose response could look like a receipt.
#[tokio::test]
async fn no_configuration_follows_redirects() {
    for (name, configure) in knobs() {
        for (status, number) in [
            ("301 Moved Permanently", 301),
            ("302 Found", 302),
            ("303 See Other", 303),
            ("307 Temporary Redirect", 307),
            ("308 Permanent Redirect", 308),
        ] {
            for target in ["/conversations/messages", "/elsewhere", "?", "http://127.0.0.1:1/"] {
                let first = AtomicUsize::new(0);
                let server = Server::start(move |_| match first.fetch_add(1, Ordering::Relaxed) {
                    0 => Action::Respond(response(status, &format!("location: {target}\r\n"), "")),
                    _ => Action::Respond(receipt()),
                })
                .await;
                let client = server.builder().http_client(configure).build().expect(name);
                let error = send(&client).await.expect_err("a redirect");
                let row = format!("{name}, {status} to {target}");
                assert_eq!((error.delivery(), error.status()), (Delivery::Rejected, Some(number)), "{row}");
                assert_eq!(server.requests().len(), 1, "{row}");
            }
        }
    }
}

/// A request that fails after it was written is sent once, and its outcome is unknown.
#[tokio::test]
async fn no_configuration_resends() {
    for (name, configure) in knobs() {
        for (what, action) in [
            ("reset", Action::Reset),
            ("closed", Action::Close(Vec::new())),
            ("garbage", Action::Close(b"{\"messageId\":\"m1\",\"conversationId\":\"c1\"}\r\n\r\n".to_vec())),
            ("503", Action::Respond(response("503 Service Unavailable", "", ""))),
            ("408", Action::Close(response("408 Request Timeout", "connection: close\r\n", ""))),
        ] {
            let server = Server::always(action).await;
            let builder = server.builder().retry_policy(RetryPolicy::default()).http_client(configure);
            let error = send(&builder.build().expect(name)).await.expect_err("a failure");
            assert_eq!(
                (error.delivery(), error.attempts()),
                (Delivery::Unknown, 1),
                "{name}, {what}: {error}"
            );
            assert_eq!(server.requests().len(), 1, "{name}, {what}");
        }
    }
}

#[tokio::test]
async fn a_layer_that_does_not_connect_has_sent_nothing() {
    let server = Server::silent().await;
    let client =
        server.builder().http_client(|http| http.connector_layer(Refusing)).build().expect("a client");
    let error = send(&client).await.expect_err("no connection");
    assert_eq!((error.delivery(), error.kind()), (Delivery::NotSent, ErrorKind::Connect));
    assert_eq!(server.connections(), 0);
}

/// They would cut requests, or join two of them.
#[test]
fn default_headers_that_change_the_framing_are_rejected() {
    for name in ["content-length", "transfer-encoding"] {
        let builder =
            Client::builder().token(TOKEN).base_url("http://127.0.0.1:1").http_client(move |http| {
                let mut headers = HeaderMap::new();
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static("5"));
                http.default_headers(headers)
            });
        let error = builder.build().expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert_eq!(
            error.to_string(),
            format!(
                "build: the HTTP client has the default header `{name}`, which would cut or join requests: leave it out"
            )
        );
    }
}

/// reqwest panics there: rustls without a provider of cryptography.
#[test]
fn a_configuration_that_reqwest_cannot_build_is_an_error() {
    let rows: [(&str, Configure); 3] = [
        ("no provider", |http| http.tls_backend_rustls()),
        ("another builder", |_| reqwest::Client::builder()),
        ("an unknown backend", |http| http.tls_backend_preconfigured("nonsense")),
    ];
    for (name, configure) in rows {
        let builder = Client::builder().token(TOKEN).base_url("http://127.0.0.1:1");
        let error = builder.http_client(configure).build().expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Configuration, "{name}: {error}");
    }
}

#[test]
fn settings_that_contradict_each_other_are_rejected() {
    let transport = Transport::builder().build().expect("a transport");
    let builder = || Client::builder().token(TOKEN).base_url("http://127.0.0.1:1").transport(&transport);
    builder().build().expect("a client");
    let second = Duration::from_secs(1);
    for (name, builder) in [
        ("connect_timeout", builder().connect_timeout(second)),
        ("idle_timeout", builder().idle_timeout(second)),
        ("max_connections", builder().max_connections(1)),
        ("tls", builder().tls(Tls::RustlsRing)),
        ("http_client", builder().http_client(|http| http)),
    ] {
        let error = builder.build().expect_err(name);
        assert_eq!(
            error.to_string(),
            format!(
                "build: `.transport(…)` was given together with `.{name}(…)`: set it with `Transport::builder()`"
            )
        );
    }
    let error = Transport::builder().max_connections(0).build().expect_err("none");
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn extreme_settings_work() {
    let server = Server::always(Action::Respond(receipt())).await;
    for transport in [
        Transport::builder()
            .connect_timeout(Duration::MAX)
            .idle_timeout(Duration::MAX)
            .max_connections(usize::MAX),
        Transport::builder().idle_timeout(Duration::ZERO).max_connections(1),
    ] {
        let transport = transport.build().expect("a transport");
        let client = server.builder().transport(&transport).build().expect("a client");
        for _ in 0..2 {
            send(&client).await.expect("a receipt");
        }
    }
}

#[tokio::test]
async fn clients_share_connections() {
    struct Row {
        name: &'static str,
        first: Build,
        second: Build,
        connections: usize,
    }

    let transport = Transport::builder().build().expect("a transport");
    // The builders of two clients, and the connections that both need together.
    let rows = [
        Row {
            name: "by default",
            first: |server, _| server.builder(),
            second: |server, _| server.builder(),
            connections: 1,
        },
        Row {
            name: "other client options",
            first: |server, _| server.builder().attempt_timeout(Duration::from_secs(9)),
            second: |server, _| server.builder().user_agent("other"),
            connections: 1,
        },
        Row {
            name: "one transport",
            first: |server, transport| server.builder().transport(transport),
            second: |server, transport| server.builder().transport(&transport.clone()),
            connections: 1,
        },
        Row {
            name: "equal settings",
            first: |server, _| server.builder().idle_timeout(Duration::from_secs(7)),
            second: |server, _| server.builder().idle_timeout(Duration::from_secs(7)),
            connections: 1,
        },
        Row {
            name: "other settings",
            first: |server, _| server.builder().idle_timeout(Duration::from_secs(8)),
            second: |server, _| server.builder(),
            connections: 2,
        },
        Row {
            name: "a closure",
            first: |server, _| server.builder().http_client(|http| http),
            second: |server, _| server.builder(),
            connections: 2,
        },
    ];
    for Row { name, first, second, connections } in rows {
        let server = Server::always(Action::Respond(receipt())).await;
        let clients = [first(&server, &transport), second(&server, &transport)];
        let clients = clients.map(|builder| builder.build().expect(name));
        for client in &clients {
            send(client).await.expect(name);
        }
        assert_eq!(server.connections(), connections, "{name}");
    }
}

/// The most requests that are in progress, and so the connections, are bounded; the others wait, and none fails.
#[tokio::test]
async fn connections_are_bounded() {
    let server = Server::always(Action::Late(Duration::from_millis(5), receipt())).await;
    let client = server.builder().max_connections(4).build().expect("a client");
    let calls: Vec<_> = (0..60)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { send(&client).await })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic").expect("a receipt");
    }
    assert_eq!(server.requests().len(), 60);
    // While a connection is returned to the pool, its successor may be open already.
    assert!(server.most_connections() <= 8, "{} connections at once", server.most_connections());
}

/// Waiting for a connection ends with the deadline of the call, and nothing was sent then.
#[tokio::test]
async fn waiting_for_a_connection_ends_with_the_deadline() {
    let server = Server::always(Action::Stall(Vec::new())).await;
    let client = server.builder().max_connections(1).build().expect("a client");
    let stalled = tokio::spawn({
        let client = client.clone();
        async move { send(&client).await }
    });
    server.arrived(1).await;
    let error = send(&client.with_call_timeout(Duration::from_millis(200))).await.expect_err("no connection");
    assert_eq!(
        (error.delivery(), error.kind(), error.attempts()),
        (Delivery::NotSent, ErrorKind::Timeout, 0)
    );
    assert_eq!(server.requests().len(), 1);
    stalled.abort();
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Pooled connections live on the runtime that opened them. One that is not driven any more kept other runtimes waiting for
/// the whole attempt timeout, 30 seconds.
#[test]
fn a_runtime_that_is_not_driven_holds_up_no_other() {
    let (server, _end) = serve(|_| Action::Respond(receipt()));
    let client = server.builder().max_connections(1).build().expect("a client");
    let undriven = runtime();
    undriven.block_on(send(&client)).expect("a receipt");
    // A request in progress keeps its slot there as well.
    undriven.block_on(async {
        let mut call = Box::pin(send(&client));
        assert!(futures_poll(call.as_mut()).is_pending());
        std::mem::forget(call);
    });
    let other = runtime();
    let result = other.block_on(async { tokio::time::timeout(TEST_TIMEOUT, send(&client)).await });
    result.expect("no hang").expect("a receipt");
    assert!(server.connections() >= 2, "the second runtime opened its own connection");
    drop(undriven);
    other.block_on(send(&client)).expect("a receipt");
}

/// Polls a future once.
fn futures_poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(std::task::Waker::noop()))
}

/// A client outlives the runtimes that use it, one after the other and at the same time.
#[test]
fn a_client_serves_many_runtimes() {
    let (server, _end) = serve(|_| Action::Respond(receipt()));
    let client = server.client();
    for _ in 0..20 {
        let runtime = runtime();
        runtime.block_on(send(&client)).expect("a receipt");
    }
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            thread::spawn(move || {
                let runtime = runtime();
                for _ in 0..5 {
                    runtime.block_on(send(&client)).expect("a receipt");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
    // Each runtime opened one connection and kept it.
    assert_eq!((server.requests().len(), server.connections()), (60, 28));
}

/// Raw requests and the generated client use the same transport.
#[tokio::test]
async fn raw_requests_use_the_configured_client() {
    let server = Server::always(Action::Respond(response("200 OK", "", "{}"))).await;
    let client = server
        .builder()
        .http_client(|http| {
            let value = HeaderValue::from_static("yes");
            http.default_headers([(HeaderName::from_static("x-own"), value)].into_iter().collect())
        })
        .build()
        .expect("a client");
    client.request(Method::GET, "/contacts/c1").send().await.expect("a receipt");
    assert_eq!(server.request().header("x-own"), ["yes"]);
}
