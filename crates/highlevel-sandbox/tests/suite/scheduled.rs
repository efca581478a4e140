//! Messages that are sent later, by the sandbox's clock.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use highlevel_sandbox::{ConversationProvider, Location, Message, ProviderKind, StatusUpdate};
use http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::{SEND, bare, client, execute, post};
use crate::conformance::{Sandbox, StartChecked};
use crate::process::{Running, directory};
use crate::receiver::Receiver;
use crate::webhooks::{TEST_TIMEOUT, payload};

/// Returns the sandbox time in seconds since 1970.
fn seconds(sandbox: &Sandbox) -> u64 {
    sandbox.now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// Returns a request that is sent at a time.
fn at(sandbox: &Sandbox, time: impl Into<Value>, text: &str) -> Value {
    json!({
        "type": "SMS", "contactId": sandbox.contact_id(), "message": text, "status": "pending",
        "scheduledTimestamp": time.into(),
    })
}

/// Sends a message at a time, and returns it as stored.
async fn send_at(sandbox: &Sandbox, time: impl Into<Value>, text: &str) -> Message {
    let response = post(sandbox, SEND, &at(sandbox, time, text)).await;
    assert_eq!(response.status, 201, "{}", response.body);
    sandbox.message(response.body["messageId"].as_str().unwrap()).unwrap()
}

/// Waits until messages with these texts have been sent, and returns their texts in the order of their events.
async fn sent(sandbox: &Sandbox, count: usize) -> Vec<String> {
    let deliveries = sandbox.wait_for_deliveries(count, TEST_TIMEOUT).await.unwrap();
    deliveries.iter().map(|each| payload(each)["body"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn only_messages_with_a_future_time_are_scheduled() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).start_checked().await.unwrap();
    sandbox.set_clock_speed(0.0);
    let now = seconds(&sandbox);
    let cases = [
        ("an hour ago", now - 3_600, "pending"),
        ("now", now, "pending"),
        ("the epoch", 0, "pending"),
        ("in a second", now + 1, "scheduled"),
        ("in a year", now + 365 * 86_400, "scheduled"),
        // The year is 58,000 or later.
        ("milliseconds", now * 1_000, "scheduled"),
        ("the last number", i64::MAX.unsigned_abs(), "scheduled"),
    ];
    for (name, time, status) in cases {
        let message = send_at(&sandbox, time, name).await;
        assert_eq!(message.status, status, "{name}");
        let note = sandbox.requests().pop().unwrap().note;
        assert_eq!(note.is_some(), matches!(name, "milliseconds" | "the last number"), "{name}: {note:?}");
    }
    assert_eq!(sent(&sandbox, 3).await, ["an hour ago", "now", "the epoch"]);
    // The clock ends in the year 9999, so a time in milliseconds never comes.
    sandbox.advance_clock(Duration::from_secs(10_000 * 366 * 86_400));
    assert_eq!(sent(&sandbox, 5).await[3..], ["in a second", "in a year"]);
    let left: Vec<_> =
        sandbox.messages().into_iter().filter(|message| message.status == "scheduled").collect();
    assert_eq!(left.len(), 2);
    let update = sandbox.set_status(&left[0].id, StatusUpdate::new("delivered")).unwrap_err().to_string();
    let expected = format!(
        "the message {} cannot change from scheduled to \"delivered\"; advance the clock to send it, or cancel it",
        left[0].id
    );
    assert_eq!(update, expected);
}

#[tokio::test]
async fn a_scheduled_message_is_delivered_when_the_clock_reaches_its_time() {
    let (app, provider) = (Receiver::start(StatusCode::OK).await, Receiver::start(StatusCode::OK).await);
    let sandbox = Sandbox::builder().webhook_url(&app.url).start_checked().await.unwrap();
    let id = sandbox.provider_id(ProviderKind::Sms);
    let with_url = ConversationProvider::new(id).kind(ProviderKind::Sms).delivery_url(&provider.url);
    sandbox.put_provider(with_url).unwrap();
    sandbox.set_clock_speed(0.0);
    let due = seconds(&sandbox) + 60;
    let mut request = at(&sandbox, due, "later");
    request["conversationProviderId"] = json!(id);
    let response = post(&sandbox, SEND, &request).await;
    assert_eq!(response.status, 201, "{}", response.body);
    let id = response.body["messageId"].as_str().unwrap();

    sandbox.advance_clock(Duration::from_secs(59));
    assert_eq!(sandbox.message(id).unwrap().status, "scheduled");
    assert!(sandbox.deliveries().is_empty());

    sandbox.advance_clock(Duration::from_secs(600));
    let deliveries = sandbox.wait_for_deliveries(2, TEST_TIMEOUT).await.unwrap();
    let events: Vec<_> = deliveries.iter().map(|each| (each.event.as_str(), each.url.as_str())).collect();
    assert_eq!(
        events,
        [("OutboundMessage", app.url.as_str()), ("ProviderOutboundMessage", provider.url.as_str())]
    );
    let message = sandbox.message(id).unwrap();
    let statuses: Vec<_> = message.history.iter().map(|change| change.status.as_str()).collect();
    assert_eq!((message.status.as_str(), statuses), ("pending", vec!["scheduled", "pending"]));
    let event = payload(&deliveries[0]);
    assert_eq!(event["dateAdded"], *message.date_added);
    let sent = chrono::DateTime::parse_from_rfc3339(&message.date_added).unwrap();
    assert_eq!(sent.timestamp().unsigned_abs(), due, "a jump of the clock does not move the message");
}

#[tokio::test]
async fn messages_are_sent_in_the_order_of_their_times() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).start_checked().await.unwrap();
    sandbox.set_clock_speed(0.0);
    let now = seconds(&sandbox);
    // More than are sent under one lock.
    let count = 200;
    for number in 0..count {
        let place = number * 7 % count;
        send_at(&sandbox, now + 1 + place, &place.to_string()).await;
    }
    sandbox.set_clock(sandbox.now() - Duration::from_secs(60));
    sandbox.advance_clock(Duration::from_secs(3_600));
    let places: Vec<String> = (0..count).map(|place| place.to_string()).collect();
    assert_eq!(sent(&sandbox, 200).await, places);
}

#[tokio::test]
async fn scheduled_messages_survive_a_restart_and_a_restore() {
    let directory = directory("scheduled");
    let receiver = Receiver::start(StatusCode::OK).await;
    let builder = || Sandbox::builder().webhook_url(&receiver.url).state_file(directory.file("state"));
    let sandbox = builder().start_checked().await.unwrap();
    let due = seconds(&sandbox) + 3_600;
    let message = send_at(&sandbox, due, "kept").await;
    let snapshot = sandbox.snapshot();
    sandbox.stop().await;

    let restarted = builder().start_checked().await.unwrap();
    assert_eq!(restarted.message(&message.id).unwrap().status, "scheduled");
    restarted.advance_clock(Duration::from_secs(3_600));
    assert_eq!(sent(&restarted, 1).await, ["kept"]);

    // The time is in the past already.
    restarted.restore(snapshot.clone()).unwrap();
    assert_eq!(sent(&restarted, 2).await, ["kept", "kept"]);
    assert_eq!(restarted.message(&message.id).unwrap().status, "pending");

    let other = Sandbox::builder().webhook_url(&receiver.url).start_checked().await.unwrap();
    other.seed(snapshot).unwrap();
    assert!(other.deliveries().is_empty());
    other.advance_clock(Duration::from_secs(3_600));
    assert_eq!(sent(&other, 1).await, ["kept"]);
}

#[tokio::test]
async fn scheduled_messages_can_be_cancelled() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).start_checked().await.unwrap();
    sandbox.set_clock_speed(0.0);
    let due = seconds(&sandbox) + 60;
    let cancelled = send_at(&sandbox, due, "cancelled").await.id;
    let sent_now = send_at(&sandbox, 0, "sent now").await.id;
    let mut email = at(&sandbox, due, "");
    (email["type"], email["html"]) = (json!("Email"), json!("<p>later</p>"));
    let email = post(&sandbox, SEND, &email).await.body["messageId"].as_str().unwrap().to_owned();
    let email = sandbox.message(&email).unwrap();
    assert_eq!(email.status, "scheduled");
    let email_message = email.email_message_id.unwrap();
    sandbox.put_location(Location::new("two")).unwrap();
    let other = sandbox.issue_token("two").unwrap();

    let cancel = |token: &str, path: String| {
        let request = bare(&sandbox, Method::DELETE, &format!("/conversations/messages/{path}"));
        execute(request.bearer_auth(token).header("Version", "2021-04-15"))
    };
    let token = sandbox.token();
    let cases = [
        ("of another location", other.as_str(), format!("{cancelled}/schedule"), 404),
        ("scheduled", token, format!("{cancelled}/schedule"), 200),
        ("cancelled before", token, format!("{cancelled}/schedule"), 404),
        ("sent", token, format!("{sent_now}/schedule"), 404),
        ("unknown", token, "unknown/schedule".to_owned(), 404),
        ("an email by the id of its message", token, format!("email/{}/schedule", email.id), 404),
        ("an email", token, format!("email/{email_message}/schedule"), 200),
        ("a cancelled email", token, format!("email/{email_message}/schedule"), 404),
    ];
    for (name, token, path, status) in cases {
        let response = cancel(token, path).await;
        // A failure is a 200 as well.
        assert_eq!((response.status.as_u16(), &response.body["status"]), (200, &json!(status)), "{name}");
        assert!(response.body["message"].is_string(), "{name}: {}", response.body);
    }
    assert_eq!((sandbox.message(&cancelled), sandbox.message(&email.id)), (None, None));
    send_at(&sandbox, due + 1, "last").await;
    sandbox.advance_clock(Duration::from_secs(120));
    assert_eq!(sent(&sandbox, 2).await, ["sent now", "last"]);
}

#[tokio::test]
async fn removed_messages_are_not_sent() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).start_checked().await.unwrap();
    sandbox.set_clock_speed(0.0);
    let due = seconds(&sandbox) + 60;
    send_at(&sandbox, due, "of a deleted contact").await;
    assert!(sandbox.delete_contact(sandbox.contact_id()));
    sandbox.reset().unwrap();
    send_at(&sandbox, due, "before a reset").await;
    sandbox.reset().unwrap();
    send_at(&sandbox, due + 1, "sent").await;
    sandbox.advance_clock(Duration::from_secs(120));
    assert_eq!(sent(&sandbox, 1).await, ["sent"]);
}

/// An event follows the commit of the message that it is about. A process that is killed in between has sent no event of a
/// message that is still scheduled, so the message is not sent twice after the restart.
#[tokio::test]
async fn a_message_whose_process_is_killed_is_sent_at_most_once() {
    const MESSAGES: u64 = 300;
    let receiver = Receiver::start(StatusCode::OK).await;
    let directory = directory("scheduled-killed");
    let path = directory.file("state");
    let arguments =
        ["serve", "--state", path.to_str().unwrap(), "--webhook-url", &receiver.url, "--token", "pit-1"];
    // The number of events of each message.
    let events = || {
        let mut events: HashMap<String, usize> = HashMap::new();
        for event in receiver.events() {
            let event: Value = serde_json::from_slice(&event.body).unwrap();
            *events.entry(event["messageId"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        events
    };
    let admin = async |ready: &Value, method: Method, path: &str, body: Value| -> Value {
        let url = format!("{}{path}", ready["adminUrl"].as_str().unwrap());
        let response = client().request(method, url).json(&body).send().await.unwrap();
        assert!(response.status().is_success(), "{path}");
        response.json().await.unwrap()
    };
    let statuses = async |ready: &Value| -> HashMap<String, String> {
        let list = admin(ready, Method::GET, "messages?limit=1000", Value::Null).await;
        let messages = list["messages"].as_array().unwrap().iter();
        let text = |message: &Value, name: &str| message[name].as_str().unwrap().to_owned();
        messages.map(|message| (text(message, "id"), text(message, "status"))).collect()
    };
    let pass = json!({"now": "2096-10-03T00:00:00Z"});

    // It is killed once this many events have arrived.
    for killed_after in [1, 10, 100] {
        let mut running = Running::start(arguments);
        let ready = running.ready();
        let (base_url, contact) = (ready["baseUrl"].as_str().unwrap(), &ready["contactId"]);
        for number in 0..MESSAGES {
            let body = json!({
                "type": "SMS", "contactId": contact, "message": "later", "status": "pending",
                "scheduledTimestamp": 4_000_000_000_u64 + number,
            });
            let request = client().post(format!("{base_url}{SEND}")).bearer_auth("pit-1");
            let sent = request.header("Version", "2021-04-15").json(&body).send().await.unwrap();
            assert_eq!(sent.status(), 201);
        }
        let before = receiver.events().len();
        admin(&ready, Method::PATCH, "clock", pass.clone()).await;
        while receiver.events().len() < before + killed_after {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        running.kill();

        // The clock is that of the machine again, so nothing is sent yet.
        let mut running = Running::start(arguments);
        let ready = running.ready();
        let (restored, sent) = (statuses(&ready).await, events());
        for id in sent.keys() {
            let status = restored.get(id).map(String::as_str);
            assert_eq!(status, Some("pending"), "the event of {id} has arrived");
        }
        let scheduled: Vec<&String> =
            restored.iter().filter(|(_, status)| *status == "scheduled").map(|(id, _)| id).collect();
        admin(&ready, Method::PATCH, "clock", pass.clone()).await;
        while !scheduled.iter().all(|id| events().contains_key(*id)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(events().values().all(|count| *count == 1), "{:?}", events());
        assert!(statuses(&ready).await.values().all(|status| status == "pending"));
        running.kill();
    }
}
