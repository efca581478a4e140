//! Faults, and a client and a server with a fault between them.

use std::future::{Future, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use highlevel::{
    Client, Error, Inbound, LocalRateLimiter, OutboundCall, RetryPolicy, SecretString, Sms, TokenResult,
    TokenSource,
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::server::{Handshake, Script, Server};
use super::tls::{self, Certificate};

/// An address to which no connection can be made: the broadcast address of the loopback network. Its packets never
/// leave the machine.
const UNREACHABLE: [u8; 4] = [127, 255, 255, 255];

/// A fault of the network or of the server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// No process listens on the port.
    Refused,
    /// The address has no route.
    Unreachable,
    /// The name has no address.
    NoSuchName,
    /// The server never responds to the TLS client hello, so that the connect timeout elapses.
    ConnectTimeout,
    /// The server does not speak TLS.
    PlainForTls,
    /// The server presents a certificate that is not trusted.
    Certificate,
    /// The server closed its connections while they were idle, and the client has noticed.
    ClosedWhileIdle,
    /// The server follows a script.
    Script(Script),
}

impl Fault {
    fn handshake(self, pooled: bool) -> Handshake {
        match self {
            // A connection in the pool has completed its handshake.
            Self::ConnectTimeout | Self::PlainForTls | Self::Certificate if pooled => {
                Handshake::Tls(Certificate::Trusted)
            }
            Self::ConnectTimeout => Handshake::Silent,
            Self::PlainForTls => Handshake::PlainForTls,
            Self::Certificate => Handshake::Tls(Certificate::Untrusted),
            _ => Handshake::Plain,
        }
    }

    fn concerns_tls(self) -> bool {
        matches!(self, Self::ConnectTimeout | Self::PlainForTls | Self::Certificate)
    }

    fn concerns_the_address(self) -> bool {
        matches!(self, Self::Unreachable | Self::NoSuchName)
    }
}

/// The configuration of the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) policy: RetryPolicy,
    /// `true` if the token source returns another token after the first one was rejected.
    pub(super) fresh_token: bool,
    /// The pause of a location after a 429 without `Retry-After`.
    pub(super) interval: Duration,
    /// The timeout of one attempt.
    pub(super) attempt_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: RetryPolicy::default(),
            fresh_token: false,
            interval: Duration::from_millis(20),
            attempt_timeout: Duration::from_secs(30),
        }
    }
}

/// A client and a server with a fault between them.
pub(super) struct Bench {
    pub(super) server: Server,
    pub(super) client: Client,
}

impl Bench {
    /// Prepares everything up to the call that meets the fault. With `pooled`, a call has succeeded and its connection
    /// is in the pool.
    pub(super) async fn set_up(fault: Fault, pooled: bool, settings: Settings) -> Self {
        let mut server = Server::start(fault.handshake(pooled));
        let resolver = Resolver::new(server.address);
        let client = client(fault, pooled, settings, server.address, &resolver);
        if pooled {
            let (client, key) = (client.clone(), "before the fault");
            Endpoint::Send.call(&client, key).await.expect("a receipt");
            assert_eq!(server.deliveries(key).len(), 1);
            // The client does not report when the connection is back in the pool.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server.reset_counts();
        if !matches!(fault, Fault::Script(_)) {
            server.set_handshake(fault.handshake(false));
            server.close_idle().await;
        }
        match fault {
            Fault::Refused => server.refuse().await,
            Fault::Unreachable => resolver.set(Some((UNREACHABLE, server.address.port()).into())),
            Fault::NoSuchName => resolver.set(None),
            Fault::Script(script) => server.follow(script),
            _ => {}
        }
        Self { server, client }
    }
}

fn client(
    fault: Fault,
    pooled: bool,
    settings: Settings,
    address: SocketAddr,
    resolver: &Resolver,
) -> Client {
    let port = address.port();
    // These faults need a certificate that is trusted at first, or a name whose address changes, so they need a custom
    // HTTP client. All others use the default one.
    let is_custom = matches!(fault, Fault::NoSuchName)
        || (pooled && (fault.concerns_tls() || fault.concerns_the_address()));
    let scheme = if fault.concerns_tls() { "https" } else { "http" };
    let host = match fault {
        _ if is_custom => "localhost",
        Fault::Unreachable => "127.255.255.255",
        _ => "127.0.0.1",
    };
    let connect = Duration::from_secs(if matches!(fault, Fault::ConnectTimeout) { 1 } else { 30 });
    let limiter = LocalRateLimiter::with_limits(1_000, settings.interval, 200_000).margin(Duration::ZERO);
    let builder = Client::builder()
        .base_url(format!("{scheme}://{host}:{port}"))
        .token_source(Tokens { fresh: settings.fresh_token })
        .location("location")
        .rate_limiter(limiter)
        .retry_policy(settings.policy)
        .attempt_timeout(settings.attempt_timeout)
        .connect_timeout(connect);
    let builder = if is_custom {
        let resolver = resolver.clone();
        builder.http_client(move |http| {
            http.no_proxy().dns_resolver(resolver.clone()).tls_backend_preconfigured(tls::client())
        })
    } else {
        builder
    };
    builder.build().expect("a client")
}

/// The three operations that send a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Send,
    Inbound,
    Call,
}

impl Endpoint {
    pub(super) const ALL: [Self; 3] = [Self::Send, Self::Inbound, Self::Call];

    /// Sends a request that the server identifies by its key. Returns the number of attempts in its receipt.
    pub(super) async fn call(self, client: &Client, key: &str) -> Result<u32, Error> {
        match self {
            Self::Send => {
                let message = Sms::to("abc123def456").text(key);
                client.messages().send(message).await.map(|receipt| receipt.attempts())
            }
            Self::Inbound => {
                let message = Inbound::sms("61d6d1f9cdac7612faf80753").from_contact("abc123def456").text(key);
                client.messages().add_inbound(message).await.map(|receipt| receipt.attempts())
            }
            Self::Call => {
                let call = OutboundCall::in_conversation(key, "61d6d1f9cdac7612faf80753").to("+15037081210");
                client.calls().add_outbound(call).await.map(|receipt| receipt.attempts())
            }
        }
    }
}

/// A token source with one or two tokens.
#[derive(Debug)]
struct Tokens {
    fresh: bool,
}

impl TokenSource for Tokens {
    fn token<'a>(
        &'a self,
        rejected: Option<&'a SecretString>,
    ) -> Pin<Box<dyn Future<Output = TokenResult> + Send + 'a>> {
        let token = if self.fresh && rejected.is_some() { "pit-second" } else { "pit-first" };
        Box::pin(ready(Ok(token.into())))
    }
}

/// Resolves every name to the same address, or to none.
#[derive(Clone)]
struct Resolver(Arc<Mutex<Option<SocketAddr>>>);

impl Resolver {
    fn new(address: SocketAddr) -> Self {
        Self(Arc::new(Mutex::new(Some(address))))
    }

    fn set(&self, address: Option<SocketAddr>) {
        *self.0.lock().expect("not poisoned") = address;
    }
}

impl Resolve for Resolver {
    fn resolve(&self, _: Name) -> Resolving {
        let address = *self.0.lock().expect("not poisoned");
        Box::pin(ready(match address {
            Some(address) => Ok(Box::new(std::iter::once(address)) as Addrs),
            None => Err("no such name".into()),
        }))
    }
}
