//! Leases: the right to refresh tokens, among the processes that share a store.

use std::time::Duration;

use crate::limit::Expiry;
use crate::{Error, Result};

/// The timeout of one attempt of a request for tokens, whatever the timeout for messages is. Three attempts fit into the
/// time during which HighLevel repeats its response.
pub(super) const ATTEMPT: Duration = Duration::from_secs(10);
/// The length of a lease: longer than an attempt, and so short that another process still gets the response repeated if
/// this one dies.
pub(super) const LEASE: Duration = Duration::from_secs(15);
/// A lease of at most this age outlives an attempt by a second, so it is not extended before the attempt.
const MAX_LEASE_AGE: Duration = LEASE.saturating_sub(ATTEMPT).saturating_sub(Duration::from_secs(1));

/// The name under which a process requests a lease. It is random, and is not used in a fork of the process.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct LeaseHolder {
    process: u32,
    pub(super) name: String,
}

impl LeaseHolder {
    /// Returns a new name, from the randomness of the operating system: a generator in the memory of the process would
    /// repeat itself in a fork.
    pub(super) fn random() -> Result<Self> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).map_err(|error| {
            Error::token("token", "the operating system provides no random numbers").with_source(error)
        })?;
        let name = format!("{:032x}", u128::from_ne_bytes(bits));
        Ok(Self { process: std::process::id(), name })
    }

    /// Returns `false` in a fork of the process that created the name.
    pub(super) fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }
}

/// A lease that was granted. Its time counts from before the request to the store.
#[derive(Clone, Copy)]
pub(super) struct Lease {
    ends: Expiry,
    too_old_for_an_attempt: Expiry,
}

impl Lease {
    /// Returns a lease that is requested from the store now.
    pub(super) fn starting_now() -> Self {
        Self { ends: Expiry::after(LEASE), too_old_for_an_attempt: Expiry::after(MAX_LEASE_AGE) }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ends.has_passed()
    }

    /// Returns `true` if the lease ends later than an attempt that is started now.
    pub(super) fn outlives_an_attempt(&self) -> bool {
        !self.too_old_for_an_attempt.has_passed()
    }
}

/// The result of a request for a lease.
pub(super) enum Leased {
    Granted(Lease),
    /// Another holder has it for this long.
    Held(Duration),
    /// Another task of this process has taken over from this one, which must not hold a lease any more.
    TakenOver,
}
