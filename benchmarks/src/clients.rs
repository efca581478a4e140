//! The clients under comparison. All send the same text message.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use highlevel::limit::{Acquire, Permit};
use highlevel::{LocalRateLimiter, RateLimiter, Sms};
use serde::{Deserialize, Serialize};

const TOKEN: &str = "pit-12345678-1234-1234-1234-123456789012";
const CONTACT: &str = "abc123def456ghi789jk";
const TEXT: &str = "Your table is ready. Please come to the front desk within ten minutes.";

/// One of the clients. Clones share its connections.
#[derive(Clone)]
pub enum Client {
    Highlevel(highlevel::Client),
    Reqwest(Prepared),
    GhlSdk(ghl_sdk::Ghl),
}

/// The name of the baseline.
pub const BASELINE: &str = "reqwest, prepared";

/// Returns all clients with their names in the tables.
pub fn all(base_url: &str) -> Vec<(&'static str, Client)> {
    vec![
        ("highlevel", Client::Highlevel(highlevel(base_url, Unlimited))),
        ("highlevel with its limiter", Client::Highlevel(highlevel(base_url, generous()))),
        (BASELINE, Client::Reqwest(Prepared::new(base_url))),
        ("ghl-sdk 0.5.2", Client::GhlSdk(ghl_sdk(base_url))),
    ]
}

impl Client {
    /// Sends one message and reads its receipt. Panics on the first failure.
    pub async fn send(&self) {
        let message_id = match self {
            Self::Highlevel(client) => {
                let message = Sms::to(CONTACT).text(TEXT);
                client.messages().send(message).await.expect("a receipt").message_id().to_string()
            }
            Self::Reqwest(client) => client.send().await,
            Self::GhlSdk(client) => {
                let message = ghl_sdk::conversations::SendMessage {
                    message_type: "SMS".to_owned(),
                    contact_id: CONTACT.to_owned(),
                    message: Some(TEXT.to_owned()),
                    ..Default::default()
                };
                let sent = client.conversations().send_message(message).await.expect("a receipt");
                sent.message_id.expect("a message id")
            }
        };
        assert_eq!(message_id, crate::server::MESSAGE_ID);
    }
}

fn highlevel(base_url: &str, limiter: impl RateLimiter + 'static) -> highlevel::Client {
    highlevel::Client::builder()
        .token(TOKEN)
        .base_url(base_url)
        .location("bench")
        .rate_limiter(limiter)
        .build()
        .expect("a client")
}

/// A limiter that does not limit.
struct Unlimited;

impl RateLimiter for Unlimited {
    fn acquire<'a>(&'a self, _location: &'a str, _timeout: Duration) -> Acquire<'a> {
        Box::pin(ready(Ok(Permit::unlimited())))
    }
}

/// Returns the limiter of the SDK with limits that are never reached. Its interval of 10 ms has about as many requests as
/// the documented limits allow in 10 s, so that the log has its usual size.
fn generous() -> LocalRateLimiter {
    LocalRateLimiter::with_limits(u32::MAX, Duration::from_millis(10), u32::MAX).margin(Duration::ZERO)
}

/// A careful implementation on reqwest alone: one client, headers and URL that are built once, the timeouts of the SDK, no
/// redirects, structs of borrowed text. It reads the message id only.
#[derive(Clone)]
pub struct Prepared {
    http: reqwest::Client,
    url: reqwest::Url,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    contact_id: &'a str,
    message: &'a str,
    status: &'a str,
    r#type: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    message_id: String,
}

impl Prepared {
    fn new(base_url: &str) -> Self {
        use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};

        let mut authorization = HeaderValue::try_from(format!("Bearer {TOKEN}")).expect("a header");
        authorization.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(AUTHORIZATION, authorization);
        headers.insert("version", HeaderValue::from_static("2021-04-15"));

        let tls =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions of TLS")
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .user_agent("prepared/1.0")
            .connect_timeout(Duration::from_secs(3))
            .timeout(Duration::from_secs(30))
            .pool_idle_timeout(Duration::from_secs(50))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .tls_backend_preconfigured(tls)
            .build()
            .expect("a client");
        let url = format!("{base_url}/conversations/messages").parse().expect("a URL");
        Self { http, url }
    }

    async fn send(&self) -> String {
        let message = Request { contact_id: CONTACT, message: TEXT, status: "pending", r#type: "SMS" };
        let request = self.http.post(self.url.clone()).json(&message);
        let response = request.send().await.expect("a response").error_for_status().expect("a success");
        response.json::<Receipt>().await.expect("a receipt").message_id
    }
}

fn ghl_sdk(base_url: &str) -> ghl_sdk::Ghl {
    ghl_sdk::Ghl::builder().private_integration_token(TOKEN).base_url(base_url).build().expect("a client")
}
