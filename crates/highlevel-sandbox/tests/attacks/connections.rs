//! Connections: clients that send or read nothing keep no other client out.

use std::io::Write;
use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::raw::Program;

/// Lets this process have as many connections as it may, and returns how many tests can use.
fn available() -> usize {
    let limits = getrlimit(Resource::Nofile);
    let wanted = limits.maximum.map_or(8_000, |maximum| maximum.min(8_000));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limits.maximum });
    let current = if raised.is_ok() { wanted } else { limits.current.unwrap_or(1_024) };
    usize::try_from(current / 3).unwrap()
}

/// Sends as much as fits without waiting for anything.
fn write_some(stream: &mut TcpStream, bytes: &[u8]) {
    stream.set_nonblocking(true).unwrap();
    for _ in 0..100 {
        if stream.write(bytes).is_err() {
            break;
        }
    }
}

#[test]
fn more_clients_that_do_not_read_than_there_are_files_keep_no_client_out() {
    let count = available().min(1_050);
    let program = Program::start("ulimit -n 1024", "");
    let max = program.health()["connections"]["max"].as_u64().unwrap();
    assert!((500..1_024).contains(&max), "{max}");
    let requests = "GET /x HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(500);
    let mut clients = Vec::new();
    for number in 0..count {
        let mut stream = program.connect();
        write_some(&mut stream, requests.as_bytes());
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
fn slow_clients_of_every_kind_keep_no_client_out() {
    let count = available().min(2_000);
    let program = Program::start(":", "");
    let kinds: [(&str, &str); 5] = [
        ("silent", ""),
        ("in the request line", "POST /conv"),
        ("in the head", "POST /conversations/messages HTTP/1.1\r\nhost: loc"),
        (
            "in the body",
            "POST /conversations/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{",
        ),
        (
            "in a body of the admin API",
            "PUT /_sandbox/seed HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000000\r\n\r\n{",
        ),
    ];
    for (kind, beginning) in kinds {
        let mut clients = Vec::new();
        for _ in 0..count {
            let mut stream = program.connect();
            let _ = stream.write_all(beginning.as_bytes());
            clients.push(stream);
        }
        for number in 0..10 {
            program.health();
            let message = program.message(&format!("{kind} {number}")).to_string();
            assert_eq!(program.ask("POST", "/conversations/messages", &message).status, 201, "{kind}");
        }
    }
}
