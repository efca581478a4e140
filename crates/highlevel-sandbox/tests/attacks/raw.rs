//! A client that is a bare socket, and a program under resource limits.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::process::Running;

/// Longer than any response takes: it ends a run in which something is broken.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(120);

/// A running program, and its `ready` line.
pub(crate) struct Program {
    pub(crate) running: Running,
    pub(crate) ready: Value,
}

/// The status and the body of a response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

impl Program {
    /// Starts the program in a shell that sets limits first, for example `ulimit -v 1500000`.
    pub(crate) fn start(limits: &str, arguments: &str) -> Self {
        let mut command = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_highlevel-sandbox");
        // Nothing reads its output after the `ready` line: a full pipe must not stop it.
        command.args(["-c", &format!("{limits}; exec {program} serve {arguments}")]);
        let mut running = Running::of(command);
        let ready = running.ready();
        Self { running, ready }
    }

    fn text(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.text("baseUrl").trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TEST_TIMEOUT)).unwrap();
        stream
    }

    /// Returns the head of a request with the token.
    pub(crate) fn head(&self, method: &str, path: &str, content_type: &str, length: usize) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\nversion: 2021-04-15\r\n\
             content-type: {content_type}\r\ncontent-length: {length}\r\n\r\n",
            self.text("token")
        )
    }

    /// Sends a JSON request, and reads the response to its end.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Response {
        self.ask_with(method, path, "application/json", body)
    }

    pub(crate) fn ask_with(&self, method: &str, path: &str, content_type: &str, body: &str) -> Response {
        let mut stream = self.connect();
        let head = self.head(method, path, content_type, body.len());
        stream.write_all(head.as_bytes()).unwrap();
        // The server may reject the request before it has read the body to its end.
        let _ = stream.write_all(body.as_bytes());
        response(&mut stream).unwrap_or_else(|| panic!("no response to {method} {path:.100}"))
    }

    pub(crate) fn health(&self) -> Value {
        let response = self.ask("GET", "/_sandbox/health", "");
        assert_eq!(response.status, 200, "{}", response.body);
        response.json()
    }

    /// Asserts that the program runs and retains no more than its budgets.
    pub(crate) fn assert_is_within_its_bounds(&self, what: &str) {
        let memory = self.health()["memory"].clone();
        for part in [
            "messages",
            "records",
            "files",
            "credentials",
            "ledger",
            "unauthenticatedRequests",
            "deliveries",
            "inFlight",
        ] {
            let (bytes, max) = (memory[part]["bytes"].as_u64(), memory[part]["maxBytes"].as_u64());
            assert!(bytes.is_some() && bytes <= max, "{what}: {part} {}", memory[part]);
        }
    }

    /// Returns the body of a request that sends an SMS. The text must need no escapes: a debug build takes long to escape
    /// a megabyte.
    pub(crate) fn message_body(&self, text: &str) -> String {
        let contact = self.text("contactId");
        format!(r#"{{"type":"SMS","contactId":"{contact}","message":"{text}","status":"pending"}}"#)
    }

    /// Returns the body of a request that sends an SMS.
    pub(crate) fn message(&self, text: &str) -> Value {
        serde_json::json!({
            "type": "SMS", "contactId": self.text("contactId"), "message": text, "status": "pending",
        })
    }
}

/// Decodes a chunked body.
fn unchunked(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = chunks.iter().position(|byte| *byte == b'\r') {
        let length = usize::from_str_radix(std::str::from_utf8(&chunks[..end]).unwrap(), 16).unwrap();
        body.extend_from_slice(&chunks[end + 2..end + 2 + length]);
        chunks = &chunks[end + 4 + length..];
    }
    body
}

/// Reads one response with a `Content-Length` or a chunked body. `None` if the connection ends before it.
pub(crate) fn response(stream: &mut TcpStream) -> Option<Response> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let is_whole = match length {
                Some(length) => bytes.len() - end - 4 >= length.parse().unwrap(),
                None if head.contains("chunked") => bytes.ends_with(b"0\r\n\r\n"),
                None => true,
            };
            if is_whole {
                let body =
                    if length.is_some() { bytes[end + 4..].to_vec() } else { unchunked(&bytes[end + 4..]) };
                let body = String::from_utf8_lossy(&body).into_owned();
                return Some(Response { status: head[9..12].parse().unwrap(), body });
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}
