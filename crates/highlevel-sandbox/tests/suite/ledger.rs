//! Requests in the ledger.

use highlevel_sandbox::{Entry, Operation};
use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::{INBOUND, SEND, authorised, bare, execute, post};
use crate::conformance::{Sandbox, StartChecked};

#[tokio::test]
async fn every_request_is_recorded_with_its_response_and_without_its_token() {
    let sandbox = Sandbox::start().await.unwrap();
    let raw = format!(
        "{{ \"type\": \"SMS\", \"contactId\": \"{}\", \"status\":\"read\", \"message\": \"Hello\" }}",
        sandbox.contact_id()
    );
    let request = authorised(&sandbox, SEND).header("Content-Type", "application/json").header("X-Mine", "a");
    let request = request.header("Cookie", "session=secret").header("X-Api-Key", "secret");
    let accepted = execute(request.body(raw.clone())).await;
    let rejected = execute(bare(&sandbox, Method::PUT, "/nope?a=b").header("Authorization", "secret")).await;

    let requests = sandbox.requests();
    assert_eq!(requests.len(), 2);
    let [first, second] = requests.as_slice() else { unreachable!() };
    assert_eq!((&*first.method, &*first.path, first.status), ("POST", SEND, 201));
    assert_eq!(first.body, raw.as_bytes());
    assert_eq!(serde_json::from_slice::<Value>(&first.response).unwrap(), accepted.body);
    assert_eq!(first.header("x-mine"), Some("a"));
    assert_eq!(first.header("authorization"), Some("Bearer [redacted]"));
    assert_eq!([first.header("cookie"), first.header("x-api-key")], [Some("[redacted]"); 2]);
    // The response headers as received, except for those of the connection.
    for (request, response) in [(first, &accepted), (second, &rejected)] {
        let received =
            response.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "date" | "content-length"));
        let received: Vec<_> =
            received.map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(request.response_headers.iter().collect::<Vec<_>>(), received);
    }
    assert_eq!(first.response_header("x-ratelimit-remaining"), Some("99"));

    assert_eq!((&*second.method, &*second.path, second.status), ("PUT", "/nope?a=b", 404));
    assert_eq!(serde_json::from_slice::<Value>(&second.response).unwrap(), rejected.body);
    assert_eq!(second.header("authorization"), Some("[redacted]"));

    let printed = format!("{requests:?} {sandbox:?}");
    assert!(!printed.contains(sandbox.token()) && !printed.contains("secret"), "{printed}");
}

#[tokio::test]
async fn entries_can_be_followed_from_the_first_one() {
    let sandbox = Sandbox::start().await.unwrap();
    let send =
        json!({"type": "SMS", "contactId": sandbox.contact_id(), "status": "pending", "message": "Hello"});
    post(&sandbox, SEND, &send).await;
    let mut entries = sandbox.follow();
    let next_status = async |entries: &mut highlevel_sandbox::Entries| loop {
        match entries.next().await {
            Entry::Request(request) => return request.status,
            Entry::Message(message) => assert_eq!(message.channel, "SMS"),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(next_status(&mut entries).await, 201);
    let invalid = json!({});
    let (status, _) = tokio::join!(next_status(&mut entries), post(&sandbox, SEND, &invalid));
    assert_eq!(status, 422);
}

/// Returns JSON of the admin API.
async fn admin(sandbox: &Sandbox, path: &str) -> Value {
    execute(bare(sandbox, Method::GET, &format!("/_sandbox/{path}"))).await.body
}

#[tokio::test]
async fn acceptances_of_a_message_can_be_counted() {
    let sandbox = Sandbox::start().await.unwrap();
    let contact = sandbox.contact_id();
    let hello = json!({"type": "SMS", "contactId": contact, "message": "Hello", "attachments": ["a", "b"]});
    let reordered = format!(
        "{{\"attachments\":[\"a\", \"b\"],\"message\":\"Hello\",\"type\":\"SMS\",\"contactId\":\"{contact}\"}}"
    );
    let other = json!({"type": "SMS", "contactId": contact, "message": "Hello", "attachments": ["b", "a"]});
    let rejected = json!({"type": "SMS", "contactId": "unknown", "message": "Hello"});

    post(&sandbox, SEND, &hello).await;
    execute(authorised(&sandbox, SEND).header("Content-Type", "application/json").body(reordered)).await;
    post(&sandbox, SEND, &other).await;
    post(&sandbox, SEND, &rejected).await;
    // The same text, inbound.
    post(&sandbox, INBOUND, &hello).await;

    let times = |operation, body| sandbox.accepted_times(operation, body);
    assert_eq!(times(Operation::SendMessage, &hello), 2);
    assert_eq!(times(Operation::SendMessage, &other), 1);
    assert_eq!(times(Operation::SendMessage, &rejected), 0);
    assert_eq!(times(Operation::AddInboundMessage, &hello), 1);

    let requests = sandbox.requests();
    let before: Vec<_> = requests.iter().map(|request| request.accepted_before).collect();
    assert_eq!(before, [0, 1, 0, 0, 0]);
    let accepted = sandbox.accepted(requests[0].fingerprint.unwrap());
    assert_eq!((accepted.times, accepted.stored), (2, 2));
    assert_eq!(accepted.requests, requests[..2]);
    let stored: Vec<_> = sandbox.messages().iter().map(|message| Some(message.id.clone())).collect();
    assert_eq!(stored[..2], [requests[0].message_id.clone(), requests[1].message_id.clone()]);

    // The same through the admin API, by content and by fingerprint.
    let question = json!({"operation": "sendMessage", "body": hello});
    let counted = execute(bare(&sandbox, Method::POST, "/_sandbox/ledger").json(&question)).await.body;
    assert_eq!((&counted["accepted"], &counted["stored"]), (&json!(2), &json!(2)));
    assert_eq!(counted["requests"][0], json!({"id": requests[1].id, "messageId": requests[1].message_id}));
    let fingerprint = counted["fingerprint"].as_str().unwrap();
    assert_eq!(fingerprint, requests[0].fingerprint.unwrap().to_string());
    assert_eq!(admin(&sandbox, &format!("ledger/{fingerprint}")).await, counted);
}

#[tokio::test]
async fn the_trace_id_of_an_error_finds_its_request() {
    let sandbox = Sandbox::start().await.unwrap();
    let body = json!({"type": "SMS", "contactId": 5, "mesage": "Hello"});
    let rejected = post(&sandbox, SEND, &body).await.body;
    let id = rejected["traceId"].as_str().unwrap();

    let request = sandbox.request(id).unwrap();
    assert_eq!(request.operation, Some(Operation::SendMessage));
    assert_eq!(request.location_id.as_deref(), Some(sandbox.location_id()));
    let pointers: Vec<_> = request.violations.iter().map(|each| &*each.pointer).collect();
    assert_eq!((pointers, request.accepted, &request.message_id), (vec!["/contactId"], false, &None));

    let shown = admin(&sandbox, &format!("requests/{id}")).await;
    assert_eq!(shown["violations"][0]["pointer"], "/contactId");
    assert_eq!(shown["unknownFields"], json!(["/mesage"]));
    assert_eq!(shown["suggestions"], json!({"/mesage": "message"}));
    assert_eq!(shown["body"], json!({"json": body}));
    assert_eq!(shown["response"], json!({"json": rejected}));
    assert!(shown["headers"].as_array().unwrap().contains(&json!(["authorization", "Bearer [redacted]"])));
    let response_headers = json!(request.response_headers.iter().collect::<Vec<_>>());
    assert_eq!((&shown["responseHeaders"], &shown["broken"]), (&response_headers, &json!(false)));
    assert_eq!(sandbox.request("none"), None);
}

#[tokio::test]
async fn requests_can_be_filtered() {
    let sandbox = Sandbox::start().await.unwrap();
    let hello = json!({"type": "SMS", "contactId": sandbox.contact_id(), "message": "Hello"});
    post(&sandbox, SEND, &hello).await;
    post(&sandbox, SEND, &hello).await;
    post(&sandbox, INBOUND, &hello).await;
    post(&sandbox, SEND, &json!({})).await;
    execute(bare(&sandbox, Method::GET, "/nope?a=b")).await;
    let ids: Vec<String> = sandbox.requests().into_iter().map(|request| request.id).collect();
    let (fingerprint, message) =
        (sandbox.requests()[1].fingerprint.unwrap(), sandbox.messages()[1].id.clone());
    let cases: [(String, &[usize]); 12] = [
        ("requests".into(), &[4, 3, 2, 1, 0]),
        ("requests?status=201".into(), &[2, 1, 0]),
        ("requests?operation=sendMessage".into(), &[3, 1, 0]),
        ("requests?operation=sendMessage&accepted=false".into(), &[3]),
        ("requests?path=/nope".into(), &[4]),
        ("requests?method=GET".into(), &[4]),
        (format!("requests?locationId={}&status=422", sandbox.location_id()), &[3]),
        ("requests?repeated=true".into(), &[1]),
        (format!("requests?fingerprint={fingerprint}&repeated=false"), &[0]),
        (format!("requests?messageId={message}"), &[1]),
        (format!("requests?before={}", sandbox.requests()[2].number), &[1, 0]),
        ("requests?limit=2".into(), &[4, 3]),
    ];
    for (path, expected) in cases {
        let page = admin(&sandbox, &path).await;
        let found: Vec<&Value> =
            page["requests"].as_array().unwrap().iter().map(|each| &each["id"]).collect();
        let expected: Vec<&String> = expected.iter().map(|place| &ids[*place]).collect();
        assert_eq!(found, expected, "{path}");
        assert_eq!(page["before"].is_number(), path == "requests?limit=2", "{path}");
    }
    let totals = admin(&sandbox, "ledger").await;
    assert_eq!(totals["byStatus"], json!({"201": 3, "404": 1, "422": 1}));
    assert_eq!((&totals["requests"], &totals["kept"]["requests"]), (&json!(5), &json!(5)));
}

#[tokio::test]
async fn acceptances_of_evicted_requests_are_still_counted() {
    let sandbox = Sandbox::builder().keep_requests(2).start_checked().await.unwrap();
    let hello = json!({"type": "SMS", "contactId": sandbox.contact_id(), "message": "Hello"});
    let mut entries = sandbox.follow();
    for _ in 0..20 {
        post(&sandbox, SEND, &hello).await;
    }
    assert_eq!(sandbox.requests().len(), 2);
    assert_eq!(sandbox.accepted_times(Operation::SendMessage, &hello), 20);
    let last = sandbox.requests().pop().unwrap();
    assert_eq!(last.accepted_before, 19);
    assert_eq!(sandbox.accepted(last.fingerprint.unwrap()).requests.len(), 2);
    let Entry::Missed(missed) = entries.next().await else { panic!("nothing was missed") };
    assert!(missed >= 18, "{missed}");
    assert!(matches!(entries.next().await, Entry::Request(_) | Entry::Message(_)));
}
