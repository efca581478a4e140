//! Reading back after an outcome that is unknown: a server that loses its responses, and whose ledger decides.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use highlevel::{
    CallStatus, Client, Delivery, Email, Error, Finding, Fingerprint, Inbound, OutboundCall, Sms, Timestamp,
};
use serde_json::{Value, json};

use crate::server::{Action, Request, Server, json as json_response, response};

const TEXT: &str = "Your table is ready";
const MINUTE: Duration = Duration::from_secs(60);

/// The kind of message of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sms,
    Email,
    InboundWithAltId,
    /// Names a conversation that was merged into another one.
    InboundInMerged,
    Call,
}

const KINDS: [Kind; 4] = [Kind::Sms, Kind::Email, Kind::InboundWithAltId, Kind::Call];

impl Kind {
    async fn send(self, client: &Client) -> Error {
        let result = match self {
            Self::Sms => client.messages().send(Sms::to("c1").text(TEXT)).await.map(drop),
            Self::Email => {
                let email = Email::to("c1").subject("Ready").html("<p>Your table is ready</p>");
                client.messages().send(email).await.map(drop)
            }
            Self::InboundWithAltId => {
                let message = Inbound::sms("p1").from_contact("c1").text(TEXT).alt_id("a1");
                client.messages().add_inbound(message).await.map(drop)
            }
            Self::InboundInMerged => {
                let message = Inbound::sms("p1").from_contact("c1").in_conversation("v0").text(TEXT);
                client.messages().add_inbound(message).await.map(drop)
            }
            Self::Call => {
                let call = OutboundCall::to_contact("c1", "p1").from("+15035550100").to("+15037081210");
                client.calls().add_outbound(call.status(CallStatus::Completed)).await.map(drop)
            }
        };
        result.expect_err("the response is lost")
    }

    /// Returns the message as lists have it.
    fn listed(self, id: &str, date: SystemTime) -> Value {
        let mut message = json!({
            "id": id, "contactId": "c1", "conversationId": "v1", "locationId": "l1", "source": "api",
            "direction": match self {
                Self::InboundWithAltId | Self::InboundInMerged => "inbound",
                Self::Sms | Self::Email | Self::Call => "outbound",
            },
            "dateAdded": Timestamp::from(date).as_str(),
        });
        let fields = match self {
            Self::Sms | Self::InboundWithAltId | Self::InboundInMerged => {
                json!({ "type": 2, "messageType": "TYPE_SMS", "body": TEXT })
            }
            Self::Email => json!({ "type": 3, "messageType": "TYPE_EMAIL",
                "meta": { "email": { "messageIds": [format!("e-{id}")] } } }),
            Self::Call => {
                json!({ "type": 34, "messageType": "TYPE_CUSTOM_CALL", "from": "+15035550100", "to": "+15037081210" })
            }
        };
        message.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        message
    }
}

/// The messages of one conversation, and the requests that read them.
#[derive(Default)]
struct Ledger {
    messages: Vec<Value>,
    /// The conversation is not in the index yet.
    is_unindexed: bool,
}

impl Ledger {
    fn read(&self, request: &Request) -> Value {
        let target = request.line.split(' ').nth(1).expect("a target");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut latest_first = self.messages.clone();
        latest_first.reverse();
        match path.trim_start_matches("/conversations/") {
            "search" if self.is_unindexed => json!({ "conversations": [], "total": 0 }),
            "search" => json!({ "conversations": [{ "id": "v1", "contactId": "c1" }], "total": 1 }),
            "v0/messages" => json!({ "messages": { "nextPage": false, "messages": [] } }),
            "v1/messages" => json!({ "messages": { "nextPage": false, "messages": latest_first } }),
            "messages/export" => {
                latest_first.retain(|message| {
                    query.contains("channel=Email") == (message["messageType"] == "TYPE_EMAIL")
                });
                json!({ "messages": latest_first })
            }
            path => {
                if let Some(id) = path.strip_prefix("messages/email/e-") {
                    return json!({ "id": format!("e-{id}"), "subject": "Ready", "body": "<p>Your table is ready</p>",
                        "direction": "outbound", "from": "desk@example.com", "to": ["ada@example.com"],
                        "dateAdded": self.message(id)["dateAdded"] });
                }
                let mut message = self.message(path.strip_prefix("messages/").expect("a message"));
                message["altId"] = json!("a1");
                json!({ "message": message })
            }
        }
    }

    fn message(&self, id: &str) -> Value {
        self.messages.iter().find(|message| message["id"] == id).expect("a message").clone()
    }
}

/// Starts a server that stores each message that is sent if `stores`, and responds to the request with a fault.
async fn server(kind: Kind, stores: bool, fault: Action, ledger: &Arc<Mutex<Ledger>>) -> Server {
    let ledger = Arc::clone(ledger);
    Server::start(move |request| {
        let mut ledger = ledger.lock().expect("no panic");
        if request.line.starts_with("GET") {
            return Action::Respond(json_response("200 OK", &ledger.read(request)));
        }
        if stores {
            let id = format!("m{}", ledger.messages.len() + 1);
            ledger.messages.push(kind.listed(&id, SystemTime::now()));
        }
        fault.clone()
    })
    .await
}

fn client(server: &Server) -> Client {
    server.builder().location("l1").attempt_timeout(Duration::from_millis(400)).build().expect("a client")
}

/// Every fault that leaves the outcome open, at every kind of message, done and not done.
#[tokio::test]
async fn lost_responses_are_resolved_as_the_ledger_has_it() {
    let status = |status| Action::Respond(response(status, "", ""));
    let faults = [
        ("reset", Action::Reset),
        ("closed", Action::Close(Vec::new())),
        ("silent", Action::Stall(Vec::new())),
        ("no HTTP", Action::Close(b"hello".to_vec())),
        ("cut head", Action::Close(b"HTTP/1.1 20".to_vec())),
        ("408", status("408 Request Timeout")),
        ("500", status("500 Internal Server Error")),
        ("502", status("502 Bad Gateway")),
        ("503", status("503 Service Unavailable")),
        ("504", status("504 Gateway Timeout")),
        ("520", status("520 Unknown")),
        ("empty success", status("201 Created")),
        ("cut success", Action::Close(b"HTTP/1.1 201 Created\r\ncontent-length: 9\r\n\r\n{".to_vec())),
    ];
    let (mut cells, mut wrong) = (0, Vec::new());
    for (name, fault) in faults {
        for kind in KINDS {
            for stores in [true, false] {
                let ledger = Arc::new(Mutex::new(Ledger::default()));
                let old = kind.listed("old", SystemTime::now() - 5 * MINUTE);
                ledger.lock().expect("no panic").messages.push(old);
                let server = server(kind, stores, fault.clone(), &ledger).await;
                let client = client(&server);
                let error = kind.send(&client).await;
                assert!(!error.delivery().is_safe_to_resend(), "{name}: {error}");
                let found =
                    error.find(&client).await.unwrap_or_else(|error| panic!("{name} {kind:?}: {error}"));
                let is_right = match &found {
                    Finding::Sent(id) => stores && id.as_str() == "m2",
                    Finding::NotFound(examined) => !stores && examined.messages == 0,
                    Finding::Ambiguous(_) => false,
                };
                cells += 1;
                if !is_right {
                    wrong.push(format!("{name} {kind:?} stored {stores}: {found:?}"));
                }
            }
        }
    }
    assert_eq!(cells, 104);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A row: what the conversation has besides the message, and the expected result.
struct Row {
    name: &'static str,
    kind: Kind,
    prepare: fn(&mut Ledger),
    expected: fn(&Finding) -> bool,
    requests: usize,
}

#[tokio::test]
async fn conversations_that_are_not_simple() {
    let rows = [
        Row {
            name: "the same text from another request, a minute ago",
            kind: Kind::Sms,
            prepare: |ledger| ledger.messages.push(Kind::Sms.listed("other", SystemTime::now() - MINUTE)),
            // It is dated before the attempt, so it is possible, but not proven.
            expected: |found| matches!(found, Finding::Ambiguous(ids) if ids.len() == 2),
            requests: 3,
        },
        Row {
            name: "the same text to another contact",
            kind: Kind::Sms,
            prepare: |ledger| {
                let mut other = Kind::Sms.listed("other", SystemTime::now());
                other["contactId"] = json!("c2");
                ledger.messages.push(other);
            },
            expected: |found| matches!(found, Finding::Sent(id) if id.as_str() == "m2"),
            requests: 3,
        },
        Row {
            name: "a conversation that is not in the index yet",
            kind: Kind::Sms,
            prepare: |ledger| ledger.is_unindexed = true,
            expected: |found| matches!(found, Finding::Sent(id) if id.as_str() == "m1"),
            requests: 3,
        },
        Row {
            name: "an email that is not in the index yet",
            kind: Kind::Email,
            prepare: |ledger| ledger.is_unindexed = true,
            expected: |found| matches!(found, Finding::Sent(id) if id.as_str() == "m1"),
            requests: 4,
        },
        Row {
            name: "a conversation that is not in the index yet, and a request that names another one",
            kind: Kind::InboundInMerged,
            prepare: |ledger| ledger.is_unindexed = true,
            // It is in another conversation than the one that the request names, so it is possible, but not proven.
            expected: |found| matches!(found, Finding::Ambiguous(ids) if ids == &["m1".into()]),
            requests: 4,
        },
        Row {
            name: "more messages than are examined",
            kind: Kind::Sms,
            prepare: |ledger| {
                for number in 0..1_200 {
                    let mut other = Kind::Sms.listed(&format!("x{number}"), SystemTime::now() + MINUTE);
                    other["body"] = json!("something else");
                    ledger.messages.insert(0, other);
                }
                ledger.messages.reverse();
            },
            expected: |found| matches!(found, Finding::Ambiguous(ids) if ids.len() == 1),
            requests: 3,
        },
        Row {
            name: "more emails than are read",
            kind: Kind::Email,
            prepare: |ledger| {
                let emails =
                    (0..30).map(|number| Kind::Email.listed(&format!("x{number}"), SystemTime::now()));
                ledger.messages.extend(emails);
            },
            expected: |found| matches!(found, Finding::Ambiguous(_)),
            requests: 23,
        },
    ];
    for Row { name, kind, prepare, expected, requests } in rows {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        prepare(&mut ledger.lock().expect("no panic"));
        let server = server(kind, true, Action::Reset, &ledger).await;
        let client = client(&server);
        let found = kind.send(&client).await.find(&client).await.expect(name);
        assert!(expected(&found), "{name}: {found:?}");
        assert_eq!(server.requests().len(), requests, "{name}");
    }
}

#[tokio::test]
async fn reads_that_fail_are_errors() {
    let server = Server::always(Action::Respond(response("401 Unauthorized", "", ""))).await;
    let fingerprint = Fingerprint::of(&Sms::to("c1").text(TEXT), SystemTime::now());
    let error = client(&server).find(&fingerprint).await.expect_err("401");
    assert_eq!((error.status(), error.operation()), (Some(401), "search_conversations"));

    // The location is required to search for the conversation.
    let error = server.client().find(&fingerprint).await.expect_err("no location");
    assert_eq!(error.delivery(), Delivery::NotSent);
    let error = error.find(&server.client()).await.expect_err("no fingerprint");
    assert!(error.to_string().contains("no fingerprint"), "{error}");
}
