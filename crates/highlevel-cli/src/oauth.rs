//! `oauth`: installs an app in the browser, and lists the stored tokens.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use clap::{Args, Subcommand};
use highlevel::auth::store::{Key, Resource, TokenStore};
use highlevel::auth::{App, CsrfState, Scope, TokenSet};
use highlevel::{SecretString, Timestamp};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::access::ApiAccessArgs;
use crate::exit::ExitReason;
use crate::failure::CommandError;
use crate::interrupt::Interrupts;
use crate::output::{self, Printer};
use crate::server::{LocalServer, response};
use crate::text::rows;
use crate::values;

/// The scopes of all commands of this program.
const SCOPES: [Scope; 6] = [
    Scope::CONVERSATIONS_MESSAGE_WRITE,
    Scope::CONVERSATIONS_MESSAGE_READONLY,
    Scope::CONVERSATIONS_WRITE,
    Scope::CONVERSATIONS_READONLY,
    Scope::CONTACTS_WRITE,
    Scope::CONTACTS_READONLY,
];

/// The longest time to wait until the browser has received the last page.
const DRAIN: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct OAuthArgs {
    #[command(subcommand)]
    command: OAuthCommand,
}

#[derive(Debug, Subcommand)]
enum OAuthCommand {
    /// Install an app in the browser, and store its tokens
    ///
    /// The redirect URI has to be one of those in the settings of the app. With --location, tokens of a company are used to
    /// obtain those of the location.
    Login(LoginArgs),
    /// List the stored tokens, without their values
    Status,
}

#[derive(Debug, Args)]
struct LoginArgs {
    /// URL to which HighLevel redirects the browser
    #[arg(long, value_name = "URL", env = "HIGHLEVEL_REDIRECT_URI", hide_env_values = true)]
    #[arg(default_value = "http://localhost:8700/installed")]
    redirect_uri: Uri,
    /// Address on which the redirect arrives [default: the port of the redirect URI on 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Scope to request; can be repeated [default: those for all commands of this program]
    #[arg(long = "scope", value_name = "SCOPE", value_parser = values::filled)]
    scopes: Vec<String>,
    /// Version of the app to install, which private apps need
    #[arg(long, value_name = "ID", value_parser = values::filled)]
    version_id: Option<String>,
    /// Use the host of HighLevel that does not show its name
    #[arg(long)]
    white_label: bool,
    /// Print the URL without opening a browser
    #[arg(long)]
    no_browser: bool,
    /// Time to wait for the redirect
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds, default_value = "600")]
    wait: Duration,
}

impl OAuthArgs {
    pub(crate) async fn run(self, access: &ApiAccessArgs, printer: Printer) -> Result<(), CommandError> {
        match self.command {
            OAuthCommand::Login(args) => args.run(access, printer).await,
            OAuthCommand::Status => status(access, printer).await,
        }
    }
}

/// A request to the redirect URI.
struct BrowserReturn {
    code: Option<SecretString>,
    state: String,
    /// The error that HighLevel reports instead of a code.
    error: Option<String>,
    page: oneshot::Sender<(StatusCode, String)>,
}

impl LoginArgs {
    async fn run(self, access: &ApiAccessArgs, printer: Printer) -> Result<(), CommandError> {
        let listen = self.listen_address()?;
        let (builder, _) = access.app_builder()?;
        let app = builder.redirect_uri(self.redirect_uri.to_string()).build()?;
        let state = CsrfState::random()?;
        let mut url = app.authorize_url().state(state.as_str());
        url = if self.scopes.is_empty() { url.scopes(SCOPES) } else { url.scopes(self.scopes.clone()) };
        if let Some(version) = &self.version_id {
            url = url.version_id(version);
        }
        if self.white_label {
            url = url.white_label();
        }
        let url = url.build()?;
        let mut interrupts = Interrupts::new()?;
        let mut server = LocalServer::bind(listen).await?;
        printer.result(
            || json!({ "event": "authorize", "url": url }),
            || format!("open this URL in a browser, and choose a location:\n\n{url}\n"),
        )?;
        if !self.no_browser && !open_browser(&url) {
            output::complain("note: no browser could be opened; open the URL above");
        }
        let (sender, mut returns) = mpsc::channel(1);
        let path: Arc<str> = self.redirect_uri.path().into();
        let handle = move |request| redirected(request, Arc::clone(&path), sender.clone());
        let result = tokio::select! {
            never = server.serve(handle) => match never {},
            result = install(&app, &state, &mut returns) => result,
            () = tokio::time::sleep(self.wait) => Err(CommandError::new(
                ExitReason::Failure,
                format!("no browser has returned within {} s", self.wait.as_secs()),
            )
            .with_help("run the command again, and check that the redirect URI is in the settings of the app")),
            () = interrupts.next() => {
                Err(CommandError::new(ExitReason::Failure, "the command was interrupted before the installation"))
            }
        };
        server.drain(DRAIN).await;
        let result = match result {
            Ok(tokens) => of_location(&app, tokens, access).await,
            Err(error) => Err(error),
        };
        app.flush().await;
        let tokens = result?;
        let directory = access.store_directory()?.display().to_string();
        let json = || {
            let mut json = describe(&tokens);
            json["outcome"] = json!("installed");
            json["exitCode"] = json!(0);
            json["tokenStore"] = json!(directory);
            json
        };
        let text = || {
            let mut facts = facts(&tokens);
            facts.push(("stored in", directory.clone()));
            format!("the app is installed\n{}", rows(facts))
        };
        Ok(printer.result(json, text)?)
    }

    /// Returns the address that the browser of this machine reaches by the redirect URI.
    fn listen_address(&self) -> Result<SocketAddr, CommandError> {
        if let Some(address) = self.listen {
            return Ok(address);
        }
        let host = self.redirect_uri.host().unwrap_or_default();
        let host = if host == "localhost" { "127.0.0.1" } else { host };
        let is_http = self.redirect_uri.scheme_str() == Some("http");
        let address = format!("{host}:{}", self.redirect_uri.port_u16().unwrap_or(80)).parse::<SocketAddr>();
        address.ok().filter(|address| is_http && address.ip().is_loopback()).ok_or_else(|| {
            CommandError::usage(
                format!("the redirect URI {} does not lead to this machine", self.redirect_uri),
                "pass --listen ADDRESS with the address that your proxy or tunnel forwards it to, for example 127.0.0.1:8700",
            )
        })
    }
}

/// Reads the query of the redirect, and returns the page for the browser.
async fn redirected(
    request: Request<Incoming>,
    path: Arc<str>,
    returns: mpsc::Sender<BrowserReturn>,
) -> Response<Full<Bytes>> {
    if request.method() != Method::GET || request.uri().path() != &*path {
        return response(StatusCode::NOT_FOUND, "not found\n");
    }
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let value = |name: &str| {
        let found = form_urlencoded::parse(query).find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
    };
    let (page, shown) = oneshot::channel();
    let error = value("error_description").or_else(|| value("error"));
    let state = value("state").unwrap_or_default();
    let returned = BrowserReturn { code: value("code").map(Into::into), state, error, page };
    if returns.send(returned).await.is_err() {
        return response(StatusCode::GONE, "the command has ended\n");
    }
    match shown.await {
        Ok((status, text)) => response(status, text),
        Err(_) => response(StatusCode::GONE, "the command has ended\n"),
    }
}

/// Waits for the redirect of this installation, and exchanges its code.
async fn install(
    app: &App,
    state: &CsrfState,
    returns: &mut mpsc::Receiver<BrowserReturn>,
) -> Result<TokenSet, CommandError> {
    while let Some(BrowserReturn { code, state: received, error, page }) = returns.recv().await {
        let show = |status, text: &str| drop(page.send((status, format!("{text}\n"))));
        if !state.matches(&received) {
            // Any web page can send a browser here.
            show(
                StatusCode::FORBIDDEN,
                "This installation was not started by the command that waits for it.",
            );
            continue;
        }
        let Some(code) = code else {
            let reason = error.unwrap_or_else(|| "the redirect has no code".to_owned());
            show(StatusCode::BAD_REQUEST, "The app was not installed. You can close this window.");
            return Err(CommandError::new(
                ExitReason::Rejected,
                format!("the app was not installed: {reason}"),
            )
            .with_help("run the command again, and choose a location in the browser"));
        };
        return match app.exchange(code).await {
            Ok(tokens) => {
                show(StatusCode::OK, "The app is installed. You can close this window.");
                Ok(tokens)
            }
            Err(error) => {
                show(StatusCode::BAD_GATEWAY, "The app was not installed. The command shows the reason.");
                let failure = CommandError::of(&error);
                Err(failure.with_help(
                    "check the client id, the client secret and the redirect URI; then run the command again",
                ))
            }
        };
    }
    Err(CommandError::new(ExitReason::Failure, "the server for the redirect has ended"))
}

/// Obtains the tokens of the location of the options, if the app was installed on its company.
async fn of_location(app: &App, tokens: TokenSet, access: &ApiAccessArgs) -> Result<TokenSet, CommandError> {
    match (&tokens.location_id, &tokens.company_id, access.location()) {
        (None, Some(company), Some(location)) => Ok(app.location_token(company, location).await?),
        _ => Ok(tokens),
    }
}

async fn status(access: &ApiAccessArgs, printer: Printer) -> Result<(), CommandError> {
    let client_id = access.required_client_id()?;
    let store = access.store()?;
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        CommandError::new(ExitReason::Failure, format!("the stored tokens cannot be read: {error}"))
    };
    let mut resources = store.resources(client_id).await.map_err(failed)?;
    resources.sort();
    for resource in &resources {
        let found = store.get(&Key::new(client_id, resource.clone())).await.map_err(failed)?;
        // Another process may have removed them.
        let Some(stored) = found else { continue };
        let label = match resource {
            Resource::Company(_) => "company",
            _ => "location",
        };
        let text = || format!("{label} {}\n{}", resource.id(), rows(facts(&stored.tokens)));
        printer.result(|| describe(&stored.tokens), text)?;
    }
    if resources.is_empty() {
        let directory = access.store_directory()?;
        let message = format!("there are no tokens of the app {client_id} in {}", directory.display());
        return Err(CommandError::new(ExitReason::NotFound, message).with_help("run `highlevel oauth login`"));
    }
    Ok(())
}

/// Returns the properties of tokens, without the tokens.
fn describe(tokens: &TokenSet) -> serde_json::Value {
    json!({
        "locationId": tokens.location_id,
        "companyId": tokens.company_id,
        "userId": tokens.user_id,
        "scopes": tokens.scopes,
        "expiresAt": Timestamp::from(tokens.expires_at).as_str(),
        "isExpired": tokens.expires_at <= SystemTime::now(),
        "hasRefreshToken": tokens.refresh_token.is_some(),
        "installedAt": Timestamp::from(tokens.installed_at).as_str(),
    })
}

fn facts(tokens: &TokenSet) -> Vec<(&'static str, String)> {
    let expiry = Timestamp::from(tokens.expires_at);
    let is_expired = tokens.expires_at <= SystemTime::now();
    let access = match (is_expired, tokens.refresh_token.is_some()) {
        (false, true) => format!("valid until {expiry}, refreshed automatically"),
        (false, false) => format!("valid until {expiry}, cannot be refreshed"),
        (true, true) => format!("expired at {expiry}, refreshed by the next command"),
        (true, false) => format!("expired at {expiry}; run `highlevel oauth login` again"),
    };
    let facts = [
        ("location", tokens.location_id.as_ref().map(ToString::to_string)),
        ("company", tokens.company_id.as_ref().map(ToString::to_string)),
        ("scopes", Some(tokens.scopes.join(", "))),
        ("installed", Some(Timestamp::from(tokens.installed_at).to_string())),
        ("access token", Some(access)),
    ];
    facts
        .into_iter()
        .filter_map(|(label, value)| Some((label, value.filter(|value| !value.is_empty())?)))
        .collect()
}

/// Opens the default browser. Returns `false` if it cannot be started.
fn open_browser(url: &str) -> bool {
    let (program, arguments): (_, &[&str]) = if cfg!(windows) {
        // `start` would interpret the `&` of the URL.
        ("rundll32", &["url.dll,FileProtocolHandler"])
    } else if cfg!(target_os = "macos") {
        ("open", &[])
    } else {
        ("xdg-open", &[])
    };
    let mut command = Command::new(program);
    command.args(arguments).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // The browser needs no secret.
    command.env_remove("HIGHLEVEL_TOKEN").env_remove("HIGHLEVEL_CLIENT_SECRET");
    command.spawn().is_ok()
}
