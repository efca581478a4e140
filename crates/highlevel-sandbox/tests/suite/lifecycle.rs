//! Starting, stopping, and several sandboxes at once.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use highlevel_sandbox::{Contact, RateLimit, TestCredentials};
use http::StatusCode;
use serde_json::json;

use crate::caller::{SEND, post};
use crate::conformance::{Sandbox, StartChecked};
use crate::receiver::Receiver;

#[tokio::test]
async fn two_sandboxes_share_nothing() {
    let (one, other) = (Sandbox::start().await.unwrap(), Sandbox::start().await.unwrap());
    one.put_contact(Contact::new("only-here").phone("+15035550142")).unwrap();
    let send = json!({"type": "SMS", "contactId": "only-here", "status": "pending", "message": "Hello"});

    assert_eq!(post(&one, SEND, &send).await.status, 201);
    assert_eq!(post(&other, SEND, &send).await.status, 400);

    assert_eq!((one.messages().len(), other.messages().len()), (1, 0));
    assert_eq!((one.requests().len(), other.requests().len()), (1, 1));
    assert_ne!(one.base_url(), other.base_url());
    assert_ne!(one.token(), other.token());
    assert_ne!(one.webhook_public_key(), other.webhook_public_key());
    assert!(one.token().starts_with("pit-"));
}

#[tokio::test]
async fn dropping_a_sandbox_closes_its_listener() {
    let sandbox = Sandbox::start().await.unwrap();
    let address = address_of(&sandbox);
    let mut connection = TcpStream::connect(address).unwrap();

    drop(sandbox);

    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    // The open connection is closed.
    let end = std::io::Read::read(&mut connection, &mut [0; 16]);
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_clock_does_not_stop_the_sandbox() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).start_checked().await.unwrap();
    let send =
        json!({"type": "SMS", "contactId": sandbox.contact_id(), "status": "pending", "message": "Hello"});
    assert_eq!(post(&sandbox, SEND, &send).await.status, 201);
    // A stopped tokio clock jumps to the next timer when all is idle, so this would end at once.
    sandbox.wait_for_deliveries(1, Duration::from_secs(60)).await.unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_can_be_replaced_by_a_free_one() {
    let other = Sandbox::start().await.unwrap();
    let occupied = address_of(&other);
    let sandbox = Sandbox::builder().address(occupied).or_free_port().start_checked().await.unwrap();
    let address = address_of(&sandbox);
    assert_eq!(address.ip(), occupied.ip());
    assert_ne!(address.port(), occupied.port());
    TcpStream::connect(address).unwrap();
}

#[tokio::test]
async fn test_credentials_are_the_same_in_each_sandbox() {
    for _ in 0..2 {
        let sandbox = Sandbox::builder().test_credentials().start_checked().await.unwrap();
        assert_eq!(sandbox.token(), TestCredentials::TOKEN);
        assert_eq!(sandbox.client_secret(), TestCredentials::CLIENT_SECRET);
        assert_eq!(sandbox.webhook_public_key(), TestCredentials::WEBHOOK_PUBLIC_KEY);
    }
    let configured = Sandbox::builder().test_credentials().token("pit-mine").client_secret("mine");
    let sandbox = configured.signing_key([7; 32]).start_checked().await.unwrap();
    assert_eq!((sandbox.token(), sandbox.client_secret()), ("pit-mine", "mine".to_owned()));
    assert_ne!(sandbox.webhook_public_key(), TestCredentials::WEBHOOK_PUBLIC_KEY);
}

#[tokio::test]
async fn invalid_settings_are_rejected_at_the_start() {
    let other = Sandbox::start().await.unwrap();
    let occupied = address_of(&other);
    let builder = Sandbox::builder;
    let cases = [
        (builder().address(occupied), ErrorKind::AddrInUse, "cannot listen on 127.0.0.1:"),
        (
            builder().address(SocketAddr::from(([0, 0, 0, 0], 80))),
            ErrorKind::InvalidInput,
            "0.0.0.0:80 is not a loopback address, and the sandbox is for this machine only; use 127.0.0.1:80, or",
        ),
        (
            builder().address(SocketAddr::from(([0, 0, 0, 0], 80))).public(true),
            ErrorKind::InvalidInput,
            "other machines can reach 0.0.0.0:80, and the admin API can do everything; set an admin token",
        ),
        (
            builder()
                .address(SocketAddr::from(([0, 0, 0, 0], 80)))
                .public(true)
                .admin_token("fifteen letters"),
            ErrorKind::InvalidInput,
            "the token is not valid in a header",
        ),
        (
            builder()
                .address(SocketAddr::from(([0, 0, 0, 0], 80)))
                .public(true)
                .admin_token("fifteen-letters"),
            ErrorKind::InvalidInput,
            "the admin token has 15 characters, and other machines can try all tokens of that length; use at least 16",
        ),
        (
            builder().base_url("sandbox.example"),
            ErrorKind::InvalidInput,
            "the base URL `sandbox.example` is not one",
        ),
        (builder().base_url("http://a/b"), ErrorKind::InvalidInput, "the base URL `http://a/b` is not one"),
        (
            builder().webhook_url("http://a:b@127.0.0.1/"),
            ErrorKind::InvalidInput,
            "user names are not supported",
        ),
        (builder().webhook_url("https://a.example"), ErrorKind::InvalidInput, "https is not supported"),
        (
            builder().webhook_url("a.example/hooks"),
            ErrorKind::InvalidInput,
            "invalid webhook URL `a.example/hooks`",
        ),
        (builder().token("a b"), ErrorKind::InvalidInput, "the token is not valid in a header"),
        (
            builder().rate_limit(RateLimit::documented().burst(0)),
            ErrorKind::InvalidInput,
            "the rate limit allows no requests",
        ),
        (
            builder().rate_limit(RateLimit::documented().interval(Duration::ZERO)),
            ErrorKind::InvalidInput,
            "whole milliseconds",
        ),
        (builder().token(""), ErrorKind::InvalidInput, "the token is not valid in a header"),
    ];
    for (builder, kind, words) in cases {
        let error = builder.start_checked().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    // The port of a dropped sandbox can be reused.
    drop(other);
    builder().address(occupied).start_checked().await.unwrap();
}

#[test]
fn a_sandbox_can_be_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<Sandbox>();
}

fn address_of(sandbox: &Sandbox) -> SocketAddr {
    sandbox.base_url().strip_prefix("http://").unwrap().parse().unwrap()
}
