//! Reading the ledger as it grows.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Entry, Happened, Ledger};

/// What happened and what will happen, one entry after the other. Made by [`Sandbox::follow`](crate::Sandbox::follow).
///
/// A reader that is slower than the sandbox forgets is told so by [`Entry::Missed`].
#[derive(Debug)]
pub struct Entries {
    ledger: Arc<Ledger>,
    next: watch::Receiver<u64>,
    position: u64,
}

impl Entries {
    pub(super) fn new(ledger: Arc<Ledger>, next: watch::Receiver<u64>, position: u64) -> Self {
        Self { ledger, next, position }
    }

    /// The next entry, as soon as there is one. Nothing is lost when the future is dropped before that.
    pub async fn next(&mut self) -> Entry {
        self.next_shared().await.into()
    }

    /// The same, as the ledger retains it.
    pub(crate) async fn next_shared(&mut self) -> Happened {
        loop {
            self.next.mark_unchanged();
            match self.ledger.entry(self.position) {
                Some(Ok(entry)) => {
                    self.position += 1;
                    return entry;
                }
                Some(Err(first)) => {
                    let missed = first - self.position;
                    self.position = first;
                    return Happened::Missed(missed);
                }
                None => {}
            }
            if self.next.changed().await.is_err() {
                // The ledger, which this holds, has the sender: it cannot be gone.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The names of the entries that there are, as soon as there is one, and goes on after them.
    pub(crate) async fn names(&mut self) -> BTreeSet<&'static str> {
        loop {
            self.next.mark_unchanged();
            let (names, next) = self.ledger.names(self.position);
            self.position = next;
            if !names.is_empty() {
                return names;
            }
            if self.next.changed().await.is_err() {
                // The ledger, which this holds, has the sender: it cannot be gone.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The number of the entry that comes next. Numbers begin at 0 and have no gaps.
    pub fn position(&self) -> u64 {
        self.position
    }
}

impl Ledger {
    /// From the oldest entry that is kept.
    pub(crate) fn follow(self: &Arc<Self>) -> Entries {
        let first = self.log().first();
        self.follow_from(first)
    }

    /// From the next entry that comes.
    pub(crate) fn follow_new(self: &Arc<Self>) -> Entries {
        let next = self.log().next();
        self.follow_from(next)
    }

    /// From the entry with this number, which may be gone or still to come.
    pub(crate) fn follow_from(self: &Arc<Self>, number: u64) -> Entries {
        Entries::new(Arc::clone(self), self.next.subscribe(), number)
    }
}
