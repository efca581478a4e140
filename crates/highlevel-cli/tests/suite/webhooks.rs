//! `webhook verify` and `webhook listen`, with events that the sandbox has signed.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout};
use std::time::{Duration, SystemTime};

use highlevel_sandbox::{Sandbox, WebhookDelivery};
use highlevel_test_support::{Action, Server, nowhere, response};
use serde_json::{Value, json};

use crate::program::Setup;

/// Events arrive within milliseconds.
const TIMEOUT: Duration = Duration::from_secs(60);

fn header<'a>(delivery: &'a WebhookDelivery, name: &str) -> &'a str {
    let headers = &delivery.attempts.first().expect("an attempt").headers;
    headers
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
        .expect("the header")
}

/// Returns an event that a server has received.
async fn delivery(setup: &Setup) -> WebhookDelivery {
    let server = Server::always(Action::Respond(response("200 OK", "", ""))).await;
    setup.sandbox.set_webhook_url(server.url()).expect("a URL");
    setup.run(&["send", "sms", "--to-contact", setup.sandbox.contact_id(), "Grüße"]).exits(0);
    setup.sandbox.wait_for_deliveries(1, TIMEOUT).await.expect("an event").remove(0)
}

/// A command line of `webhook verify`, and the check that fails.
struct Case<'a> {
    body: &'a str,
    signature: &'a str,
    options: &'a [&'a str],
    failed: Option<&'a str>,
    error: &'a str,
}

#[tokio::test]
async fn a_captured_event_is_verified_and_the_failed_check_is_named() {
    let setup = Setup::new().await;
    let event = delivery(&setup).await;
    let signature = header(&event, "x-ghl-signature").to_owned();
    let body = setup.write("body.json", &event.body);
    let parsed: Value = serde_json::from_slice(&event.body).expect("JSON");
    let rewritten = setup.write("rewritten.json", serde_json::to_vec_pretty(&parsed).expect("JSON"));
    let large = setup.write("large.json", vec![b' '; 1024 * 1024 + 1]);
    let key = setup.sandbox.webhook_public_key().to_owned();
    let app = setup.sandbox.app_id().to_owned();
    for Case { body, signature, options, failed, error } in [
        Case { body: &body, signature: &signature, options: &["--key", &key], failed: None, error: "" },
        Case {
            body: &body,
            signature: &signature,
            options: &["--key", &key, "--app", &app],
            failed: None,
            error: "",
        },
        Case {
            body: &body,
            signature: &signature,
            options: &["--key", &key, "--app", "another"],
            failed: Some("app"),
            error: "help: the event is genuine",
        },
        Case { body: &body, signature: &signature, options: &[], failed: Some("signature"), error: "--key" },
        Case {
            body: &rewritten,
            signature: &signature,
            options: &["--key", &key],
            failed: Some("signature"),
            error: "matches this JSON without its white space",
        },
        Case {
            body: &body,
            signature: "N/A",
            options: &["--key", &key],
            failed: Some("signature"),
            error: "did not sign this event",
        },
        Case {
            body: &large,
            signature: &signature,
            options: &["--key", &key],
            failed: Some("size"),
            error: "exceeds",
        },
        Case {
            body: &body,
            signature: &signature,
            options: &["--key", &key, "--at", "2100-01-01T00:00:00Z"],
            failed: Some("timestamp"),
            error: "help: pass --at TIME",
        },
        Case {
            body: &body,
            signature: &signature,
            options: &["--key", &key, "--at", "2020-01-01T00:00:00Z"],
            failed: Some("timestamp"),
            error: "help: pass --at TIME",
        },
    ] {
        let arguments = ["webhook", "verify", "--body", body, "--signature", signature];
        // It needs no credentials and no network.
        let with = |more: &[&str]| {
            let mut command = setup.anonymous(&[&arguments[..], options, more].concat());
            command.env("HIGHLEVEL_BASE_URL", "http://127.0.0.1:9");
            setup.output(command)
        };
        let (people, scripts) = (with(&[]), with(&["--json"]));
        let results: Vec<Value> = scripts.json()["checks"]
            .as_array()
            .expect("checks")
            .iter()
            .map(|check| check["result"].clone())
            .collect();
        if let Some(failed) = failed {
            let scripts = scripts.exits(1);
            assert_eq!(scripts.json()["failedCheck"], failed, "{options:?}");
            people.complains(&[&format!("error: the check `{failed}` fails: "), error]);
            assert!(
                !people.stderr.contains(".window(") && !people.stderr.contains("PublicKey::"),
                "{people:?}"
            );
            people.exits(1);
            assert_eq!(results.iter().filter(|result| **result == "failed").count(), 1);
        } else {
            let id = scripts.exits(0).json()["id"].clone();
            let people = people.exits(0);
            assert!(people.stdout.contains("valid\n  event  OutboundMessage"), "{}", people.stdout);
            assert!(people.stdout.contains(id.as_str().expect("an id")));
            assert!(results.iter().all(|result| result == "ok"), "{results:?}");
        }
    }
}

#[tokio::test]
async fn a_body_is_read_from_standard_input() {
    let setup = Setup::new().await;
    let event = delivery(&setup).await;
    let signature = header(&event, "x-ghl-signature").to_owned();
    let body = setup.write("body.json", &event.body);
    let key = setup.sandbox.webhook_public_key().to_owned();
    let run = setup.run_with_input(
        &["webhook", "verify", "--body", "-", "--signature", &signature, "--key", &key],
        std::str::from_utf8(&event.body).expect("UTF-8"),
    );
    run.exits(0);
    let run = setup.run(&["webhook", "verify", "--body", &body, "--signature", &signature, "--key", "MCow"]);
    run.exits(2).complains(&["the public key"]);
    setup.run(&["webhook", "verify", "--body", "/nowhere", "--signature", &signature]).exits(2);
}

/// A program that listens until it is dropped.
struct Listening {
    child: Child,
    lines: Option<Lines<BufReader<ChildStdout>>>,
    url: String,
}

impl Listening {
    fn start(setup: &Setup, arguments: &[&str]) -> Self {
        let key = setup.sandbox.webhook_public_key();
        let fixed = ["webhook", "listen", "--json", "--port", "0", "--key", key];
        let mut child = setup.command(&[&fixed, arguments].concat()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let first = lines.next().expect("a line").expect("UTF-8");
        let first: Value = serde_json::from_str(&first).expect("JSON");
        assert_eq!(first["event"], "listening");
        Self { child, lines: Some(lines), url: first["url"].as_str().expect("a URL").to_owned() }
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.as_mut().and_then(Iterator::next).expect("a line").expect("UTF-8"))
            .expect("JSON")
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verified_events_are_forwarded_byte_for_byte() {
    let setup = Setup::new().await;
    let target =
        Server::start(|_| Action::Close(response("202 Accepted", "content-type: text/x\r\n", "done"))).await;
    let forward = format!("{}/hooks?a=b%20c", target.url());
    let mut listening = Listening::start(&setup, &["--forward", &forward]);
    setup.sandbox.set_webhook_url(format!("{}events", listening.url)).expect("a URL");
    setup.run(&["send", "sms", "--to-contact", setup.sandbox.contact_id(), "Grüße \u{1b}[2J"]).exits(0);

    let line = listening.next();
    assert_eq!((&line["verified"], &line["name"]), (&json!(true), &json!("OutboundMessage")));
    assert_eq!((&line["status"], &line["forwardedStatus"]), (&json!(202), &json!(202)));
    let sent = setup.sandbox.wait_for_deliveries(1, TIMEOUT).await.expect("an event").remove(0);
    assert_eq!(sent.status(), Some(202));
    let received = target.request();
    assert_eq!(received.line, "POST /hooks?a=b%20c HTTP/1.1");
    assert_eq!(received.body, *sent.body);
    let connection = ["host", "connection", "content-length", "accept", "transfer-encoding"];
    for (name, value) in &sent.attempts[0].headers {
        let name = name.to_ascii_lowercase();
        if !connection.contains(&name.as_str()) {
            assert_eq!(received.header(&name), [value.as_str()], "{name}");
        }
    }
    assert_eq!(received.header("host"), [target.url().strip_prefix("http://").expect("a URL")]);
}

/// Sends bytes, and returns the response.
fn exchange(url: &str, request: &[u8]) -> String {
    use std::io::{Read as _, Write as _};
    let address = url.strip_prefix("http://").expect("a URL").trim_end_matches('/');
    let mut stream = std::net::TcpStream::connect(address).expect("a connection");
    stream.write_all(request).expect("a request");
    let mut response = String::new();
    let _ = stream.read_to_string(&mut response);
    response
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_are_not_genuine_are_rejected_and_not_forwarded() {
    let setup = Setup::new().await;
    let target = Server::always(Action::Close(response("200 OK", "", ""))).await;
    let mut listening = Listening::start(&setup, &["--forward", &target.url()]);
    let post = |headers: &str, body: &str| {
        let head =
            format!("POST / HTTP/1.1\r\nhost: a\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
        exchange(&listening.url, head.as_bytes())
    };
    assert!(post("", "{}").starts_with("HTTP/1.1 401 "));
    assert!(post("x-ghl-signature: N/A\r\n", "{}").starts_with("HTTP/1.1 401 "));
    let large = post("", &" ".repeat(1024 * 1024 + 1));
    assert!(large.is_empty() || large.starts_with("HTTP/1.1 413 "), "{large}");
    let get = exchange(&listening.url, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(get.starts_with("HTTP/1.1 405 "), "{get}");
    exchange(&listening.url, b"not HTTP\r\n\r\n");
    for status in [401, 401, 413] {
        let line = listening.next();
        assert_eq!((&line["verified"], &line["status"]), (&json!(false), &json!(status)), "{line}");
    }
    assert!(target.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_cannot_be_forwarded_is_redelivered() {
    let setup = Setup::with(Sandbox::start().await.expect("a sandbox"));
    let mut listening = Listening::start(&setup, &["--forward", &format!("http://{}/", nowhere().await)]);
    setup.sandbox.set_webhook_url(&listening.url).expect("a URL");
    setup.run(&["send", "sms", "--to-contact", setup.sandbox.contact_id(), "Hello"]).exits(0);
    let line = listening.next();
    assert_eq!((&line["status"], &line["verified"]), (&json!(429), &json!(true)), "{line}");
    assert!(line["forwardError"].is_string(), "{line}");
}

#[tokio::test]
async fn a_reader_that_ends_ends_the_listener() {
    let setup = Setup::new().await;
    let mut listening = Listening::start(&setup, &[]);
    listening.lines = None;
    exchange(&listening.url, b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}");
    let start = SystemTime::now();
    loop {
        if let Some(status) = listening.child.try_wait().expect("a status") {
            assert_eq!(status.code(), Some(0));
            return;
        }
        assert!(start.elapsed().unwrap_or_default() < TIMEOUT, "it still runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_address_in_use_is_reported() {
    let setup = Setup::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    setup.run(&["webhook", "listen", "--port", &port]).exits(2).complains(&["another program listens there"]);
    let run = setup.run(&["webhook", "listen", "--port", "0", "--forward", "https://example.com"]).exits(2);
    run.complains(&["expected a URL of this machine"]);
}
