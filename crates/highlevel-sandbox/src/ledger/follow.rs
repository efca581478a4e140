//! Follows the ledger.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Entry, Ledger, LedgerEvent};

/// A stream of past and future entries, in order. Created by [`Sandbox::follow`](crate::Sandbox::follow).
///
/// [`Entry::Missed`] reports entries that were dropped before the reader reached them.
#[derive(Debug)]
pub struct Entries {
    ledger: Arc<Ledger>,
    next: watch::Receiver<u64>,
    position: u64,
    /// Skips the entries that are neither requests nor deliveries.
    skips_changes: bool,
}

impl Entries {
    pub(super) fn new(ledger: Arc<Ledger>, next: watch::Receiver<u64>, position: u64) -> Self {
        Self { ledger, next, position, skips_changes: false }
    }

    /// Skips messages and other changes. Their numbers still count for [`position`](Self::position) and
    /// [`Entry::Missed`].
    pub fn requests_and_deliveries(mut self) -> Self {
        self.skips_changes = true;
        self
    }

    /// Waits for the next entry. Dropping the future loses no entry.
    pub async fn next(&mut self) -> Entry {
        self.next_shared().await.into()
    }

    /// Waits for the next entry, in the ledger's own form.
    pub(crate) async fn next_shared(&mut self) -> LedgerEvent {
        loop {
            self.next.mark_unchanged();
            match self.ledger.entry(self.position) {
                Some(Ok(entry)) => {
                    self.position += 1;
                    if self.skips_changes
                        && matches!(entry, LedgerEvent::Message(_) | LedgerEvent::Changed(_))
                    {
                        continue;
                    }
                    return entry;
                }
                Some(Err(first)) => {
                    let missed = first - self.position;
                    self.position = first;
                    return LedgerEvent::Missed(missed);
                }
                None => {}
            }
            if self.next.changed().await.is_err() {
                // The sender is in the ledger, which `self` holds, so it is not dropped.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits for at least one entry, returns the names of all present entries and skips them.
    pub(crate) async fn names(&mut self) -> BTreeSet<&'static str> {
        loop {
            self.next.mark_unchanged();
            let (names, next) = self.ledger.names(self.position);
            self.position = next;
            if !names.is_empty() {
                return names;
            }
            if self.next.changed().await.is_err() {
                // The sender is in the ledger, which `self` holds, so it is not dropped.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Returns the number of the next entry. Numbers start at 0 and have no gaps.
    pub fn position(&self) -> u64 {
        self.position
    }
}

impl Ledger {
    /// Follows the ledger from the oldest retained entry.
    pub(crate) fn follow(self: &Arc<Self>) -> Entries {
        let first = self.log().first();
        self.follow_from(first)
    }

    /// Follows the ledger from the next entry.
    pub(crate) fn follow_new(self: &Arc<Self>) -> Entries {
        let next = self.log().next();
        self.follow_from(next)
    }

    /// Follows the ledger from the entry with this number, which may have been dropped or not be recorded yet.
    pub(crate) fn follow_from(self: &Arc<Self>, number: u64) -> Entries {
        Entries::new(Arc::clone(self), self.next.subscribe(), number)
    }
}
