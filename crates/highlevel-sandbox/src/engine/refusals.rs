//! Requests that are refused before they reach the API.

use std::sync::atomic::Ordering;

use http::request::Parts;

use super::state::Engine;
use crate::sync::lock;

impl Engine {
    /// Logs a request that was refused for its `Host` or its site: the first ones, then fewer and fewer.
    pub(crate) fn report_refusal(&self, head: &Parts, reason: &str) {
        let count = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if count <= 8 || count.is_power_of_two() {
            let (method, path) = (&head.method, head.uri.path());
            tracing::warn!(count, %method, ?path, reason, "refused a request");
        }
    }

    /// Logs a wrong admin token, and holds the response back if there were several.
    pub(crate) async fn slow_down_guess(&self) {
        let refusal = lock(&self.guesses).wrong(self.started.elapsed());
        if let Some(count) = refusal.report {
            tracing::warn!(count, "wrong admin tokens");
        }
        tokio::time::sleep(refusal.delay).await;
    }
}
