//! Calls of the limiter under test. Each of them names itself if it fails.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::limits::Limits;
use crate::conformance::{CheckResult, ensure};
use crate::limit::{AcquireError, AcquireErrorKind, Permit, RateLimitHeaders, RateLimiter};

/// A wait that only ends if something is broken.
const GUARD: Duration = Duration::from_secs(30);

/// A check, and the limiter that it runs on.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) check: &'static str,
    pub(super) limits: Limits,
    pub(super) handles: Vec<Arc<dyn RateLimiter>>,
}

/// The use of a permit, between these times.
#[derive(Debug, Clone, Copy)]
pub(super) struct UsedPermit {
    pub(super) before: Instant,
    pub(super) after: Instant,
}

impl Context {
    pub(super) fn burst(&self) -> usize {
        self.limits.burst as usize
    }

    pub(super) fn interval_ms(&self) -> u64 {
        u64::try_from(self.limits.interval.as_millis()).unwrap_or(u64::MAX)
    }

    /// Headers that report the configured limit, with so many requests left.
    pub(super) fn headers(&self, limit: u64, remaining: u64) -> RateLimitHeaders {
        RateLimitHeaders {
            burst_limit: Some(limit),
            burst_remaining: Some(remaining),
            interval_ms: Some(self.interval_ms()),
            ..RateLimitHeaders::default()
        }
    }

    pub(super) async fn acquire_at(
        &self,
        handle: usize,
        location: &str,
        timeout: Duration,
    ) -> Result<Permit, AcquireError> {
        let location = format!("{} {location}", self.check);
        self.handles[handle % self.handles.len()].acquire(&location, timeout).await
    }

    /// Waits for a permit, which has to come.
    pub(super) async fn permit(&self, handle: usize, location: &str) -> Result<Permit, String> {
        // The limiter may ignore the timeout.
        match tokio::time::timeout(2 * GUARD, self.acquire_at(handle, location, GUARD)).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(error)) => Err(format!("a permit should be issued within {GUARD:?}: {error}")),
            Err(_) => Err(format!("`acquire` with a timeout of {GUARD:?} should have returned")),
        }
    }

    /// A permit that is available now, and so without a timeout.
    pub(super) async fn now(&self, location: &str, why: &str) -> Result<Permit, String> {
        let acquire = self.acquire_at(0, location, Duration::ZERO);
        acquire.await.map_err(|error| format!("a permit should be issued at once, because {why}: {error}"))
    }

    /// No permit is available now.
    pub(super) async fn none(
        &self,
        handle: usize,
        location: &str,
        why: &str,
    ) -> Result<AcquireError, String> {
        let acquire = self.acquire_at(handle, location, Duration::ZERO);
        match tokio::time::timeout(GUARD, acquire).await {
            Ok(Err(error)) => Ok(error),
            Ok(Ok(_)) => Err(format!("no permit should be issued, because {why}")),
            Err(_) => Err(format!("`acquire` with a timeout of zero should return at once, because {why}")),
        }
    }

    /// Waits for a permit and uses it. The response reports this.
    pub(super) async fn send(
        &self,
        handle: usize,
        location: &str,
        headers: &RateLimitHeaders,
    ) -> Result<UsedPermit, String> {
        loop {
            let permit = self.permit(handle, location).await?;
            if let Some(used) = begin(&permit) {
                permit.observe(headers, None);
                return Ok(used);
            }
        }
    }

    /// Uses all permits that there are.
    pub(super) async fn exhaust(&self, location: &str) -> Result<Vec<UsedPermit>, String> {
        let mut all = Vec::new();
        for _ in 0..self.burst() {
            all.push(self.send(0, location, &RateLimitHeaders::default()).await?);
        }
        Ok(all)
    }

    /// Never more requests than the limit within one interval, wherever it begins.
    pub(super) fn within_limit(&self, mut used: Vec<UsedPermit>) -> CheckResult {
        used.sort_by_key(|used| used.after);
        for (first, later) in used.iter().zip(used.iter().skip(self.burst())) {
            let apart = later.after.saturating_duration_since(first.before);
            ensure(apart >= self.limits.interval, || {
                format!(
                    "{} requests were started within {apart:?}; the limit is {} in {:?}",
                    self.burst() + 1,
                    self.burst(),
                    self.limits.interval
                )
            })?;
        }
        Ok(())
    }
}

/// Starts a request, unless the permit has expired.
pub(super) fn begin(permit: &Permit) -> Option<UsedPermit> {
    let before = Instant::now();
    permit.begin().then(|| UsedPermit { before, after: Instant::now() })
}

pub(super) fn of_kind(error: &AcquireError, kind: AcquireErrorKind) -> CheckResult {
    ensure(error.kind() == kind, || {
        format!("the kind of the error should be {kind:?}, but is {:?}", error.kind())
    })
}
