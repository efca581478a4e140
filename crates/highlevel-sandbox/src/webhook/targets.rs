//! Allowed targets of webhooks.
//!
//! Without this restriction, a client with the admin token of a public sandbox could make it send requests to services on
//! loopback, or to the metadata service of a cloud, and read the responses.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

use crate::access::is_loopback_name;

/// The allowed targets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Targets {
    /// `true` if addresses of this machine are refused.
    restricted: bool,
    /// Exceptions: hosts with one port, or with all ports.
    allowed: Vec<(String, Option<u16>)>,
}

impl Targets {
    /// Allows every target, for a sandbox that only this machine can reach.
    pub(crate) fn unrestricted() -> Self {
        Self::default()
    }

    /// Allows all targets outside this machine, and those in `allowed`: `HOST` or `HOST:PORT`.
    pub(crate) fn public<'a>(allowed: impl IntoIterator<Item = &'a str>) -> Self {
        let allowed = allowed.into_iter().map(|target| match target.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && !host.ends_with(':') => match port.parse() {
                Ok(port) => (host.to_ascii_lowercase(), Some(port)),
                Err(_) => (target.to_ascii_lowercase(), None),
            },
            _ => (target.to_ascii_lowercase(), None),
        });
        Self { restricted: true, allowed: allowed.collect() }
    }

    /// Returns `true` if the target may have any address.
    pub(super) fn is_unrestricted(&self, url: &Uri) -> bool {
        let host = url.host().unwrap_or_default().to_ascii_lowercase();
        let port = url.port_u16().unwrap_or(80);
        !self.restricted
            || self
                .allowed
                .iter()
                .any(|(allowed, only)| *allowed == host && only.is_none_or(|only| only == port))
    }

    /// Checks the host of a target. A name that resolves to this machine is refused later, by [`RemoteResolver`].
    ///
    /// # Errors
    ///
    /// Returns the reason if the host is an address or name of this machine.
    pub(crate) fn check(&self, url: &Uri) -> Result<(), String> {
        let host = url.host().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let is_local = is_loopback_name(host) || address.is_ok_and(is_local);
        if is_local && !self.is_unrestricted(url) {
            return Err(refusal(host));
        }
        Ok(())
    }
}

fn refusal(host: &str) -> String {
    format!(
        "the target {host} is an address of the sandbox's own machine or network link, which a public sandbox does not \
         deliver to; allow it with --webhook-allow {host}"
    )
}

/// Returns `true` for addresses of this machine and of its link: loopback, unspecified, link-local.
fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_loopback()
                || address.is_link_local()
                || address.octets()[0] == 0
                || address.is_broadcast()
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unicast_link_local()
                || embedded(address).is_some_and(|address| is_local(address.into()))
        }
    }
}

/// Returns the IPv4 address that is embedded in an IPv6 address: mapped, compatible, or translated (`64:ff9b::/96`).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    let (prefix, last) = octets.split_at(12);
    let translated = [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    (prefix == [0; 12] || prefix == mapped || prefix == translated)
        .then(|| <[u8; 4]>::try_from(last).ok().map(Ipv4Addr::from))
        .flatten()
}

/// Resolves names, except to addresses of this machine.
#[derive(Clone, Debug)]
pub(super) struct RemoteResolver(GaiResolver);

impl RemoteResolver {
    pub(super) fn new() -> Self {
        Self(GaiResolver::new())
    }
}

impl Service<Name> for RemoteResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let host = name.as_str().to_owned();
        let resolving = self.0.call(name);
        Box::pin(async move {
            let addresses = resolving.await?.filter(|address| !is_local(address.ip()));
            let addresses: Vec<SocketAddr> = addresses.collect();
            if addresses.is_empty() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, refusal(&host)));
            }
            Ok(addresses.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_sandbox_delivers_to_other_machines_only() {
        let targets = Targets::public(["127.0.0.1:3000", "hooks.localhost", "[::1]"]);
        for (url, is_allowed) in [
            ("http://hooks.example/x", true),
            ("http://10.0.0.7:3000/x", true),
            ("http://192.168.1.7/", true),
            ("http://[2001:db8::1]/", true),
            ("http://127.0.0.1:3000/x", true),
            ("http://127.0.0.1:3001/x", false),
            ("http://127.0.0.1/", false),
            ("http://127.9.9.9/", false),
            ("http://localhost/", false),
            ("http://LOCALHOST:3000/", false),
            ("http://hooks.localhost:1/", true),
            ("http://other.localhost/", false),
            ("http://0.0.0.0:3000/", false),
            ("http://0.1.2.3/", false),
            ("http://169.254.169.254/latest/meta-data", false),
            ("http://[::1]:3000/", true),
            ("http://[::]/", false),
            ("http://[fe80::1]/", false),
            ("http://[::ffff:127.0.0.1]/", false),
            ("http://[::ffff:169.254.169.254]/", false),
            ("http://[::127.0.0.1]/", false),
            ("http://[64:ff9b::7f00:1]/", false),
        ] {
            let url: Uri = url.parse().unwrap();
            assert_eq!(targets.check(&url).is_ok(), is_allowed, "{url}");
            assert!(Targets::unrestricted().check(&url).is_ok(), "{url}");
        }
        let message = Targets::public([]).check(&"http://127.0.0.1:1/".parse().unwrap()).unwrap_err();
        assert!(message.ends_with("allow it with --webhook-allow 127.0.0.1"), "{message}");
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_this_machine_is_refused() {
        let error = RemoteResolver::new().call("localhost".parse().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("--webhook-allow localhost"), "{error}");
    }
}
