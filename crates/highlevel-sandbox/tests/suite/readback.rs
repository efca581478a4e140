//! Messages as they are read back.

use std::time::Duration;

use highlevel_sandbox::{Contact, Location, ProviderKind, SimulatedCall, SimulatedCallOutcome};
use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::{INBOUND, OUTBOUND, Response, SEND, bare, call, post};
use crate::conformance::Sandbox;

async fn get(sandbox: &Sandbox, path: &str) -> Response {
    call(sandbox, Method::GET, path, None).await
}

/// Sends or adds a message with the contact of the seed, and returns its ID.
async fn add(sandbox: &Sandbox, path: &str, mut body: Value) -> String {
    body["contactId"] = json!(sandbox.contact_id());
    if path == SEND {
        body["status"] = json!("pending");
    }
    let response = post(sandbox, path, &body).await;
    assert_eq!(response.status, 201, "{body}: {}", response.body);
    response.body["messageId"].as_str().unwrap().to_owned()
}

fn ids(list: &Value) -> Vec<String> {
    let messages = list["messages"]["messages"].as_array().unwrap_or_else(|| panic!("{list}"));
    messages.iter().map(|each| each["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn messages_have_their_numbers_and_names() {
    struct Case {
        name: &'static str,
        path: &'static str,
        body: Value,
        number: u64,
        text: &'static str,
        /// Fields of the message, by pointer.
        fields: &'static [(&'static str, &'static str)],
    }
    let sandbox = Sandbox::start().await.unwrap();
    let s = &sandbox;
    let call_body = |status: &str| {
        json!({
            "type": "Call", "conversationProviderId": s.provider_id(ProviderKind::Call), "altId": "call-1",
            "conversationId": s.conversation_id(),
            "call": {"to": "+15037081210", "from": "+15035550100", "status": status},
        })
    };
    let case = |name, path, body, number, text, fields| Case { name, path, body, number, text, fields };
    let cases = [
        case(
            "SMS",
            SEND,
            json!({"type": "SMS", "message": "Hello"}),
            2,
            "TYPE_SMS",
            &[
                ("/body", "Hello"),
                ("/direction", "outbound"),
                ("/status", "pending"),
                ("/source", "api"),
                ("/to", "+15037081210"),
            ],
        ),
        case(
            "inbound",
            INBOUND,
            json!({"type": "SMS", "message": "Hi", "altId": "their-7"}),
            2,
            "TYPE_SMS",
            &[("/body", "Hi"), ("/direction", "inbound"), ("/altId", "their-7"), ("/from", "+15037081210")],
        ),
        case(
            "through a provider",
            SEND,
            json!({"type": "SMS", "message": "Hi", "conversationProviderId": s.provider_id(ProviderKind::CustomSms)}),
            20,
            "TYPE_CUSTOM_SMS",
            &[("/body", "Hi")],
        ),
        case(
            "attachment",
            SEND,
            json!({"type": "SMS", "message": "", "attachments": ["https://files.example/a.png"]}),
            2,
            "TYPE_SMS",
            &[("/attachments/0", "https://files.example/a.png")],
        ),
        case(
            "call",
            OUTBOUND,
            call_body("completed"),
            34,
            "TYPE_CUSTOM_CALL",
            &[("/status", "completed"), ("/meta/call/status", "completed"), ("/altId", "call-1")],
        ),
        case(
            "missed call",
            OUTBOUND,
            call_body("no-answer"),
            34,
            "TYPE_CUSTOM_CALL",
            &[("/status", "failed"), ("/meta/call/status", "no-answer")],
        ),
    ];
    for Case { name, path, body, number, text, fields } in cases {
        let id = add(s, path, body).await;
        let response = get(s, &format!("/conversations/messages/{id}")).await;
        assert_eq!(response.status, 200, "{name}: {}", response.body);
        let message = &response.body["message"];
        assert_eq!((&message["type"], &message["messageType"]), (&json!(number), &json!(text)), "{name}");
        assert_eq!((&message["id"], &message["contactId"]), (&json!(id), &json!(s.contact_id())), "{name}");
        for (pointer, value) in fields {
            assert_eq!(message.pointer(pointer), Some(&json!(value)), "{name}: {pointer} of {message}");
        }
        assert!(response.body["traceId"].is_string());
        // The list has the same message.
        let list = get(s, &format!("/conversations/{}/messages?limit=1", s.conversation_id())).await;
        assert_eq!(list.body["messages"]["messages"][0], *message, "{name}");
    }
}

#[tokio::test]
async fn emails_have_a_body_only_when_they_are_read_alone() {
    let sandbox = Sandbox::start().await.unwrap();
    let body = json!({
        "type": "Email", "subject": "Lunch", "html": "<p>Soup</p>", "emailCc": ["a@example.com", "b@example.com"],
        "altId": "mail-1",
    });
    let id = add(&sandbox, SEND, body).await;
    let read = get(&sandbox, &format!("/conversations/messages/{id}")).await.body["message"].clone();
    assert_eq!((read.get("body"), &read["type"]), (None, &json!(3)));
    let email_id = read["meta"]["email"]["messageIds"][0].as_str().unwrap().to_owned();
    let email = get(&sandbox, &format!("/conversations/messages/email/{email_id}")).await;
    assert_eq!(email.status, 200, "{}", email.body);
    assert_eq!((&email.body["id"], &email.body["body"]), (&json!(email_id), &json!("<p>Soup</p>")));
    assert_eq!(
        (&email.body["subject"], &email.body["cc"]),
        (&json!("Lunch"), &json!(["a@example.com", "b@example.com"]))
    );
    assert_eq!((&email.body["to"], &email.body["threadId"]), (&json!(["ada@example.com"]), &json!(id)));
    let missing = get(&sandbox, &format!("/conversations/messages/email/{id}")).await;
    assert_eq!(missing.status, 404, "the ID of the message is not that of the email");
}

#[tokio::test]
async fn messages_are_listed_page_by_page_the_latest_first() {
    let sandbox = Sandbox::start().await.unwrap();
    let s = &sandbox;
    s.set_clock_speed(0.0);
    let mut expected = Vec::new();
    for number in 0..45 {
        s.advance_clock(Duration::from_secs(1));
        let body = if number % 9 == 0 {
            json!({"type": "Email", "html": "<p>x</p>"})
        } else {
            json!({"type": "SMS", "message": number.to_string()})
        };
        expected.push(add(s, SEND, body).await);
    }
    // Added last, but older than all others.
    let old = json!({"type": "SMS", "message": "old", "date": "2020-01-01T00:00:00Z"});
    expected.insert(0, add(s, INBOUND, old).await);
    expected.reverse();
    let path = format!("/conversations/{}/messages", s.conversation_id());
    for limit in [None, Some(1), Some(7), Some(100), Some(1_000)] {
        let size = limit.unwrap_or(20).min(100);
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let limit = limit.map(|limit| format!("&limit={limit}")).unwrap_or_default();
            let page = get(s, &format!("{path}?a=b{limit}{after}")).await.body;
            let found = ids(&page);
            assert!(found.len() <= size);
            assert_eq!(page["messages"]["lastMessageId"], json!(found.last().unwrap()));
            after = format!("&lastMessageId={}", found.last().unwrap());
            seen.extend(found);
            if page["messages"]["nextPage"] == false {
                break;
            }
        }
        assert_eq!(seen, expected, "{limit:?}");
    }
    let count = async |types: &str| ids(&get(s, &format!("{path}?limit=100&type={types}")).await.body).len();
    assert_eq!(count("TYPE_EMAIL").await, 5);
    assert_eq!(count("TYPE_SMS,TYPE_EMAIL").await, 46);
    assert_eq!(count("TYPE_CALL").await, 0);
    let wrong = get(s, &format!("{path}?lastMessageId=unknown")).await;
    assert_eq!(wrong.status, 400);
    let none = get(s, "/conversations/fcanlLgpbQgQhderivVs/messages").await;
    assert_eq!(none.body["messages"], json!({"lastMessageId": "", "nextPage": false, "messages": []}));
}

#[tokio::test]
async fn attachments_and_statuses_of_emails_are_changed() {
    let sandbox = Sandbox::start().await.unwrap();
    let id =
        add(&sandbox, SEND, json!({"type": "SMS", "message": "Hi", "attachments": ["https://a.example/1"]}))
            .await;
    let path = format!("/conversations/messages/{id}/attachments");
    let urls = |count: usize| (0..count).map(|n| format!("https://b.example/{n}")).collect::<Vec<_>>();
    for (count, status) in [(2, 200), (6, 422), (5, 200), (0, 200)] {
        let response = call(&sandbox, Method::PUT, &path, Some(&json!({"attachments": urls(count)}))).await;
        assert_eq!(response.status, status, "{count}: {}", response.body);
        if status == 200 {
            // They are replaced.
            assert_eq!(sandbox.message(&id).unwrap().request["attachments"], json!(urls(count)));
        }
    }
    let provider = sandbox.provider_id(ProviderKind::Email);
    let email = json!({"type": "Email", "html": "<p>x</p>", "conversationProviderId": provider});
    let (ours, plain) =
        (add(&sandbox, SEND, email).await, add(&sandbox, SEND, json!({"type": "Email", "html": "x"})).await);
    let email_id = |id: &str| sandbox.message(id).unwrap().email_message_id.unwrap();
    let failed = json!({
        "status": "undelivered",
        "recipients": [{"emailId": "a@example.com", "status": "failed", "failReason": "mailbox full"}],
    });
    let cases = [
        ("opened", email_id(&ours), json!({"status": "delivered"}), 200),
        ("not one of a provider", email_id(&plain), json!({"status": "delivered"}), 403),
        ("unknown", "unknown".to_owned(), json!({"status": "delivered"}), 401),
        ("unknown status", email_id(&ours), json!({"status": "lost"}), 422),
        (
            "recipients as texts",
            email_id(&ours),
            json!({"status": "failed", "recipients": ["a@example.com"]}),
            422,
        ),
        ("failed", email_id(&ours), failed, 200),
        ("after the end", email_id(&ours), json!({"status": "opened"}), 400),
    ];
    for (name, id, body, status) in cases {
        let path = format!("/conversations/messages/email/{id}/status");
        let response = call(&sandbox, Method::PUT, &path, Some(&body)).await;
        assert_eq!(response.status, status, "{name}: {}", response.body);
    }
    let last = sandbox.message(&ours).unwrap().history.pop().unwrap();
    assert_eq!((last.status.as_str(), last.error.as_deref()), ("failed", Some("mailbox full")));
}

#[tokio::test]
async fn completed_calls_have_a_recording_and_a_transcription() {
    let sandbox = Sandbox::start().await.unwrap();
    let simulated = |outcome, seconds| {
        let call = SimulatedCall::inbound().outcome(outcome).duration(Duration::from_secs(seconds));
        sandbox.simulate_call(call).unwrap().id
    };
    let (long, missed) =
        (simulated(SimulatedCallOutcome::Answered, 200), simulated(SimulatedCallOutcome::NoAnswer, 0));
    let location = sandbox.location_id();
    let request = |path: &str| {
        bare(&sandbox, Method::GET, path).bearer_auth(sandbox.token()).header("Version", "2021-04-15")
    };
    let recording =
        |id: &str, location: &str| format!("/conversations/messages/{id}/locations/{location}/recording");
    let response = request(&recording(&long, location)).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"audio/x-wav".parse().unwrap())
    );
    let audio = response.bytes().await.unwrap();
    assert!(audio.len() > 3 * 1024 * 1024 && audio.starts_with(b"RIFF"), "{}", audio.len());

    let path = format!("/conversations/locations/{location}/messages/{long}/transcription");
    let transcription = get(&sandbox, &path).await;
    let sentences = transcription.body.as_array().unwrap();
    assert_eq!(sentences.last().unwrap()["endTime"], "199998");
    let sms = add(&sandbox, SEND, json!({"type": "SMS", "message": "Hi"})).await;
    for (name, path, status) in [
        ("missed", recording(&missed, location), 400),
        ("no call", recording(&sms, location), 400),
        ("unknown", recording("unknown", location), 404),
        ("another location", recording(&long, "two"), 403),
    ] {
        let response = get(&sandbox, &path).await;
        assert_eq!(response.status, status, "{name}");
        let code = (status == 400).then_some("CONVERSATIONS_MSG_RECORDING_NOT_FOUND");
        assert_eq!(response.body["canonicalCode"].as_str(), code, "{name}");
    }
}

#[tokio::test]
async fn messages_are_exported_with_cursors_that_expire() {
    let sandbox = Sandbox::start().await.unwrap();
    let s = &sandbox;
    s.set_clock_speed(0.0);
    s.put_contact(Contact::new("grace").phone("+15037081299").email("g@example.com")).unwrap();
    let mut all = Vec::new();
    for number in 0..23 {
        s.advance_clock(Duration::from_secs(1));
        all.push(add(s, SEND, json!({"type": "SMS", "message": number.to_string()})).await);
    }
    add(s, SEND, json!({"type": "Email", "html": "<p>x</p>"})).await;
    let other = json!({"type": "SMS", "contactId": "grace", "message": "x", "status": "pending"});
    all.push(post(s, SEND, &other).await.body["messageId"].as_str().unwrap().to_owned());
    let path = format!("/conversations/messages/export?locationId={}", s.location_id());
    let export = async |query: &str| get(s, &format!("{path}{query}")).await;
    let found = |body: &Value| -> Vec<String> {
        body["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|each| each["id"].as_str().unwrap().to_owned())
            .collect()
    };
    for order in ["asc", "desc"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = export(&format!("&limit=10&sortOrder={order}{cursor}")).await.body;
            seen.extend(found(&page));
            let Some(next) = page["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        if order == "desc" {
            seen.reverse();
        }
        assert_eq!(seen, all, "{order}");
    }
    let now = chrono::DateTime::<chrono::Utc>::from(s.now());
    let start = (now - Duration::from_secs(5)).to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    for (name, query, count) in [
        ("emails", "&channel=Email&limit=100".to_owned(), 1),
        ("a contact", "&contactId=grace".to_owned(), 1),
        ("a date", format!("&startDate={start}"), 7),
        ("a channel", "&channel=Call".to_owned(), 0),
    ] {
        assert_eq!(found(&export(&query).await.body).len(), count, "{name}");
    }
    let cursor = export("&limit=10").await.body["nextCursor"].as_str().unwrap().to_owned();
    s.advance_clock(Duration::from_secs(119));
    assert_eq!(export(&format!("&cursor={cursor}")).await.status, 200);
    s.advance_clock(Duration::from_secs(2));
    for query in [format!("&cursor={cursor}"), "&cursor=!!!".to_owned(), "&startDate=soon".to_owned()] {
        assert_eq!(export(&query).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn messages_of_other_locations_cannot_be_read() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.put_location(Location::new("two")).unwrap();
    let id = add(&sandbox, SEND, json!({"type": "Email", "html": "<p>x</p>"})).await;
    let email = sandbox.message(&id).unwrap().email_message_id.unwrap();
    let token = sandbox.issue_token("two").unwrap();
    for (path, status) in [
        (format!("/conversations/messages/{id}"), 403),
        (format!("/conversations/messages/email/{email}"), 403),
        (format!("/conversations/{}/messages", sandbox.conversation_id()), 403),
        ("/conversations/messages/unknown".to_owned(), 404),
    ] {
        let request = bare(&sandbox, Method::GET, &path).bearer_auth(&token).header("Version", "2021-04-15");
        assert_eq!(crate::caller::execute(request).await.status, status, "{path}");
    }
    let export = "/conversations/messages/export?locationId=two";
    let request = bare(&sandbox, Method::GET, export).bearer_auth(&token).header("Version", "2021-04-15");
    assert_eq!(crate::caller::execute(request).await.body["total"], 0);
}
