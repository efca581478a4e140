//! Slow, numerous, malformed or greedy clients do not affect others. The tests assert counts and responses, never
//! durations.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use highlevel_sandbox::{Fault, FaultRule, FaultStage, SandboxBuilder};
use http::StatusCode;
use serde_json::{Value, json};

use crate::caller::{SEND, post};
use crate::conformance::{Sandbox, StartChecked};
use crate::receiver::Receiver;

/// Ends a run in which something is broken.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

fn connect(sandbox: &Sandbox) -> TcpStream {
    let stream = TcpStream::connect(sandbox.base_url().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TEST_TIMEOUT)).unwrap();
    stream
}

/// Returns the head of a request.
fn head(sandbox: &Sandbox, length: usize) -> String {
    let token = sandbox.token();
    format!(
        "POST {SEND} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nversion: 2021-04-15\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

fn message(sandbox: &Sandbox, text: &str) -> String {
    let contact = sandbox.contact_id();
    let body = json!({"type": "SMS", "contactId": contact, "message": text, "status": "pending"}).to_string();
    head(sandbox, body.len()) + &body
}

/// Reads one response, and leaves the connection open. `None` if the connection ends first.
fn read_response(stream: &mut TcpStream) -> Option<(u16, String)> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some((head[9..12].parse().unwrap(), body.to_owned()));
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
            Err(error) => panic!("{error}, after {}", String::from_utf8_lossy(&bytes)),
        }
    }
}

/// Returns `true` if the other side has closed the connection or does so soon.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Returns the health of the sandbox.
fn health(sandbox: &Sandbox) -> Value {
    let mut stream = connect(sandbox);
    stream.write_all(b"GET /_sandbox/health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    serde_json::from_str(&read_response(&mut stream).unwrap().1).unwrap()
}

/// Asserts that a message is accepted.
fn assert_serves(sandbox: &Sandbox, text: &str) {
    let mut stream = connect(sandbox);
    stream.write_all(message(sandbox, text).as_bytes()).unwrap();
    let (status, body) = read_response(&mut stream).unwrap_or_else(|| panic!("{text}: no response"));
    assert_eq!(status, 201, "{text}: {body}");
    assert_eq!(sandbox.messages().last().unwrap().text(), Some(text));
}

async fn start(change: impl FnOnce(SandboxBuilder) -> SandboxBuilder) -> Sandbox {
    change(Sandbox::builder()).start_checked().await.unwrap()
}

#[tokio::test]
async fn concurrent_clients_lose_and_repeat_no_request() {
    const CLIENTS: usize = 64;
    const EACH: usize = 50;
    let sandbox = start(|builder| builder).await;
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let sandbox = &sandbox;
            scope.spawn(move || {
                let mut stream = connect(sandbox);
                for number in 0..EACH {
                    // Every tenth is invalid, which must not affect others.
                    let text = format!("{client}-{number}");
                    let valid = !number.is_multiple_of(10);
                    let request = if valid { message(sandbox, &text) } else { head(sandbox, 2) + "{}" };
                    stream.write_all(request.as_bytes()).unwrap();
                    let (status, body) = read_response(&mut stream).unwrap();
                    assert_eq!(status, if valid { 201 } else { 422 }, "{text}: {body}");
                }
            });
        }
    });
    let mut texts: Vec<String> =
        sandbox.messages().iter().map(|message| message.text().unwrap().to_owned()).collect();
    texts.sort();
    let mut expected: Vec<String> = (0..CLIENTS)
        .flat_map(|client| (0..EACH).map(move |number| (client, number)))
        .filter(|(_, number)| !number.is_multiple_of(10))
        .map(|(client, number)| format!("{client}-{number}"))
        .collect();
    expected.sort();
    assert_eq!(texts, expected);
    assert_eq!(sandbox.requests().len(), CLIENTS * EACH);
}

#[tokio::test]
async fn retention_keeps_the_newest_entries() {
    let sandbox = start(|builder| builder.keep_messages(20).keep_requests(30)).await;
    let mut stream = connect(&sandbox);
    for number in 0..100 {
        stream.write_all(message(&sandbox, &number.to_string()).as_bytes()).unwrap();
        assert_eq!(read_response(&mut stream).unwrap().0, 201);
    }
    let texts: Vec<String> =
        sandbox.messages().iter().map(|message| message.text().unwrap().to_owned()).collect();
    assert_eq!(texts, (80..100).map(|number| number.to_string()).collect::<Vec<_>>());
    let requests = sandbox.requests();
    assert_eq!(requests.len(), 30);
    assert!(String::from_utf8_lossy(&requests[0].body).contains("\"70\""));
    // The initial records stay; they include no messages.
    assert_serves(&sandbox, "afterwards");
}

#[tokio::test]
async fn slow_clients_are_disconnected_without_delaying_others() {
    let sandbox = start(|builder| builder.read_timeout(Duration::from_millis(300))).await;
    let mut silent = connect(&sandbox);
    let mut in_the_head = connect(&sandbox);
    in_the_head.write_all(b"POST /conversations/messages HTTP/1.1\r\nhost: loc").unwrap();
    let mut in_the_body = connect(&sandbox);
    in_the_body.write_all(head(&sandbox, 100).as_bytes()).unwrap();
    in_the_body.write_all(b"{\"type\":").unwrap();
    let mut to_the_admin = connect(&sandbox);
    to_the_admin
        .write_all(b"PATCH /_sandbox/clock HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{")
        .unwrap();

    assert_serves(&sandbox, "meanwhile");

    assert!(is_closed(&mut silent));
    assert!(is_closed(&mut in_the_head));
    let (status, body) = read_response(&mut in_the_body).unwrap();
    assert_eq!(status, 408);
    assert!(body.contains("was not received in time"), "{body}");
    assert!(is_closed(&mut in_the_body));
    assert_eq!(read_response(&mut to_the_admin).unwrap().0, 408);
    let requests = sandbox.requests();
    assert_eq!(requests.len(), 2, "the head of the others never came");
    assert_eq!((requests[1].status, requests[1].body.as_slice()), (408, &b"{\"type\":"[..]));
    assert_eq!(sandbox.messages().len(), 1);
}

#[tokio::test]
async fn a_dripping_body_times_out() {
    let sandbox = start(|builder| builder.read_timeout(Duration::from_millis(300))).await;
    let mut stream = connect(&sandbox);
    stream.write_all(head(&sandbox, 1_000_000).as_bytes()).unwrap();
    let mut writer = stream.try_clone().unwrap();
    // It continues as long as the sandbox reads.
    let dripping = std::thread::spawn(move || while writer.write_all(b" ").is_ok() {});
    assert_eq!(read_response(&mut stream).map(|(status, _)| status), Some(408));
    drop(sandbox);
    dripping.join().unwrap();
}

#[tokio::test]
async fn a_body_of_100_megabytes_is_rejected_and_not_buffered() {
    let sandbox = start(|builder| builder).await;
    for transfer in ["content-length: 100000000", "transfer-encoding: chunked"] {
        let chunked = transfer.ends_with("chunked");
        let mut stream = connect(&sandbox);
        let request = head(&sandbox, 0).replace("content-length: 0", transfer);
        stream.write_all(request.as_bytes()).unwrap();
        let block = vec![b' '; 1_000_000];
        for _ in 0..100 {
            if chunked {
                stream.write_all(format!("{:x}\r\n", block.len()).as_bytes()).unwrap();
            }
            stream.write_all(&block).unwrap();
            if chunked {
                stream.write_all(b"\r\n").unwrap();
            }
        }
        if chunked {
            stream.write_all(b"0\r\n\r\n").unwrap();
        }
        let (status, body) = read_response(&mut stream).unwrap();
        assert_eq!(status, 413, "{transfer}: {body}");
        // The connection stays usable, because the body was read to its end.
        stream.write_all(message(&sandbox, transfer).as_bytes()).unwrap();
        assert_eq!(read_response(&mut stream).unwrap().0, 201, "{transfer}");
    }
    let kept: Vec<usize> = sandbox.requests().iter().map(|request| request.body.len()).collect();
    assert!(kept.iter().all(|length| *length <= 1024 * 1024), "{kept:?}");
    assert_eq!(sandbox.messages().len(), 2);
}

/// Malformed HTTP, and the status of the response if there is one. The connection is closed afterwards.
const MALFORMED: &[(&str, Option<u16>)] = &[
    ("\r\n\r\n\r\n\r\n", None),
    ("\0\0\0\0", Some(400)),
    ("\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03", Some(400)),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None),
    ("GET\r\n\r\n", Some(400)),
    ("GET / HTTP/9.9\r\n\r\n", Some(400)),
    ("GET  / HTTP/1.1\r\n\r\n", Some(400)),
    ("G\u{fc}T / HTTP/1.1\r\n\r\n", Some(400)),
    ("GET / HTTP/1.1\r\nno colon\r\n\r\n", Some(400)),
    ("GET / HTTP/1.1\r\n: no name\r\n\r\n", Some(400)),
    ("GET / HTTP/1.1\r\na b: c\r\n\r\n", Some(400)),
    ("GET / HTTP/1.1\r\na: \0\r\n\r\n", Some(400)),
    ("POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", Some(400)),
    ("POST / HTTP/1.1\r\ncontent-length: 1x\r\n\r\n", Some(400)),
    ("POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", Some(400)),
    ("POST / HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n", Some(400)),
    ("POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n", Some(400)),
    ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", None),
    ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n", None),
    ("POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nshort", None),
    ("GET http://[ HTTP/1.1\r\n\r\n", Some(400)),
];

#[tokio::test]
async fn malformed_http_closes_only_its_connection() {
    let sandbox = start(|builder| builder).await;
    let mut other = connect(&sandbox);
    let endless_head = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "a".repeat(600_000));
    let many_headers = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    let long_target = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000));
    let mut wrong = Vec::new();
    let long = [(endless_head.as_str(), Some(431)), (&many_headers, Some(431)), (&long_target, Some(431))];
    for (request, expected) in MALFORMED.iter().copied().chain(long) {
        let name = request.chars().take(60).collect::<String>();
        let mut stream = connect(&sandbox);
        // The other side may close the connection before all of it is written.
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        let status = read_response(&mut stream).map(|(status, _)| status);
        // A response may be lost if unread bytes were left when the connection was closed.
        if status != expected && !(request.len() > 10_000 && status.is_none()) {
            wrong.push(format!("{name:?}: {status:?}, not {expected:?}"));
        }
        assert!(is_closed(&mut stream), "{name:?}");
        other.write_all(message(&sandbox, &format!("after {name}")).as_bytes()).unwrap();
        assert_eq!(read_response(&mut other).unwrap().0, 201, "{name:?}");
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test]
async fn thousands_of_idle_connections_delay_no_request() {
    let sandbox = start(|builder| builder).await;
    let idle: Vec<TcpStream> = (0..2_000).map(|_| connect(&sandbox)).collect();
    for number in 0..10 {
        assert_serves(&sandbox, &number.to_string());
    }
    // Any of them may be closed.
    let mut last = idle.into_iter().next_back().unwrap();
    last.write_all(message(&sandbox, "last").as_bytes()).unwrap();
    assert_eq!(read_response(&mut last).unwrap().0, 201);
}

#[tokio::test]
async fn a_connection_over_the_limit_waits_while_all_others_are_busy() {
    let sandbox = start(|builder| builder.max_connections(3)).await;
    let slow = FaultRule::new(Fault::NONE.after(Duration::from_secs(600))).stage(FaultStage::After);
    let fault = sandbox.add_fault(slow).unwrap();
    let mut connections: Vec<TcpStream> = (0..3).map(|_| connect(&sandbox)).collect();
    for connection in &mut connections {
        connection.write_all(message(&sandbox, "inside").as_bytes()).unwrap();
    }
    while sandbox.messages().len() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut next = connect(&sandbox);
    next.write_all(message(&sandbox, "outside").as_bytes()).unwrap();
    next.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(next.read(&mut [0]).is_err(), "it was served");
    assert_eq!(sandbox.messages().len(), 3);

    assert!(sandbox.remove_fault(fault));
    for connection in &mut connections {
        assert_eq!(read_response(connection).unwrap().0, 201);
    }
    // Now they are idle, so one of them is closed for the new connection.
    next.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    assert_eq!(read_response(&mut next).unwrap().0, 201);
    assert_eq!(sandbox.messages().last().unwrap().text(), Some("outside"));
    assert!(connections.iter_mut().any(is_closed));
}

#[tokio::test]
async fn idle_connections_are_closed_for_new_ones() {
    let sandbox = start(|builder| builder.max_connections(20)).await;
    let mut silent: Vec<TcpStream> = (0..100).map(|_| connect(&sandbox)).collect();
    let mut in_the_body: Vec<TcpStream> = (0..100).map(|_| connect(&sandbox)).collect();
    for stream in &mut in_the_body {
        // It may have been closed in favour of another one.
        let _ = stream.write_all(head(&sandbox, 100).as_bytes());
    }
    for number in 0..5 {
        assert_serves(&sandbox, &number.to_string());
    }
    assert!(silent.iter_mut().take(50).all(is_closed), "the first are closed first");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected() {
    let sandbox = start(|builder| builder.write_timeout(Duration::from_millis(300))).await;
    let mut stream = connect(&sandbox);
    let mut requests = stream.try_clone().unwrap();
    // Unread responses fill the socket buffers, and then the requests do.
    let request = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "x".repeat(4_000)).repeat(100);
    let writing = std::thread::spawn(move || while requests.write_all(request.as_bytes()).is_ok() {});
    writing.join().unwrap();
    assert!(is_closed(&mut stream));
    // The same holds for an event stream, and for the response of a fault.
    let mut events = connect(&sandbox);
    events.write_all(b"GET /_sandbox/events HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let rule = json!({"fault": {"status": 200, "bodyBytes": 32 * 1024 * 1024}}).to_string();
    let mut admin = connect(&sandbox);
    let head = "POST /_sandbox/faults HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    write!(admin, "{head}content-length: {}\r\n\r\n{rule}", rule.len()).unwrap();
    assert_eq!(read_response(&mut admin).unwrap().0, 201);
    drop(admin);
    let mut padded = connect(&sandbox);
    let token = sandbox.token();
    write!(padded, "GET / HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n").unwrap();
    while sandbox.faults()[0].hits == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(sandbox.remove_fault(1));
    let text = "x".repeat(100_000);
    for _ in 0..100 {
        sandbox.simulate_inbound([("message", text.as_str().into())]).unwrap();
    }
    let open = || health(&sandbox)["connections"]["open"].as_u64();
    while open() != Some(1) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(is_closed(&mut events) && is_closed(&mut padded));
    assert_serves(&sandbox, "meanwhile");
}

#[tokio::test]
async fn aborted_requests_leave_nothing_behind() {
    let sandbox = start(|builder| builder).await;
    for number in 0..200 {
        let request = message(&sandbox, "left");
        let mut stream = connect(&sandbox);
        stream.write_all(&request.as_bytes()[..request.len() * number / 200]).unwrap();
    }
    assert_serves(&sandbox, "stayed");
    assert_eq!(sandbox.messages().len(), 1);
}

/// A target that accepts the connection and never responds.
#[tokio::test]
async fn a_hanging_webhook_target_delays_no_request() {
    let target = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", target.local_addr().unwrap());
    let sandbox = start(|builder| builder.webhook_url(&url)).await;
    let send =
        json!({"type": "SMS", "contactId": sandbox.contact_id(), "status": "pending", "message": "Hello"});
    for _ in 0..50 {
        assert_eq!(post(&sandbox, SEND, &send).await.status, 201);
    }
    assert_eq!(sandbox.messages().len(), 50);

    let receiver = Receiver::start(StatusCode::OK).await;
    let other = start(|builder| builder.webhook_url(&receiver.url)).await;
    let send =
        json!({"type": "SMS", "contactId": other.contact_id(), "status": "pending", "message": "Hello"});
    assert_eq!(post(&other, SEND, &send).await.status, 201);
    assert_eq!(other.wait_for_deliveries(1, TEST_TIMEOUT).await.unwrap().len(), 1);
}
