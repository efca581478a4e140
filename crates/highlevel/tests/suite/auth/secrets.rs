//! Nothing prints a secret of an app: neither what it is built from, nor a token, nor a code.

use std::error::Error as _;
use std::fmt::Debug;

use highlevel::auth::{CsrfState, Scope};
use serde_json::json;
use tracing_subscriber::fmt::format::FmtSpan;

use super::world::{CLIENT_SECRET, COMPANY, Fate, PART, World, send};
use crate::secrets::Captured;
use crate::server::{Act, answer, json as json_answer};

fn assert_secret(what: &str, shown: &str) {
    assert!(!shown.is_empty(), "{what}");
    for piece in [PART, &PART[..8], &PART[4..], "client-s", "refresh-5", "access-5"] {
        assert!(!shown.contains(piece), "{what}: {piece} in {shown}");
    }
}

fn debug(what: &str, value: &impl Debug) {
    assert_secret(what, &format!("{value:?}"));
    assert_secret(what, &format!("{value:#?}"));
}

#[tokio::test]
async fn nothing_prints_a_secret() {
    let world = World::new().await;
    debug("builder", &world.builder());
    let app = world.app();
    let tokens = app.exchange(World::code("loc1")).await.expect("tokens");
    app.exchange(World::company_code()).await.expect("tokens");
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
    assert!(world.asked("/oauth/token", "client_secret", CLIENT_SECRET) > 0);
}

/// What a server can do with a request: among other things, repeat all of it.
fn acts() -> Vec<Act> {
    let echo = |request: &str| json!({ "message": [format!("no: {request}")], "error_description": request, "traceId": request, "request": request });
    let told = format!(
        "client_secret=client-secret-{PART}&refresh_token=refresh-{PART}-1&code=code-{PART}-loc1 Bearer access-{PART}-2"
    );
    let mut acts = vec![
        Act::Reset,
        Act::Close(
            b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{\"access_token\":\"access-5ec2e75ec2e7".to_vec(),
        ),
    ];
    for status in ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "422 Unprocessable Entity"] {
        acts.push(Act::Answer(json_answer(status, &echo(&told))));
        acts.push(Act::Answer(json_answer(status, &echo(&format!("Invalid grant: {told}")))));
        acts.push(Act::Answer(json_answer(status, &echo(&format!("Location is not active: {told}")))));
        acts.push(Act::Answer(answer(status, "", &told)));
    }
    for status in ["200 OK", "401 Unauthorized"] {
        let headers = format!("x-echo: {told}\r\nx-echo: Bearer access-{PART}-1\r\nset-cookie: a={told}\r\n");
        acts.push(Act::Answer(answer(status, &headers, "")));
    }
    // JSON can write the same text in other ways.
    let escaped = |text: &str| {
        let all: Vec<_> = text.chars().map(|letter| format!("\\u{:04x}", u32::from(letter))).collect();
        let all = all.concat();
        format!("{{\"message\":\"{all}\",\"traceId\":\"{all}\"}}")
    };
    acts.push(Act::Answer(answer("422 Unprocessable Entity", "", escaped(&told))));
    acts.push(Act::Answer(answer("200 OK", "", escaped(&told))));
    // A success in a form that nobody foresaw.
    acts.push(Act::Answer(json_answer("200 OK", &json!({ "data": { "access_token": told } }))));
    acts.push(Act::Answer(answer("200 OK", "", &told)));
    acts
}

fn error(what: &str, error: &highlevel::Error) {
    debug(what, error);
    assert_secret(what, &error.to_string());
    assert_secret(what, &format!("{:?}{:?}", error.messages(), error.trace_id()));
    assert_secret(what, &format!("body {}", String::from_utf8_lossy(error.body())));
    headers(what, error);
    let mut source = error.source();
    while let Some(cause) = source {
        debug(what, &cause);
        assert_secret(what, &cause.to_string());
        if let Some(cause) = cause.downcast_ref::<highlevel::Error>() {
            assert_secret(what, &format!("body {}", String::from_utf8_lossy(cause.body())));
            headers(what, cause);
        }
        source = cause.source();
    }
}

fn headers(what: &str, error: &highlevel::Error) {
    for name in ["x-echo", "set-cookie"] {
        assert_secret(what, &format!("{name} {}", error.header(name).unwrap_or_default()));
    }
}

/// The same for the token of a call, in what is refused and in receipts that cannot be read.
#[tokio::test]
async fn no_error_of_a_call_prints_its_token() {
    let token = format!("access-{PART}-1");
    let echo = format!("x-echo: key={token}; for=you\r\n");
    for (status, body) in [
        ("201 Created", format!("\"{token}\"")),
        ("201 Created", json!({ "conversationId": { "token": token } }).to_string()),
        ("400 Bad Request", json!({ "message": token }).to_string()),
        ("503 Service Unavailable", token.clone()),
    ] {
        let world = World::new().await;
        let (_, client) = world.installed("loc1").await;
        world.sends_end([Act::Answer(answer(status, &echo, &body))]);
        let failed = send(&client).await.expect_err("a failure");
        assert_eq!(world.bearers(), [format!("Bearer {token}")]);
        error(&format!("{status} {}", body.len()), &failed);
        assert_eq!(failed.header("x-echo"), Some("key=...; for=you"), "{status}");
    }
}

#[tokio::test]
async fn no_error_prints_a_secret() {
    for (number, act) in acts().into_iter().enumerate() {
        let fate = || Fate::ButThen(std::time::Duration::from_secs(40), act.clone());
        let world = World::new().await;
        world.fates([fate()]);
        let failed = world.app().exchange(World::code("loc1")).await.expect_err("a failure");
        error(&format!("{number}: exchange"), &failed);

        let world = World::new().await;
        let (_, client) = world.installed("loc1").await;
        world.expire();
        world.fates([fate()]);
        error(&format!("{number}: refresh"), &send(&client).await.expect_err("a failure"));

        let world = World::new().await;
        let app = world.app();
        app.exchange(World::code("loc1")).await.expect("tokens");
        app.exchange(World::company_code()).await.expect("tokens");
        world.fates(vec![Fate::Not(act.clone()); 3]);
        // Asking for the token of a location again does no harm, so a lost answer is no failure.
        if let Err(failed) = app.location_token(COMPANY, "loc2").await {
            error(&format!("{number}: location"), &failed);
        }
    }
}

/// Everything at the finest level, from this crate and all below it.
#[tokio::test]
async fn no_log_has_a_secret() {
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

    for act in acts() {
        let world = World::new().await;
        let (app, client) = world.installed("loc1").await;
        app.exchange(World::company_code()).await.expect("tokens");
        world.expire();
        world.fates([Fate::Not(act)]);
        let _whatever = send(&client).await;
        world.clock.advance(std::time::Duration::from_secs(60));
        world.revoke_access();
        let _whatever = send(&client).await;
        let _whatever = send(&app.company(COMPANY).location("loc2")).await;
    }
    let log = captured.take();
    for fact in ["refresh_token", "location_token", "no tokens", "refreshed", "loc1"] {
        assert!(log.contains(fact), "{fact} is missing");
    }
    for line in log.lines().filter(|line| !line.is_empty()) {
        assert_secret("log", line);
    }
}
