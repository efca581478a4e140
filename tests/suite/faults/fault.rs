//! A fault, and the client and server between which it happens.

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

use super::server::{Greeting, Script, Server};
use super::tls::{self, Certificate};

/// No connection to this address can be made: it is the broadcast address of this machine's own network, and nothing
/// for it leaves the machine.
const UNREACHABLE: [u8; 4] = [127, 255, 255, 255];

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// Nothing listens.
    Refused,
    /// There is no way to the address.
    Unreachable,
    /// The name has no address.
    NoSuchName,
    /// The greeting of TLS is not answered until the connect timeout.
    ConnectTimeout,
    /// The server speaks no TLS.
    PlainForTls,
    /// The server shows a certificate that is not trusted.
    Certificate,
    /// The server ended its connections while nobody used them, and the client knows.
    ClosedWhileIdle,
    /// The server reads or answers in some way.
    Script(Script),
}

impl Fault {
    fn greeting(self, pooled: bool) -> Greeting {
        match self {
            // A connection that is in the pool has been accepted once.
            Self::ConnectTimeout | Self::PlainForTls | Self::Certificate if pooled => {
                Greeting::Tls(Certificate::Trusted)
            }
            Self::ConnectTimeout => Greeting::Silent,
            Self::PlainForTls => Greeting::PlainForTls,
            Self::Certificate => Greeting::Tls(Certificate::Stranger),
            _ => Greeting::Plain,
        }
    }

    fn is_of_tls(self) -> bool {
        matches!(self, Self::ConnectTimeout | Self::PlainForTls | Self::Certificate)
    }

    fn is_of_the_address(self) -> bool {
        matches!(self, Self::Unreachable | Self::NoSuchName)
    }
}

/// What else a call depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) policy: RetryPolicy,
    /// Whether the token source has another token after the first one was refused.
    pub(super) fresh_token: bool,
    /// How long a location is held back after a 429 that does not say how long.
    pub(super) interval: Duration,
    /// How long an answer is waited for.
    pub(super) attempt: Duration,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            policy: RetryPolicy::default(),
            fresh_token: false,
            interval: Duration::from_millis(20),
            attempt: Duration::from_secs(30),
        }
    }
}

/// A client and a server with a fault between them.
pub(super) struct Bench {
    pub(super) server: Server,
    pub(super) client: Client,
}

impl Bench {
    /// Everything up to the call that meets the fault: with `pooled`, a call that went well, and its connection.
    pub(super) async fn set_up(fault: Fault, pooled: bool, setting: Setting) -> Self {
        let mut server = Server::start(fault.greeting(pooled));
        let resolver = Resolver::new(server.address);
        let client = client(fault, pooled, setting, server.address, &resolver);
        if pooled {
            let (client, key) = (client.clone(), "before the fault");
            Endpoint::Send.call(&client, key).await.expect("a receipt");
            assert_eq!(server.deliveries(key).len(), 1);
            // Nothing tells when the connection is back in the pool.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server.count_anew();
        if !matches!(fault, Fault::Script(_)) {
            server.greet(fault.greeting(false));
            server.hang_up().await;
        }
        match fault {
            Fault::Refused => server.refuse().await,
            Fault::Unreachable => resolver.give(Some((UNREACHABLE, server.address.port()).into())),
            Fault::NoSuchName => resolver.give(None),
            Fault::Script(script) => server.follow(script),
            _ => {}
        }
        Self { server, client }
    }
}

fn client(fault: Fault, pooled: bool, setting: Setting, address: SocketAddr, resolver: &Resolver) -> Client {
    let port = address.port();
    // The client of this library where that can be. A pooled connection needs a certificate that is accepted at
    // first, or a name whose address changes, and so does a name that has none: a client of the caller's own.
    let own =
        matches!(fault, Fault::NoSuchName) || (pooled && (fault.is_of_tls() || fault.is_of_the_address()));
    let scheme = if fault.is_of_tls() { "https" } else { "http" };
    let host = match fault {
        _ if own => "localhost",
        Fault::Unreachable => "127.255.255.255",
        _ => "127.0.0.1",
    };
    let connect = Duration::from_secs(if matches!(fault, Fault::ConnectTimeout) { 1 } else { 30 });
    let limiter = LocalRateLimiter::with_limits(1_000, setting.interval, 200_000).margin(Duration::ZERO);
    let builder = Client::builder()
        .base_url(format!("{scheme}://{host}:{port}"))
        .token_source(Tokens { fresh: setting.fresh_token })
        .location("location")
        .rate_limiter(limiter)
        .retry_policy(setting.policy)
        .attempt_timeout(setting.attempt)
        .connect_timeout(connect);
    let builder = if own {
        let resolver = resolver.clone();
        builder.http_client(move |http| {
            http.no_proxy().dns_resolver(resolver.clone()).tls_backend_preconfigured(tls::client())
        })
    } else {
        builder
    };
    builder.build().expect("a client")
}

/// One of the three requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Send,
    Inbound,
    Call,
}

impl Endpoint {
    pub(super) const ALL: [Self; 3] = [Self::Send, Self::Inbound, Self::Call];

    /// Makes a request that the server recognises by its key. The attempts that its receipt names, or the error.
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
                let call = OutboundCall::in_conversation(key, "61d6d1f9cdac7612faf80753");
                client.calls().add_outbound(call).await.map(|receipt| receipt.attempts())
            }
        }
    }
}

/// A token that may be followed by another one.
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

/// Gives every name the same address, or none.
#[derive(Clone)]
struct Resolver(Arc<Mutex<Option<SocketAddr>>>);

impl Resolver {
    fn new(address: SocketAddr) -> Self {
        Self(Arc::new(Mutex::new(Some(address))))
    }

    fn give(&self, address: Option<SocketAddr>) {
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
