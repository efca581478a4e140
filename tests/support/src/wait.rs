//! Waiting for a condition that background work fulfils.

use std::time::{Duration, Instant};

/// Waits until a condition holds, which is checked at intervals. The time is that of the machine, whether or not the runtime's
/// clock is paused.
///
/// # Panics
///
/// Panics with the name of the condition if it does not hold in time. The timeout only ends a test that fails: choose it much
/// longer than necessary.
pub async fn until(
    condition: &str,
    timeout: Duration,
    interval: Duration,
    mut holds: impl AsyncFnMut() -> bool,
) {
    let end = Instant::now() + timeout;
    while !holds().await {
        assert!(Instant::now() < end, "not within {timeout:?}: {condition}");
        tokio::time::sleep(interval).await;
    }
}
