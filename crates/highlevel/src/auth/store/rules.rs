//! The rules of preconditions and leases, as pure functions that the stores of this crate share.

use std::time::{Duration, SystemTime};

use super::{LeaseResult, MAX_LEASE, Precondition, Version};

impl Precondition {
    /// Returns `true` if an entry of this version, or no entry, meets the precondition.
    pub(super) fn is_met_by(self, found: Option<Version>) -> bool {
        match self {
            Self::Anything => true,
            Self::Nothing => found.is_none(),
            Self::Version(version) => found == Some(version),
        }
    }
}

/// A lease that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeldLease {
    pub(super) holder: String,
    pub(super) until: SystemTime,
}

impl HeldLease {
    /// Returns the time until the lease ends, or `None` if it has ended, or was granted before the clock was put back.
    fn remaining(&self, now: SystemTime) -> Option<Duration> {
        let remaining = self.until.duration_since(now).ok()?;
        (!remaining.is_zero() && remaining <= MAX_LEASE).then_some(remaining)
    }
}

/// Decides on the request for a lease. Returns the new lease, or the time until the current one of another holder ends.
pub(super) fn lease(
    current: Option<&HeldLease>,
    holder: &str,
    now: SystemTime,
    length: Duration,
) -> Result<HeldLease, LeaseResult> {
    let other = current.filter(|lease| lease.holder != holder);
    match other.and_then(|lease| lease.remaining(now)) {
        Some(remaining) => Err(LeaseResult::Held { remaining }),
        None => Ok(HeldLease { holder: holder.to_owned(), until: now + length.min(MAX_LEASE) }),
    }
}
