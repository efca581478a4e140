//! Sending messages.

use std::future::ready;
use std::time::Duration;

use highlevel::limit::{Acquire, Permit};
use highlevel::{Client, ClientBuilder, LocalRateLimiter, RateLimiter, Sms};

use crate::{count, server};

/// The allocations of one message. reqwest alone has 54, with a URL and headers that are built once. Four are labels of the
/// feature `metrics`, which is on in the tests of the workspace only.
const BOUND: usize = 72;
const BOUND_WITH_LIMITER: usize = 75;

/// Returns a name, a bound and the allocations for each client.
pub(crate) async fn all() -> [(&'static str, usize, usize); 2] {
    let base_url = server::start();
    let builder = || Client::builder().token("pit-12345678-1234-1234-1234-123456789012").base_url(&base_url);
    let limiter = LocalRateLimiter::with_limits(u32::MAX, Duration::from_millis(10), u32::MAX);
    [
        ("a message", BOUND, send(builder().rate_limiter(Unlimited)).await),
        ("a message with the limiter", BOUND_WITH_LIMITER, send(builder().rate_limiter(limiter)).await),
    ]
}

async fn send(builder: ClientBuilder) -> usize {
    let client = builder.location("l1").build().expect("a client");
    count(|| async {
        let text = "Your table is ready. Please come to the front desk within ten minutes.";
        let message = Sms::to("abc123def456ghi789jk").text(text);
        let receipt = client.messages().send(message).await.expect("a receipt");
        assert_eq!(receipt.message_id().as_str(), "t22c6DQcTDf3MjRhwf77");
    })
    .await
}

/// A limiter that does not limit.
pub(crate) struct Unlimited;

impl RateLimiter for Unlimited {
    fn acquire<'a>(&'a self, _location: &'a str, _timeout: Duration) -> Acquire<'a> {
        Box::pin(ready(Ok(Permit::unlimited())))
    }
}
