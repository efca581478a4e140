//! The options of `serve`.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::TypedValueParser;
use highlevel_sandbox::{
    BurstWindow, Quirk, RateLimit, Refusal, Sandbox, SandboxBuilder, Snapshot, Strictness, SuccessStatus,
};

use super::super::DEFAULT_PORT;
use super::super::values::{self, Choice, choice};

/// The environment variable with the admin token. Not clap's `env`, because `--admin-token-file` takes precedence over it.
const ADMIN_TOKEN: &str = "HIGHLEVEL_SANDBOX_ADMIN_TOKEN";

/// The address to listen on by default.
const DEFAULT_ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, DEFAULT_PORT));

const ADMIN_TOKEN_HELP: &str = "\
Admin token that the admin API demands, of 16 characters or more with --public; other users of this machine can read a \
command line: prefer --admin-token-file or the environment [env: HIGHLEVEL_SANDBOX_ADMIN_TOKEN]";

#[derive(Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct ServeArgs {
    /// Address to listen on [default: 127.0.0.1:4010, or a free port if that one is taken]
    #[arg(long, value_parser = values::address)]
    address: Option<SocketAddr>,
    /// URL to send signed webhook events to, plain http [default: none]
    #[arg(long, value_name = "URL")]
    pub(super) webhook_url: Option<String>,
    /// Private integration token to accept [default: a fixed test token]
    #[arg(long, allow_hyphen_values = true)]
    token: Option<String>,
    /// Generate a new token, client secret and webhook key at each start, as with --public [default: fixed test values]
    #[arg(long)]
    random_credentials: bool,
    /// Print every line as a JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Stop when standard input is closed, which it is when the parent process ends
    #[arg(long)]
    pub(super) until_stdin_closes: bool,
    #[command(flatten)]
    pub(super) data: DataArgs,
    #[command(flatten)]
    pub(super) fidelity: FidelityArgs,
    #[command(flatten)]
    access: AccessArgs,
}

#[derive(Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct DataArgs {
    /// Add the records of a JSON or YAML file to those that always exist; can be repeated
    #[arg(long = "seed", value_name = "FILE")]
    seeds: Vec<PathBuf>,
    /// Store all records in a file, and load them at the next start [default: in memory only]
    #[arg(long = "state", value_name = "FILE")]
    pub(super) state_file: Option<PathBuf>,
    /// Number of messages to retain, the newest ones [default: 100000]
    #[arg(long, value_name = "N", value_parser = values::limit)]
    keep_messages: Option<usize>,
    /// Memory that retained messages may take, in bytes [default: 134217728, 128 MiB]
    #[arg(long, value_name = "N", value_parser = values::limit)]
    keep_bytes: Option<usize>,
    /// Number of requests that the ledger retains, the newest ones [default: 10000]
    #[arg(long, value_name = "N", value_parser = values::limit)]
    keep_requests: Option<usize>,
    /// Generate the same ids, tokens, secrets and keys in every run [default: random ones]
    #[arg(long, value_name = "NUMBER", value_parser = values::seed)]
    seed_rng: Option<u64>,
}

#[derive(Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Fidelity")]
pub(crate) struct FidelityArgs {
    /// Validation of requests [default: lenient]
    #[arg(long, value_parser = strictness())]
    strictness: Option<Strictness>,
    /// Status of a response to a request that succeeds [default: 201]
    #[arg(long, value_name = "STATUS", value_parser = success_status())]
    success_status: Option<SuccessStatus>,
    /// Imitate an undocumented behaviour of the live API; can be repeated
    #[arg(long = "quirk", value_name = "NAME", value_parser = quirk())]
    quirks: Vec<Quirk>,
    /// Delay of the quirk search-index-lag in milliseconds [default: 5000]
    #[arg(long, value_name = "N", value_parser = values::milliseconds)]
    search_lag_ms: Option<u32>,
    /// Accept requests that the live API refuses for this reason; can be repeated
    #[arg(long = "without-refusal", value_name = "NAME", hide_possible_values = true, value_parser = refusal())]
    without_refusals: Vec<Refusal>,
    /// Respond with 429 over the documented limits, 100 requests in 10 s and 200,000 in a day [default: only count]
    #[arg(long)]
    rate_limit: bool,
    /// The same, with a choice of the 10 s that count [default: sliding]
    #[arg(long, value_name = "WINDOW", value_parser = window())]
    rate_limit_window: Option<BurstWindow>,
}

#[derive(Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Access")]
pub(crate) struct AccessArgs {
    /// Let other machines connect, if the address is one that they can reach
    #[arg(long)]
    public: bool,
    #[arg(long, value_name = "TOKEN", allow_hyphen_values = true, help = ADMIN_TOKEN_HELP)]
    admin_token: Option<String>,
    /// File with the admin token in its first line
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// URL under which clients reach the sandbox, for example `https://sandbox.example` behind a proxy
    /// [default: the address]
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// URI to which the OAuth page may send a code; can be repeated [default: any URI of this machine]
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// With --public, deliver webhooks to this host even if it is this machine; can be repeated
    /// [default: no loopback and no link-local address]
    #[arg(long, value_name = "HOST[:PORT]")]
    webhook_allow: Vec<String>,
}

fn strictness() -> impl TypedValueParser<Value = Strictness> {
    choice([
        Choice {
            name: "lenient",
            help: "accept requests that the live API is known to accept",
            value: Strictness::Lenient,
        },
        Choice {
            name: "documented",
            help: "require everything that the documentation requires",
            value: Strictness::Documented,
        },
    ])
}

fn success_status() -> impl TypedValueParser<Value = SuccessStatus> {
    choice([
        Choice { name: "201", help: "as the live API", value: SuccessStatus::Created201 },
        Choice { name: "200", help: "as documented", value: SuccessStatus::Ok200 },
    ])
}

fn quirk() -> impl TypedValueParser<Value = Quirk> {
    choice(Quirk::ALL.map(|quirk| Choice { name: quirk.name(), help: quirk.description(), value: quirk }))
}

fn refusal() -> impl TypedValueParser<Value = Refusal> {
    choice(Refusal::all().map(|refusal| Choice {
        name: refusal.name(),
        help: refusal.condition(),
        value: refusal,
    }))
}

fn window() -> impl TypedValueParser<Value = BurstWindow> {
    choice([
        Choice { name: "sliding", help: "the last 10 s", value: BurstWindow::Sliding },
        Choice { name: "fixed", help: "10 s that start at fixed times", value: BurstWindow::Fixed },
    ])
}

impl ServeArgs {
    /// Returns `true` if the sandbox listens on another port than the default one, because that one is taken.
    pub(super) fn is_fallback(&self, address: SocketAddr) -> bool {
        self.address.is_none() && address != DEFAULT_ADDRESS
    }

    /// Returns a builder with these options. Reads the seed files and the file of the admin token.
    pub(super) fn builder(&self) -> io::Result<SandboxBuilder> {
        let mut builder = self.access.apply(self.fidelity.apply(self.data.apply(Sandbox::builder())?))?;
        builder = match self.address {
            Some(address) => builder.address(address),
            None => builder.address(DEFAULT_ADDRESS).or_free_port(),
        };
        // Other machines could use credentials that are publicly known.
        if !self.random_credentials && !self.access.public {
            builder = builder.test_credentials();
        }
        if let Some(url) = &self.webhook_url {
            builder = builder.webhook_url(url);
        }
        if let Some(token) = &self.token {
            builder = builder.token(token);
        }
        Ok(builder)
    }
}

impl DataArgs {
    fn apply(&self, mut builder: SandboxBuilder) -> io::Result<SandboxBuilder> {
        for path in &self.seeds {
            let named =
                |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            builder = builder
                .seed(fs::read_to_string(path).and_then(|text| Snapshot::parse(&text)).map_err(named)?);
        }
        if let Some(path) = &self.state_file {
            builder = builder.state_file(path);
        }
        if let Some(messages) = self.keep_messages {
            builder = builder.keep_messages(messages);
        }
        if let Some(bytes) = self.keep_bytes {
            builder = builder.keep_bytes(bytes);
        }
        if let Some(requests) = self.keep_requests {
            builder = builder.keep_requests(requests);
        }
        if let Some(seed) = self.seed_rng {
            builder = builder.seed_rng(seed);
        }
        Ok(builder)
    }
}

impl FidelityArgs {
    /// Returns the window of the documented limits if they are enforced.
    pub(super) fn enforced_window(&self) -> Option<BurstWindow> {
        self.rate_limit_window.or(self.rate_limit.then_some(BurstWindow::default()))
    }

    fn apply(&self, mut builder: SandboxBuilder) -> SandboxBuilder {
        if let Some(strictness) = self.strictness {
            builder = builder.strictness(strictness);
        }
        if let Some(status) = self.success_status {
            builder = builder.success_status(status);
        }
        if let Some(window) = self.enforced_window() {
            builder = builder.rate_limit(RateLimit::documented().window(window));
        }
        if let Some(milliseconds) = self.search_lag_ms {
            builder = builder.search_lag(Duration::from_millis(milliseconds.into()));
        }
        builder = self.quirks.iter().fold(builder, |builder, quirk| builder.quirk(*quirk));
        self.without_refusals.iter().fold(builder, |builder, refusal| builder.without_refusal(*refusal))
    }
}

impl AccessArgs {
    fn apply(&self, builder: SandboxBuilder) -> io::Result<SandboxBuilder> {
        let mut builder = builder.public(self.public);
        if let Some(token) = self.admin_token()? {
            builder = builder.admin_token(token);
        }
        if let Some(url) = &self.base_url {
            builder = builder.base_url(url);
        }
        builder = self.redirect_uris.iter().fold(builder, SandboxBuilder::redirect_uri);
        builder = self.webhook_allow.iter().fold(builder, SandboxBuilder::webhook_allow);
        Ok(builder)
    }

    /// Returns the admin token of the command line, the file, or the environment, in this order of precedence.
    fn admin_token(&self) -> io::Result<Option<String>> {
        if self.admin_token.is_some() {
            return Ok(self.admin_token.clone());
        }
        let Some(path) = &self.admin_token_file else {
            return Ok(std::env::var(ADMIN_TOKEN).ok().filter(|token| !token.is_empty()));
        };
        let named = |error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("the admin token cannot be read from {}: {error}", path.display()),
            )
        };
        let content = fs::read_to_string(path).map_err(named)?;
        match content.lines().next().map(str::trim).filter(|token| !token.is_empty()) {
            Some(token) => Ok(Some(token.to_owned())),
            None => Err(named(io::Error::new(io::ErrorKind::InvalidData, "its first line is empty"))),
        }
    }
}

#[cfg(test)]
mod tests;
