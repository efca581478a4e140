//! The HTTP client below: timeouts, TLS, proxies.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Url};

use crate::classify::Fault;
use crate::{Error, Result};

/// How long the parts of a call may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) attempt: Duration,
    pub(crate) idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            attempt: Duration::from_secs(30),
            // Below the 60 s after which common load balancers close a connection: the race is lost by them.
            idle: Duration::from_secs(50),
        }
    }
}

/// Builds the HTTP client for a base URL.
pub(crate) fn build(base_url: &Url, timeouts: Timeouts) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(timeouts.connect)
        .pool_idle_timeout(timeouts.idle)
        .redirect(Policy::none())
        .retry(reqwest::retry::never());
    if is_loopback(base_url) {
        builder = builder.no_proxy();
    }
    tls(builder, base_url)?.build().map_err(|error| {
        Error::configuration("the HTTP client cannot be set up; see the source of this error")
            .with_source(error)
    })
}

/// Whether a URL leads to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(feature = "native-tls")]
#[allow(clippy::unnecessary_wraps, reason = "the other implementations of TLS can fail here")]
fn tls(builder: ClientBuilder, _: &Url) -> Result<ClientBuilder> {
    Ok(builder.tls_backend_native())
}

#[cfg(all(feature = "__rustls", not(feature = "native-tls")))]
fn tls(builder: ClientBuilder, base_url: &Url) -> Result<ClientBuilder> {
    use std::sync::Arc;

    use rustls::{ClientConfig, RootCertStore};
    use rustls_platform_verifier::BuilderVerifierExt;

    #[cfg(feature = "aws-lc")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc"))]
    let provider = rustls::crypto::ring::default_provider();

    // Handed over rather than installed: what TLS the process uses elsewhere is not for a library to decide.
    let fault = |error: rustls::Error| {
        Error::configuration("TLS cannot be set up: are the root certificates of the system installed (on Debian and Alpine the package ca-certificates)?")
            .with_source(error)
    };
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(fault)?;
    let config = if base_url.scheme() == "https" {
        config.with_platform_verifier().map_err(fault)?
    } else {
        // No TLS will be spoken, redirects included: the certificates of the system need not even exist.
        config.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.tls_backend_preconfigured(config.with_no_client_auth()))
}

#[cfg(not(any(feature = "__rustls", feature = "native-tls")))]
fn tls(builder: ClientBuilder, base_url: &Url) -> Result<ClientBuilder> {
    if base_url.scheme() == "https" {
        return Err(Error::configuration(
            "no TLS was compiled in: turn on one of the features rustls-ring, aws-lc or native-tls of the crate \
             highlevel, or hand over a reqwest::Client of your own",
        ));
    }
    Ok(builder)
}

/// `cargo test -p highlevel --no-default-features --lib`
#[cfg(all(test, not(any(feature = "__rustls", feature = "native-tls"))))]
mod tests {
    #[test]
    fn without_tls_only_this_machine_is_spoken_to() {
        let builder = |url: &str| crate::Client::builder().token("pit-1").base_url(url);
        let error = builder("https://services.leadconnectorhq.com").build().expect_err("no TLS");
        assert_eq!(
            error.to_string(),
            "build: no TLS was compiled in: turn on one of the features rustls-ring, aws-lc or native-tls of the crate \
             highlevel, or hand over a reqwest::Client of your own"
        );
        builder("http://127.0.0.1:8080").build().expect("plain HTTP on this machine");
        let own = builder("https://services.leadconnectorhq.com").http_client(reqwest::Client::new());
        own.build().expect("a client that sees to TLS itself");
    }
}

/// What the transport says went wrong.
pub(crate) fn fault(error: &reqwest::Error) -> Fault {
    if is_about_a_certificate(error) {
        Fault::Certificate
    } else if error.is_connect() {
        Fault::Connect
    } else if error.is_timeout() {
        Fault::Timeout
    } else {
        Fault::Broken
    }
}

/// Whether the other side showed a certificate that was not accepted: expired, for another name, or of an unknown
/// authority. With the TLS of the operating system this is not told apart from other faults of connecting.
fn is_about_a_certificate(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        #[cfg(feature = "__rustls")]
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref::<rustls::Error>() {
            return true;
        }
        // An I/O error hides what it wraps from `source`.
        cause = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}
