//! Validates the configuration, and derives the hosts, webhook targets and listener from it.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};

use http::Uri;

use crate::access::Hosts;
use crate::rate_limit::RateLimit;
use crate::webhook::Targets;

/// Returns the host names under which a sandbox at this address is served.
pub(super) fn hosts(address: SocketAddr, base_url: Option<String>) -> Hosts {
    if address.ip().is_loopback() { Hosts::loopback().with(base_url) } else { Hosts::public(base_url) }
}

/// Returns the targets to which a sandbox at this address delivers webhooks.
pub(super) fn targets(address: SocketAddr, allowed: &[String], webhook_url: Option<&Uri>) -> Targets {
    if address.ip().is_loopback() {
        return Targets::unrestricted();
    }
    let own = webhook_url.and_then(Uri::authority).map(http::uri::Authority::as_str);
    Targets::public(allowed.iter().map(String::as_str).chain(own))
}

/// Returns the origin of a base URL: scheme, host and port.
pub(super) fn checked_base_url(text: &str) -> io::Result<String> {
    let url = text.trim_end_matches('/');
    let parsed = url.parse::<Uri>().ok().filter(|parsed| {
        matches!(parsed.scheme_str(), Some("http" | "https"))
            && parsed.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && matches!(parsed.path(), "" | "/")
            && parsed.query().is_none()
    });
    if parsed.is_some() {
        return Ok(url.to_owned());
    }
    let message = format!(
        "the base URL `{}` is not one; use scheme, host and port, like https://sandbox.example:8443",
        text.escape_debug()
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

pub(super) fn checked_rate_limit(limit: RateLimit) -> io::Result<RateLimit> {
    limit.checked().map_err(|words| io::Error::new(io::ErrorKind::InvalidInput, words))
}

/// The minimum length of the admin token of a public sandbox.
const MIN_ADMIN_TOKEN: usize = 16;

/// Rejects addresses that other machines can reach, unless the sandbox is public and has an admin token.
pub(super) fn checked_exposure(
    address: SocketAddr,
    public: bool,
    admin_token: Option<&str>,
) -> io::Result<()> {
    let port = address.port();
    let message = match admin_token {
        _ if !public => format!(
            "{address} is not a loopback address, and the sandbox is for this machine only; use 127.0.0.1:{port}, or \
             allow other machines to reach it: --public with an admin token"
        ),
        None => format!(
            "other machines can reach {address}, and the admin API can do everything; set an admin token with \
             HIGHLEVEL_SANDBOX_ADMIN_TOKEN or --admin-token-file, or use 127.0.0.1:{port}"
        ),
        Some(token) if token.len() < MIN_ADMIN_TOKEN => format!(
            "the admin token has {} characters, and other machines can try all tokens of that length; use at least \
             {MIN_ADMIN_TOKEN}, for example from `openssl rand -hex 16`",
            token.len()
        ),
        Some(_) => return Ok(()),
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// The maximum number of connections that wait to be accepted. The operating system may allow fewer.
#[cfg(unix)]
const BACKLOG: i32 = 4_096;

/// Listens on the address, or on a free port of it if that is allowed and the port cannot be used.
pub(super) fn listen(address: SocketAddr, or_free_port: bool) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .or_else(|error| match error.kind() {
            // Windows denies the permission for ports that it reserves.
            ErrorKind::AddrInUse | ErrorKind::PermissionDenied if or_free_port => {
                TcpListener::bind(SocketAddr::new(address.ip(), 0))
            }
            _ => Err(error),
        })
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
    // The standard library lets 128 connections wait to be accepted. Further clients retry after a second.
    #[cfg(unix)]
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
