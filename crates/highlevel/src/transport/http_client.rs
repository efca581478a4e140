//! Builds the HTTP client of a pool.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use reqwest::redirect::Policy;

use super::connect::ConnectLayer;
use super::origin::Origin;
use super::settings::{Configure, TransportSettings};
use super::tls::TlsSettings;
use crate::{Error, Result};

/// Longer than any attempt takes: overrides the timeouts of reqwest, which this crate does not use.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The silence after which an HTTP/2 connection with requests in progress is tested with a PING.
#[cfg(feature = "http2")]
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(10);

/// The time in which the server has to acknowledge a PING. Together with the interval it is less than an attempt takes.
#[cfg(feature = "http2")]
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Builds the HTTP client for an origin. What the promises of this crate rest on is set last, so that the caller's
/// configuration cannot change it.
pub(super) fn build(
    origin: &Origin,
    settings: &TransportSettings,
    tls: &TlsSettings,
    configure: Option<&Configure>,
) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder();
    if origin.is_loopback {
        builder = builder.no_proxy();
    }
    let http2 = cfg!(feature = "http2") && origin.is_https && !settings.http1_only;
    builder = tls.apply(builder, origin.is_https, configure.is_some(), http2)?;
    if let Some(configure) = configure {
        // The timer of an attempt is this crate's: another one would cut off responses that have arrived.
        builder = configure(builder).timeout(NEVER).read_timeout(NEVER);
    }
    builder = builder
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(settings.connect)
        .pool_idle_timeout(settings.idle)
        .pool_max_idle_per_host(usize::MAX)
        // It would log the token.
        .connection_verbose(false)
        .connector_layer(ConnectLayer::new(settings.max_connections, settings.connect));
    // Without TLS, HTTP/2 would need prior knowledge of the server.
    if !http2 {
        builder = builder.http1_only();
    }
    #[cfg(feature = "http2")]
    if http2 {
        // A timeout ends one request, not the connection below it: a dead one would take all later requests as well.
        builder = builder
            .http2_keep_alive_interval(HTTP2_PING_INTERVAL)
            .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT)
            .http2_keep_alive_while_idle(false);
    }
    // reqwest panics if it is to configure rustls and the process has no provider of cryptography.
    let built = catch_unwind(AssertUnwindSafe(|| builder.build()));
    let http = built
        .map_err(|_| {
            Error::configuration(
                "reqwest cannot set up TLS: install a default provider of rustls, or leave out `tls_backend_rustls()`",
            )
        })?
        .map_err(|error| {
            Error::configuration("the HTTP client cannot be set up; see the source of this error").with_source(error)
        })?;
    if configure.is_some() {
        check_default_headers(&http)?;
    }
    Ok(http)
}

/// Rejects default headers that would change how a request is framed. reqwest adds them after this crate has built the
/// request, and shows them in its debug output only.
fn check_default_headers(http: &reqwest::Client) -> Result<()> {
    let shown = format!("{http:?}").to_ascii_lowercase();
    for name in ["content-length", "transfer-encoding"] {
        if shown.contains(&format!("\"{name}\":")) {
            return Err(Error::configuration(format!(
                "the HTTP client has the default header `{name}`, which would cut or join requests: leave it out"
            )));
        }
    }
    Ok(())
}
