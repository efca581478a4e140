//! The HTTP transport: connections, pools, TLS and proxies, shared among clients.

pub(crate) mod address;
mod builder;
mod connect;
mod error;
mod http_client;
mod origin;
mod pool;
mod settings;
mod settle;
mod shared;
mod tls;

pub use self::builder::TransportBuilder;
pub(crate) use self::error::classify_error;
pub(crate) use self::origin::Origin;
pub use self::pool::Transport;
pub(crate) use self::pool::{HttpClient, Slot};
pub(crate) use self::settle::Settled;
pub use self::tls::Tls;
