//! The servers that requests are sent to.

use std::sync::Arc;

use reqwest::Url;

/// A server that requests are sent to: scheme, host and port.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(super) name: Arc<str>,
    /// The host and the port, for spans and metrics.
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
    pub(super) is_https: bool,
    pub(super) is_loopback: bool,
}

impl Origin {
    pub(crate) fn of(url: &Url) -> Self {
        Self {
            name: url.origin().ascii_serialization().into(),
            host: url.host_str().unwrap_or_default().into(),
            port: url.port_or_known_default().unwrap_or_default(),
            is_https: url.scheme() == "https",
            is_loopback: is_loopback(url),
        }
    }
}

/// Returns `true` if a URL leads to this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
