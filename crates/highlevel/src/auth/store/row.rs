//! The rules of an entry, as pure functions: for every store that reads an entry, changes it and writes it back.

use std::time::{Duration, SystemTime};

use super::{LeaseResult, MAX_LEASE, Precondition, PutResult, StoredTokens, Version};
use crate::auth::TokenSet;

/// Everything that is stored under one key.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    /// The version of the latest write; 0 if there was none.
    pub(super) version: u64,
    pub(super) tokens: Option<TokenSet>,
    pub(super) lease: Option<HeldLease>,
}

/// A lease that was granted.
#[derive(Debug, Clone)]
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

impl Row {
    pub(super) fn stored(&self) -> Option<StoredTokens> {
        self.tokens.clone().map(|tokens| StoredTokens::new(tokens, Version(self.version)))
    }

    pub(super) fn put(&mut self, tokens: &TokenSet, precondition: Precondition) -> PutResult {
        if !self.meets(precondition) {
            return PutResult::Conflict(self.stored());
        }
        // Only a damaged entry can be that far.
        self.version = self.version.saturating_add(1);
        self.tokens = Some(tokens.clone());
        PutResult::Stored(Version(self.version))
    }

    pub(super) fn remove(&mut self, precondition: Precondition) -> bool {
        self.meets(precondition) && self.tokens.take().is_some()
    }

    pub(super) fn lease(&mut self, holder: &str, now: SystemTime, length: Duration) -> LeaseResult {
        let other = self.lease.as_ref().filter(|lease| lease.holder != holder);
        if let Some(remaining) = other.and_then(|lease| lease.remaining(now)) {
            return LeaseResult::Held { remaining };
        }
        self.lease = Some(HeldLease { holder: holder.to_owned(), until: now + length.min(MAX_LEASE) });
        LeaseResult::Granted
    }

    /// Removes the lease if `holder` has it. Returns `true` if it was removed.
    pub(super) fn release(&mut self, holder: &str) -> bool {
        self.lease.take_if(|lease| lease.holder == holder).is_some()
    }

    fn meets(&self, precondition: Precondition) -> bool {
        match precondition {
            Precondition::Anything => true,
            Precondition::Nothing => self.tokens.is_none(),
            Precondition::Version(Version(version)) => self.tokens.is_some() && self.version == version,
        }
    }
}
