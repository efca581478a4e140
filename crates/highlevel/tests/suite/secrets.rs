//! The token appears in no debug output, error or log, and the log contains neither texts nor recipients.

use std::error::Error as _;
use std::fmt::{Debug, Write as _};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use highlevel::{Client, Inbound, OutboundCall, Sms};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::server::{Action, Server, TOKEN, json as json_response, nowhere, receipt, response};

/// A part of the token, which must not be shown either.
const PART: &str = "5ec2e7";

fn assert_secret(name: &str, shown: &str) {
    assert!(!shown.is_empty(), "{name}");
    assert!(!shown.contains(PART), "{name}: {shown}");
}

fn debug(name: &str, value: &impl Debug) {
    assert_secret(name, &format!("{value:?}"));
    assert_secret(name, &format!("{value:#?}"));
}

#[tokio::test]
async fn debug_output_does_not_contain_the_token() {
    assert!(TOKEN.contains(PART));
    let server = Server::always(Action::Respond(receipt())).await;
    debug("builder", &server.builder());
    debug("builder", &server.builder().base_url(format!("https://me:{TOKEN}@example.com")));
    let client = server.client();
    debug("client", &client);
    debug("messages", &client.messages());
    debug("calls", &client.calls());
    let (wire, context) = client.wire().await.expect("a token");
    debug("wire client", &wire);
    debug("context", &context);
    let request = Sms::to("c").text("t").into();
    debug("response", &wire.send_message(&request).await.expect("a response"));
    debug("context", &context);
    debug("trace", &context.take());
    debug("receipt", &client.messages().send(Sms::to("c").text("t")).await.expect("a receipt"));
    // The token was sent: the test is not vacuous.
    assert_eq!(server.requests()[0].header("authorization"), [format!("Bearer {TOKEN}")]);
}

#[tokio::test]
async fn errors_do_not_contain_the_token() {
    let actions = [
        Action::Close(Vec::new()),
        Action::Reset,
        Action::Stall(Vec::new()),
        Action::Close(b"HTTP/1.1 201 Created\r\ncontent-length: 9\r\n\r\n{".to_vec()),
        Action::Respond(response("201 Created", "", "<html>")),
        Action::Respond(response("302 Found", "location: https://example.com\r\n", "")),
        Action::Respond(json_response("401 Unauthorized", &json!({ "message": "Invalid JWT" }))),
        // The server repeats the token.
        Action::Respond(json_response(
            "401 Unauthorized",
            &json!({ "message": format!("{TOKEN} is invalid") }),
        )),
        Action::Respond(response("502 Bad Gateway", "", "<html>")),
    ];
    let mut clients = vec![
        Client::builder().token(TOKEN).base_url(format!("http://{}", nowhere().await)),
        Client::builder().token(TOKEN).base_url("https://does-not-exist.invalid"),
    ];
    let mut servers = Vec::new();
    for action in actions {
        let timeout = Duration::from_secs(if matches!(action, Action::Stall(_)) { 1 } else { 30 });
        let server = Server::always(action).await;
        clients.push(server.builder().attempt_timeout(timeout));
        servers.push(server);
    }
    for builder in clients {
        let client = builder.build().expect("a client");
        let error = client.messages().send(Sms::to("c").text("t")).await.expect_err("a failure");
        debug("error", &error);
        assert_secret("error", &error.to_string());
        let mut source = error.source();
        while let Some(cause) = source {
            debug("cause", &cause);
            assert_secret("cause", &cause.to_string());
            source = cause.source();
        }
    }
}

#[test]
fn configuration_errors_do_not_contain_the_token() {
    let tokens =
        ["\n", " ", "\u{0}", "\u{7f}", "é", "\u{2026}"].map(|invalid| format!("{TOKEN}{invalid}{TOKEN}"));
    let more = [format!("{TOKEN}\n"), format!("Bearer {TOKEN}"), format!("\"{TOKEN}\""), format!(" {TOKEN}")];
    for token in tokens.into_iter().chain(more) {
        let builder = Client::builder().token(token.clone()).base_url("http://127.0.0.1:1");
        let error = builder.build().expect_err(&token);
        debug(&token, &error);
        assert_secret(&token, &error.to_string());
        assert!(error.source().is_none(), "{token}");
    }
}

#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(crate) fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().expect("no panic"))).expect("text")
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Captured {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Logs everything at the level TRACE, from this crate and its dependencies.
#[tokio::test]
async fn the_log_has_the_facts_and_no_secrets() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(captured.clone())
        .finish();
    let subscriber = tracing::Dispatch::new(subscriber);
    // With a single subscriber in the process, tracing caches the interest of the thread that reaches a callsite first: the
    // thread of another test would disable the callsite for this one.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let _guard = tracing::dispatcher::set_default(&subscriber);

    let confidential = [
        "Plan for Ada",
        "CONTACT42",
        "CONVERSATION42",
        "MESSAGE42",
        "PROVIDER42",
        "+15037081210",
        "unusual words",
    ];
    let success = json!({ "conversationId": "CONVERSATION42", "messageId": "MESSAGE42" });
    let rejection = json!({ "message": "unusual words", "traceId": "t1" });
    let rows = [
        (Action::Respond(json_response("201 Created", &success)), vec!["status_code=201", "accepted"]),
        (
            Action::Respond(response("201 Created", "", "unusual words")),
            vec!["status_code=201", "kind=Receipt", "delivery=Accepted"],
        ),
        (
            Action::Respond(json_response("422 Unprocessable Entity", &rejection)),
            vec!["status_code=422", "kind=Status", "delivery=Rejected"],
        ),
        (
            Action::Respond(response("503 Busy", "", "unusual words")),
            vec!["status_code=503", "kind=Status", "delivery=Unknown"],
        ),
        (Action::Reset, vec!["kind=Connection", "delivery=Unknown"]),
        (Action::Stall(Vec::new()), vec!["kind=Timeout", "delivery=Unknown"]),
    ];
    for (action, facts) in rows {
        let has_response = !matches!(action, Action::Reset | Action::Stall(_));
        let timeout = Duration::from_secs(if matches!(action, Action::Stall(_)) { 1 } else { 30 });
        let server = Server::always(action).await;
        let client = server.builder().attempt_timeout(timeout).build().expect("a client");
        let operations = ["send_message", "add_inbound_message", "add_outbound_call"];
        for operation in operations {
            let shown = match operation {
                "send_message" => {
                    let message = Sms::to("CONTACT42").text("Plan for Ada").from_number("+15037081210");
                    client.messages().send(message).await.is_ok()
                }
                "add_inbound_message" => {
                    let message =
                        Inbound::sms("PROVIDER42").in_conversation("CONVERSATION42").text("Plan for Ada");
                    client.messages().add_inbound(message).await.is_ok()
                }
                _ => {
                    let call = OutboundCall::to_contact("CONTACT42", "PROVIDER42").to("+15037081210");
                    client.calls().add_outbound(call).await.is_ok()
                }
            };
            assert_eq!(shown, facts.contains(&"accepted"), "{operation}");
            let log = captured.take();
            let close = log.lines().find(|line| line.contains(" close ")).expect("the end of the span");
            for fact in &facts {
                assert!(log.contains(fact), "{fact} is not in {log}");
            }
            for fact in
                [&format!("highlevel.operation=\"{operation}\""), "highlevel.outcome=", "url.template="]
            {
                assert!(close.contains(fact), "{fact} is not in {close}");
            }
            assert_eq!(close.contains("status_code="), has_response, "{close}");
            for secret in confidential.iter().chain([&PART]) {
                assert!(!log.contains(secret), "{secret} is in {log}");
                // Bytes are logged as a list of numbers.
                let numbers = format!("{:?}", secret.as_bytes());
                assert!(!log.contains(numbers.trim_matches(['[', ']'])), "{secret} is in {log}");
            }
        }
        assert_eq!(server.requests().len(), operations.len());
    }
}

/// The error of an invalid request quotes neither the recipient nor the text.
#[tokio::test]
async fn errors_of_invalid_requests_quote_no_personal_data() {
    let server = Server::silent().await;
    let message = Sms::to("ada@example.com").text("Plan for Ada");
    let error = server.client().messages().send(message).await.expect_err("not an id");
    let mut shown = String::new();
    write!(shown, "{error} {error:?}").expect("text");
    assert!(!shown.contains("ada@example.com") && !shown.contains("Plan for Ada"), "{shown}");
}
