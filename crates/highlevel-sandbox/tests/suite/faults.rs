//! Injected faults, as a bare TCP socket sees them. The ledger shows the stored messages.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use highlevel_sandbox::{Ending, Extent, Fault, FaultRule, FaultSchedule, FaultStage};
use serde_json::{Value, json};

use crate::caller::{INBOUND, SEND, bare, execute, post};
use crate::conformance::Sandbox;

/// Ends a run in which something is broken.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The time without a byte that counts as silence. A silent sandbox stays silent.
const SILENCE: Duration = Duration::from_millis(40);

/// The part of the response that the client receives.
#[derive(Debug)]
enum Received {
    /// Exactly these bytes.
    Text(&'static str),
    /// The complete head, with this status or that of the regular response.
    Head(Option<u16>),
    /// The head, and this number of bytes of a longer body.
    Part(usize),
    /// A complete response with this status or that of the regular response; its content type, and the start of its
    /// body.
    Whole(Option<u16>, Option<&'static str>, &'static str),
    /// The first byte, and further ones as time passes.
    Beginning,
}

/// The end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Fin,
    Rst,
    /// Silence until the rule is removed.
    Silence,
    /// The connection accepts another request.
    Alive,
}

use End::{Alive, Fin, Rst, Silence};
use Received::{Beginning, Head, Part, Text, Whole};

const JSON: Option<&str> = Some("application/json; charset=utf-8");
const HTML: Option<&str> = Some("text/html");
const OWN: Received = Whole(None, JSON, "{");

/// The effect of each fault of the catalogue. The test fails for a fault without a row.
fn rows() -> Vec<(&'static str, Received, End)> {
    let rejection = |status| Whole(Some(status), JSON, "{\"error\":");
    vec![
        ("none", OWN, Alive),
        ("reset", Text(""), Rst),
        ("reset-in-status-line", Text("HTTP/1.1 X"), Rst),
        ("reset-after-head", Head(None), Rst),
        ("reset-in-body", Part(20), Rst),
        ("close", Text(""), Fin),
        ("close-in-status-line", Text("HTTP/1.1 X"), Fin),
        ("close-after-head", Head(None), Fin),
        ("cut-body", Part(20), Fin),
        ("silence", Text(""), Silence),
        ("stalled-status-line", Text("HTTP/1.1 X"), Silence),
        ("stalled-headers", Text("HTTP/1.1 XXX "), Silence),
        ("stalled-body", Head(None), Silence),
        ("trickle", OWN, Fin),
        ("slow-trickle", Beginning, Silence),
        ("close-after-response", OWN, Fin),
        ("reset-after-response", OWN, Rst),
        ("garbage", Text("SSH-2.0-OpenSSH_9.7\r\n"), Fin),
        (
            "contradictory-length",
            Text("HTTP/1.1 201 Created\r\ncontent-length: 2\r\ncontent-length: 5\r\n\r\n{}"),
            Fin,
        ),
        ("latency", OWN, Alive),
        ("bad-request", rejection(400), Alive),
        ("unauthorized", rejection(401), Alive),
        ("forbidden", rejection(403), Alive),
        ("not-found", rejection(404), Alive),
        ("request-timeout", rejection(408), Alive),
        ("conflict", rejection(409), Alive),
        ("too-large-page", Whole(Some(413), HTML, "<html>"), Alive),
        ("unprocessable", rejection(422), Alive),
        ("too-many-requests", rejection(429), Alive),
        ("too-many-requests-retry-after", rejection(429), Alive),
        ("internal-error", rejection(500), Alive),
        ("bad-gateway-page", Whole(Some(502), HTML, "<html>"), Alive),
        ("unavailable", rejection(503), Alive),
        ("unavailable-retry-after", rejection(503), Alive),
        ("gateway-timeout-page", Whole(Some(504), HTML, "<html>"), Alive),
        ("unknown-error", Whole(Some(520), None, ""), Alive),
        ("redirect", Whole(Some(302), None, ""), Alive),
        ("temporary-redirect", Whole(Some(307), None, ""), Alive),
        ("empty-success", Whole(Some(201), None, ""), Alive),
        ("no-content", Whole(Some(204), None, ""), Alive),
        ("page", Whole(Some(201), HTML, "<html>"), Alive),
        ("wrong-content-type", Whole(None, Some("text/plain"), "{"), Alive),
        ("broken-json", Whole(Some(201), JSON, "{\"conversationId\":\"abc\",\"messag"), Alive),
        ("wrong-json", Whole(Some(201), JSON, "[{\"messageId\":5}]"), Alive),
        ("oversized", Whole(Some(201), JSON, "          "), Alive),
    ]
}

/// A connection and the bytes received on it.
struct Client {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Client {
    fn connect(sandbox: &Sandbox) -> Self {
        let stream = TcpStream::connect(sandbox.base_url().trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        Self { stream, seen: Vec::new() }
    }

    /// Sends a request that sends a message.
    fn send(&mut self, sandbox: &Sandbox, text: &str) {
        let contact = sandbox.contact_id();
        let body =
            json!({"type": "SMS", "contactId": contact, "message": text, "status": "pending"}).to_string();
        let token = sandbox.token();
        let request = format!(
            "POST {SEND} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nversion: 2021-04-15\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).unwrap();
    }

    /// Reads once. Returns the end of the connection if it ended.
    fn read(&mut self) -> Option<End> {
        let mut buffer = [0; 8192];
        match self.stream.read(&mut buffer) {
            Ok(0) => Some(Fin),
            Ok(count) => {
                self.seen.extend_from_slice(&buffer[..count]);
                None
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Some(Rst),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Some(Silence)
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Reads until the condition holds, the connection ends, or it is silent.
    fn read_until(&mut self, enough: impl Fn(&ParsedResponse) -> bool) -> Option<End> {
        loop {
            if enough(&ParsedResponse::of(&self.seen)) {
                return None;
            }
            if let Some(end) = self.read() {
                return Some(end);
            }
        }
    }

    /// Returns `true` if nothing is received for a while.
    fn is_silent(&mut self) -> bool {
        self.stream.set_read_timeout(Some(SILENCE)).unwrap();
        let silent = self.read() == Some(Silence);
        self.stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        silent
    }
}

/// The received bytes, parsed as far as possible.
struct ParsedResponse {
    text: String,
    /// Returns the offset of the body once the head is complete.
    head: Option<usize>,
    status: Option<u16>,
    content_type: Option<String>,
    length: usize,
}

impl ParsedResponse {
    fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let head = text.find("\r\n\r\n").map(|at| at + 4);
        let header = |name: &str| {
            let line = text[..head?].lines().find(|line| line.to_lowercase().starts_with(name))?;
            Some(line[name.len() + 1..].trim().to_owned())
        };
        let status = text.get(9..12).and_then(|status| status.parse().ok());
        let (content_type, length) = (header("content-type"), header("content-length"));
        Self { head, status, content_type, length: length.map_or(0, |length| length.parse().unwrap()), text }
    }

    fn body(&self) -> &str {
        self.head.map_or("", |head| &self.text[head..])
    }

    fn is_whole(&self) -> bool {
        self.head.is_some() && self.body().len() >= self.length
    }
}

/// The status of the regular response.
fn own(fault: &Fault, stage: FaultStage) -> u16 {
    if stage == FaultStage::After || *fault == Fault::NONE { 201 } else { 503 }
}

/// Triggers the fault. Returns the first difference from the expectation.
fn trigger(sandbox: &Sandbox, fault: &Fault, stage: FaultStage, seen: &Received, end: End) {
    let name = format!("{}, {}", fault.name(), stage.as_str());
    let rule = FaultRule::new(fault.clone()).stage(stage).schedule(FaultSchedule::First(1));
    let id = sandbox.add_fault(rule).unwrap();
    let mut client = Client::connect(sandbox);
    client.send(sandbox, &name);

    let (stays, whole) = (end == Silence || end == Alive, matches!(seen, Whole(..)));
    let marker = match seen {
        Text(text) => text.len(),
        _ => 0,
    };
    let ended = client.read_until(|response| match seen {
        Text("HTTP/1.1 XXX ") => stays && response.text.ends_with("\r\n"),
        Text(_) => stays && response.text.len() >= marker,
        Head(_) => stays && response.head.is_some(),
        Beginning => !response.text.is_empty(),
        Part(_) => false,
        Whole(..) => stays && response.is_whole(),
    });
    match end {
        Fin | Rst => assert_eq!(ended, Some(end), "{name}: {:?}", ParsedResponse::of(&client.seen).text),
        Silence => {
            assert_eq!(ended, None, "{name}");
            assert!(matches!(seen, Beginning) || client.is_silent(), "{name}: something came");
        }
        Alive => assert_eq!(ended, None, "{name}"),
    }
    let response = ParsedResponse::of(&client.seen);
    match seen {
        Text("HTTP/1.1 X") => {
            assert_eq!(response.text, format!("HTTP/1.1 {}", own(fault, stage) / 100), "{name}");
        }
        Text("HTTP/1.1 XXX ") => {
            assert!(
                response.text.starts_with(&format!("HTTP/1.1 {} ", own(fault, stage))),
                "{name}: {}",
                response.text
            );
            assert_eq!(response.text.lines().count(), 1, "{name}: {}", response.text);
        }
        Text(text) => assert_eq!(response.text, *text, "{name}"),
        Head(status) => {
            assert_eq!(response.status, status.or(Some(own(fault, stage))), "{name}");
            assert_eq!(response.body(), "", "{name}");
            assert!(response.length > 0, "{name}: a body was announced");
        }
        Part(bytes) => {
            assert_eq!(response.body().len(), *bytes, "{name}");
            assert!(response.length > *bytes, "{name}: {}", response.length);
        }
        Whole(status, content_type, body) => {
            assert_eq!(response.status, status.or(Some(own(fault, stage))), "{name}");
            assert_eq!(response.content_type.as_deref(), *content_type, "{name}");
            assert!(
                response.is_whole() && response.body().len() == response.length,
                "{name}: {}",
                response.text
            );
            assert!(response.body().starts_with(body), "{name}: {}", response.body());
            assert_eq!(response.body().is_empty(), body.is_empty(), "{name}");
        }
        Beginning => assert!(!response.is_whole(), "{name}"),
    }
    assert!(whole || end != Alive, "{name}: only a whole response can be followed by another one");

    let expected = usize::from(fault.name() != "none");
    assert_eq!(sandbox.faults()[0].hits, expected as u64, "{name}");
    if end == Alive {
        client.seen.clear();
        client.send(sandbox, "afterwards");
        assert_eq!(client.read_until(ParsedResponse::is_whole), None, "{name}");
        assert_eq!(ParsedResponse::of(&client.seen).status, Some(201), "{name}");
    }
    assert!(sandbox.remove_fault(id));
    if end == Silence {
        let before = client.seen.len();
        assert_eq!(client.read_until(|_| false), Some(Fin), "{name}: the rule is gone, and so is the wait");
        assert!(client.seen.len() - before < 10, "{name}");
    }
    let broken = matches!(seen, Text(_) | Head(_) | Part(_));
    assert_recorded(sandbox, fault, stage, broken, &name);
}

/// The oracle: the stored message, and the request's entry in the ledger.
fn assert_recorded(sandbox: &Sandbox, fault: &Fault, stage: FaultStage, broken: bool, name: &str) {
    let triggered = fault.name() != "none";
    let stored = !triggered || stage == FaultStage::After;
    let messages = sandbox.messages();
    let messages: Vec<_> = messages.iter().filter(|message| message.text() == Some(name)).collect();
    assert_eq!(messages.len(), usize::from(stored), "{name}");
    let requests = sandbox.requests();
    let request = match stage {
        // The body was not read, so the entry has no message.
        FaultStage::Head if triggered => {
            requests.iter().rev().find(|request| request.fault.is_some()).unwrap()
        }
        _ => {
            let is_of = |body: &[u8]| {
                let body: Value = serde_json::from_slice(body).unwrap_or_default();
                body["message"] == name
            };
            requests.iter().rev().find(|request| is_of(&request.body)).unwrap()
        }
    };
    assert_eq!(request.fault.as_deref(), triggered.then(|| fault.name()), "{name}");
    assert_eq!(request.broken, broken, "{name}");
    assert_eq!(request.message_id.as_ref(), messages.first().map(|message| &message.id), "{name}");
    assert_eq!(request.body.is_empty(), triggered && stage == FaultStage::Head, "{name}");
}

#[tokio::test]
async fn every_fault_of_the_catalogue_has_its_effect_on_the_wire_and_in_the_store() {
    let rows = rows();
    let named: BTreeSet<&str> = Fault::all().map(Fault::name).collect();
    let tested: BTreeSet<&str> = rows.iter().map(|(name, ..)| *name).collect();
    assert_eq!(named, tested, "each fault has a row here");
    assert_eq!(rows.len(), tested.len());

    let sandbox = Sandbox::start().await.unwrap();
    for (name, seen, end) in &rows {
        let fault = Fault::all().find(|fault| fault.name() == *name).unwrap();
        assert!(fault.description().is_some_and(|words| words.ends_with('.')), "{name}");
        for stage in [FaultStage::Head, FaultStage::Before, FaultStage::After] {
            trigger(&sandbox, fault, stage, seen, *end);
        }
    }
}

#[tokio::test]
async fn a_fault_can_close_a_connection_before_reading() {
    let sandbox = Sandbox::start().await.unwrap();
    let cases = [
        (Fault::RESET, "", Rst),
        (Fault::CLOSE, "", Fin),
        (Fault::GARBAGE, "SSH-2.0-OpenSSH_9.7\r\n", Fin),
        (Fault::SILENCE, "", Silence),
    ];
    for (fault, text, end) in cases {
        let rule = FaultRule::new(fault.clone()).stage(FaultStage::Connect).schedule(FaultSchedule::First(1));
        let id = sandbox.add_fault(rule).unwrap();
        let mut client = Client::connect(&sandbox);
        if end == Silence {
            assert!(client.is_silent(), "{fault:?}");
        } else {
            assert_eq!(client.read_until(|_| false), Some(end), "{fault:?}");
        }
        assert_eq!(String::from_utf8_lossy(&client.seen), text, "{fault:?}");
        let mut next = Client::connect(&sandbox);
        next.send(&sandbox, "next");
        assert_eq!(next.read_until(ParsedResponse::is_whole), None, "{fault:?}");
        assert!(sandbox.remove_fault(id));
        if end == Silence {
            assert_eq!(client.read_until(|_| false), Some(Fin));
        }
    }
    assert_eq!(sandbox.messages().len(), 4);
    assert!(sandbox.requests().iter().all(|request| request.fault.is_none()));
}

#[tokio::test]
async fn a_silent_connection_ends_with_the_sandbox_or_its_client() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.add_fault(Fault::SILENCE).unwrap();
    let mut client = Client::connect(&sandbox);
    client.send(&sandbox, "lost");
    assert!(client.is_silent());
    drop(sandbox);
    assert!(matches!(client.read_until(|_| false), Some(Fin | Rst)));
}

#[tokio::test]
async fn fault_effects_can_be_combined() {
    let sandbox = Sandbox::start().await.unwrap();
    let page_cut_short = Fault::BAD_GATEWAY_PAGE.sending(Extent::Body(6)).ending(Ending::Reset);
    trigger(&sandbox, &page_cut_short, FaultStage::Before, &Part(6), Rst);
    let busy = Fault::status(503).header("retry-after", "2").trickling(64, Duration::from_millis(1));
    trigger(&sandbox, &busy, FaultStage::Before, &Whole(Some(503), JSON, "{"), Fin);
    let odd = Fault::status(202).body("text/plain", "soon").after(Duration::from_millis(1));
    trigger(&sandbox, &odd, FaultStage::After, &Whole(Some(202), Some("text/plain"), "soon"), Alive);
    let raw = Fault::raw("HTTP/0.9?\r\n");
    trigger(&sandbox, &raw, FaultStage::Before, &Text("HTTP/0.9?\r\n"), Fin);
}

/// Rules with filters through the admin API, as a program in another language sets them.
#[tokio::test]
async fn a_rule_applies_to_matching_requests_and_counts_them() {
    let sandbox = Sandbox::start().await.unwrap();
    let send = json!({"type": "SMS", "contactId": sandbox.contact_id(), "message": "a", "status": "pending"});
    let inbound = json!({
        "type": "SMS", "contactId": sandbox.contact_id(), "message": "b",
        "conversationProviderId": sandbox.conversation_provider_id(),
    });
    let rules = [
        json!({ "sequence": ["unavailable", "none", "bad-gateway-page"], "operation": "sendMessage" }),
        json!({ "fault": { "status": 418 }, "schedule": { "nth": 2 }, "path": INBOUND, "location": sandbox.location_id() }),
        json!({ "fault": "internal-error", "location": "elsewhere" }),
    ];
    for rule in rules {
        let request = bare(&sandbox, reqwest::Method::POST, "/_sandbox/faults").json(&rule);
        assert_eq!(execute(request).await.status, 201, "{rule}");
    }
    let mut responses = Vec::new();
    for _ in 0..4 {
        let sent = crate::caller::authorised(&sandbox, SEND).json(&send).send().await.unwrap();
        responses.push((sent.status().as_u16(), post(&sandbox, INBOUND, &inbound).await.status.as_u16()));
    }
    assert_eq!(responses, [(503, 201), (201, 418), (502, 201), (201, 201)]);
    let counts: Vec<_> = sandbox.faults().iter().map(|fault| (fault.id, fault.seen, fault.hits)).collect();
    assert_eq!(counts, [(1, 4, 2), (2, 4, 1), (3, 0, 0)]);
    // Requests that were rejected before they were processed stored nothing.
    assert_eq!(sandbox.messages().len(), 2 + 3);
    sandbox.clear_faults();
    assert!(sandbox.faults().is_empty());
}

#[tokio::test]
async fn invalid_rules_are_rejected_with_a_fix() {
    let sandbox = Sandbox::start().await.unwrap();
    let cases = [
        (json!({ "fault": "rest" }), "unknown fault `rest`; known faults: none, reset"),
        (json!({ "fault": "reset", "operation": "send" }), "unknown operation `send`; known operations:"),
        (json!({ "fault": "reset", "stage": "connect" }), "would block the admin API"),
        (json!({ "fault": "reset", "when": "always" }), "unknown field `when`"),
        (json!({}), "either `fault` or a `sequence`"),
    ];
    for (rule, words) in cases {
        let request = bare(&sandbox, reqwest::Method::POST, "/_sandbox/faults").json(&rule);
        let response = execute(request).await;
        assert_eq!(response.status, 400, "{rule}");
        assert!(response.body["error"].as_str().unwrap().contains(words), "{rule}: {}", response.body);
    }
    let error = sandbox.add_fault(FaultRule::new(Fault::RESET).operation("send")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(sandbox.faults().is_empty());
}

/// The guide has a row for each fault, with the catalogue's description.
#[test]
fn the_guide_lists_the_catalogue() {
    let guide = include_str!("../../../../docs/sandbox.md");
    for fault in Fault::all() {
        let (name, description) = (fault.name(), fault.description().unwrap());
        let row = format!("| `{name}` | {description} | {} |", fault.default_stage().as_str());
        assert!(guide.contains(&row), "docs/sandbox.md has to have this row:\n{row}");
    }
}
