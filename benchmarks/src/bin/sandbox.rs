//! Measures the program of the sandbox: messages per second, CPU time, memory, and the time until it is ready.
//!
//! The client is a socket in this process that writes prepared requests and reads each response to its end. The sandbox is
//! a separate process: the program in `HIGHLEVEL_SANDBOX`, which `cargo xtask bench` builds and sets.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use highlevel_benchmarks::measure::cpu_time;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The number of connections that send at the same time.
const CLIENTS: usize = 64;
const STARTS: usize = 15;
const TOKEN: &str = "pit-benchmark";
/// A contact that exists from the start.
const CONTACT: &str = "abc123def456";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let Some(program) = std::env::var_os("HIGHLEVEL_SANDBOX").map(PathBuf::from) else {
        println!("SKIPPED: the sandbox; set HIGHLEVEL_SANDBOX to its program, or run `cargo xtask bench`");
        return;
    };
    println!("The sandbox, {}\n", if quick { "quick" } else { "in full" });
    println!("| measure | figure |\n|---|---:|");
    println!("| size of the stripped program | {:.1} MB |", size(&program) as f64 / 1e6);
    start_often(&program).await;

    let sandbox = Process::start(&program).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    println!("| memory, idle (RSS) | {:.1} MB |", sandbox.memory().as_f64());
    println!("| … not backed by the program's file | {:.1} MB |", sandbox.anonymous().as_f64());
    for clients in [1, CLIENTS] {
        hammer(&sandbox, clients, Duration::from_secs(if quick { 1 } else { 10 })).await;
    }
    if !quick {
        hammer(&sandbox, CLIENTS, Duration::from_secs(60)).await;
    }
    println!();
}

/// Measures the time from spawning the process to the first successful health check.
async fn start_often(program: &Path) {
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let started = Instant::now();
        let sandbox = Process::start(program).await;
        let mut probe = sandbox.connect().await;
        let request = b"GET /_sandbox/health HTTP/1.1\r\nhost: localhost\r\n\r\n";
        assert_eq!(exchange(&mut probe, request, &mut Vec::new()).await, 200);
        walls.push(started.elapsed());
        cpus.extend(sandbox.cpu());
    }
    walls.sort();
    cpus.sort();
    let middle =
        |values: &[Duration]| values.get(values.len() / 2).map_or(0.0, |value| value.as_secs_f64() * 1e3);
    println!("| from spawning to healthy, median of {STARTS} | {:.1} ms |", middle(&walls));
    println!("| … CPU time | {:.1} ms |", middle(&cpus));
}

/// Sends messages on many connections, all of which have to be accepted.
async fn hammer(sandbox: &Process, clients: usize, duration: Duration) {
    let (started, cpu, own) = (Instant::now(), sandbox.cpu(), cpu_time());
    let end = started + duration;
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let address = sandbox.address.clone();
            tokio::spawn(async move {
                let mut stream = connect(&address).await;
                let (mut count, mut response) = (0_usize, Vec::new());
                while Instant::now() < end {
                    let status = exchange(&mut stream, &message(client, count), &mut response).await;
                    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&response));
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut count = 0;
    for task in tasks {
        count += task.await.expect("every message was accepted");
    }
    let took = started.elapsed().as_secs_f64();
    let each = |before: Option<Duration>, after: Option<Duration>| match (before, after) {
        (Some(before), Some(after)) => {
            format!("{:.1} µs", (after - before).as_secs_f64() * 1e6 / count as f64)
        }
        _ => "?".to_owned(),
    };
    let what = format!("{clients} connection{}, {took:.0} s", if clients == 1 { "" } else { "s" });
    println!("| {what}: messages per second, all accepted | {:.0} |", count as f64 / took);
    println!("| … CPU time of the sandbox per message | {} |", each(cpu, sandbox.cpu()));
    println!("| … CPU time of the client per message | {} |", each(own, cpu_time()));
    println!("| … memory after {count} | {:.1} MB |", sandbox.memory().as_f64());
}

fn message(client: usize, number: usize) -> Vec<u8> {
    let body = format!(
        r#"{{"type":"SMS","contactId":"{CONTACT}","message":"message {number} of client {client}","status":"pending"}}"#
    );
    format!(
        "POST /conversations/messages HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\
         version: 2021-04-15\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("the sandbox listens");
    stream.set_nodelay(true).expect("a socket");
    stream
}

/// Sends a request, reads the response to its end, and returns its status.
async fn exchange(stream: &mut TcpStream, request: &[u8], response: &mut Vec<u8>) -> u16 {
    stream.write_all(request).await.expect("the connection is open");
    response.clear();
    while !is_whole(response) {
        assert!(stream.read_buf(response).await.expect("a response") > 0, "the connection ended");
    }
    std::str::from_utf8(&response[9..12]).ok().and_then(|status| status.parse().ok()).expect("a status")
}

fn is_whole(response: &[u8]) -> bool {
    const NAME: &[u8] = b"content-length: ";
    let Some(head) = response.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let length = response[..head].windows(NAME.len()).position(|window| window == NAME).map(|at| {
        let digits = response[at + NAME.len()..head].iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
    });
    response.len() >= head + 4 + length.expect("a response with its length")
}

fn size(program: &Path) -> u64 {
    std::fs::metadata(program).expect("the program").len()
}

/// The running program.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    async fn start(program: &Path) -> Self {
        let mut child = Command::new(program)
            .args(["serve", "--token", TOKEN])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the sandbox");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let address = loop {
            let mut line = String::new();
            assert!(output.read_line(&mut line).expect("a line") > 0, "the sandbox ended");
            if let Some((_, address)) = line.split_once("http://127.0.0.1:") {
                let port: String = address.chars().take_while(char::is_ascii_digit).collect();
                break format!("127.0.0.1:{port}");
            }
        };
        // The log of the program has to be read, or it blocks.
        std::thread::spawn(move || std::io::copy(&mut output.by_ref(), &mut std::io::sink()));
        Self { child, address }
    }

    async fn connect(&self) -> TcpStream {
        connect(&self.address).await
    }

    /// The CPU time of all its threads.
    fn cpu(&self) -> Option<Duration> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?;
        let of = |task: std::fs::DirEntry| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
        };
        Some(tasks.flatten().filter_map(of).sum())
    }

    fn memory(&self) -> Megabytes {
        self.status("VmRSS:")
    }

    fn anonymous(&self) -> Megabytes {
        self.status("RssAnon:")
    }

    fn status(&self, name: &str) -> Megabytes {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        Megabytes(line.and_then(|line| line.split_whitespace().next()?.parse().ok()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A size in kibibytes. `None` if it cannot be read.
struct Megabytes(Option<u32>);

impl Megabytes {
    fn as_f64(&self) -> f64 {
        self.0.map_or(f64::NAN, |kibibytes| f64::from(kibibytes) * 1024.0 / 1e6)
    }
}
