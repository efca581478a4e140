//! The latency of other requests, beside clients that are slow and beside operations on 100,000 messages.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use highlevel_benchmarks::process::{
    CONTACT, CONVERSATION, Process, body_of, connect, exchange, health, message, request,
};

const SLOW_CLIENTS: usize = 2_000;
const CLIENTS_THAT_DO_NOT_READ: usize = 1_050;
const MESSAGES: usize = 100_000;

/// Latencies of health requests and of messages, in the course of one situation.
#[derive(Default)]
struct Latencies {
    health: Vec<Duration>,
    message: Vec<Duration>,
}

impl Latencies {
    /// Measures each once, on new connections.
    async fn sample(&mut self, process: &Process) {
        let (status, time) = process.send(&health()).await;
        assert_eq!(status, 200);
        self.health.push(time);
        let (status, time) = process.send(&message("meanwhile")).await;
        assert_eq!(status, 201);
        self.message.push(time);
    }
}

/// The rounds of one situation: the longest latencies of each round, and the duration of the operation if it is one.
#[derive(Default)]
struct Rounds {
    health: Vec<Duration>,
    message: Vec<Duration>,
    duration: Vec<Duration>,
}

impl Rounds {
    fn add(&mut self, latencies: &Latencies, duration: Option<Duration>) {
        self.health.extend(latencies.health.iter().max());
        self.message.extend(latencies.message.iter().max());
        self.duration.extend(duration);
    }
}

fn median(values: &mut [Duration]) -> f64 {
    values.sort();
    values.get(values.len() / 2).map_or(f64::NAN, |value| value.as_secs_f64() * 1e3)
}

/// Measures all situations in turn, `rounds` times, and prints the medians of the rounds' longest latencies.
pub async fn measure(program: &Path, rounds: usize) {
    let mut table: Vec<(String, Rounds)> = Vec::new();
    for _ in 0..rounds {
        let mut results = slow_clients(program).await;
        results.push(clients_that_do_not_read(program).await);
        results.extend(long_operations(program).await);
        for (number, (name, latencies, duration)) in results.into_iter().enumerate() {
            if table.len() == number {
                table.push((name, Rounds::default()));
            }
            table[number].1.add(&latencies, duration);
        }
    }
    println!("\n| beside | its duration | longest health | longest message |\n|---|---:|---:|---:|");
    for (name, mut rounds) in table {
        let duration = match median(&mut rounds.duration) {
            duration if duration.is_nan() => String::new(),
            duration => format!("{duration:.0} ms"),
        };
        let (health, message) = (median(&mut rounds.health), median(&mut rounds.message));
        println!("| {name} | {duration} | {health:.0} ms | {message:.0} ms |");
    }
}

type Result = (String, Latencies, Option<Duration>);

/// 2,000 connections on which a request stops somewhere, for each place.
async fn slow_clients(program: &Path) -> Vec<Result> {
    let kinds: [(&str, &[u8]); 5] = [
        ("nothing", b""),
        ("a part of the request line", b"POST /conv"),
        ("a part of the head", b"POST /conversations/messages HTTP/1.1\r\nhost: loc"),
        (
            "a part of the body",
            b"POST /conversations/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{",
        ),
        (
            "a part of a seed",
            b"PUT /_sandbox/seed HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000000\r\n\r\n{",
        ),
    ];
    let mut results = Vec::new();
    for (kind, bytes) in kinds {
        let process = Process::start(program, &[]);
        let (mut clients, mut latencies) = (Vec::new(), Latencies::default());
        for number in 0..SLOW_CLIENTS {
            let mut stream = connect(&process.address).await;
            stream.write_all(bytes).await.expect("the connection is open");
            clients.push(stream);
            if number % 100 == 0 {
                latencies.sample(&process).await;
            }
        }
        for _ in 0..50 {
            latencies.sample(&process).await;
        }
        results.push((format!("{SLOW_CLIENTS} clients that sent {kind}"), latencies, None));
    }
    results
}

/// Connections that send requests and read no response, until their buffers are full.
async fn clients_that_do_not_read(program: &Path) -> Result {
    let process = Process::start(program, &[]);
    let requests = request("GET", "/x", "").repeat(500);
    let (mut clients, mut latencies) = (Vec::new(), Latencies::default());
    for number in 0..CLIENTS_THAT_DO_NOT_READ {
        let stream = connect(&process.address).await;
        fill(&stream, &requests).await;
        clients.push(stream);
        if number % 50 == 0 {
            latencies.sample(&process).await;
        }
    }
    for _ in 0..50 {
        latencies.sample(&process).await;
    }
    (format!("{CLIENTS_THAT_DO_NOT_READ} clients that do not read"), latencies, None)
}

async fn fill(stream: &TcpStream, bytes: &[u8]) {
    stream.writable().await.expect("the connection is open");
    while stream.try_write(bytes).is_ok() {}
}

/// Operations of the admin API on 100,000 messages.
async fn long_operations(program: &Path) -> Vec<Result> {
    let process = Arc::new(Process::start(program, &[]));
    let messages: Vec<String> = (0..MESSAGES)
        .map(|number| {
            format!(
                r#"{{"id":"m{number}","contactId":"{CONTACT}","conversationId":"{CONVERSATION}","direction":"inbound","channel":"SMS","dateAdded":"2026-01-31T09:30:00Z","status":"delivered","request":{{"message":"Hello {number}"}}}}"#
            )
        })
        .collect();
    let seed = request("PUT", "/_sandbox/seed", &format!(r#"{{"messages":[{}]}}"#, messages.join(",")));
    let mut snapshot = Vec::new();
    let mut results = Vec::new();
    for (name, request) in [
        ("a seed of 100,000 messages", Some(seed.clone())),
        ("a snapshot of them", Some(request("GET", "/_sandbox/snapshot", ""))),
        ("restoring the snapshot", None),
        ("the seed once more", Some(seed)),
        ("a search that finds nothing", Some(request("GET", "/_sandbox/messages?text=nowhere", ""))),
        ("a reset", Some(request("POST", "/_sandbox/reset", "{}"))),
    ] {
        let request = request.unwrap_or_else(|| restore(&snapshot));
        let done = Arc::new(AtomicBool::new(false));
        let sampling = tokio::spawn({
            let (process, done) = (Arc::clone(&process), Arc::clone(&done));
            async move {
                let mut latencies = Latencies::default();
                while !done.load(Ordering::Relaxed) {
                    latencies.sample(&process).await;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                latencies
            }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        let start = Instant::now();
        let mut stream = connect(&process.address).await;
        let mut response = Vec::new();
        let status = exchange(&mut stream, &request, &mut response).await;
        assert!((200..300).contains(&status), "{name}: {status}");
        let duration = start.elapsed();
        done.store(true, Ordering::Relaxed);
        results.push((name.to_owned(), sampling.await.expect("the samples"), Some(duration)));
        if name.starts_with("a snapshot") {
            snapshot = response;
        }
    }
    results
}

/// Returns the request that restores the snapshot in a response.
fn restore(response: &[u8]) -> Vec<u8> {
    let body = String::from_utf8(body_of(response)).expect("JSON is text");
    request("PUT", "/_sandbox/snapshot", &body)
}
