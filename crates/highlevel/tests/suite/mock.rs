//! The mock: its outcomes are those of a real connection, and its reports show what was sent.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use highlevel::testing::{Mock, MockOutcome, any, message, operation};
use highlevel::{Client, Delivery, Error, ErrorKind, Receipt, RetryPolicy, Sms};
use serde_json::json;

use crate::server::{Action, Server, TOKEN, nowhere, response};

async fn send(client: &Client, text: &str) -> Result<String, Error> {
    let sent = client.messages().send(Sms::to("c1").text(text)).await;
    sent.map(|receipt| receipt.message_id().to_string())
}

fn panic_message(run: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).expect_err("a panic");
    payload.downcast_ref::<String>().expect("a text").clone()
}

#[derive(Debug, PartialEq)]
struct Properties {
    delivery: Delivery,
    kind: ErrorKind,
    status: Option<u16>,
    attempts: u32,
    is_retryable: bool,
    has_fingerprint: bool,
    facts: String,
}

impl Properties {
    fn of(error: &Error) -> Self {
        Self {
            delivery: error.delivery(),
            kind: error.kind(),
            status: error.status(),
            attempts: error.attempts(),
            is_retryable: error.is_retryable(),
            has_fingerprint: error.fingerprint().is_some(),
            facts: error.to_string(),
        }
    }
}

/// The errors of a mock are compared with those of a server on a socket.
#[tokio::test]
async fn outcomes_equal_those_of_a_real_connection() {
    struct Row {
        name: &'static str,
        outcome: MockOutcome,
        server: Option<Action>,
        delivery: Delivery,
    }
    let body = |status: &str, json: serde_json::Value| {
        Some(Action::Respond(response(status, "content-type: application/json\r\n", json.to_string())))
    };
    let rejected =
        json!({ "statusCode": 400, "message": "Bad Request", "canonicalCode": "A_CONTACT_NOT_FOUND" });
    let limited = json!({ "statusCode": 429, "message": "Too Many Requests" });
    let cut = b"HTTP/1.1 201 Created\r\ncontent-length: 96\r\n\r\n{\"conversationId\":".to_vec();
    for Row { name, outcome, server, delivery } in [
        Row { name: "not sent", outcome: MockOutcome::not_sent(), server: None, delivery: Delivery::NotSent },
        Row {
            name: "unknown",
            outcome: MockOutcome::unknown(),
            server: Some(Action::Reset),
            delivery: Delivery::Unknown,
        },
        Row {
            name: "no response",
            outcome: MockOutcome::no_response(),
            server: Some(Action::Stall(Vec::new())),
            delivery: Delivery::Unknown,
        },
        Row {
            name: "rejected",
            outcome: MockOutcome::rejected(400, "A_CONTACT_NOT_FOUND"),
            server: body("400 Bad Request", rejected),
            delivery: Delivery::Rejected,
        },
        Row {
            name: "rate limited",
            outcome: MockOutcome::rate_limited(Duration::from_secs(100)),
            server: Some(Action::Respond(response(
                "429 Too Many Requests",
                "retry-after: 100\r\n",
                limited.to_string(),
            ))),
            delivery: Delivery::Rejected,
        },
        Row {
            name: "server error",
            outcome: MockOutcome::status(500, json!({ "message": "no" })),
            server: body("500 Internal Server Error", json!({ "message": "no" })),
            delivery: Delivery::Unknown,
        },
        Row {
            name: "unreadable",
            outcome: MockOutcome::unreadable(),
            server: Some(Action::Close(cut)),
            delivery: Delivery::Accepted,
        },
    ] {
        let timeout = Duration::from_millis(500);
        let mock = Mock::new();
        mock.expect(message().to("c1").text("Hello").channel("SMS")).respond(outcome);
        let mocked = send(&mock.client().with_attempt_timeout(timeout), "Hello").await.expect_err(name);

        let real = if let Some(action) = server {
            let server = Server::always(action).await;
            let client = server.builder().retry_policy(RetryPolicy::default());
            send(&client.attempt_timeout(timeout).build().expect("a client"), "Hello").await
        } else {
            let client = Client::builder().token(TOKEN).base_url(format!("http://{}", nowhere().await));
            send(&client.build().expect("a client"), "Hello").await
        };
        let real = real.expect_err(name);
        assert_eq!(Properties::of(&mocked), Properties::of(&real), "{name}");
        assert_eq!(mocked.delivery(), delivery, "{name}");
        assert_eq!(mock.requests().len(), mocked.attempts() as usize, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_retries_as_with_a_server() {
    let mock = Mock::new();
    let limited = MockOutcome::rate_limited(Duration::from_secs(7));
    mock.expect(message().text("limited")).respond(limited.then(MockOutcome::accepted("m1")));
    mock.expect(message().text("refused")).respond(MockOutcome::not_sent().then(MockOutcome::accepted("m2")));
    mock.expect(message().text("lost")).respond(MockOutcome::unknown().then(MockOutcome::accepted("never")));
    let client = mock.client();

    let started = tokio::time::Instant::now();
    assert_eq!(send(&client, "limited").await.expect("a receipt"), "m1");
    assert!(started.elapsed() >= Duration::from_secs(7), "{:?}", started.elapsed());
    assert_eq!(send(&client, "refused").await.expect("a receipt"), "m2");
    assert_eq!(send(&client, "lost").await.expect_err("unknown").delivery(), Delivery::Unknown);
    let attempts: Vec<u32> = mock.requests().iter().map(highlevel::testing::SentRequest::attempt).collect();
    assert_eq!(attempts, [1, 2, 1, 2, 1]);
}

#[tokio::test]
async fn expectations_are_used_in_order_and_counted_by_calls() {
    let mock = Mock::new();
    mock.expect(message().field("/type", "SMS")).respond_each([
        MockOutcome::accepted("m1"),
        MockOutcome::rejected(422, "X"),
        MockOutcome::not_sent(),
    ]);
    mock.expect(
        message().matching("a fourth message", |sent| sent.json().is_some_and(|json| json["message"] == "4")),
    )
    .times(2)
    .respond(MockOutcome::accepted("m4"));
    mock.expect(operation("get_contact").path("/contacts/c1"))
        .any_times()
        .respond(MockOutcome::json(json!({ "contact": { "id": "c1" } })));
    let client = mock.client();

    let mut results = Vec::new();
    for text in ["1", "2", "3", "4", "4"] {
        results.push(send(&client, text).await.map_err(|error| error.delivery()));
    }
    let accepted = |id: &str| Ok(id.to_owned());
    let expected =
        [accepted("m1"), Err(Delivery::Rejected), Err(Delivery::NotSent), accepted("m4"), accepted("m4")];
    assert_eq!(results, expected);
    for _ in 0..3 {
        let contact = client.contacts().get(&"c1".into()).await.expect("a contact");
        assert_eq!(contact.response().contact.id.as_str(), "c1");
    }
    mock.verify();
}

#[tokio::test]
async fn concurrent_calls_have_one_outcome_each() {
    let mock = Mock::new();
    mock.expect(message()).respond_each((0..50).map(|n| match n % 10 {
        0 => MockOutcome::not_sent().then(MockOutcome::accepted(format!("m{n}"))),
        1 => MockOutcome::unknown(),
        _ => MockOutcome::accepted(format!("m{n}")).after(Duration::from_millis(n % 7)),
    }));
    let client = mock.client();
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..50 {
        let client = client.clone();
        calls.spawn(async move { send(&client, &n.to_string()).await });
    }
    let results = calls.join_all().await;
    let mut ids: Vec<&String> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    let unknown = results.iter().filter(|result| result.is_err());
    assert!(
        unknown
            .clone()
            .all(|result| result.as_ref().is_err_and(|error| error.delivery() == Delivery::Unknown))
    );
    assert_eq!((ids.len(), unknown.count()), (45, 5));
}

#[tokio::test]
async fn reports_list_the_differences_and_the_requests() {
    let mock = Mock::new();
    mock.expect(message().to("c2").text("Hello")).respond(MockOutcome::accepted("m1"));
    mock.expect(message().text("twice")).respond(MockOutcome::accepted("m2"));
    let line = line!() - 1;
    let client = mock.client();
    send(&client, "twice").await.expect("a receipt");
    let error = send(&client, "twice").await.expect_err("unexpected");
    assert_eq!(error.delivery(), Delivery::Rejected);
    assert!(error.to_string().contains("no expectation"), "{error}");

    let report = panic_message(|| mock.verify());
    let request = r#"POST /conversations/messages {"contactId":"c1""#;
    for part in [
        "the expectations of the mock were not met".to_owned(),
        format!("message().to(\"c2\").text(\"Hello\") at {}:{}", file!(), line - 1),
        "expected 1 calls, received 0".to_owned(),
        format!("unexpected: send_message, attempt 1: {request}"),
        "message().to(\"c2\").text(\"Hello\"): `contactId` is \"c1\", expected \"c2\"".to_owned(),
        "message().text(\"twice\"): it matches, but all of its 1 calls were received".to_owned(),
        format!("requests:\n  send_message, attempt 1: {request}"),
    ] {
        assert!(report.contains(&part), "{part:?} is not in\n{report}");
    }
    assert!(!report.contains("mock-token"), "{report}");
    // A report is shown once.
    drop(mock);
}

#[tokio::test]
async fn mocks_verify_when_they_are_dropped() {
    let mock = Mock::new();
    mock.expect(any()).respond(MockOutcome::unknown());
    assert!(panic_message(|| drop(mock)).contains("any() at "));

    let mock = Mock::new();
    let client = mock.client();
    drop(client.contacts().get(&"c1".into()).await);
    assert!(panic_message(|| drop(mock)).contains("unexpected: get_contact"));

    // The panic of the test is the one that is shown.
    let message = panic_message(|| {
        let mock = Mock::new();
        mock.expect(any()).respond(MockOutcome::unknown());
        panic!("{}", "of the test");
    });
    assert_eq!(message, "of the test");
}

#[tokio::test]
async fn receipts_are_for_operations_that_create_something() {
    let mock = Mock::new();
    mock.expect(operation("get_contact")).respond(MockOutcome::accepted("m1"));
    drop(mock.client().contacts().get(&"c1".into()).await);
    assert!(
        panic_message(|| mock.verify())
            .contains("use `MockOutcome::json` instead of `MockOutcome::accepted`")
    );
}

#[test]
fn outcomes_reject_statuses_of_another_meaning() {
    for status in [200, 408, 500, 503] {
        let message = panic_message(|| drop(MockOutcome::rejected(status, "X")));
        assert!(message.contains("use `MockOutcome::status`"), "{message}");
    }
    assert!(panic_message(|| drop(MockOutcome::status(7, json!({})))).contains("7 is not a status"));
}

#[cfg(feature = "blocking")]
#[test]
fn blocking_clients_have_a_mock() {
    let mock = Mock::new();
    mock.expect(message()).respond(MockOutcome::accepted("m1"));
    let client = mock.builder().build_blocking().expect("a client");
    let sent = client.messages().send(Sms::to("c1").text("Hello"));
    assert_eq!(sent.map(|sent: Receipt<_>| sent.message_id().to_string()).expect("a receipt"), "m1");
}

/// Layers of the program are above the mock.
#[tokio::test]
async fn layers_are_called_before_the_mock() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use highlevel::middleware::HttpService;
    use tower_layer::layer_fn;

    let built = Arc::new(AtomicUsize::new(0));
    let mock = Mock::new();
    mock.expect(message()).respond(MockOutcome::accepted("m1"));
    let count = Arc::clone(&built);
    let layer = layer_fn(move |inner: HttpService| {
        count.fetch_add(1, Ordering::Relaxed);
        inner
    });
    let transport = mock.transport().layer(layer).build().expect("a transport");
    let client = Client::builder().token(TOKEN).base_url(Mock::BASE_URL).allow_plain_http();
    let client = client.transport(&transport).build().expect("a client");
    send(&client, "Hello").await.expect("a receipt");
    assert_eq!(built.load(Ordering::Relaxed), 1);
}
