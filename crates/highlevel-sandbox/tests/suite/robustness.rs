//! Clients that are slow, many, wrong or greedy, and what they change for others: nothing. What is asserted are counts and
//! answers, never how long something took.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use highlevel_sandbox::{Fault, FaultRule, FaultStage, Sandbox, SandboxBuilder};
use http::StatusCode;
use serde_json::{Value, json};

use crate::caller::{SEND, post};
use crate::receiver::Receiver;

/// Far longer than it takes: it only ends a run in which something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

fn connect(sandbox: &Sandbox) -> TcpStream {
    let stream = TcpStream::connect(sandbox.base_url().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The beginning of a request, up to the end of its head.
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

/// Reads one answer, and leaves the connection open. `None` when there is none.
fn answer(stream: &mut TcpStream) -> Option<(u16, String)> {
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

/// Whether the other side has ended the connection, or does in good time.
fn ends(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// What the sandbox reports of itself.
fn health(sandbox: &Sandbox) -> Value {
    let mut stream = connect(sandbox);
    stream.write_all(b"GET /_sandbox/health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    serde_json::from_str(&answer(&mut stream).unwrap().1).unwrap()
}

/// A message goes through as if nobody else were there.
fn assert_serves(sandbox: &Sandbox, text: &str) {
    let mut stream = connect(sandbox);
    stream.write_all(message(sandbox, text).as_bytes()).unwrap();
    let (status, body) = answer(&mut stream).unwrap_or_else(|| panic!("{text}: no answer"));
    assert_eq!(status, 201, "{text}: {body}");
    assert_eq!(sandbox.messages().last().unwrap().text(), Some(text));
}

async fn start(change: impl FnOnce(SandboxBuilder) -> SandboxBuilder) -> Sandbox {
    change(Sandbox::builder()).start().await.unwrap()
}

#[tokio::test]
async fn sixty_four_clients_are_each_answered_and_nothing_is_lost_or_done_twice() {
    const CLIENTS: usize = 64;
    const EACH: usize = 50;
    let sandbox = start(|builder| builder).await;
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let sandbox = &sandbox;
            scope.spawn(move || {
                let mut stream = connect(sandbox);
                for number in 0..EACH {
                    // Every tenth is not valid, which is nobody else's business.
                    let text = format!("{client}-{number}");
                    let valid = !number.is_multiple_of(10);
                    let request = if valid { message(sandbox, &text) } else { head(sandbox, 2) + "{}" };
                    stream.write_all(request.as_bytes()).unwrap();
                    let (status, body) = answer(&mut stream).unwrap();
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
async fn what_is_kept_is_the_newest_and_no_more() {
    let sandbox = start(|builder| builder.keep_messages(20).keep_requests(30)).await;
    let mut stream = connect(&sandbox);
    for number in 0..100 {
        stream.write_all(message(&sandbox, &number.to_string()).as_bytes()).unwrap();
        assert_eq!(answer(&mut stream).unwrap().0, 201);
    }
    let texts: Vec<String> =
        sandbox.messages().iter().map(|message| message.text().unwrap().to_owned()).collect();
    assert_eq!(texts, (80..100).map(|number| number.to_string()).collect::<Vec<_>>());
    let requests = sandbox.requests();
    assert_eq!(requests.len(), 30);
    assert!(String::from_utf8_lossy(&requests[0].body).contains("\"70\""));
    // Records from the start stay; no message is among them.
    assert_serves(&sandbox, "afterwards");
}

#[tokio::test]
async fn slow_clients_lose_their_connection_and_others_do_not_wait() {
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

    assert!(ends(&mut silent));
    assert!(ends(&mut in_the_head));
    let (status, body) = answer(&mut in_the_body).unwrap();
    assert_eq!(status, 408);
    assert!(body.contains("did not come in time"), "{body}");
    assert!(ends(&mut in_the_body));
    assert_eq!(answer(&mut to_the_admin).unwrap().0, 408);
    let requests = sandbox.requests();
    assert_eq!(requests.len(), 2, "the head of the others never came");
    assert_eq!((requests[1].status, requests[1].body.as_slice()), (408, &b"{\"type\":"[..]));
    assert_eq!(sandbox.messages().len(), 1);
}

#[tokio::test]
async fn a_body_that_drips_does_not_come_for_ever() {
    let sandbox = start(|builder| builder.read_timeout(Duration::from_millis(300))).await;
    let mut stream = connect(&sandbox);
    stream.write_all(head(&sandbox, 1_000_000).as_bytes()).unwrap();
    let mut writer = stream.try_clone().unwrap();
    // It goes on for as long as it is listened to.
    let dripping = std::thread::spawn(move || while writer.write_all(b" ").is_ok() {});
    assert_eq!(answer(&mut stream).map(|(status, _)| status), Some(408));
    drop(sandbox);
    dripping.join().unwrap();
}

#[tokio::test]
async fn a_hundred_megabytes_are_refused_and_not_kept() {
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
        let (status, body) = answer(&mut stream).unwrap();
        assert_eq!(status, 413, "{transfer}: {body}");
        // The same connection serves on, for the body was read to its end.
        stream.write_all(message(&sandbox, transfer).as_bytes()).unwrap();
        assert_eq!(answer(&mut stream).unwrap().0, 201, "{transfer}");
    }
    let kept: Vec<usize> = sandbox.requests().iter().map(|request| request.body.len()).collect();
    assert!(kept.iter().all(|length| *length <= 1024 * 1024), "{kept:?}");
    assert_eq!(sandbox.messages().len(), 2);
}

/// What is not HTTP, or not quite, and the status of the answer, if there is one; then the connection ends.
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
async fn what_is_not_http_ends_its_own_connection_and_no_other() {
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
        // The other side may have seen enough before all of it is written.
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        let status = answer(&mut stream).map(|(status, _)| status);
        // An answer may be lost if there was still something to read when the connection was closed.
        if status != expected && !(request.len() > 10_000 && status.is_none()) {
            wrong.push(format!("{name:?}: {status:?}, not {expected:?}"));
        }
        assert!(ends(&mut stream), "{name:?}");
        other.write_all(message(&sandbox, &name).as_bytes()).unwrap();
        assert_eq!(answer(&mut other).unwrap().0, 201, "{name:?}");
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test]
async fn idle_connections_by_the_thousand_are_in_nobodys_way() {
    let sandbox = start(|builder| builder).await;
    let idle: Vec<TcpStream> = (0..2_000).map(|_| connect(&sandbox)).collect();
    for number in 0..10 {
        assert_serves(&sandbox, &number.to_string());
    }
    // One of them is as good as any other.
    let mut last = idle.into_iter().next_back().unwrap();
    last.write_all(message(&sandbox, "last").as_bytes()).unwrap();
    assert_eq!(answer(&mut last).unwrap().0, 201);
}

#[tokio::test]
async fn a_connection_too_many_waits_while_the_others_wait_for_responses() {
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
        assert_eq!(answer(connection).unwrap().0, 201);
    }
    // Now they wait for nothing, so one of them makes room.
    next.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(answer(&mut next).unwrap().0, 201);
    assert_eq!(sandbox.messages().last().unwrap().text(), Some("outside"));
    assert!(connections.iter_mut().any(ends));
}

#[tokio::test]
async fn clients_that_send_nothing_make_room_for_others() {
    let sandbox = start(|builder| builder.max_connections(20)).await;
    let mut silent: Vec<TcpStream> = (0..100).map(|_| connect(&sandbox)).collect();
    let mut in_the_body: Vec<TcpStream> = (0..100).map(|_| connect(&sandbox)).collect();
    for stream in &mut in_the_body {
        // It may be closed for another one by now.
        let _ = stream.write_all(head(&sandbox, 100).as_bytes());
    }
    for number in 0..5 {
        assert_serves(&sandbox, &number.to_string());
    }
    assert!(silent.iter_mut().take(50).all(ends), "the first are closed first");
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_connection() {
    let sandbox = start(|builder| builder.write_timeout(Duration::from_millis(300))).await;
    let mut stream = connect(&sandbox);
    let mut requests = stream.try_clone().unwrap();
    // Responses that are not read fill the buffers of the machine, and then the requests do.
    let request = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "x".repeat(4_000)).repeat(100);
    let writing = std::thread::spawn(move || while requests.write_all(request.as_bytes()).is_ok() {});
    writing.join().unwrap();
    assert!(ends(&mut stream));
    // An event stream is no exception, and neither is what a fault makes up.
    let mut events = connect(&sandbox);
    events.write_all(b"GET /_sandbox/events HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let rule = json!({"fault": {"status": 200, "bodyBytes": 32 * 1024 * 1024}}).to_string();
    let mut admin = connect(&sandbox);
    let head = "POST /_sandbox/faults HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    write!(admin, "{head}content-length: {}\r\n\r\n{rule}", rule.len()).unwrap();
    assert_eq!(answer(&mut admin).unwrap().0, 201);
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
    assert!(ends(&mut events) && ends(&mut padded));
    assert_serves(&sandbox, "meanwhile");
}

#[tokio::test]
async fn clients_that_leave_in_the_middle_leave_nothing_behind() {
    let sandbox = start(|builder| builder).await;
    for number in 0..200 {
        let request = message(&sandbox, "left");
        let mut stream = connect(&sandbox);
        stream.write_all(&request.as_bytes()[..request.len() * number / 200]).unwrap();
    }
    assert_serves(&sandbox, "stayed");
    assert_eq!(sandbox.messages().len(), 1);
}

/// A target that takes the connection and never answers.
#[tokio::test]
async fn a_webhook_target_that_never_answers_keeps_nobody_waiting() {
    let target = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", target.local_addr().unwrap());
    let sandbox = start(|builder| builder.webhook_url(&url)).await;
    let send = json!({"type": "SMS", "contactId": sandbox.contact_id(), "status": "pending"});
    for _ in 0..50 {
        assert_eq!(post(&sandbox, SEND, &send).await.status, 201);
    }
    assert_eq!(sandbox.messages().len(), 50);

    let receiver = Receiver::start(StatusCode::OK).await;
    let other = start(|builder| builder.webhook_url(&receiver.url)).await;
    let send = json!({"type": "SMS", "contactId": other.contact_id(), "status": "pending"});
    assert_eq!(post(&other, SEND, &send).await.status, 201);
    assert_eq!(other.wait_for_deliveries(1, PATIENCE).await.unwrap().len(), 1);
}
