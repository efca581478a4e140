//! Requests without valid credentials use up no fault rule and displace nothing in the ledger.

use std::io::Write;

use serde_json::json;

use crate::raw::{Program, Response, response};

const SEND: &str = "/conversations/messages";
const FORM: &str = "application/x-www-form-urlencoded";

/// Sends a request with these headers and no others.
fn send(program: &Program, request: &str, headers: &str, body: &str) -> Response {
    let mut stream = program.connect();
    let head =
        format!("{request} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    let _ = stream.write_all(body.as_bytes());
    response(&mut stream).unwrap_or_else(|| panic!("no response to {request}"))
}

#[test]
fn requests_without_valid_credentials_trigger_no_fault() {
    let program = Program::start(":", "");
    let text = |name: &str| program.ready[name].as_str().unwrap().to_owned();
    let (client, secret) = (text("clientId"), text("clientSecret"));
    let refresh = |client: &str, secret: &str| {
        format!("grant_type=refresh_token&refresh_token=r&client_id={client}&client_secret={secret}")
    };
    let form = format!("content-type: {FORM}\r\n");
    let page = format!("GET /v2/oauth/chooselocation?client_id={client}");
    for stage in ["head", "before", "after"] {
        let rule = json!({"fault": {"status": 418}, "stage": stage, "schedule": {"nth": 1}}).to_string();
        let add = || assert_eq!(program.ask("POST", "/_sandbox/faults", &rule).status, 201);
        add();
        for (request, headers, body) in [
            (format!("POST {SEND}"), "", String::new()),
            (format!("POST {SEND}"), "authorization: Bearer pit-wrong\r\n", String::new()),
            ("GET /nowhere".to_owned(), "", String::new()),
            ("POST /oauth/token".to_owned(), "", String::new()),
            ("POST /oauth/token".to_owned(), form.as_str(), refresh(&client, "wrong")),
            ("POST /oauth/token".to_owned(), form.as_str(), refresh("wrong", &secret)),
            ("POST /oauth/locationToken".to_owned(), form.as_str(), refresh(&client, &secret)),
            (page.clone(), "", String::new()),
            (page.replace("/v2/", "/"), "", String::new()),
        ] {
            let response = send(&program, &request, headers, &body);
            assert!(![200, 418].contains(&response.status), "{stage} {request}: {}", response.status);
        }
        let rules = program.ask("GET", "/_sandbox/faults", "").json();
        assert_eq!(
            (&rules["faults"][0]["seen"], &rules["faults"][0]["hits"]),
            (&json!(0), &json!(0)),
            "{rules}"
        );

        // The rule still applies to the first request that is authenticated, and to no other.
        let message = program.message("m").to_string();
        assert_eq!(program.ask("POST", SEND, &message).status, 418, "{stage}");
        assert_eq!(program.ask("POST", SEND, &message).status, 201, "{stage}");
        add();
        let token =
            |secret: &str| send(&program, "POST /oauth/token", &form, &refresh(&client, secret)).status;
        assert_eq!((token("wrong"), token(&secret), token(&secret)), (401, 418, 400), "{stage}");
        assert_eq!(program.ask("DELETE", "/_sandbox/faults", "").status, 204);
    }
}

#[test]
fn requests_without_valid_credentials_displace_nothing_in_the_ledger() {
    let program = Program::start(":", "--keep-requests 20");
    for number in 0..20 {
        let message = program.message(&format!("m{number}")).to_string();
        assert_eq!(program.ask("POST", SEND, &message).status, 201);
    }
    let text = "x".repeat(1_000_000);
    for number in 0..1_500 {
        let body = if number % 15 == 0 { text.as_str() } else { "" };
        let response = send(&program, &format!("POST {SEND}"), "content-type: text/plain\r\n", body);
        assert_eq!(response.status, 401);
    }
    program.assert_is_within_its_bounds("requests without a token");
    let accepted = program.ask("GET", "/_sandbox/requests?status=201&limit=100", "").json();
    assert_eq!(accepted["requests"].as_array().unwrap().len(), 20);
    let memory = program.health()["memory"].clone();
    assert_eq!(memory["ledger"]["dropped"], 0, "{memory}");
    let unauthenticated = &memory["unauthenticatedRequests"];
    let (count, dropped) = (unauthenticated["count"].as_u64().unwrap(), unauthenticated["dropped"].as_u64());
    assert!((1..=1_000).contains(&count), "{unauthenticated}");
    assert_eq!(dropped, Some(1_500 - count), "{unauthenticated}");
    assert!(unauthenticated["maxBytes"].as_u64() <= Some(4 * 1024 * 1024), "{unauthenticated}");
    // The newest ones are retained.
    let newest = program.ask("GET", "/_sandbox/requests?status=401&limit=1", "").json();
    assert_eq!(newest["requests"][0]["path"], SEND);
}
