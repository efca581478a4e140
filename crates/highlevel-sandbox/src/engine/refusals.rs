//! Logging of requests that are rejected before they reach the API.

use std::sync::atomic::Ordering;

use http::request::Parts;

use super::state::Engine;
use crate::sync::lock;

impl Engine {
    /// Logs a request that was rejected because of its `Host` or its site: the first eight, then only at powers of two.
    pub(crate) fn report_refusal(&self, head: &Parts, reason: &str) {
        let count = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if count <= 8 || count.is_power_of_two() {
            let (method, path) = (&head.method, head.uri.path());
            tracing::warn!(count, %method, ?path, reason, "rejected a request");
        }
    }

    /// Logs a request that is not served, and the number of all such requests. After the first ones, logs fewer of them.
    pub(crate) fn report_unserved(&self, method: &str, path: &str, note: &str) {
        let count = self.unserved.fetch_add(1, Ordering::Relaxed) + 1;
        if count <= 8 || count.is_power_of_two() {
            tracing::warn!(count, method, ?path, "{note}");
        }
    }

    /// Logs an invalid admin token, and delays the response if there were several.
    pub(crate) async fn slow_down_guess(&self) {
        let refusal = lock(&self.guesses).wrong(self.started.elapsed());
        if let Some(count) = refusal.report {
            tracing::warn!(count, "rejected requests with an invalid admin token");
        }
        tokio::time::sleep(refusal.delay).await;
    }
}
