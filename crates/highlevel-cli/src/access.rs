//! Access to the API: the options and environment variables with the base URL, the location and the credentials.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use clap::Args;
use highlevel::auth::store::{FileStore, Resource, TokenStore};
use highlevel::auth::{App, AppBuilder};
use highlevel::{Client, SecretString};
use http::Uri;

use crate::exit::ExitReason;
use crate::failure::CommandError;
use crate::values;

/// The environment variables with secrets. No option has their values, because other users of a machine can read its command
/// lines.
const TOKEN: &str = "HIGHLEVEL_TOKEN";
const CLIENT_SECRET: &str = "HIGHLEVEL_CLIENT_SECRET";

/// The base URL of the live API.
const LIVE: &str = "https://services.leadconnectorhq.com";

/// The time for a whole call by default.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest time to wait at the end for refreshed tokens to be stored.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);

/// No token or secret is longer, in bytes. A larger file is another one.
const MAX_SECRET: u64 = 64 * 1024;

/// The options with which the API is accessed. An empty environment variable counts as unset.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ApiAccessArgs {
    /// Base URL of the API [default: that of the live API]
    #[arg(long, global = true, value_name = "URL", env = "HIGHLEVEL_BASE_URL", hide_env_values = true)]
    base_url: Option<String>,
    /// Location (sub-account) that the credentials belong to
    #[arg(long, global = true, value_name = "ID", env = "HIGHLEVEL_LOCATION_ID", hide_env_values = true)]
    location: Option<String>,
    /// File that contains the token; without it, the token is that of the environment variable `HIGHLEVEL_TOKEN`
    #[arg(long, global = true, value_name = "FILE", env = "HIGHLEVEL_TOKEN_FILE", hide_env_values = true)]
    token_file: Option<OsString>,
    /// Client id of an app, whose stored tokens are used if there is no token
    #[arg(long, global = true, value_name = "ID", env = "HIGHLEVEL_CLIENT_ID", hide_env_values = true)]
    client_id: Option<String>,
    /// File that contains the client secret; without it, the secret is that of `HIGHLEVEL_CLIENT_SECRET`
    #[arg(long, global = true, value_name = "FILE")]
    #[arg(env = "HIGHLEVEL_CLIENT_SECRET_FILE", hide_env_values = true)]
    client_secret_file: Option<OsString>,
    /// Directory with the tokens of apps [default: highlevel/tokens in the data directory of the user]
    #[arg(
        long,
        global = true,
        value_name = "DIRECTORY",
        env = "HIGHLEVEL_TOKEN_STORE",
        hide_env_values = true
    )]
    token_store: Option<OsString>,
    /// Time for a whole request, retries and waiting for rate limits included [default: 60]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = values::seconds)]
    timeout: Option<Duration>,
    /// Send the token unencrypted if the base URL is that of another machine and starts with http://
    #[arg(long, global = true)]
    allow_plain_http: bool,
    /// The app whose tokens the command uses.
    #[arg(skip)]
    opened: OnceLock<App>,
}

/// A client of the API, and the app whose tokens it uses.
pub(crate) struct ApiAccess {
    pub(crate) client: Client,
    pub(crate) app: Option<App>,
}

impl ApiAccessArgs {
    /// Returns access to the API. The location is that of the options, or `location`.
    pub(crate) async fn open(&self, location: Option<&str>) -> Result<ApiAccess, CommandError> {
        let base_url = self.base_url()?;
        let location = self.location().or(location);
        let timeout = self.timeout.unwrap_or(CALL_TIMEOUT);
        if let Some(token) = self.token()? {
            let mut builder = Client::builder()
                .token(token)
                .base_url(base_url)
                .user_agent(USER_AGENT)
                .call_timeout(timeout)
                .attempt_timeout(timeout);
            if let Some(location) = location {
                builder = builder.location(location);
            }
            if self.allow_plain_http {
                builder = builder.allow_plain_http();
            }
            return Ok(ApiAccess { client: builder.build()?, app: None });
        }
        if self.client_id().is_none() {
            return Err(CommandError::usage(
                "there are no credentials: neither a token nor an app is configured",
                "set HIGHLEVEL_TOKEN to a private integration token of the location, pass --token-file FILE, or install \
                 an app with `highlevel oauth login`",
            ));
        }
        let (builder, store) = self.app_builder()?;
        let app = builder.build()?;
        let app = self.opened.get_or_init(|| app).clone();
        let location = match location {
            Some(location) => location.to_owned(),
            None => self.only_location(&store).await?,
        };
        Ok(ApiAccess { client: app.location(location), app: Some(app) })
    }

    /// Waits until refreshed tokens are stored, whatever the result of the command is. No other copy of them exists.
    pub(crate) async fn flush(&self) {
        if let Some(app) = self.opened.get() {
            let _timed_out = tokio::time::timeout(FLUSH_TIMEOUT, app.flush()).await;
        }
    }

    /// Returns access to the API for a command that has to name the location.
    pub(crate) async fn open_with_location(&self) -> Result<ApiAccess, CommandError> {
        let access = self.open(None).await?;
        if access.client.location_id().is_none() {
            return Err(CommandError::usage(
                "the location is not known, and this command has to name it",
                "pass --location ID, or set HIGHLEVEL_LOCATION_ID; the id is in the URL of the location in HighLevel, after \
                 /location/",
            ));
        }
        Ok(access)
    }

    /// Returns a builder of the app with the client id and the client secret, and its store.
    pub(crate) fn app_builder(&self) -> Result<(AppBuilder, FileStore), CommandError> {
        let client_id = self.required_client_id()?;
        let secret = match filled(self.client_secret_file.as_ref()) {
            Some(path) => Some(read_secret(path, "client secret")?),
            None => variable(CLIENT_SECRET)?,
        };
        let secret = secret.ok_or_else(|| {
            CommandError::usage(
                "the client secret of the app is not known",
                "set HIGHLEVEL_CLIENT_SECRET, or pass --client-secret-file FILE; the secret is in the settings of the app in \
                 the marketplace",
            )
        })?;
        let store = self.store()?;
        let timeout = self.timeout.unwrap_or(CALL_TIMEOUT);
        let mut builder = App::builder()
            .client_id(client_id)
            .client_secret(secret)
            .store(store.clone())
            .base_url(self.base_url()?)
            .user_agent(USER_AGENT)
            .call_timeout(timeout)
            .attempt_timeout(timeout);
        if self.allow_plain_http {
            builder = builder.allow_plain_http();
        }
        Ok((builder, store))
    }

    /// Returns the client id of the app.
    pub(crate) fn required_client_id(&self) -> Result<&str, CommandError> {
        self.client_id().ok_or_else(|| {
            CommandError::usage(
                "the client id of the app is not known",
                "pass --client-id ID, or set HIGHLEVEL_CLIENT_ID; the id is in the settings of the app in the marketplace",
            )
        })
    }

    /// Opens the store of the tokens of apps.
    pub(crate) fn store(&self) -> Result<FileStore, CommandError> {
        let directory = self.store_directory()?;
        FileStore::open(&directory).map_err(|error| {
            let failure = CommandError::new(ExitReason::Failure, error.to_string());
            failure.with_help("pass --token-store DIRECTORY for another one, or set HIGHLEVEL_TOKEN_STORE")
        })
    }

    /// Returns the directory with the tokens of apps.
    pub(crate) fn store_directory(&self) -> Result<PathBuf, CommandError> {
        if let Some(directory) = filled(self.token_store.as_ref()) {
            return Ok(directory.to_owned());
        }
        let from_home = |home: &str, path: &str| {
            std::env::var_os(home).filter(|home| !home.is_empty()).map(|home| PathBuf::from(home).join(path))
        };
        let found = if cfg!(windows) {
            from_home("LOCALAPPDATA", "highlevel/tokens")
        } else {
            from_home("XDG_DATA_HOME", "highlevel/tokens")
                .or_else(|| from_home("HOME", ".local/share/highlevel/tokens"))
        };
        found.ok_or_else(|| {
            CommandError::usage(
                "the user has no data directory for the tokens of apps",
                "pass --token-store DIRECTORY, or set HIGHLEVEL_TOKEN_STORE",
            )
        })
    }

    /// Returns the location of the options.
    pub(crate) fn location(&self) -> Option<&str> {
        self.location.as_deref().filter(|location| !location.is_empty())
    }

    /// Returns the base URL of the options, or that of the live API.
    pub(crate) fn base_url(&self) -> Result<String, CommandError> {
        let base_url = self.base_url.as_deref().filter(|url| !url.is_empty()).unwrap_or(LIVE);
        if !self.allow_plain_http && is_plain_and_remote(base_url) {
            return Err(CommandError::usage(
                "the base URL would send the token unencrypted to another machine",
                "use https://, or pass --allow-plain-http if you trust the network between",
            ));
        }
        Ok(base_url.to_owned())
    }

    /// Returns the token of the location, if there is one.
    pub(crate) fn token(&self) -> Result<Option<SecretString>, CommandError> {
        match filled(self.token_file.as_ref()) {
            Some(path) => read_secret(path, "token").map(Some),
            None => variable(TOKEN),
        }
    }

    fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref().filter(|id| !id.is_empty())
    }

    /// Returns the only location that the app has tokens for.
    async fn only_location(&self, store: &FileStore) -> Result<String, CommandError> {
        let client_id = self.required_client_id()?;
        let resources = store.resources(client_id).await.map_err(|error| {
            CommandError::new(ExitReason::Failure, format!("the stored tokens cannot be listed: {error}"))
        })?;
        let locations = resources.iter().filter(|resource| matches!(resource, Resource::Location(_)));
        let locations: Vec<&str> = locations.map(Resource::id).collect();
        match locations[..] {
            [location] => Ok(location.to_owned()),
            [] => Err(CommandError::new(ExitReason::NotSent, "the app is not installed on a location")
                .with_help("run `highlevel oauth login`, so that an owner installs it")),
            _ => Err(CommandError::usage(
                format!("the app is installed on {} locations: {}", locations.len(), locations.join(", ")),
                "choose one with --location ID, or set HIGHLEVEL_LOCATION_ID",
            )),
        }
    }
}

const USER_AGENT: &str = concat!("highlevel-cli/", env!("CARGO_PKG_VERSION"));

/// Returns `true` if a base URL is unencrypted and that of another machine. Other problems are reported by the client.
fn is_plain_and_remote(base_url: &str) -> bool {
    let Ok(url) = base_url.parse::<Uri>() else { return false };
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    url.scheme_str() == Some("http") && !is_local
}

/// Returns the path in an option or its environment variable. clap rejects empty paths, so the options have no paths.
fn filled(path: Option<&OsString>) -> Option<&Path> {
    path.filter(|path| !path.is_empty()).map(Path::new)
}

/// Returns the secret in an environment variable.
fn variable(name: &str) -> Result<Option<SecretString>, CommandError> {
    match std::env::var_os(name).filter(|value| !value.is_empty()).map(OsString::into_string) {
        None => Ok(None),
        Some(Ok(secret)) => Ok(Some(secret.into())),
        Some(Err(_)) => Err(CommandError::usage(
            format!("the environment variable {name} is not Unicode text"),
            "copy the value again",
        )),
    }
}

/// Reads a secret from a file, without the line break at its end.
fn read_secret(path: &Path, name: &str) -> Result<SecretString, CommandError> {
    let place = path.display();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_SECRET + 1).read_to_string(&mut text));
    read.map_err(|error| {
        CommandError::usage(
            format!("the {name} cannot be read from {place}: {error}"),
            "check the path and the permissions of the file",
        )
    })?;
    if text.len() as u64 > MAX_SECRET {
        let message = format!("the file {place} is longer than {MAX_SECRET} bytes, so it is not a {name}");
        return Err(CommandError::usage(message, "pass the file that contains nothing else"));
    }
    let secret =
        text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if secret.trim().is_empty() {
        return Err(CommandError::usage(
            format!("the file {place} contains no {name}"),
            "write it into the file, without quotation marks",
        ));
    }
    Ok(secret.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine() {
        for (url, expected) in [
            ("http://127.0.0.1:8080", false),
            ("http://localhost", false),
            ("http://[::1]:1/path", false),
            ("https://sandbox.example.com", false),
            ("http://sandbox.example.com", true),
            ("http://10.0.0.1:80", true),
            ("http://localhost.example.com", true),
            ("not a URL", false),
        ] {
            assert_eq!(is_plain_and_remote(url), expected, "{url}");
        }
    }
}
