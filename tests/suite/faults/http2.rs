//! HTTP/2 over TLS, against a server that counts the requests that are complete.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use highlevel::limit::{Acquire, Permit, RateLimiter};
use highlevel::{Client, ClientBuilder, Delivery, Error, ErrorKind, Method, RetryPolicy, Sms, Transport};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::TEST_TIMEOUT;
use super::tls::{Certificate, server_config};

const OFFERS_HTTP2: &[&[u8]] = &[b"h2", b"http/1.1"];

/// Ends a call that hangs. No test waits for it.
const LONG: Duration = Duration::from_secs(120);

#[derive(Clone, Copy)]
struct Settings {
    alpn: &'static [&'static [u8]],
    max_streams: Option<u32>,
    /// The longest time until the server responds to a request; the actual one is random.
    delay: Duration,
    /// The size of a response header.
    header: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { alpn: OFFERS_HTTP2, max_streams: None, delay: Duration::ZERO, header: 0 }
    }
}

/// The state of a server.
#[derive(Default)]
struct Counts {
    /// The number of complete requests per message.
    complete: Mutex<BTreeMap<String, usize>>,
    versions: Mutex<BTreeSet<String>>,
    /// Connections that were accepted, and those of them that are open.
    connections: watch::Sender<(usize, usize)>,
    total: watch::Sender<usize>,
    /// Requests wait for their response while this is `true`.
    holds: watch::Sender<bool>,
    command: watch::Sender<Command>,
}

#[derive(Clone, Copy, Default)]
enum Command {
    #[default]
    Serve,
    /// Sends `GOAWAY`, and ends each connection after its last request.
    GoAway,
    /// Closes the connections at once.
    Kill,
}

/// A server on a separate runtime, so that the runtime of a test can be blocked.
struct Server {
    url: String,
    counts: Arc<Counts>,
    runtime: Option<Runtime>,
}

impl Server {
    fn start(settings: Settings) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let counts = Arc::new(Counts::default());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket option");
        let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
        let state = Arc::clone(&counts);
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            let mut config = server_config(Certificate::Trusted);
            config.alpn_protocols = settings.alpn.iter().map(|name| name.to_vec()).collect();
            let acceptor = TlsAcceptor::from(Arc::new(config));
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(stream, acceptor.clone(), settings, Arc::clone(&state)));
            }
        });
        Self { url, counts, runtime: Some(runtime) }
    }

    fn client(&self) -> ClientBuilder {
        let builder = Client::builder().token("pit-1").location("l1").base_url(&self.url);
        builder.rate_limiter(Unlimited).attempt_timeout(LONG).call_timeout(LONG)
    }

    fn complete(&self, key: &str) -> usize {
        self.counts.complete.lock().expect("no panic").get(key).copied().unwrap_or_default()
    }

    fn connections(&self) -> usize {
        self.counts.connections.borrow().0
    }

    /// Waits until this number of requests is complete.
    async fn wait_for_requests(&self, requests: usize) {
        wait(&self.counts.total, |total| *total >= requests).await;
    }

    /// Waits until no connection is open. By then, the server has read everything that was sent.
    async fn wait_for_close(&self) {
        wait(&self.counts.connections, |(_, open)| *open == 0).await;
    }

    fn command(&self, command: Command) {
        self.counts.command.send_replace(command);
    }

    fn hold(&self, holds: bool) {
        self.counts.holds.send_replace(holds);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A runtime must not be dropped where a task may block.
        self.runtime.take().expect("a running server").shutdown_background();
    }
}

async fn wait<T>(sender: &watch::Sender<T>, reached: impl FnMut(&T) -> bool) {
    let mut receiver = sender.subscribe();
    let reached = tokio::time::timeout(TEST_TIMEOUT, receiver.wait_for(reached)).await;
    drop(reached.expect("the state is reached").expect("the sender exists"));
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, settings: Settings, counts: Arc<Counts>) {
    counts.connections.send_modify(|(all, open)| (*all, *open) = (*all + 1, *open + 1));
    let mut command = counts.command.subscribe();
    command.mark_unchanged();
    if let Ok(stream) = acceptor.accept(stream).await {
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let state = Arc::clone(&counts);
        let service = service_fn(move |request| respond(request, settings, Arc::clone(&state)));
        let stream = TokioIo::new(stream);
        if is_http2 {
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).max_concurrent_streams(settings.max_streams);
            let mut connection = std::pin::pin!(builder.serve_connection(stream, service));
            loop {
                tokio::select! {
                    _ = connection.as_mut() => break,
                    _ = command.changed() => match *command.borrow_and_update() {
                        Command::Serve => {}
                        Command::GoAway => connection.as_mut().graceful_shutdown(),
                        Command::Kill => break,
                    },
                }
            }
        } else {
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
        }
    }
    counts.connections.send_modify(|(_, open)| *open -= 1);
}

async fn respond(
    request: Request<Incoming>,
    settings: Settings,
    counts: Arc<Counts>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    counts.versions.lock().expect("no panic").insert(format!("{:?}", request.version()));
    let path = request.uri().path().to_owned();
    // A request that is reset before its end fails here, and is not counted.
    let body = request.into_body().collect().await?.to_bytes();
    let message: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let key = message["message"].as_str().unwrap_or(&path).to_owned();
    *counts.complete.lock().expect("no panic").entry(key.clone()).or_default() += 1;
    counts.total.send_modify(|total| *total += 1);
    let _ = counts.holds.subscribe().wait_for(|holds| !holds).await;
    if !settings.delay.is_zero() {
        tokio::time::sleep(settings.delay.mul_f64(fastrand::f64())).await;
    }
    let receipt = format!(r#"{{"conversationId":"c1","messageId":"{}"}}"#, key.trim_start_matches('/'));
    let mut response = Response::new(Full::from(receipt));
    *response.status_mut() = hyper::StatusCode::CREATED;
    response.headers_mut().insert("x-filler", "x".repeat(settings.header).parse().expect("a header"));
    Ok(response)
}

/// Limits nothing.
struct Unlimited;

impl RateLimiter for Unlimited {
    fn acquire<'a>(&'a self, _: &'a str, _: Duration) -> Acquire<'a> {
        Box::pin(async { Ok(Permit::unlimited()) })
    }
}

fn trusting() -> highlevel::TransportBuilder {
    Transport::builder().root_certificates_pem(include_bytes!("trusted.pem"))
}

fn build(server: &Server, transport: &Transport) -> Client {
    server.client().transport(transport).build().expect("a client")
}

fn transport() -> Transport {
    trusting().build().expect("a transport")
}

async fn send(client: &Client, key: &str) -> Result<String, Error> {
    let sent = client.messages().send(Sms::to("c").text(key)).await;
    sent.map(|receipt| receipt.message_id().to_string())
}

/// Starts calls at the same time.
fn start(client: &Client, calls: usize) -> JoinSet<(String, Result<String, Error>)> {
    let mut all = JoinSet::new();
    for call in 0..calls {
        let client = client.clone();
        all.spawn(async move {
            let key = format!("call-{call}");
            let result = send(&client, &key).await;
            (key, result)
        });
    }
    all
}

#[tokio::test]
async fn alpn_decides_the_version() {
    struct Row {
        name: &'static str,
        alpn: &'static [&'static [u8]],
        transport: highlevel::TransportBuilder,
        version: Version,
    }
    let rows = [
        Row { name: "HTTP/2", alpn: OFFERS_HTTP2, transport: trusting(), version: Version::HTTP_2 },
        Row { name: "HTTP/2 alone", alpn: &[b"h2"], transport: trusting(), version: Version::HTTP_2 },
        Row { name: "HTTP/1.1", alpn: &[b"http/1.1"], transport: trusting(), version: Version::HTTP_11 },
        Row { name: "no ALPN", alpn: &[], transport: trusting(), version: Version::HTTP_11 },
        Row {
            name: "opt-out",
            alpn: OFFERS_HTTP2,
            transport: trusting().http1_only(),
            version: Version::HTTP_11,
        },
        Row {
            name: "prior knowledge of a caller",
            alpn: OFFERS_HTTP2,
            transport: trusting().http_client(reqwest::ClientBuilder::http2_prior_knowledge),
            version: Version::HTTP_2,
        },
        Row {
            name: "prior knowledge of a caller and an opt-out",
            alpn: OFFERS_HTTP2,
            transport: trusting().http1_only().http_client(reqwest::ClientBuilder::http2_prior_knowledge),
            version: Version::HTTP_11,
        },
    ];
    for Row { name, alpn, transport, version } in rows {
        let server = Server::start(Settings { alpn, ..Settings::default() });
        let client = build(&server, &transport.build().expect("a transport"));
        for call in 0..3 {
            let key = format!("m{call}");
            assert_eq!(send(&client, &key).await.expect(name), key, "{name}");
            assert_eq!(server.complete(&key), 1, "{name}");
        }
        let versions: Vec<_> = server.counts.versions.lock().expect("no panic").iter().cloned().collect();
        assert_eq!(versions, [format!("{version:?}")], "{name}");
        assert_eq!(server.connections(), 1, "{name}");
    }
}

/// A caller's closure can require HTTP/2. Calls then fail if the server does not speak it.
#[tokio::test]
async fn prior_knowledge_keeps_outcomes_correct_if_the_server_speaks_http1() {
    for alpn in [&[b"http/1.1" as &[u8]] as &[&[u8]], &[]] {
        let server = Server::start(Settings { alpn, ..Settings::default() });
        let transport = trusting().http_client(reqwest::ClientBuilder::http2_prior_knowledge).build();
        let client = build(&server, &transport.expect("a transport"));
        let error = send(&client, "m").await.expect_err("the server does not speak HTTP/2");
        assert!(matches!(error.delivery(), Delivery::NotSent | Delivery::Unknown), "{error:?}");
        assert_eq!(server.complete("m"), 0, "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_progress_share_a_connection() {
    let server = Server::start(Settings::default());
    let client = build(&server, &transport());
    send(&client, "first").await.expect("a receipt");
    server.hold(true);
    let mut calls = start(&client, 60);
    server.wait_for_requests(61).await;
    assert_eq!(server.connections(), 1);
    server.hold(false);
    while let Some(call) = calls.join_next().await {
        let (key, result) = call.expect("no panic");
        assert_eq!(result.expect("a receipt"), key);
    }
}

/// Attempts that time out, calls that are dropped and deadlines that pass, at all stages of a request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_that_is_reported_as_unsent_is_completed_and_none_is_sent_twice() {
    const CALLS: usize = 3_000;
    for max_streams in [None, Some(2)] {
        let settings = Settings { delay: Duration::from_millis(12), max_streams, ..Settings::default() };
        let server = Server::start(settings);
        let transport = transport();
        let client = build(&server, &transport);
        let mut calls = JoinSet::new();
        let mut results = BTreeMap::new();
        for call in 0..CALLS {
            if calls.len() == 150 {
                let (key, result) = calls.join_next().await.expect("a call").expect("no panic");
                results.insert(key, result);
            }
            let client = match call % 3 {
                0 => client.clone().with_attempt_timeout(Duration::from_millis(4)),
                1 => client.clone().with_begin_before(Instant::now() + Duration::from_millis(6)),
                _ => client.clone(),
            };
            let retry = if call % 2 == 0 { RetryPolicy::none() } else { RetryPolicy::default() };
            let client = client.with_retry_policy(retry);
            calls.spawn(async move {
                let key = format!("call-{call}");
                let sent = send(&client, &key);
                let timeout = if call % 3 == 2 { Duration::from_millis(fastrand::u64(0..8)) } else { LONG };
                // A call that is dropped reports nothing.
                let result = tokio::time::timeout(timeout, sent).await.ok();
                (key, result)
            });
        }
        while let Some(call) = calls.join_next().await {
            let (key, result) = call.expect("no panic");
            results.insert(key, result);
        }
        drop((client, transport));
        server.wait_for_close().await;
        let mut outcomes = BTreeMap::<String, usize>::new();
        for (key, result) in results {
            let complete = server.complete(&key);
            assert!(complete <= 1, "{key} was sent {complete} times");
            let outcome = match result {
                None => "dropped".to_owned(),
                Some(Ok(_)) => {
                    assert_eq!(complete, 1, "{key}");
                    "receipt".to_owned()
                }
                Some(Err(error)) => {
                    let is_safe = error.delivery().is_safe_to_resend();
                    assert!(!is_safe || complete == 0, "{key}: {error:?}");
                    format!("{:?}", error.delivery())
                }
            };
            *outcomes.entry(outcome).or_default() += 1;
        }
        println!("{max_streams:?} streams: {outcomes:?}");
        assert!(outcomes.contains_key("NotSent") && outcomes.contains_key("dropped"), "{outcomes:?}");
    }
}

/// The streams of a burst that arrive before the client knows the limit are refused by the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_one_stream_delays_calls_and_fails_none() {
    let server = Server::start(Settings { max_streams: Some(1), ..Settings::default() });
    let client = build(&server, &transport());
    let mut calls = start(&client, 50);
    while let Some(call) = calls.join_next().await {
        let (key, result) = call.expect("no panic");
        assert_eq!(result.expect("a receipt"), key);
        assert_eq!(server.complete(&key), 1, "{key}");
    }
}

/// A server that responds to the head of each request with one frame, and counts the heads.
async fn respond_with_frame(frame: fn(u32) -> Vec<u8>, heads: Arc<Mutex<usize>>) -> String {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let heads = Arc::clone(&heads);
            tokio::spawn(async move {
                let mut config = server_config(Certificate::Trusted);
                config.alpn_protocols = vec![b"h2".to_vec()];
                let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await?;
                stream.read_exact(&mut [0; 24]).await?;
                stream.write_all(&raw_frame(SETTINGS, 0, &[])).await?;
                loop {
                    let mut head = [0; 9];
                    stream.read_exact(&mut head).await?;
                    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                    stream.read_exact(&mut vec![0; length as usize]).await?;
                    if head[3] == HEADERS {
                        *heads.lock().expect("no panic") += 1;
                        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                        stream.write_all(&frame(id)).await?;
                    }
                }
                #[allow(unreachable_code, reason = "it gives the block its type")]
                std::io::Result::Ok(())
            });
        }
    });
    url
}

fn raw_frame(kind: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, 0], &id.to_be_bytes(), payload].concat()
}

fn reset(id: u32, code: u32) -> Vec<u8> {
    raw_frame(3, id, &code.to_be_bytes())
}

fn goaway(last: u32, code: u32) -> Vec<u8> {
    raw_frame(7, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}

/// Only `REFUSED_STREAM` proves that a request was not processed. Nothing below this crate retries, as reqwest does by
/// default after `REFUSED_STREAM` and `GOAWAY`.
#[tokio::test]
async fn only_a_refused_stream_is_rejected_and_no_layer_resends() {
    struct Row {
        name: &'static str,
        frame: fn(u32) -> Vec<u8>,
        delivery: Delivery,
    }
    let rows = [
        Row { name: "NO_ERROR", frame: |id| reset(id, 0), delivery: Delivery::Unknown },
        Row { name: "PROTOCOL_ERROR", frame: |id| reset(id, 1), delivery: Delivery::Unknown },
        Row { name: "INTERNAL_ERROR", frame: |id| reset(id, 2), delivery: Delivery::Unknown },
        Row { name: "REFUSED_STREAM", frame: |id| reset(id, 7), delivery: Delivery::Rejected },
        Row { name: "CANCEL", frame: |id| reset(id, 8), delivery: Delivery::Unknown },
        Row { name: "ENHANCE_YOUR_CALM", frame: |id| reset(id, 11), delivery: Delivery::Unknown },
        Row { name: "HTTP_1_1_REQUIRED", frame: |id| reset(id, 13), delivery: Delivery::Unknown },
        Row { name: "GOAWAY before it", frame: |_| goaway(0, 0), delivery: Delivery::Unknown },
        Row { name: "GOAWAY, REFUSED_STREAM", frame: |_| goaway(0, 7), delivery: Delivery::Unknown },
        Row { name: "GOAWAY, ENHANCE_YOUR_CALM", frame: |_| goaway(0, 11), delivery: Delivery::Unknown },
    ];
    for Row { name, frame, delivery } in rows {
        let heads = Arc::new(Mutex::new(0));
        let url = respond_with_frame(frame, Arc::clone(&heads)).await;
        let builder = Client::builder().token("pit-1").base_url(url).transport(&transport());
        let client = builder.retry_policy(RetryPolicy::none()).build().expect("a client");
        let error = send(&client, "m").await.expect_err(name);
        assert_eq!((error.delivery(), error.kind()), (delivery, ErrorKind::Connection), "{name}: {error:?}");
        assert_eq!((*heads.lock().expect("no panic"), error.attempts()), (1, 1), "{name}");
    }
}

/// While the only stream is in use, a request waits in the connection. It must not be started after its deadline.
#[tokio::test]
async fn a_request_that_waits_for_a_stream_is_not_sent_after_its_deadline() {
    let server = Server::start(Settings { max_streams: Some(1), ..Settings::default() });
    let transport = transport();
    let client = build(&server, &transport).with_retry_policy(RetryPolicy::none());
    // The client has read the limit of the server by now.
    send(&client, "first").await.expect("a receipt");
    server.hold(true);
    let holding = tokio::spawn({
        let client = client.clone();
        async move { send(&client, "holding").await }
    });
    server.wait_for_requests(2).await;
    let moment = Duration::from_millis(200);
    let late = tokio::spawn({
        let client = client.clone().with_begin_before(Instant::now() + moment);
        async move { send(&client, "late").await }
    });
    let timed_out = client.clone().with_attempt_timeout(moment);
    for key in ["timed out 1", "timed out 2"] {
        let error = send(&timed_out, key).await.expect_err("no stream");
        assert_eq!(error.delivery(), Delivery::NotSent, "{key}: {error:?}");
    }
    server.hold(false);
    holding.await.expect("no panic").expect("a receipt");
    let error = late.await.expect("no panic").expect_err("it is late");
    assert_eq!(error.delivery(), Delivery::NotSent, "{error:?}");
    send(&client, "last").await.expect("a receipt");
    drop((client, timed_out, transport));
    server.wait_for_close().await;
    for (key, complete) in [("holding", 1), ("late", 0), ("timed out 1", 0), ("timed out 2", 0), ("last", 1)]
    {
        assert_eq!(server.complete(key), complete, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_end_with_requests_in_flight_resend_none() {
    const CALLS: usize = 20;
    for (name, command, is_read) in [("goaway", Command::GoAway, true), ("killed", Command::Kill, false)] {
        let server = Server::start(Settings::default());
        let client = build(&server, &transport());
        send(&client, "first").await.expect(name);
        server.hold(true);
        let mut calls = start(&client, CALLS);
        server.wait_for_requests(1 + CALLS).await;
        server.command(command);
        if !is_read {
            server.wait_for_close().await;
        }
        server.hold(false);
        while let Some(call) = calls.join_next().await {
            let (key, result) = call.expect("no panic");
            match result {
                Ok(id) => assert!(is_read && id == key, "{name}: {key}"),
                Err(error) => {
                    assert!(!is_read, "{name}: {error:?}");
                    assert_eq!(error.delivery(), Delivery::Unknown, "{name}: {error:?}");
                }
            }
            assert_eq!(server.complete(&key), 1, "{name}: {key}");
        }
        send(&client, "next").await.expect(name);
        assert_eq!(server.connections(), 2, "{name}");
    }
}

/// The server ends the connection while the runtime of the client is not driven.
#[test]
fn connections_that_were_closed_during_a_pause_are_not_used() {
    for (name, command) in [("goaway", Command::GoAway), ("closed", Command::Kill)] {
        let server = Server::start(Settings::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = build(&server, &transport());
        for round in 0..5 {
            runtime.block_on(send(&client, &format!("{name}-{round}-first"))).expect(name);
            server.command(command);
            server.runtime.as_ref().expect("a running server").block_on(async {
                match command {
                    Command::Kill => server.wait_for_close().await,
                    // The frame is sent at once; the client closes the connection when it reads the frame.
                    _ => tokio::time::sleep(Duration::from_millis(150)).await,
                }
            });
            std::thread::sleep(Duration::from_millis(120));
            runtime.block_on(async {
                let mut calls = JoinSet::new();
                for call in 0..8 {
                    let (client, key) = (client.clone(), format!("{name}-{round}-{call}"));
                    calls.spawn(async move {
                        let result = send(&client, &key).await;
                        (key, result)
                    });
                }
                while let Some(call) = calls.join_next().await {
                    let (key, result) = call.expect("no panic");
                    assert_eq!(result.unwrap_or_else(|error| panic!("{key}: {error:?}")), key);
                    assert_eq!(server.complete(&key), 1, "{key}");
                }
            });
        }
    }
}

#[tokio::test]
async fn headers_beyond_the_limits_are_reported_and_nothing_is_resent() {
    let server = Server::start(Settings { header: 100_000, ..Settings::default() });
    let client = build(&server, &transport());
    let error = send(&client, "m").await.expect_err("the header is too large");
    assert_eq!((error.delivery(), server.complete("m")), (Delivery::Unknown, 1), "{error:?}");

    let server = Server::start(Settings::default());
    let client = build(&server, &transport());
    let path = format!("/{}", "x".repeat(60_000));
    let result = client.request(Method::POST, path.as_str()).send().await;
    let error = result.expect_err("the server accepts 16 KiB");
    assert!(error.delivery() == Delivery::Rejected || error.delivery() == Delivery::Unknown, "{error:?}");
    assert_eq!(server.complete(&path), 0);
    send(&client, "next").await.expect("a receipt");
}
