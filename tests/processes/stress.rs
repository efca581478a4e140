//! Calls whose time runs out while their request is being written, on a machine that has no time for them.
//!
//! A call that is dropped and a connection that starts to write race for the request. The server counts the requests: a
//! message that arrived twice, or one that was reported as not sent and arrived, is a lost race.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use highlevel::wire::types::SendMessageRequest;
use highlevel::{Client, Delivery, LocalRateLimiter, Sms};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::server::receipt;

const CALLS: usize = 20_000;
/// Further calls whose future is dropped.
const DROPPED: usize = 4_000;
const AT_ONCE: usize = 32;
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(4);

/// Requests that arrived, by their text.
type Arrived = Arc<Mutex<HashMap<String, usize>>>;

/// Resolves every name after a random time around that of an attempt, to one of many addresses of this machine: each has
/// separate ports.
struct SlowResolver {
    port: u16,
    random: Mutex<Rng>,
}

impl Resolve for SlowResolver {
    fn resolve(&self, _: Name) -> Resolving {
        let (delay, last) = {
            let mut random = self.random.lock().expect("no panic");
            (Duration::from_micros(random.u64(0..3_000)), random.u8(1..=200))
        };
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), self.port);
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            Ok(Box::new(std::iter::once(address)) as Addrs)
        })
    }
}

async fn accept(listener: TcpListener, arrived: Arrived) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&arrived)));
    }
}

async fn serve(mut stream: TcpStream, arrived: Arrived) {
    let mut buffer = Vec::with_capacity(1024);
    while stream.read_buf(&mut buffer).await.is_ok_and(|count| count > 0) {
        // One request per read at most: the client waits for each response.
        let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let Ok(body) = serde_json::from_slice::<serde_json::Value>(&buffer[end + 4..]) else { continue };
        let key = body["message"].as_str().expect("a text").to_owned();
        *arrived.lock().expect("no panic").entry(key).or_default() += 1;
        buffer.clear();
        let _ = stream.write_all(&receipt()).await;
        // Most requests need a connection, and so the resolver.
        if !arrived.lock().expect("no panic").len().is_multiple_of(8) {
            return;
        }
    }
}

/// The result of a request, as far as its caller knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Receipt,
    NotSent,
    MayHaveBeenSent,
    DroppedUnwritten,
    DroppedWritten,
}

impl Known {
    fn is_not_sent(self) -> bool {
        matches!(self, Self::NotSent | Self::DroppedUnwritten)
    }
}

#[test]
fn a_call_that_gives_up_never_loses_the_race_for_its_request() {
    let cores = thread::available_parallelism().map_or(2, usize::from);
    let stop = Arc::new(AtomicBool::new(false));
    let spinners: Vec<_> = (0..2 * cores)
        .map(|_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime");
    let arrived = Arrived::default();
    let results = runtime.block_on(run(Arc::clone(&arrived)));
    stop.store(true, Ordering::Relaxed);
    for spinner in spinners {
        spinner.join().expect("no panic");
    }

    let arrived = arrived.lock().expect("no panic");
    let times = |key: &str| arrived.get(key).copied().unwrap_or_default();
    let duplicates = results.iter().filter(|(key, _)| times(key) > 1).count();
    let false_not_sent = results.iter().filter(|(key, known)| known.is_not_sent() && times(key) > 0).count();
    let is_false_receipt = |(key, known): &&(String, Known)| *known == Known::Receipt && times(key) == 0;
    let false_receipts = results.iter().filter(is_false_receipt).count();
    let mut counts = BTreeMap::<Known, usize>::new();
    for (_, known) in &results {
        *counts.entry(*known).or_default() += 1;
    }
    println!("{counts:?}: {false_not_sent} false NotSent, {duplicates} duplicates");
    assert_eq!((false_not_sent, duplicates, false_receipts), (0, 0, 0));
    assert_eq!(results.len(), CALLS + DROPPED);
}

/// Sends a message, with the retries of the client.
async fn send(client: &Client, key: &str) -> Known {
    match client.messages().send(Sms::to("abc123def456").text(key)).await {
        Ok(_) => Known::Receipt,
        Err(error) if error.delivery() == Delivery::NotSent => Known::NotSent,
        Err(_) => Known::MayHaveBeenSent,
    }
}

/// Starts to send a message and drops the future.
async fn drop_after(client: &Client, key: &str, time: Duration) -> Known {
    let (wire, context) = client.wire().await.expect("a token");
    let request = SendMessageRequest::from(Sms::to("abc123def456").text(key));
    match tokio::time::timeout(time, wire.send_message(&request)).await {
        Ok(Ok(_)) => Known::Receipt,
        _ if context.take().written => Known::DroppedWritten,
        _ => Known::DroppedUnwritten,
    }
}

/// A configuration that is never used: the server speaks no TLS.
fn no_tls() -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

async fn run(arrived: Arrived) -> Vec<(String, Known)> {
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let server = tokio::spawn(accept(listener, arrived));
    let resolver = SlowResolver { port, random: Mutex::new(Rng::with_seed(0x5eed_0004)) };
    let resolver = Arc::new(resolver);
    let limiter = LocalRateLimiter::with_limits(1_000_000, Duration::from_millis(1), 100_000_000);
    let client = Client::builder()
        .token("pit-12345678")
        .location("ve9EPM428h8vShlRW1KT")
        .base_url(format!("http://localhost:{port}"))
        .http_client(move |http| {
            http.no_proxy().tls_backend_preconfigured(no_tls()).dns_resolver(Arc::clone(&resolver))
        })
        .rate_limiter(Arc::new(limiter))
        .attempt_timeout(ATTEMPT_TIMEOUT)
        .build()
        .expect("a client");
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut random = Rng::with_seed(0x5eed_0005);
    let mut calls = JoinSet::new();
    for number in 0..CALLS + DROPPED {
        let permit = Arc::clone(&permits).acquire_owned().await.expect("never closed");
        let client = client.clone();
        let time = Duration::from_micros(random.u64(500..5_000));
        calls.spawn(async move {
            let _permit = permit;
            let key = format!("message {number}");
            let is_dropped = number % (CALLS / DROPPED + 1) == 0;
            let known =
                if is_dropped { drop_after(&client, &key, time).await } else { send(&client, &key).await };
            (key, known)
        });
    }
    let results = calls.join_all().await;
    // Connections may still write.
    drop(client);
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.abort();
    results
}
