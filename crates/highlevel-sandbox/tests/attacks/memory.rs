//! Memory: with 1.5 GB of address space, no sequence of requests ends the program.

use std::io::Write;
use std::net::TcpStream;

use serde_json::json;

use crate::raw::Program;

/// KiB of address space.
const LIMIT: &str = "ulimit -v 1500000";
const SEND: &str = "/conversations/messages";
const MIB: usize = 1024 * 1024;

fn start() -> Program {
    Program::start(LIMIT, "")
}

/// Returns an array of copies of `element`, of about that many bytes.
fn array(element: &str, bytes: usize) -> String {
    let elements = vec![element; bytes / (element.len() + 1)];
    format!("[{}]", elements.join(","))
}

#[test]
fn bodies_that_expand_when_parsed_are_rejected_or_accounted_for() {
    let program = start();
    let mut body = program.message("m");
    // With the status of the response: too many values, or a violated schema.
    for (element, bytes, status) in
        [("0", 500_000, 413), ("0", 30_000, 422), ("[[0]]", 900_000, 413), ("{\"\":0}", 900_000, 413)]
    {
        body["attachments"] = json!(0);
        let text = body
            .to_string()
            .replace("\"attachments\":0", &format!("\"attachments\":{}", array(element, bytes)));
        for _ in 0..5 {
            let response = program.ask("POST", SEND, &text);
            assert_eq!(response.status, status, "{element}: {:.200}", response.body);
            assert!(response.body.len() < 64 * 1024, "{element}: {} bytes", response.body.len());
            if status == 422 {
                let messages = response.json()["message"].as_array().unwrap().clone();
                assert_eq!(messages.len(), 101);
                assert_eq!(messages[100], "… and 14900 more");
            }
        }
        program.assert_is_within_its_bounds(element);
    }
    let requests = program.ask("GET", "/_sandbox/requests?limit=1000", "");
    assert!(requests.status == 200 && requests.body.len() < 16 * MIB, "{} bytes", requests.body.len());

    // Unknown fields are stored, and accounted for with their real size.
    let unknown = |element: &str, bytes: usize| {
        let text = program.message("m").to_string();
        format!("{},\"x\":{}}}", &text[..text.len() - 1], array(element, bytes))
    };
    for (element, bytes) in [("0", 38_000), ("[[[[0]]]]", 30_000), ("\"a\"", 70_000), ("{\"a\":{}}", 40_000)]
    {
        let text = unknown(element, bytes);
        for _ in 0..50 {
            assert_eq!(program.ask("POST", SEND, &text).status, 201, "{element}");
        }
        program.assert_is_within_its_bounds(element);
    }
    let fields: Vec<String> = (0..9_000).map(|number| format!("\"field{number}\":{number}")).collect();
    let text = program.message("m").to_string();
    let text = format!("{},{}}}", &text[..text.len() - 1], fields.join(","));
    assert_eq!(program.ask("POST", SEND, &text).status, 201);
    let request = program.ask("GET", "/_sandbox/requests?limit=1", "").json()["requests"][0].clone();
    assert_eq!(request["unknownFields"].as_array().unwrap().len(), 100);
    assert_eq!(request["moreUnknownFields"], 8_900);
}

#[test]
fn retained_data_stays_within_its_budgets() {
    let program = start();
    let long = "x".repeat(1_000_000);
    // More than the budgets of messages, ledger and deliveries.
    let set = program.ask("PATCH", "/_sandbox/webhooks", "{\"url\": \"http://127.0.0.1:1/\"}");
    assert_eq!(set.status, 200, "{}", set.body);
    for number in 0..150 {
        let sent = program.ask("POST", SEND, &program.message_body(&format!("{number}{long}")));
        assert_eq!(sent.status, 201, "{number}: {:.200}", sent.body);
    }
    program.assert_is_within_its_bounds("messages");
    let memory = program.health()["memory"].clone();
    for part in ["messages", "ledger", "deliveries"] {
        assert!(memory[part]["dropped"].as_u64() > Some(0), "{part}: {}", memory[part]);
    }
    // One message, replaced many times. The ledger is full: each replacement displaces other entries.
    let message = json!({
        "contactId": program.ready["contactId"], "conversationId": program.ready["conversationId"],
        "direction": "outbound", "channel": "SMS", "dateAdded": "2026-01-31T09:30:SSZ", "status": "pending",
        "request": {"message": long},
    })
    .to_string();
    for second in 10..40 {
        let message = message.replacen("SS", &second.to_string(), 1);
        assert_eq!(program.ask("PUT", "/_sandbox/messages/same", &message).status, 200);
    }
    program.assert_is_within_its_bounds("the same message");
    for number in 0..30 {
        let inbound = format!("{{\"message\":\"{number}{long}\"}}");
        assert_eq!(program.ask("POST", "/_sandbox/simulate/inbound", &inbound).status, 201);
    }
    program.assert_is_within_its_bounds("simulated messages");
    // Replays carry bodies, and wait for their attempt.
    let delivery =
        program.ask("GET", "/_sandbox/deliveries?limit=1", "").json()["deliveries"][0]["id"].clone();
    let replay = json!({"body": long}).to_string();
    let statuses: Vec<u16> = (0..40)
        .map(|_| program.ask("POST", &format!("/_sandbox/deliveries/{delivery}/replay"), &replay).status)
        .collect();
    assert!(statuses.iter().all(|status| [202, 404, 409, 429, 503, 507].contains(status)), "{statuses:?}");
    // Records are not evicted: further ones are rejected.
    let contact = json!({"name": long}).to_string();
    let statuses: Vec<u16> = (0..40)
        .map(|number| program.ask("PUT", &format!("/_sandbox/contacts/large{number}"), &contact).status)
        .collect();
    assert!(statuses.starts_with(&[200; 20]) && statuses.ends_with(&[409; 5]), "{statuses:?}");
    program.assert_is_within_its_bounds("contacts");
    for path in
        ["/_sandbox/messages?limit=1000", "/_sandbox/deliveries?limit=1000", "/_sandbox/requests?limit=1000"]
    {
        let list = program.ask("GET", path, "");
        assert!(list.status == 200 && list.body.len() < 32 * MIB, "{path}: {} bytes", list.body.len());
    }
    let snapshot = program.ask("GET", "/_sandbox/snapshot", "");
    assert!(snapshot.status == 200 && snapshot.body.len() > 100 * MIB);
    program.assert_is_within_its_bounds("snapshot");
}

#[test]
fn forms_and_scopes_without_a_token_take_little_memory() {
    let program = start();
    let client = program.ready["clientId"].as_str().unwrap().to_owned();
    let location = program.ready["locationId"].as_str().unwrap().to_owned();
    let form = "%x=1&".repeat(150_000);
    for path in ["/oauth/token", "/oauth/locationToken"] {
        let rejected = program.ask_with("POST", path, "application/x-www-form-urlencoded", &form);
        assert!((400..500).contains(&rejected.status), "{path}: {}", rejected.status);
    }
    let page = |scope: &str| {
        format!(
            "/v2/oauth/chooselocation?response_type=code&client_id={client}&redirect_uri=http://127.0.0.1:9/x\
             &location_id={location}&scope={scope}"
        )
    };
    let distinct: Vec<String> = (0..1_000).map(|number| format!("s{number}")).collect();
    for (scope, status) in [
        ("a+".repeat(4_000), 302),
        (distinct[..200].join("+"), 302),
        (distinct[..201].join("+"), 400),
        ("a".repeat(201), 400),
        ("a+".repeat(5_000), 400),
    ] {
        let mut statuses: Vec<u16> = (0..30).map(|_| program.ask("GET", &page(&scope), "").status).collect();
        statuses.dedup();
        assert_eq!(statuses, [status], "{scope:.40}");
    }
    program.assert_is_within_its_bounds("scopes");
    // Repeated scopes are stored once.
    let credentials = program.health()["memory"]["credentials"].clone();
    assert!(credentials["bytes"].as_u64() < Some(2_000_000), "{credentials}");
}

#[test]
fn large_seeds_are_rejected_or_fit_the_budgets() {
    let program = start();
    let message = |request: &str| {
        format!(
            "{{\"id\":\"m\",\"contactId\":\"abc123def456\",\"conversationId\":\"ABC12h2F6uBrIkfXYazb\",\
             \"direction\":\"inbound\",\"channel\":\"SMS\",\"dateAdded\":\"2026-01-31T09:30:00Z\",\
             \"status\":\"pending\",\"request\":{request}}}"
        )
    };
    let seed = |messages: &str| format!("{{\"messages\":[{messages}]}}");
    let array = array("0", 40 * MIB);
    let rejected = program.ask("PUT", "/_sandbox/seed", &seed(&message(&array)));
    assert!(rejected.status == 400 && rejected.body.contains("20000 values"), "{:.200}", rejected.body);
    drop(array);
    let text = format!("{{\"message\":\"{}\"}}", "x".repeat(3 * MIB));
    let rejected = program.ask("PUT", "/_sandbox/seed", &seed(&message(&text)));
    assert!(rejected.status == 400 && rejected.body.contains("2097152 bytes"), "{:.200}", rejected.body);
    let text = format!("{{\"message\":\"{}\"}}", "x".repeat(MIB));
    let many: Vec<String> =
        (0..100).map(|number| message(&text).replacen("\"m\"", &format!("\"m{number}\""), 1)).collect();
    let many = seed(&many.join(","));
    for _ in 0..3 {
        assert_eq!(program.ask("PUT", "/_sandbox/seed", &many).status, 204);
    }
    drop(many);
    let snapshot = program.ask("GET", "/_sandbox/snapshot", "").body;
    assert!(snapshot.len() > 100 * MIB);
    program.assert_is_within_its_bounds("seeds");
    // A body over the limit is rejected before it is read to its end.
    let mut stream = program.connect();
    let head = program.head("PUT", "/_sandbox/seed", "application/json", 300 * MIB);
    stream.write_all(head.as_bytes()).unwrap();
    let block = " ".repeat(MIB);
    let written = (0..300).take_while(|_| stream.write_all(block.as_bytes()).is_ok()).count();
    let rejected = crate::raw::response(&mut stream);
    assert!(rejected.is_none_or(|rejected| rejected.status == 413), "{written} MiB were written");
    program.assert_is_within_its_bounds("a body that is too large");
}

/// Opens connections, performs an action on each, and checks the budgets meanwhile.
fn hold(program: &Program, count: usize, what: &str, act: impl Fn(&mut TcpStream)) {
    let mut held = Vec::new();
    for number in 0..count {
        let mut stream = program.connect();
        act(&mut stream);
        held.push(stream);
        if number % 50 == 49 {
            program.assert_is_within_its_bounds(what);
        }
    }
    program.assert_is_within_its_bounds(what);
}

#[test]
fn incomplete_requests_and_unread_responses_stay_within_the_budgets() {
    let program = start();
    let long = "x".repeat(MIB - 1);
    let head = program.head("POST", SEND, "application/json", MIB);
    // The sandbox may already have closed the connection in favour of another.
    hold(&program, 300, "bodies without their last byte", |stream| {
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(long.as_bytes());
    });
    let beginning = format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(15_000));
    hold(&program, 500, "heads without an end", |stream| {
        let _ = stream.write_all(beginning.as_bytes());
    });
    for number in 0..100 {
        let message = program.message_body(&format!("{number}{}", &long[..500_000]));
        assert_eq!(program.ask("POST", SEND, &message).status, 201);
    }
    let rule = json!({"fault": {"status": 200, "bodyBytes": 64 * MIB}, "path": "/padded"}).to_string();
    assert_eq!(program.ask("POST", "/_sandbox/faults", &rule).status, 201);
    let rule = json!({"fault": {"bodyBytes": 64 * MIB, "then": "close"}, "path": "/cut"}).to_string();
    assert_eq!(program.ask("POST", "/_sandbox/faults", &rule).status, 201);
    for path in [
        "/padded",
        "/cut",
        "/_sandbox/snapshot",
        "/_sandbox/requests?limit=1000",
        "/_sandbox/messages?limit=1000",
        "/_sandbox/events?after=x.0",
        "/_sandbox/ui/requests",
    ] {
        hold(&program, 60, path, |stream| {
            let head = program.head("GET", path, "application/json", 0);
            let _ = stream.write_all(head.as_bytes());
        });
    }
}
