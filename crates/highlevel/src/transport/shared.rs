//! The transports that clients share by default.

use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::pool::{Inner, Transport};
use super::settings::{Customization, TransportSettings};

/// The variables from which reqwest reads proxies when a transport is built: programs may change them in between.
const PROXY_VARIABLES: [&str; 9] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "REQUEST_METHOD",
];

type Key = (TransportSettings, Vec<Option<OsString>>);

/// Weak references: a transport ends with the last client that uses it.
static SHARED: Mutex<Vec<(Key, Weak<Inner>)>> = Mutex::new(Vec::new());

/// Returns the transport of all clients with these settings, which is created if there is none.
pub(super) fn transport(settings: TransportSettings) -> Transport {
    let key = (settings, PROXY_VARIABLES.map(std::env::var_os).to_vec());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let found = shared.iter().find(|(of, _)| *of == key).and_then(|(_, inner)| inner.upgrade());
    if let Some(inner) = found {
        return Transport { inner };
    }
    shared.retain(|(_, inner)| inner.strong_count() > 0);
    let transport = Transport::new(key.0.clone(), Customization::default());
    shared.push((key, Arc::downgrade(&transport.inner)));
    transport
}
