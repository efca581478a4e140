//! Secrets of an app appear in no debug output, error or log: client secret, codes and tokens.

use std::error::Error as _;
use std::fmt::Debug;

use highlevel::auth::{CsrfState, Scope};
use serde_json::json;
use tracing_subscriber::fmt::format::FmtSpan;

use super::mock::{CLIENT_SECRET, COMPANY, MockHighLevel, PART, TokenReply, send};
use crate::secrets::Captured;
use crate::server::{Action, json as json_response, response};

fn assert_secret(name: &str, shown: &str) {
    assert!(!shown.is_empty(), "{name}");
    for piece in [PART, &PART[..8], &PART[4..], "client-s", "refresh-5", "access-5"] {
        assert!(!shown.contains(piece), "{name}: {piece} in {shown}");
    }
}

fn debug(name: &str, value: &impl Debug) {
    assert_secret(name, &format!("{value:?}"));
    assert_secret(name, &format!("{value:#?}"));
}

#[tokio::test]
async fn debug_output_does_not_contain_secrets() {
    let mock = MockHighLevel::new().await;
    debug("builder", &mock.builder());
    let app = mock.app();
    let tokens = app.exchange(MockHighLevel::code("loc1")).await.expect("tokens");
    app.exchange(MockHighLevel::company_code()).await.expect("tokens");
    debug("tokens", &tokens);
    debug("app", &app);
    debug("company", &app.company(COMPANY));
    debug("client", &app.location("loc1"));
    debug("client of a company", &app.company(COMPANY).client());
    debug("address", &app.authorize_url().scope(Scope::OAUTH_WRITE).state(CLIENT_SECRET));
    debug("state", &CsrfState::from_text(CLIENT_SECRET));
    debug("location", &app.company(COMPANY).location("loc2"));
    send(&app.company(COMPANY).location("loc2")).await.expect("a receipt");
    debug("app", &app);
    // They did go out, so that all this was about something.
    assert!(mock.count_requests("/oauth/token", "client_secret", CLIENT_SECRET) > 0);
}

/// Returns replies of a server, among them some that repeat the whole request.
fn actions() -> Vec<Action> {
    let echo = |request: &str| json!({ "message": [format!("no: {request}")], "error_description": request, "traceId": request, "request": request });
    let secrets = format!(
        "client_secret=client-secret-{PART}&refresh_token=refresh-{PART}-1&code=code-{PART}-loc1 Bearer access-{PART}-2"
    );
    let mut actions = vec![
        Action::Reset,
        Action::Close(
            b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{\"access_token\":\"access-5ec2e75ec2e7".to_vec(),
        ),
    ];
    for status in ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "422 Unprocessable Entity"] {
        actions.push(Action::Respond(json_response(status, &echo(&secrets))));
        actions.push(Action::Respond(json_response(status, &echo(&format!("Invalid grant: {secrets}")))));
        actions.push(Action::Respond(json_response(
            status,
            &echo(&format!("Location is not active: {secrets}")),
        )));
        actions.push(Action::Respond(response(status, "", &secrets)));
    }
    for status in ["200 OK", "401 Unauthorized"] {
        let headers =
            format!("x-echo: {secrets}\r\nx-echo: Bearer access-{PART}-1\r\nset-cookie: a={secrets}\r\n");
        actions.push(Action::Respond(response(status, &headers, "")));
    }
    // JSON with escapes.
    let escaped = |text: &str| {
        let all: Vec<_> = text.chars().map(|letter| format!("\\u{:04x}", u32::from(letter))).collect();
        let all = all.concat();
        format!("{{\"message\":\"{all}\",\"traceId\":\"{all}\"}}")
    };
    actions.push(Action::Respond(response("422 Unprocessable Entity", "", escaped(&secrets))));
    actions.push(Action::Respond(response("200 OK", "", escaped(&secrets))));
    // A success in an unexpected form.
    actions.push(Action::Respond(json_response("200 OK", &json!({ "data": { "access_token": secrets } }))));
    actions.push(Action::Respond(response("200 OK", "", &secrets)));
    actions
}

fn error(name: &str, error: &highlevel::Error) {
    debug(name, error);
    assert_secret(name, &error.to_string());
    assert_secret(name, &format!("{:?}{:?}", error.messages(), error.trace_id()));
    assert_secret(name, &format!("body {}", String::from_utf8_lossy(error.body())));
    headers(name, error);
    let mut source = error.source();
    while let Some(cause) = source {
        debug(name, &cause);
        assert_secret(name, &cause.to_string());
        if let Some(cause) = cause.downcast_ref::<highlevel::Error>() {
            assert_secret(name, &format!("body {}", String::from_utf8_lossy(cause.body())));
            headers(name, cause);
        }
        source = cause.source();
    }
}

fn headers(name: &str, error: &highlevel::Error) {
    for header in ["x-echo", "set-cookie"] {
        assert_secret(name, &format!("{header} {}", error.header(header).unwrap_or_default()));
    }
}

/// Responds with the token of the call, in rejections and in receipts that cannot be read.
#[tokio::test]
async fn errors_of_a_call_do_not_contain_its_token() {
    let token = format!("access-{PART}-1");
    let echo = format!("x-echo: key={token}; for=you\r\n");
    for (status, body) in [
        ("201 Created", format!("\"{token}\"")),
        ("201 Created", json!({ "conversationId": { "token": token } }).to_string()),
        ("400 Bad Request", json!({ "message": token }).to_string()),
        ("503 Service Unavailable", token.clone()),
    ] {
        let mock = MockHighLevel::new().await;
        let (_, client) = mock.installed("loc1").await;
        mock.send_replies([Action::Respond(response(status, &echo, &body))]);
        let failed = send(&client).await.expect_err("a failure");
        assert_eq!(mock.bearers(), [format!("Bearer {token}")]);
        error(&format!("{status} {}", body.len()), &failed);
        assert_eq!(failed.header("x-echo"), Some("key=...; for=you"), "{status}");
    }
}

#[tokio::test]
async fn errors_do_not_contain_secrets() {
    for (number, action) in actions().into_iter().enumerate() {
        let fate = || TokenReply::IssueThen(std::time::Duration::from_secs(40), action.clone());
        let mock = MockHighLevel::new().await;
        mock.token_replies([fate()]);
        let failed = mock.app().exchange(MockHighLevel::code("loc1")).await.expect_err("a failure");
        error(&format!("{number}: exchange"), &failed);

        let mock = MockHighLevel::new().await;
        let (_, client) = mock.installed("loc1").await;
        mock.expire();
        mock.token_replies([fate()]);
        error(&format!("{number}: refresh"), &send(&client).await.expect_err("a failure"));

        let mock = MockHighLevel::new().await;
        let app = mock.app();
        app.exchange(MockHighLevel::code("loc1")).await.expect("tokens");
        app.exchange(MockHighLevel::company_code()).await.expect("tokens");
        mock.token_replies(vec![TokenReply::Instead(action.clone()); 3]);
        // A request for the token of a location can be retried, so a lost response is no failure.
        if let Err(failed) = app.location_token(COMPANY, "loc2").await {
            error(&format!("{number}: location"), &failed);
        }
    }
}

/// Logs everything at the level TRACE, from this crate and its dependencies.
#[tokio::test]
async fn logs_do_not_contain_secrets() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(captured.clone())
        .finish();
    let subscriber = tracing::Dispatch::new(subscriber);
    // See `crate::secrets`: a second subscriber keeps tracing from asking only one.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let _guard = tracing::dispatcher::set_default(&subscriber);

    for action in actions() {
        let mock = MockHighLevel::new().await;
        let (app, client) = mock.installed("loc1").await;
        app.exchange(MockHighLevel::company_code()).await.expect("tokens");
        mock.expire();
        mock.token_replies([TokenReply::Instead(action)]);
        let _result = send(&client).await;
        mock.clock.advance(std::time::Duration::from_secs(60));
        mock.revoke_access();
        let _result = send(&client).await;
        let _result = send(&app.company(COMPANY).location("loc2")).await;
    }
    let log = captured.take();
    for fact in ["refresh_token", "location_token", "no tokens", "refreshed", "loc1"] {
        assert!(log.contains(fact), "{fact} is missing");
    }
    for line in log.lines().filter(|line| !line.is_empty()) {
        assert_secret("log", line);
    }
}
