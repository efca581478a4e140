//! `doctor`: each check fails with its fix.

use std::io::Write as _;

use highlevel_sandbox::{Fault, FaultRule, TokenResource};
use highlevel_test_support::{Action, Server, nowhere, response};
use serde_json::Value;

use crate::program::{Run, Setup};

/// Returns the result of a check.
#[track_caller]
fn result(run: &Run, check: &str) -> String {
    let json = run.json();
    let checks = json["checks"].as_array().expect("checks");
    let found = checks.iter().find(|found| found["check"] == check);
    let found = found.unwrap_or_else(|| panic!("{check} is not in {checks:?}"));
    if found["result"] == "failed" {
        assert!(found["fix"].is_string(), "{found}");
    }
    found["result"].as_str().expect("a result").to_owned()
}

#[tokio::test]
async fn a_working_configuration_passes() {
    let setup = Setup::new().await;
    let run = setup.run(&["doctor", "--json"]).exits(0);
    for check in [
        "credentials",
        "base URL",
        "TLS",
        "version header",
        "token",
        "location",
        "scope conversations.readonly",
        "scope conversations/message.readonly",
        "scope contacts.readonly",
        "clock",
        "rate limits",
    ] {
        assert_eq!(result(&run, check), "ok", "{check}: {run:?}");
    }
    assert_eq!(result(&run, "scope conversations/message.write"), "not checked");
    let run = setup.run(&["doctor"]).exits(0);
    assert!(run.stdout.starts_with("ok           credentials     a token\n"), "{}", run.stdout);
    // It only reads.
    let methods: Vec<String> =
        setup.sandbox.requests().iter().map(|request| request.method.clone()).collect();
    assert!(methods.iter().all(|method| method == "GET"), "{methods:?}");
    assert!(setup.sandbox.messages().is_empty());
}

/// Returns the address of a server that responds in plain text before it has read anything.
fn without_tls() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.and_then(|mut stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        }
    });
    address
}

#[tokio::test]
async fn each_problem_fails_its_check() {
    let setup = Setup::new().await;
    let command = |name: &str, value: &str| {
        let mut command = setup.command(&["doctor", "--json"]);
        command.env(name, value);
        setup.output(command)
    };
    let run = command("HIGHLEVEL_TOKEN", "pit-unknown").exits(1);
    assert_eq!([result(&run, "token"), result(&run, "scopes")], ["failed", "not checked"]);
    let run = command("HIGHLEVEL_TOKEN", "").exits(1);
    assert_eq!([result(&run, "credentials"), result(&run, "base URL")], ["failed", "ok"]);
    let run = command("HIGHLEVEL_LOCATION_ID", "another-location").exits(1);
    assert_eq!(result(&run, "location"), "failed");
    let run = command("HIGHLEVEL_LOCATION_ID", "").exits(0);
    assert_eq!([result(&run, "location"), result(&run, "scopes")], ["warning", "not checked"]);
    let run = command("HIGHLEVEL_BASE_URL", &format!("http://{}", nowhere().await)).exits(1);
    assert_eq!([result(&run, "base URL"), result(&run, "token")], ["failed", "not checked"]);
    run.complains(&["1 check has failed"]);
    let run = command("HIGHLEVEL_BASE_URL", &format!("https://{}", without_tls())).exits(1);
    assert_eq!([result(&run, "base URL"), result(&run, "TLS")], ["ok", "failed"], "{run:?}");
    let server = Server::always(Action::Close(response("404 Not Found", "", "<html>"))).await;
    let run = command("HIGHLEVEL_BASE_URL", &server.url()).exits(1);
    assert_eq!(result(&run, "base URL"), "failed");
}

#[tokio::test]
async fn clocks_and_limits_are_compared() {
    let setup = Setup::new().await;
    let old = FaultRule::new(
        Fault::NONE
            .header("date", "Sun, 06 Nov 1994 08:49:37 GMT")
            .header("x-ratelimit-daily-remaining", "0"),
    );
    setup.sandbox.add_fault(old).expect("a rule");
    let run = setup.run(&["doctor", "--json"]).exits(1);
    assert_eq!([result(&run, "clock"), result(&run, "rate limits")], ["failed", "failed"]);
}

#[tokio::test]
async fn missing_scopes_are_warnings() {
    let setup = Setup::new().await;
    let resource = TokenResource::location(setup.sandbox.location_id());
    let tokens: Value =
        setup.sandbox.issue_tokens(&resource, ["conversations/message.write"]).expect("tokens");
    let mut command = setup.command(&["doctor", "--json"]);
    command.env("HIGHLEVEL_TOKEN", tokens["access_token"].as_str().expect("a token"));
    let run = setup.output(command).exits(0);
    for scope in ["conversations.readonly", "conversations/message.readonly", "contacts.readonly"] {
        assert_eq!(result(&run, &format!("scope {scope}")), "warning", "{run:?}");
    }
    assert_eq!(result(&run, "token"), "ok");
}
