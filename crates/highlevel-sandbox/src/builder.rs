//! What can be chosen before a sandbox starts.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use http::{StatusCode, Uri};
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::contract::Contract;
use crate::credentials::{Credentials, Grant};
use crate::identifiers;
use crate::ledger::Ledger;
use crate::rate_limit::{Account, RateLimit, RateLimiter};
use crate::runtime::Runtime;
use crate::sandbox::Sandbox;
use crate::server::{self, State};
use crate::webhook::{Courier, Signer, random_seed};
use crate::world::{self, World};

/// A sandbox that has not started. Made by [`Sandbox::builder`].
#[derive(Clone, Debug)]
pub struct SandboxBuilder {
    address: SocketAddr,
    webhook_url: Option<String>,
    token: Option<Redacted<String>>,
    app_id: String,
    success_status: SuccessStatus,
    signing_key: Option<Redacted<[u8; 32]>>,
    rate_limit: Option<RateLimit>,
}

/// The status of an answer that says yes. The documentation says 200, the live API answers 201.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SuccessStatus {
    /// As it is documented.
    Ok200,
    /// As the live API does it.
    #[default]
    Created201,
}

impl SandboxBuilder {
    pub(crate) fn new() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            webhook_url: None,
            token: None,
            app_id: world::APP_ID.to_owned(),
            success_status: SuccessStatus::default(),
            signing_key: None,
            rate_limit: None,
        }
    }

    /// Where to listen: a loopback address. The default is 127.0.0.1 and a free port.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Where to send webhook events: a plain `http` URL. The default is to send none.
    pub fn webhook_url(mut self, url: impl Into<String>) -> Self {
        self.webhook_url = Some(url.into());
        self
    }

    /// The token to accept. The default is a new private integration token.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(Redacted(token.into()));
        self
    }

    /// The app that webhook events name.
    pub fn app_id(mut self, app_id: impl Into<String>) -> Self {
        self.app_id = app_id.into();
        self
    }

    /// The status of an answer that says yes.
    pub fn success_status(mut self, status: SuccessStatus) -> Self {
        self.success_status = status;
        self
    }

    /// The secret of the Ed25519 key that signs webhook events. The default is a new one.
    pub fn signing_key(mut self, seed: [u8; 32]) -> Self {
        self.signing_key = Some(Redacted(seed));
        self
    }

    /// The limits to enforce: requests over them are answered 429 and otherwise ignored. The default is to refuse
    /// nothing for its rate, and to count against the documented limits in the `X-RateLimit-…` headers all the same.
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = Some(limit);
        self
    }

    /// Starts the sandbox.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the address is not a loopback address, the webhook URL is not an `http` URL, the token
    /// cannot stand in a header or the rate limit allows nothing; otherwise what the operating system says, for example `AddrInUse`.
    pub async fn start(self) -> io::Result<Sandbox> {
        let contract = Contract::load().map_err(io::Error::other)?;
        let webhook_url = self.webhook_url.as_deref().map(parse_webhook_url).transpose()?;
        let token = match self.token {
            Some(Redacted(token)) => checked_token(token)?,
            None => identifiers::private_integration_token(),
        };
        let rate_limit = self.rate_limit.map(checked_rate_limit).transpose()?;
        let signer = Signer::new(self.signing_key.map_or_else(random_seed, |seed| Ok(seed.0))?);
        let webhook_public_key = signer.public_key();
        let listener = listen(self.address)?;
        let address = listener.local_addr()?;

        let ledger = Arc::new(Ledger::new());
        let (parcels, deliverable) = mpsc::unbounded_channel();
        let courier = Courier::new(Arc::clone(&ledger));
        let account = Account { app_id: self.app_id, location_id: world::LOCATION_ID.to_owned() };
        let mut credentials = Credentials::default();
        credentials.grant(&token, Grant::private_integration(&account.app_id, &account.location_id));
        let state = Arc::new(State {
            contract,
            clock: Clock::new(),
            signer,
            token,
            account: Arc::new(account),
            success: self.success_status.code(),
            world: Mutex::new(World::from(world::seed())),
            credentials: Mutex::new(credentials),
            limiter: Mutex::new(RateLimiter::new(rate_limit)),
            webhook_url: Mutex::new(webhook_url),
            ledger,
            parcels,
        });

        let runtime = Runtime::start().await?;
        runtime.handle().spawn(courier.run(deliverable));
        runtime.handle().spawn({
            let state = Arc::clone(&state);
            async move {
                if let Err(error) = server::serve(listener, state).await {
                    tracing::error!(%error, "the sandbox cannot serve");
                }
            }
        });
        Ok(Sandbox::new(address, webhook_public_key, state, runtime))
    }
}

impl SuccessStatus {
    fn code(self) -> StatusCode {
        match self {
            Self::Ok200 => StatusCode::OK,
            Self::Created201 => StatusCode::CREATED,
        }
    }
}

/// What is not printed.
#[derive(Clone)]
struct Redacted<T>(T);

impl<T> std::fmt::Debug for Redacted<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// The URL to deliver webhook events to.
pub(crate) fn parse_webhook_url(text: &str) -> io::Result<Uri> {
    let invalid = |why: &str| {
        let words = format!(
            "the webhook URL `{text}` cannot be used: {why}; one like http://127.0.0.1:3000/webhooks can"
        );
        io::Error::new(io::ErrorKind::InvalidInput, words)
    };
    let url: Uri = text.parse().map_err(|error: http::uri::InvalidUri| invalid(&error.to_string()))?;
    match (url.scheme_str(), url.host()) {
        (Some("http"), Some(_)) => Ok(url),
        (Some("https"), _) => Err(invalid("the sandbox speaks no TLS")),
        (Some(scheme), _) => Err(invalid(&format!("its scheme is `{scheme}`"))),
        (None, _) => Err(invalid("it does not begin with http://")),
    }
}

fn checked_token(token: String) -> io::Result<String> {
    if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(token);
    }
    let words =
        "the token cannot stand in a header: it has to be printable ASCII without spaces, and not empty";
    Err(io::Error::new(io::ErrorKind::InvalidInput, words))
}

fn checked_rate_limit(limit: RateLimit) -> io::Result<RateLimit> {
    limit.checked().map_err(|words| io::Error::new(io::ErrorKind::InvalidInput, words))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    if !address.ip().is_loopback() {
        let words = format!(
            "{address} is not a loopback address, and the sandbox is for this machine only; use 127.0.0.1:{}",
            address.port()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
    }
    let listener = TcpListener::bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
