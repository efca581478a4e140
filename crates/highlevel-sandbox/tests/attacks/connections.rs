//! Connections of clients that send or read nothing.

use std::io::Write;
use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::raw::Program;

/// Raises the limit of open files of this process, and returns the number that one test can use.
fn available_files() -> usize {
    let limits = getrlimit(Resource::Nofile);
    let wanted = limits.maximum.map_or(8_000, |maximum| maximum.min(8_000));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limits.maximum });
    let current = if raised.is_ok() { wanted } else { limits.current.unwrap_or(1_024) };
    usize::try_from(current / 3).unwrap()
}

/// Writes until the buffers of the socket are full.
fn fill(stream: &mut TcpStream, bytes: &[u8]) {
    stream.set_nonblocking(true).unwrap();
    for _ in 0..100 {
        if stream.write(bytes).is_err() {
            break;
        }
    }
}

#[test]
fn clients_that_do_not_read_exclude_no_other_client() {
    let count = available_files().min(1_050);
    let program = Program::start("ulimit -n 1024", "");
    let max = program.health()["connections"]["max"].as_u64().unwrap();
    assert!((500..1_024).contains(&max), "{max}");
    // Responses of 37 kB: a few fill the buffers of a socket. Small ones take thousands of requests.
    let requests = "GET /_sandbox/ui/assets/htmx.js HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(500);
    let mut clients = Vec::new();
    for number in 0..count {
        let mut stream = program.connect();
        fill(&mut stream, requests.as_bytes());
        clients.push(stream);
        if number % 100 == 0 || number + 20 > count {
            program.health();
        }
    }
    for _ in 0..20 {
        let message = program.message("meanwhile").to_string();
        assert_eq!(program.ask("POST", "/conversations/messages", &message).status, 201);
    }
    let connections = program.health()["connections"].clone();
    assert!(connections["open"].as_u64() <= Some(max), "{connections}");
    if count as u64 > max {
        assert!(connections["closed"].as_u64() >= Some(count as u64 - max), "{connections}");
    }
}

#[test]
fn slow_clients_exclude_no_other_client() {
    let count = available_files().min(2_000);
    let program = Program::start(":", "");
    let kinds: [(&str, &str); 5] = [
        ("nothing", ""),
        ("a part of the request line", "POST /conv"),
        ("a part of the head", "POST /conversations/messages HTTP/1.1\r\nhost: loc"),
        (
            "a part of the body",
            "POST /conversations/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{",
        ),
        (
            "a part of a body of the admin API",
            "PUT /_sandbox/seed HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000000\r\n\r\n{",
        ),
    ];
    for (kind, sent) in kinds {
        let mut clients = Vec::new();
        for _ in 0..count {
            let mut stream = program.connect();
            let _ = stream.write_all(sent.as_bytes());
            clients.push(stream);
        }
        for number in 0..10 {
            program.health();
            let message = program.message(&format!("{kind} {number}")).to_string();
            assert_eq!(program.ask("POST", "/conversations/messages", &message).status, 201, "{kind}");
        }
    }
}
