//! Headers of responses on the wire: limits below the documented ones, and headers of proxies.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use highlevel::{Client, Delivery, ErrorKind, Sms};

use crate::server::{Action, Server, TOKEN, response};

/// Shorter than the interval of HighLevel's limit: a call that has to wait for the next interval fails at once.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);

const RECEIPT: &str = r#"{"conversationId":"conversation-1","messageId":"message-1"}"#;

fn client(server: &Server) -> Client {
    let builder = Client::builder().token(TOKEN).base_url(server.url()).call_timeout(CALL_TIMEOUT);
    builder.build().expect("a client")
}

#[tokio::test]
async fn remaining_requests_of_a_proxy_do_not_limit_calls() {
    for headers in [
        "x-ratelimit-limit: 5000\r\nx-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1784286066\r\n",
        "x-ratelimit-remaining: 0\r\n",
        "x-ratelimit-max: 100\r\nx-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1784286066\r\n",
        "x-ratelimit-max: 100\r\nx-ratelimit-limit: 60\r\nx-ratelimit-remaining: 0\r\n",
        "x-ratelimit-max: 100\r\nx-ratelimit-remaining: 4992\r\n",
    ] {
        let server = Server::always(Action::Respond(response("201 Created", headers, RECEIPT))).await;
        let client = client(&server);
        for _ in 0..30 {
            client
                .messages()
                .send(Sms::to("c").text("t"))
                .await
                .unwrap_or_else(|error| panic!("{headers}: {error}"));
        }
        assert_eq!(server.requests().len(), 30, "{headers}");
    }
}

/// The first responses report a limit of 25 requests, of which other calls of the same client are part.
#[tokio::test]
async fn a_limit_below_the_documented_one_is_learned_without_a_rejection() {
    let (arrived, rejected) = (AtomicUsize::new(0), std::sync::Arc::new(AtomicUsize::new(0)));
    let server = Server::start({
        let rejected = std::sync::Arc::clone(&rejected);
        move |_| {
            let left = 25_usize.checked_sub(arrived.fetch_add(1, Ordering::SeqCst) + 1);
            let headers = format!(
                "x-ratelimit-max: 25\r\nx-ratelimit-remaining: {}\r\nx-ratelimit-interval-milliseconds: 10000\r\n\
                 x-ratelimit-limit-daily: 10000\r\nx-ratelimit-daily-remaining: 9000\r\n",
                left.unwrap_or(0)
            );
            if left.is_some() {
                return Action::Respond(response("201 Created", &headers, RECEIPT));
            }
            rejected.fetch_add(1, Ordering::SeqCst);
            Action::Respond(response("429 Too Many Requests", &headers, ""))
        }
    })
    .await;
    let client = client(&server);
    let calls: Vec<_> = (0..60)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.messages().send(Sms::to("c").text("t")).await })
        })
        .collect();
    let mut sent = 0;
    for call in calls {
        match call.await.expect("no panic") {
            Ok(_) => sent += 1,
            Err(error) => {
                assert_eq!(
                    (error.kind(), error.delivery()),
                    (ErrorKind::RateLimited, Delivery::NotSent),
                    "{error}"
                );
                assert!(error.is_retryable() && error.retry_after().is_some(), "{error}");
            }
        }
    }
    assert_eq!((sent, rejected.load(Ordering::SeqCst)), (25, 0));
}
