//! Faults on command, seen by a client that is nothing but a TCP socket. The ledger says what was stored.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use highlevel_sandbox::{Ending, Extent, Fault, FaultRule, FaultSchedule, FaultStage, Sandbox};
use serde_json::{Value, json};

use crate::caller::{INBOUND, SEND, bare, execute, post};

/// Far longer than it takes: it only ends a run in which something is broken.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing has to come for it to be silence. A sandbox that is silent is so for as long as one likes.
const SILENCE: Duration = Duration::from_millis(40);

/// What the client sees of the answer.
#[derive(Debug)]
enum Seen {
    /// Exactly this.
    Text(&'static str),
    /// Everything up to the end of the head, which has this status, or that of the sandbox's own answer.
    Head(Option<u16>),
    /// The head, and so many bytes of a body that is longer.
    Part(usize),
    /// An answer that is whole, with this status, or that of the sandbox's own answer; its content type, and how its body
    /// begins.
    Whole(Option<u16>, Option<&'static str>, &'static str),
    /// The first byte, and others as time passes.
    Beginning,
}

/// How it goes on after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Fin,
    Rst,
    /// Nothing comes, until the rule is removed.
    Silence,
    /// The connection takes another request.
    Alive,
}

use End::{Alive, Fin, Rst, Silence};
use Seen::{Beginning, Head, Part, Text, Whole};

const JSON: Option<&str> = Some("application/json; charset=utf-8");
const HTML: Option<&str> = Some("text/html");
const OWN: Seen = Whole(None, JSON, "{");

/// What each fault of the catalogue looks like. One without a row fails the test.
fn rows() -> Vec<(&'static str, Seen, End)> {
    let refusal = |status| Whole(Some(status), JSON, "{\"error\":");
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
        ("close-after-answer", OWN, Fin),
        ("reset-after-answer", OWN, Rst),
        ("garbage", Text("SSH-2.0-OpenSSH_9.7\r\n"), Fin),
        (
            "contradictory-length",
            Text("HTTP/1.1 201 Created\r\ncontent-length: 2\r\ncontent-length: 5\r\n\r\n{}"),
            Fin,
        ),
        ("latency", OWN, Alive),
        ("bad-request", refusal(400), Alive),
        ("unauthorized", refusal(401), Alive),
        ("forbidden", refusal(403), Alive),
        ("not-found", refusal(404), Alive),
        ("request-timeout", refusal(408), Alive),
        ("conflict", refusal(409), Alive),
        ("too-large-page", Whole(Some(413), HTML, "<html>"), Alive),
        ("unprocessable", refusal(422), Alive),
        ("too-many-requests", refusal(429), Alive),
        ("too-many-requests-retry-after", refusal(429), Alive),
        ("internal-error", refusal(500), Alive),
        ("bad-gateway-page", Whole(Some(502), HTML, "<html>"), Alive),
        ("unavailable", refusal(503), Alive),
        ("unavailable-retry-after", refusal(503), Alive),
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

/// A connection, and what came on it.
struct Client {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Client {
    fn connect(sandbox: &Sandbox) -> Self {
        let stream = TcpStream::connect(sandbox.base_url().trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, seen: Vec::new() }
    }

    /// Sends a message as a request.
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

    /// Reads once. How it ended, if it did.
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

    /// Reads until enough is there, or until nothing more comes.
    fn read_until(&mut self, enough: impl Fn(&Answer) -> bool) -> Option<End> {
        loop {
            if enough(&Answer::of(&self.seen)) {
                return None;
            }
            if let Some(end) = self.read() {
                return Some(end);
            }
        }
    }

    /// Whether nothing comes for a while.
    fn is_silent(&mut self) -> bool {
        self.stream.set_read_timeout(Some(SILENCE)).unwrap();
        let silent = self.read() == Some(Silence);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        silent
    }
}

/// What came, as far as it can be read as an answer.
struct Answer {
    text: String,
    /// Where the body begins, once the head is there.
    head: Option<usize>,
    status: Option<u16>,
    content_type: Option<String>,
    length: usize,
}

impl Answer {
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

/// The status of the sandbox's own answer.
fn own(fault: &Fault, stage: FaultStage) -> u16 {
    if stage == FaultStage::After || *fault == Fault::NONE { 201 } else { 503 }
}

/// Meets the fault, and says what is not as expected.
fn meet(sandbox: &Sandbox, fault: &Fault, stage: FaultStage, seen: &Seen, end: End) {
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
    let ended = client.read_until(|answer| match seen {
        Text("HTTP/1.1 XXX ") => stays && answer.text.ends_with("\r\n"),
        Text(_) => stays && answer.text.len() >= marker,
        Head(_) => stays && answer.head.is_some(),
        Beginning => !answer.text.is_empty(),
        Part(_) => false,
        Whole(..) => stays && answer.is_whole(),
    });
    match end {
        Fin | Rst => assert_eq!(ended, Some(end), "{name}: {:?}", Answer::of(&client.seen).text),
        Silence => {
            assert_eq!(ended, None, "{name}");
            assert!(matches!(seen, Beginning) || client.is_silent(), "{name}: something came");
        }
        Alive => assert_eq!(ended, None, "{name}"),
    }
    let answer = Answer::of(&client.seen);
    match seen {
        Text("HTTP/1.1 X") => {
            assert_eq!(answer.text, format!("HTTP/1.1 {}", own(fault, stage) / 100), "{name}");
        }
        Text("HTTP/1.1 XXX ") => {
            assert!(
                answer.text.starts_with(&format!("HTTP/1.1 {} ", own(fault, stage))),
                "{name}: {}",
                answer.text
            );
            assert_eq!(answer.text.lines().count(), 1, "{name}: {}", answer.text);
        }
        Text(text) => assert_eq!(answer.text, *text, "{name}"),
        Head(status) => {
            assert_eq!(answer.status, status.or(Some(own(fault, stage))), "{name}");
            assert_eq!(answer.body(), "", "{name}");
            assert!(answer.length > 0, "{name}: a body was announced");
        }
        Part(bytes) => {
            assert_eq!(answer.body().len(), *bytes, "{name}");
            assert!(answer.length > *bytes, "{name}: {}", answer.length);
        }
        Whole(status, content_type, body) => {
            assert_eq!(answer.status, status.or(Some(own(fault, stage))), "{name}");
            assert_eq!(answer.content_type.as_deref(), *content_type, "{name}");
            assert!(answer.is_whole() && answer.body().len() == answer.length, "{name}: {}", answer.text);
            assert!(answer.body().starts_with(body), "{name}: {}", answer.body());
            assert_eq!(answer.body().is_empty(), body.is_empty(), "{name}");
        }
        Beginning => assert!(!answer.is_whole(), "{name}"),
    }
    assert!(whole || end != Alive, "{name}: only a whole answer can be followed by another one");

    let expected = usize::from(fault.name() != "none");
    assert_eq!(sandbox.faults()[0].hits, expected as u64, "{name}");
    if end == Alive {
        client.seen.clear();
        client.send(sandbox, "afterwards");
        assert_eq!(client.read_until(Answer::is_whole), None, "{name}");
        assert_eq!(Answer::of(&client.seen).status, Some(201), "{name}");
    }
    assert!(sandbox.remove_fault(id));
    if end == Silence {
        let before = client.seen.len();
        assert_eq!(client.read_until(|_| false), Some(Fin), "{name}: the rule is gone, and so is the wait");
        assert!(client.seen.len() - before < 10, "{name}");
    }
    let broken = matches!(seen, Text(_) | Head(_) | Part(_));
    said_by_the_ledger(sandbox, fault, stage, broken, &name);
}

/// The oracle: what was stored, and what the ledger says of the request.
fn said_by_the_ledger(sandbox: &Sandbox, fault: &Fault, stage: FaultStage, broken: bool, name: &str) {
    let struck = fault.name() != "none";
    let stored = !struck || stage == FaultStage::After;
    let messages = sandbox.messages();
    let messages: Vec<_> = messages.iter().filter(|message| message.text() == Some(name)).collect();
    assert_eq!(messages.len(), usize::from(stored), "{name}");
    let requests = sandbox.requests();
    let request = match stage {
        // The body was not read, so the message is not in it.
        FaultStage::Head if struck => requests.iter().rev().find(|request| request.fault.is_some()).unwrap(),
        _ => {
            let is_of = |body: &[u8]| {
                let body: Value = serde_json::from_slice(body).unwrap_or_default();
                body["message"] == name
            };
            requests.iter().rev().find(|request| is_of(&request.body)).unwrap()
        }
    };
    assert_eq!(request.fault.as_deref(), struck.then(|| fault.name()), "{name}");
    assert_eq!(request.broken, broken, "{name}");
    assert_eq!(request.message_id.as_ref(), messages.first().map(|message| &message.id), "{name}");
    assert_eq!(request.body.is_empty(), struck && stage == FaultStage::Head, "{name}");
}

#[tokio::test]
async fn each_fault_of_the_catalogue_is_on_the_wire_what_it_says_and_stores_what_it_says() {
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
            meet(&sandbox, fault, stage, seen, *end);
        }
    }
}

#[tokio::test]
async fn a_connection_can_break_before_anything_is_read() {
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
        assert_eq!(next.read_until(Answer::is_whole), None, "{fault:?}");
        assert!(sandbox.remove_fault(id));
        if end == Silence {
            assert_eq!(client.read_until(|_| false), Some(Fin));
        }
    }
    assert_eq!(sandbox.messages().len(), 4);
    assert!(sandbox.requests().iter().all(|request| request.fault.is_none()));
}

#[tokio::test]
async fn a_silent_connection_ends_with_the_sandbox_and_with_its_client() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.add_fault(Fault::SILENCE).unwrap();
    let mut client = Client::connect(&sandbox);
    client.send(&sandbox, "lost");
    assert!(client.is_silent());
    drop(sandbox);
    assert!(matches!(client.read_until(|_| false), Some(Fin | Rst)));
}

#[tokio::test]
async fn faults_can_be_put_together() {
    let sandbox = Sandbox::start().await.unwrap();
    let page_cut_short = Fault::BAD_GATEWAY_PAGE.sending(Extent::Body(6)).ending(Ending::Reset);
    meet(&sandbox, &page_cut_short, FaultStage::Before, &Part(6), Rst);
    let busy = Fault::answering(503).header("retry-after", "2").trickling(64, Duration::from_millis(1));
    meet(&sandbox, &busy, FaultStage::Before, &Whole(Some(503), JSON, "{"), Fin);
    let odd = Fault::answering(202).body("text/plain", "soon").after(Duration::from_millis(1));
    meet(&sandbox, &odd, FaultStage::After, &Whole(Some(202), Some("text/plain"), "soon"), Alive);
    let raw = Fault::raw("HTTP/0.9?\r\n");
    meet(&sandbox, &raw, FaultStage::Before, &Text("HTTP/0.9?\r\n"), Fin);
}

/// Through the admin API, with rules that choose: what a program in another language does.
#[tokio::test]
async fn a_rule_is_about_what_it_names_and_counts() {
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
    let mut answers = Vec::new();
    for _ in 0..4 {
        let sent = crate::caller::authorised(&sandbox, SEND).json(&send).send().await.unwrap();
        answers.push((sent.status().as_u16(), post(&sandbox, INBOUND, &inbound).await.status.as_u16()));
    }
    assert_eq!(answers, [(503, 201), (201, 418), (502, 201), (201, 201)]);
    let counts: Vec<_> = sandbox.faults().iter().map(|fault| (fault.id, fault.seen, fault.hits)).collect();
    assert_eq!(counts, [(1, 4, 2), (2, 4, 1), (3, 0, 0)]);
    // What was refused before it was done was not stored.
    assert_eq!(sandbox.messages().len(), 2 + 3);
    sandbox.clear_faults();
    assert!(sandbox.faults().is_empty());
}

#[tokio::test]
async fn a_rule_that_makes_no_sense_is_refused_with_a_mend() {
    let sandbox = Sandbox::start().await.unwrap();
    let cases = [
        (json!({ "fault": "rest" }), "there is no fault `rest`; there are none, reset"),
        (json!({ "fault": "reset", "operation": "send" }), "there is no operation `send`; there are"),
        (json!({ "fault": "reset", "stage": "connect" }), "would shut out the admin API"),
        (json!({ "fault": "reset", "when": "always" }), "unknown field `when`"),
        (json!({}), "either `fault` or `sequence`"),
    ];
    for (rule, words) in cases {
        let request = bare(&sandbox, reqwest::Method::POST, "/_sandbox/faults").json(&rule);
        let answered = execute(request).await;
        assert_eq!(answered.status, 400, "{rule}");
        assert!(answered.body["error"].as_str().unwrap().contains(words), "{rule}: {}", answered.body);
    }
    let error = sandbox.add_fault(FaultRule::new(Fault::RESET).operation("send")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(sandbox.faults().is_empty());
}

/// The guide has a row for each fault, in the words of the catalogue.
#[test]
fn the_guide_lists_the_catalogue() {
    let guide = include_str!("../../../../docs/sandbox.md");
    for fault in Fault::all() {
        let (name, description) = (fault.name(), fault.description().unwrap());
        let row = format!("| `{name}` | {description} | {} |", fault.default_stage().as_str());
        assert!(guide.contains(&row), "docs/sandbox.md has to have this row:\n{row}");
    }
}
