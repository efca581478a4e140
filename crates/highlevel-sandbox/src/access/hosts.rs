//! The host names under which the sandbox is served.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The accepted names in a `Host` header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hosts {
    /// Other machines can connect.
    public: bool,
    /// The configured origins, like `https://sandbox.example`, with their host names in lower case.
    configured: Vec<(String, String)>,
}

impl Hosts {
    /// Accepts only names of this machine.
    pub(crate) fn loopback() -> Self {
        Self::default()
    }

    /// Accepts names of this machine, IP addresses, and names that no foreign DNS server resolves.
    pub(crate) fn public(base_urls: impl IntoIterator<Item = String>) -> Self {
        Self { public: true, ..Self::default() }.with(base_urls)
    }

    /// Also accepts the hosts of these origins (scheme and authority).
    pub(crate) fn with(mut self, base_urls: impl IntoIterator<Item = String>) -> Self {
        self.configured.extend(base_urls.into_iter().map(|url| {
            let origin = url.trim_end_matches('/').to_ascii_lowercase();
            let authority = origin.split_once("://").map_or(origin.as_str(), |(_, authority)| authority);
            let name = without_port(authority).to_owned();
            (origin, name)
        }));
        self
    }

    /// Returns `true` if requests for this host are served.
    pub(super) fn serves(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        is_loopback_name(&name)
            || self.configured.iter().any(|(_, configured)| *configured == name)
            || self.public && (address_of(&name).is_some() || is_private_name(&name))
    }

    /// Returns `true` if this is an origin of the sandbox under this host.
    pub(super) fn is_own_origin(&self, origin: &str, host: &str) -> bool {
        origin.strip_prefix("http://") == Some(host)
            || self.configured.iter().any(|(configured, name)| {
                *configured == origin.to_ascii_lowercase() && *name == without_port(host).to_ascii_lowercase()
            })
    }
}

/// Returns an authority without its port. The colons in `[::1]` belong to the address.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    }
}

/// Returns `true` for `localhost`, names below it and loopback addresses, without a port.
pub(crate) fn is_loopback_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || address_of(&name).is_some_and(|address| address.is_loopback())
}

/// Parses a host name as an IP address: IPv6 in brackets, or IPv4.
fn address_of(name: &str) -> Option<IpAddr> {
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => name.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// Returns `true` for a name that cannot exist on the internet: a name without a dot, like that of a container, or a name
/// under `internal`, which is reserved for private use.
fn is_private_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.strip_suffix(".internal").unwrap_or(name).split('.').all(is_label)
        && (!name.contains('.') || name.ends_with(".internal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_served_depending_on_the_mode() {
        let loopback = Hosts::loopback();
        let public = Hosts::public([]);
        let configured = Hosts::loopback().with(["https://Sandbox.example:8443/".to_owned()]);
        for (host, expected) in [
            ("127.0.0.1", [true, true, true]),
            ("127.0.0.1:80", [true, true, true]),
            ("127.9.9.9:1", [true, true, true]),
            ("LOCALHOST:8080", [true, true, true]),
            ("a.localhost", [true, true, true]),
            ("[::1]:8080", [true, true, true]),
            ("[::1]", [true, true, true]),
            ("", [false, false, false]),
            (":80", [false, false, false]),
            ("evil.example", [false, false, false]),
            ("evil.example:80", [false, false, false]),
            ("127.0.0.1.evil.example", [false, false, false]),
            ("localhost.evil.example", [false, false, false]),
            ("localhost.", [false, false, false]),
            ("10.0.0.1", [false, true, false]),
            ("10.0.0.1:80", [false, true, false]),
            ("[::2]:80", [false, true, false]),
            ("[::2", [false, false, false]),
            ("[zz]:80", [false, false, false]),
            ("::1", [false, false, false]),
            ("0.0.0.0:80", [false, true, false]),
            ("sandbox:4010", [false, true, false]),
            ("host.docker.internal:4010", [false, true, false]),
            ("evil.internal.example", [false, false, false]),
            (".internal", [false, false, false]),
            ("user@127.0.0.1", [false, false, false]),
            ("sandbox.example", [false, false, true]),
            ("SANDBOX.example:1", [false, false, true]),
            ("other.sandbox.example", [false, false, false]),
        ] {
            let found = [&loopback, &public, &configured].map(|hosts| hosts.serves(host));
            assert_eq!(found, expected, "{host}");
        }
    }

    #[test]
    fn an_origin_is_accepted_only_under_its_host() {
        let hosts = Hosts::public(["https://sandbox.example".to_owned()]);
        for (origin, host, expected) in [
            ("http://127.0.0.1:80", "127.0.0.1:80", true),
            ("http://127.0.0.1:81", "127.0.0.1:80", false),
            ("https://127.0.0.1:80", "127.0.0.1:80", false),
            ("https://sandbox.example", "sandbox.example", true),
            ("https://sandbox.example", "127.0.0.1", false),
            ("https://evil.example", "sandbox.example", false),
            ("null", "", false),
        ] {
            assert_eq!(hosts.is_own_origin(origin, host), expected, "{origin} {host}");
        }
    }
}
