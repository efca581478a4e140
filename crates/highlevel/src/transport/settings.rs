//! The settings of a transport.

use std::sync::Arc;
use std::time::Duration;

use super::tls::Tls;
use crate::middleware::HttpService;

/// Changes a reqwest builder.
pub(super) type Configure = dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync;

/// Wraps the service below in a layer.
pub(super) type ApplyLayer = dyn Fn(HttpService) -> HttpService + Send + Sync;

/// The parts of a transport that a program implements.
#[derive(Clone, Default)]
pub(super) struct Customization {
    pub(super) configure: Option<Arc<Configure>>,
    /// The outermost layer is the last.
    pub(super) layers: Vec<Arc<ApplyLayer>>,
}

impl Customization {
    pub(super) fn is_empty(&self) -> bool {
        self.configure.is_none() && self.layers.is_empty()
    }
}

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
