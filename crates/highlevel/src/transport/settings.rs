//! The settings of a transport.

use std::time::Duration;

use super::tls::Tls;

/// Changes a reqwest builder.
pub(super) type Configure = dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync;

/// The settings by which transports are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TransportSettings {
    pub(super) connect: Duration,
    pub(super) idle: Duration,
    pub(super) max_connections: usize,
    pub(super) http1_only: bool,
    pub(super) tls: Option<Tls>,
    pub(super) root_certificates: Vec<u8>,
}
