//! The journal: the state of each message and call, by its id.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The state of a message or call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing was done yet, for this reason. The next delivery is handled.
    Open(String),
    /// The phone system has delivered the message, or refused it for a reason. HighLevel has to be informed.
    Carried(Result<(), String>),
    /// A person has to decide, for this reason. Redeliveries are ignored.
    Desk(String),
    /// Redeliveries are ignored.
    Done,
}

/// The result of [`Journal::claim`].
#[derive(Debug)]
pub(crate) enum Claim {
    /// The caller handles it, and calls [`Journal::release`] afterwards.
    Granted(State),
    /// Another task handles it.
    InProgress,
    /// It is done, or on the desk.
    Settled,
}

#[derive(Debug)]
struct Entry {
    state: State,
    is_claimed: bool,
}

/// Stands for a table with the id as its key. This one is lost when the process ends.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<BTreeMap<String, Entry>>);

impl Journal {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims a message, so that several deliveries of it are handled once.
    pub(crate) fn claim(&self, id: &str) -> Claim {
        let mut entries = self.entries();
        let new = || Entry { state: State::Open("in progress".to_owned()), is_claimed: false };
        let entry = entries.entry(id.to_owned()).or_insert_with(new);
        match &entry.state {
            State::Done | State::Desk(_) => Claim::Settled,
            _ if entry.is_claimed => Claim::InProgress,
            state => {
                let state = state.clone();
                entry.is_claimed = true;
                Claim::Granted(state)
            }
        }
    }

    /// Records progress. The message stays claimed.
    pub(crate) fn record(&self, id: &str, state: State) {
        self.entries().insert(id.to_owned(), Entry { state, is_claimed: true });
    }

    /// Records the state, and ends the claim.
    pub(crate) fn release(&self, id: &str, state: State) {
        self.entries().insert(id.to_owned(), Entry { state, is_claimed: false });
    }

    /// Returns all messages that are not done, with the reason. Those that the phone system or HighLevel does not deliver
    /// another time are a matter for a person.
    pub(crate) fn desk(&self) -> BTreeMap<String, String> {
        let reason = |entry: &Entry| match &entry.state {
            State::Done => None,
            State::Open(reason) | State::Desk(reason) => Some(reason.clone()),
            State::Carried(result) => Some(format!("HighLevel is not informed: {result:?}")),
        };
        self.entries().iter().filter_map(|(id, entry)| Some((id.clone(), reason(entry)?))).collect()
    }
}
