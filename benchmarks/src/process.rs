//! The program of the sandbox as a child process, and a client that is a bare socket.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const TOKEN: &str = "pit-benchmark";
/// A contact that exists from the start.
pub const CONTACT: &str = "abc123def456";
/// A conversation of that contact.
pub const CONVERSATION: &str = "ABC12h2F6uBrIkfXYazb";

/// The program while it runs. Dropping it kills the program.
pub struct Process {
    child: Child,
    pub address: String,
}

impl Process {
    pub fn start(program: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(["serve", "--token", TOKEN])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the sandbox starts");
        let mut output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let address = loop {
            let mut line = String::new();
            assert!(output.read_line(&mut line).expect("its output is text") > 0, "the sandbox ended");
            if let Some((_, address)) = line.split_once("http://127.0.0.1:") {
                let port: String = address.chars().take_while(char::is_ascii_digit).collect();
                break format!("127.0.0.1:{port}");
            }
        };
        // The line of each request has to be read, or else the pipe fills.
        std::thread::spawn(move || std::io::copy(&mut output.by_ref(), &mut std::io::sink()));
        Self { child, address }
    }

    /// Connects, sends a request and reads the response. Returns the status and the time from before the connection.
    pub async fn send(&self, request: &[u8]) -> (u16, Duration) {
        let start = Instant::now();
        let mut stream = connect(&self.address).await;
        let status = exchange(&mut stream, request, &mut Vec::new()).await;
        (status, start.elapsed())
    }

    /// CPU time of all threads. `None` if it cannot be read.
    pub fn cpu(&self) -> Option<Duration> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?;
        let of = |task: std::fs::DirEntry| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
        };
        Some(tasks.flatten().filter_map(of).sum())
    }

    /// Resident memory in MB.
    pub fn memory(&self) -> f64 {
        self.status_field("VmRSS:")
    }

    /// Resident memory that is not backed by a file, in MB.
    pub fn anonymous_memory(&self) -> f64 {
        self.status_field("RssAnon:")
    }

    fn status_field(&self, name: &str) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kibibytes: Option<u32> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kibibytes.map_or(f64::NAN, |kibibytes| f64::from(kibibytes) * 1024.0 / 1e6)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a request with the token.
pub fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\nversion: 2021-04-15\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub fn health() -> Vec<u8> {
    request("GET", "/_sandbox/health", "")
}

/// Returns a request that sends an SMS.
pub fn message(text: &str) -> Vec<u8> {
    let body = format!(r#"{{"type":"SMS","contactId":"{CONTACT}","message":"{text}","status":"pending"}}"#);
    request("POST", "/conversations/messages", &body)
}

pub async fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("the sandbox listens");
    stream.set_nodelay(true).expect("the socket is open");
    stream
}

/// Sends a request, reads the response to its end into `response`, and returns its status.
pub async fn exchange(stream: &mut TcpStream, request: &[u8], response: &mut Vec<u8>) -> u16 {
    stream.write_all(request).await.expect("the connection is open");
    response.clear();
    let mut end = None;
    while !end.is_some_and(|end| is_complete(response, end)) {
        assert!(stream.read_buf(response).await.expect("the connection is open") > 0, "the connection ended");
        end = end.or_else(|| end_of(response));
    }
    std::str::from_utf8(&response[9..12]).ok().and_then(|status| status.parse().ok()).expect("a status")
}

/// The end of a response.
#[derive(Clone, Copy)]
enum End {
    At(usize),
    LastChunk,
}

fn is_complete(response: &[u8], end: End) -> bool {
    match end {
        End::At(length) => response.len() >= length,
        End::LastChunk => response.ends_with(b"\r\n0\r\n\r\n"),
    }
}

/// Returns the end of a response once its head is complete.
fn end_of(response: &[u8]) -> Option<End> {
    let length = response.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&response[..length]).expect("the head is text");
    if head.contains("transfer-encoding: chunked") {
        return Some(End::LastChunk);
    }
    // A response without a body has no length.
    let body = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    Some(End::At(length + body.parse::<usize>().expect("a length")))
}

/// Returns the body of a complete response.
pub fn body_of(response: &[u8]) -> Vec<u8> {
    let head = response.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    let mut rest = &response[head..];
    if !matches!(end_of(response), Some(End::LastChunk)) {
        return rest.to_vec();
    }
    let mut body = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\r') {
        let digits = std::str::from_utf8(&rest[..end]).expect("the length of a chunk is text");
        let length = usize::from_str_radix(digits, 16).expect("the length of a chunk");
        body.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 4 + length..];
    }
    body
}
