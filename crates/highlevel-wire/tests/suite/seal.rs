//! Requests that are given up, or whose time to begin has passed: no byte of them reaches the server.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use highlevel_wire::{Client, Error, Gate, RequestContext, RequestSettings};
use reqwest::Method;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::context::{data, transport, transport_builder};

const METHODS: [Method; 5] = [Method::POST, Method::PUT, Method::GET, Method::DELETE, Method::HEAD];
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// Counts the bytes that it reads, and responds to each request.
struct Counter {
    address: SocketAddr,
    /// Connections that were accepted, connections that have ended, and bytes.
    counts: watch::Receiver<(usize, usize, usize)>,
}

impl Counter {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (counts, receiver) = watch::channel((0, 0, 0));
        let counts = Arc::new(counts);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counts.send_modify(|(accepted, ..)| *accepted += 1);
                let counts = Arc::clone(&counts);
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                        counts.send_modify(|(.., bytes)| *bytes += count);
                        let _ = stream.write_all(RESPONSE).await;
                    }
                    counts.send_modify(|(_, ended, _)| *ended += 1);
                });
            }
        });
        Self { address, counts: receiver }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the bytes that were read, once so many connections were accepted and all of them have ended.
    async fn bytes(&mut self, connections: usize) -> usize {
        let ended = |counts: &(usize, usize, usize)| counts.0 >= connections && counts.0 == counts.1;
        let counts = tokio::time::timeout(Duration::from_secs(60), self.counts.wait_for(ended)).await;
        counts.expect("the connections end").expect("the server runs").2
    }
}

fn context(gate: Option<Gate>) -> RequestContext {
    RequestContext::new(RequestSettings { gate, ..data() })
}

/// Lets a request begin before a time, and counts how often it is asked.
fn before(time: Instant) -> (Gate, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let gate = Gate::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
        Instant::now() < time
    });
    (gate, asked)
}

fn lapsed() -> Gate {
    before(Instant::now()).0
}

async fn send(
    url: &str,
    transport: &reqwest::Client,
    context: &RequestContext,
    method: Method,
) -> Result<(), Error<()>> {
    let client = Client::new_with_client(url, transport.clone(), context.clone());
    let body = json!({ "message": "Your table is ready" });
    let body = (method == Method::POST || method == Method::PUT).then_some(&body);
    client.request(method, "/contacts/abc", &[], body).await.map(drop)
}

/// Returns the messages of an error and of its causes.
fn causes(error: &Error<()>) -> String {
    let Error::CommunicationError(error) = error else { panic!("{error:?}") };
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_sealed_request_writes_no_byte() {
    for method in METHODS {
        let mut server = Counter::start().await;
        let (transport, context) = (transport(), context(None));
        assert!(!context.seal());
        let error =
            send(&server.url(), &transport, &context, method.clone()).await.expect_err("it is sealed");
        assert!(
            causes(&error).contains("the call was given up before the request began"),
            "{}",
            causes(&error)
        );
        let trace = context.take();
        assert!(!trace.written && !trace.refused && trace.response.is_none(), "{method}: {trace:?}");
        drop(transport);
        assert_eq!(server.bytes(1).await, 0, "{method}");
    }
}

#[tokio::test]
async fn a_request_after_its_deadline_writes_no_byte() {
    for method in METHODS {
        let mut server = Counter::start().await;
        let (transport, late) = (transport(), context(Some(lapsed())));
        let error = send(&server.url(), &transport, &late, method.clone()).await.expect_err("it is too late");
        let text = "the time before which the request had to begin has passed";
        assert!(causes(&error).contains(text), "{}", causes(&error));
        let trace = late.take();
        assert!(!trace.written && trace.refused && trace.response.is_none(), "{method}: {trace:?}");
        drop(transport);
        assert_eq!(server.bytes(1).await, 0, "{method}");
    }
}

#[tokio::test]
async fn a_request_after_its_deadline_on_a_pooled_connection_writes_no_byte() {
    for method in METHODS {
        let mut server = Counter::start().await;
        let transport = transport();
        let (gate, asked) = before(Instant::now() + Duration::from_secs(3600));
        let early = context(Some(gate));
        send(&server.url(), &transport, &early, Method::GET).await.expect("a response");
        let bytes_before = server.counts.borrow_and_update().2;
        assert!(early.take().written && bytes_before > 0);
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{method}");
        let late = context(Some(lapsed()));
        send(&server.url(), &transport, &late, method.clone()).await.expect_err("it is too late");
        assert!(!late.take().written, "{method}");
        drop(transport);
        assert_eq!(server.bytes(1).await, bytes_before, "{method}");
    }
}

/// Resolves every name to an address, after a while.
struct Slow(SocketAddr, Duration);

impl Resolve for Slow {
    fn resolve(&self, _: Name) -> Resolving {
        let Self(address, delay) = *self;
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            Ok(Box::new(std::iter::once(address)) as Addrs)
        })
    }
}

/// The time passes, the timer fires or the future is dropped while a connection is still being made.
#[tokio::test]
async fn a_request_that_ends_while_connecting_is_never_written() {
    let moment = Duration::from_millis(100);
    for method in METHODS {
        for way in ["lapses", "times out", "is dropped"] {
            let mut server = Counter::start().await;
            let resolver = Arc::new(Slow(server.address, 3 * moment));
            let transport = transport_builder().dns_resolver(resolver).build().expect("a transport");
            let mut settings = data();
            match way {
                "lapses" => settings.gate = Some(before(Instant::now() + moment).0),
                "times out" => settings.timeout = moment,
                _ => {}
            }
            let context = RequestContext::new(settings);
            let url = format!("http://somewhere.test:{}", server.address.port());
            let sent = send(&url, &transport, &context, method.clone());
            if way == "is dropped" {
                tokio::time::timeout(moment, sent).await.expect_err("it takes longer");
            } else {
                sent.await.expect_err("it takes longer");
            }
            assert!(!context.take().written, "{method} {way}");
            // Another request shows that the resolver has done its work.
            let other = self::context(None);
            send(&url, &transport, &other, Method::GET).await.expect("a response");
            drop(transport);
            let bytes = server.bytes(1).await;
            let one = other_request_alone().await;
            assert_eq!(bytes, one, "{method} {way}: the bytes of the other request alone");
        }
    }
}

/// Returns the bytes of a GET by itself.
async fn other_request_alone() -> usize {
    let mut server = Counter::start().await;
    let transport = transport_builder()
        .dns_resolver(Arc::new(Slow(server.address, Duration::ZERO)))
        .build()
        .expect("a transport");
    let url = format!("http://somewhere.test:{}", server.address.port());
    send(&url, &transport, &context(None), Method::GET).await.expect("a response");
    drop(transport);
    server.bytes(1).await
}

/// A frame of HTTP/2 on a stream: its type, its flags and its stream.
type FrameHead = (u8, u8, u32);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;

/// A server for one connection that speaks just enough HTTP/2 to record frames, and to respond 200 to complete requests.
async fn record_frames(listener: TcpListener, frames: Arc<Mutex<Vec<FrameHead>>>) {
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.expect("a preface");
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    write_frame(&mut stream, (SETTINGS, 0, 0), &[]).await;
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.expect("a payload");
        let (kind, flags) = (head[3], head[4]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        if kind == SETTINGS && flags == 0 {
            write_frame(&mut stream, (SETTINGS, 1, 0), &[]).await;
        }
        if id > 0 {
            frames.lock().expect("no panic").push((kind, flags, id));
            if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                // `:status: 200` of the static table, with the ends of headers and stream.
                write_frame(&mut stream, (HEADERS, 0x5, id), &[0x88]).await;
            }
        }
    }
}

async fn write_frame(stream: &mut TcpStream, (kind, flags, id): FrameHead, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload);
    // The client may be gone.
    let _ = stream.write_all(&bytes).await;
}

/// Over HTTP/2, the head of a refused request may reach the server. It does not end the request, no body follows, and the
/// stream is reset. The connection serves the next request.
#[tokio::test]
async fn a_sealed_http2_request_is_reset_before_its_end() {
    for method in METHODS {
        for is_late in [true, false] {
            let name = format!("{method}, {}", if is_late { "late" } else { "sealed" });
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let url = format!("http://{}", listener.local_addr().expect("an address"));
            let frames = Arc::new(Mutex::new(Vec::new()));
            let server = tokio::spawn(record_frames(listener, Arc::clone(&frames)));
            let transport = transport_builder().http2_prior_knowledge().build().expect("a transport");

            let first = context(None);
            send(&url, &transport, &first, Method::POST).await.expect("a response");
            assert!(first.take().written);
            let refused = context(is_late.then(lapsed));
            if !is_late {
                refused.seal();
            }
            send(&url, &transport, &refused, method.clone()).await.expect_err("it is refused");
            assert!(!refused.take().written, "{name}");
            let last = context(None);
            send(&url, &transport, &last, Method::POST).await.expect("a response on the same connection");
            drop(transport);
            server.await.expect("no panic");

            let frames = std::mem::take(&mut *frames.lock().expect("no panic"));
            let of = |stream| {
                frames
                    .iter()
                    .filter(move |(.., id)| *id == stream)
                    .map(|(kind, flags, _)| (*kind, *flags & END_STREAM))
            };
            let complete = [(HEADERS, 0), (DATA, END_STREAM)];
            assert_eq!(of(1).collect::<Vec<_>>(), complete, "{name}");
            assert_eq!(of(5).collect::<Vec<_>>(), complete, "{name}");
            assert!(
                of(3).all(|(kind, end)| kind != DATA && (kind == RST_STREAM || end == 0)),
                "{name}: {frames:?}"
            );
        }
    }
}
