//! What may happen to the entry under one key: functions of values, for every store that reads an entry, changes it
//! and writes it back.

use std::time::SystemTime;

use super::{Expected, LONGEST_LEASE, Lease, Put, Stored, Version};
use crate::auth::TokenSet;

/// All that is kept under one key. It outlives its tokens, so that no version is given twice.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    /// The version of the latest writing; 0 if there was none.
    pub(super) version: u64,
    pub(super) tokens: Option<TokenSet>,
    pub(super) lease: Option<Held>,
}

/// Who has the lease, and until when.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) holder: String,
    pub(super) until: SystemTime,
}

impl Held {
    fn holds(&self, now: SystemTime) -> bool {
        self.until.duration_since(now).is_ok_and(|left| !left.is_zero() && left <= LONGEST_LEASE)
    }
}

impl Row {
    pub(super) fn stored(&self) -> Option<Stored> {
        self.tokens.clone().map(|tokens| Stored::new(tokens, Version(self.version)))
    }

    pub(super) fn put(&mut self, tokens: &TokenSet, expected: Expected) -> Put {
        if !self.is(expected) {
            return Put::Conflict(self.stored());
        }
        // Only a damaged entry can be that far.
        self.version = self.version.saturating_add(1);
        self.tokens = Some(tokens.clone());
        Put::Stored(Version(self.version))
    }

    pub(super) fn remove(&mut self, expected: Expected) -> bool {
        self.is(expected) && self.tokens.take().is_some()
    }

    pub(super) fn lease(&mut self, holder: &str, now: SystemTime, until: SystemTime) -> Lease {
        match &self.lease {
            Some(held) if held.holder != holder && held.holds(now) => Lease::HeldUntil(held.until),
            _ => {
                self.lease = Some(Held { holder: holder.to_owned(), until });
                Lease::Granted
            }
        }
    }

    /// Whether the lease was the holder's and is gone.
    pub(super) fn release(&mut self, holder: &str) -> bool {
        self.lease.take_if(|held| held.holder == holder).is_some()
    }

    fn is(&self, expected: Expected) -> bool {
        match expected {
            Expected::Anything => true,
            Expected::Nothing => self.tokens.is_none(),
            Expected::Version(Version(version)) => self.tokens.is_some() && self.version == version,
        }
    }
}
