//! A process for the tests in `processes/descriptors.rs`: it has few file descriptors, or many clients.
//!
//! - `send URL MESSAGES FILES [CONNECTIONS]` opens so many files first, sends so many messages at once, and prints `results`
//!   with the number of receipts and the first error.
//! - `blocking URL` sends a message with the blocking client, drops it, and prints `threads` with how many are left.
//! - `clients CLIENTS shared|configured` builds so many clients, and prints `kilobytes` with how much its resident memory grew.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use highlevel::{Client, LocalRateLimiter, Sms};
use tokio::task::JoinSet;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["send", url, messages, files] => send(url, messages.parse()?, files.parse()?, None),
        ["send", url, messages, files, connections] => {
            send(url, messages.parse()?, files.parse()?, Some(connections.parse()?))
        }
        ["blocking", url] => block(url),
        ["clients", clients, kind] => build(clients.parse()?, kind),
        _ => {
            Err("the arguments are `send URL MESSAGES FILES [CONNECTIONS]` or `clients CLIENTS KIND`".into())
        }
    }
}

fn send(url: &str, messages: usize, files: usize, connections: Option<usize>) -> Result<()> {
    let limiter = LocalRateLimiter::with_limits(100_000, Duration::from_millis(1), 10_000_000);
    let mut builder =
        Client::builder().token("pit-1").base_url(url).location("l1").rate_limiter(Arc::new(limiter));
    if let Some(connections) = connections {
        builder = builder.max_connections(connections);
    }
    let client = builder.build()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let held: Vec<File> = (0..files).map(|_| File::open("/dev/null")).collect::<std::io::Result<_>>()?;
    let results = runtime.block_on(async {
        let mut calls = JoinSet::new();
        for number in 0..messages {
            let client = client.clone();
            calls.spawn(async move { client.messages().send(Sms::to("c").text(number.to_string())).await });
        }
        calls.join_all().await
    });
    drop(held);
    let receipts = results.iter().filter(|result| result.is_ok()).count();
    let error = results.into_iter().find_map(std::result::Result::err);
    let error = error.map(|error| format!("{error}: {:?}", std::error::Error::source(&error)));
    println!("results {receipts} {}", error.unwrap_or_default());
    Ok(())
}

fn block(url: &str) -> Result<()> {
    let client = Client::builder().token("pit-1").base_url(url).build_blocking()?;
    let sent = client.messages().send(Sms::to("c").text("t"))?;
    println!("sent {} with {} threads", sent.message_id(), threads()?);
    drop(client);
    // The system may list a thread for a moment after it has ended.
    let end = Instant::now() + Duration::from_secs(10);
    while threads()? > 1 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("threads {}", threads()?);
    Ok(())
}

/// Returns the number of threads of this process.
fn threads() -> Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

fn build(clients: usize, kind: &str) -> Result<()> {
    let before = resident()?;
    let clients: Vec<Client> = (0..clients)
        .map(|number| {
            let builder = Client::builder().token(format!("pit-{number}"));
            let builder = builder.base_url("https://services.leadconnectorhq.com");
            match kind {
                "configured" => builder.http_client(|http| http),
                _ => builder,
            }
            .build()
        })
        .collect::<highlevel::Result<_>>()?;
    println!("kilobytes {}", resident()?.saturating_sub(before));
    drop(clients);
    Ok(())
}

/// Returns the resident memory of this process in kilobytes.
fn resident() -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().next().ok_or("no number")?.parse()?)
}
