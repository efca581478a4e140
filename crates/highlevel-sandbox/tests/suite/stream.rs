//! The live event stream: complete, ordered, resumable, and without cost for other clients.

use highlevel_sandbox::{Contact, StatusUpdate};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::caller::{SEND, bare, client, post};
use crate::conformance::{Sandbox, StartChecked};

/// One received event.
#[derive(Debug, PartialEq)]
struct Event {
    id: String,
    name: String,
    data: Value,
}

/// A reader of server-sent events.
struct Reader {
    response: Response,
    buffer: Vec<u8>,
}

impl Reader {
    async fn open(sandbox: &Sandbox, query: &str, last: Option<&str>) -> Self {
        let mut request = bare(sandbox, Method::GET, &format!("/_sandbox/events{query}"));
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let mut reader = Self { response, buffer: Vec::new() };
        let first = reader.next().await.unwrap();
        assert_eq!(first.name, "connected");
        reader
    }

    /// Returns the lines up to the next empty one. `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Some(String::from_utf8(block).unwrap().trim_end().to_owned());
            }
            // A truncated stream would return an error.
            self.buffer.extend_from_slice(&self.response.chunk().await.unwrap()?);
        }
    }

    /// Returns the next event, skipping comments.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            if block.starts_with(':') {
                continue;
            }
            let field = |name: &str| {
                let mut lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                let value = lines.next().unwrap_or_else(|| panic!("no {name} in {block}")).to_owned();
                assert_eq!(lines.next(), None, "{block}");
                value
            };
            let data = serde_json::from_str(&field("data")).unwrap();
            return Some(Event { id: field("id"), name: field("event"), data });
        }
    }

    async fn take(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..count {
            events.push(self.next().await.unwrap());
        }
        events
    }
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

fn sms(sandbox: &Sandbox, text: &str) -> Value {
    json!({"type": "SMS", "contactId": sandbox.contact_id(), "message": text, "status": "pending"})
}

#[tokio::test]
async fn events_are_sent_as_they_happen() {
    let sandbox = Sandbox::start().await.unwrap();
    post(&sandbox, SEND, &sms(&sandbox, "before")).await;
    let mut reader = Reader::open(&sandbox, "", None).await;

    let response = post(&sandbox, SEND, &sms(&sandbox, "a\nb")).await;
    let events = reader.take(2).await;
    assert_eq!(names(&events), ["message", "request"]);
    assert_eq!(events[0].data["request"]["message"], "a\nb");
    assert_eq!(events[1].data["messageId"], response.body["messageId"]);
    assert_eq!(events[1].data["status"], 201);

    let id = response.body["messageId"].as_str().unwrap();
    sandbox.set_status(id, StatusUpdate::new("failed").error("no such number")).unwrap();
    // Nothing changes, so no event is sent.
    sandbox.set_status(id, StatusUpdate::new("failed")).unwrap();
    sandbox.put_contact(Contact::new("new")).unwrap();
    let events = reader.take(2).await;
    assert_eq!(names(&events), ["message", "changed"]);
    assert_eq!((&events[0].data["id"], &events[0].data["status"]), (&json!(id), &json!("failed")));
    assert_eq!(events[0].data["history"][1]["error"], "no such number");
    assert_eq!(events[1].data, json!({"what": "contact"}));

    // By the typed API and by the admin API.
    sandbox.advance_clock(std::time::Duration::from_secs(1));
    bare(&sandbox, Method::PATCH, "/_sandbox/clock").json(&json!({"speed": 2})).send().await.unwrap();
    sandbox.clear_faults();
    let published: Vec<_> =
        reader.take(3).await.into_iter().map(|event| event.data["what"].clone()).collect();
    assert_eq!(published, ["clock", "clock", "faults"]);
}

#[tokio::test]
async fn sse_resumes_from_last_event_id() {
    let sandbox = Sandbox::start().await.unwrap();
    let mut reader = Reader::open(&sandbox, "?only=message", None).await;
    for number in 0..3 {
        post(&sandbox, SEND, &sms(&sandbox, &number.to_string())).await;
    }
    let seen = reader.next().await.unwrap();
    assert_eq!(seen.data["request"]["message"], "0");
    drop(reader);
    post(&sandbox, SEND, &sms(&sandbox, "3")).await;

    for query in ["?only=message".to_owned(), format!("?only=message&after={}", seen.id)] {
        let header = (!query.contains("after")).then_some(seen.id.as_str());
        let mut reader = Reader::open(&sandbox, &query, header).await;
        let texts: Vec<_> =
            reader.take(3).await.into_iter().map(|event| event.data["request"]["message"].clone()).collect();
        assert_eq!(texts, ["1", "2", "3"]);
    }

    // The id belongs to another run: the number of missed events is unknown, and all retained ones are sent.
    let other = Sandbox::start().await.unwrap();
    post(&other, SEND, &sms(&other, "4")).await;
    let events = Reader::open(&other, "", Some(&seen.id)).await.take(3).await;
    assert_eq!(names(&events), ["missed", "message", "request"]);
    assert_eq!(events[0].data, json!({"entries": null}));
}

#[tokio::test]
async fn a_slow_reader_gets_a_missed_event_and_delays_no_other() {
    const MESSAGES: usize = 60;
    let sandbox = Sandbox::builder().keep_requests(3).start_checked().await.unwrap();
    let mut slow = Reader::open(&sandbox, "", None).await;
    // More than all buffers on the way hold.
    for number in 0..MESSAGES {
        let response =
            post(&sandbox, SEND, &sms(&sandbox, &format!("{number} {}", "x".repeat(500_000)))).await;
        assert_eq!(response.status, 201);
    }
    let (mut published, mut missed, mut last) = (0, 0, String::new());
    while published + missed < 2 * MESSAGES as u64 {
        let event = slow.next().await.unwrap();
        if event.name == "missed" {
            missed += event.data["entries"].as_u64().unwrap();
        } else {
            published += 1;
            last = event.name;
        }
    }
    assert_eq!(last, "request");
    assert!(missed > 0, "{published} of {} were told", 2 * MESSAGES);
    post(&sandbox, SEND, &sms(&sandbox, "after")).await;
    assert_eq!(names(&slow.take(2).await), ["message", "request"]);
}

#[tokio::test]
async fn all_readers_receive_the_same_events() {
    let sandbox = Sandbox::start().await.unwrap();
    let mut readers = Vec::new();
    for _ in 0..40 {
        readers.push(Reader::open(&sandbox, "", None).await);
    }
    for number in 0..5 {
        post(&sandbox, SEND, &sms(&sandbox, &number.to_string())).await;
    }
    let first = readers[0].take(10).await;
    assert_eq!(names(&first), ["message", "request"].repeat(5));
    for reader in &mut readers[1..] {
        assert_eq!(reader.take(10).await, first);
    }
}

#[tokio::test]
async fn a_quiet_stream_sends_heartbeats_and_ends_with_the_sandbox() {
    let sandbox = Sandbox::start().await.unwrap();
    let mut reader = Reader::open(&sandbox, "?heartbeatMs=10", None).await;
    assert_eq!(reader.block().await.as_deref(), Some(":"));
    let mut quiet = Reader::open(&sandbox, "", None).await;
    sandbox.stop().await;
    assert_eq!(reader.next().await, None);
    assert_eq!(quiet.block().await, None);
}

type Headers<'a> = &'a [(&'a str, &'a str)];

#[tokio::test]
async fn requests_with_foreign_hosts_or_origins_are_rejected() {
    let sandbox = Sandbox::start().await.unwrap();
    let cases: [(Method, Headers, u16); 5] = [
        (Method::GET, &[("host", "evil.example")], 403),
        (Method::POST, &[("origin", "https://evil.example")], 403),
        (Method::POST, &[("sec-fetch-site", "cross-site")], 403),
        (Method::GET, &[("host", "localhost:1")], 405),
        (Method::POST, &[("sec-fetch-site", "same-origin")], 204),
    ];
    let send = async |method: Method, url: String, headers: &[(&str, &str)]| {
        let request = headers
            .iter()
            .fold(client().request(method, url), |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap()
    };
    for (method, headers, status) in cases {
        let url = format!("{}/_sandbox/reset", sandbox.base_url());
        assert_eq!(send(method, url, headers).await.status(), status, "{headers:?}");
    }
    // The same holds for the API: a name of a foreign DNS server would let its pages read responses.
    let url = format!("{}{SEND}", sandbox.base_url());
    assert_eq!(send(Method::POST, url, &[("host", "evil.example")]).await.status(), 403);

    let locked = Sandbox::builder()
        .admin_token("a-secret-of-the-team")
        .address("0.0.0.0:0".parse().unwrap())
        .public(true);
    let locked = locked.start_checked().await.unwrap();
    let base = locked.base_url().replace("0.0.0.0", "127.0.0.1");
    let cases: [(&str, Headers, u16); 5] = [
        ("clock", &[], 401),
        ("clock", &[("authorization", "Bearer wrong!")], 401),
        ("events", &[], 401),
        ("clock", &[("authorization", "Bearer a-secret-of-the-team"), ("host", "sandbox.internal")], 200),
        ("health", &[("host", "sandbox.internal")], 200),
    ];
    for (path, headers, status) in cases {
        let url = format!("{base}/_sandbox/{path}");
        assert_eq!(send(Method::GET, url, headers).await.status(), status, "{path} {headers:?}");
    }
}
