//! Counts how often each message was accepted.

use std::collections::{HashMap, VecDeque};

use super::RequestFingerprint;

/// The maximum number of different messages, which is the documented daily limit. Beyond it, the oldest counts are
/// evicted first.
pub(super) const COUNTED: usize = 200_000;

/// Acceptance counts, which outlive the ledger's entries.
#[derive(Debug, Default)]
pub(super) struct Acceptances {
    times: HashMap<RequestFingerprint, SmallTimes>,
    /// The keys of `times` in insertion order.
    order: VecDeque<RequestFingerprint>,
}

/// [`Times`] in half of the memory. Counts beyond 32 bits stay at the maximum.
#[derive(Clone, Copy, Debug, Default)]
struct SmallTimes {
    accepted: u32,
    stored: u32,
}

/// The number of accepted requests with one fingerprint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// Requests with a 2xx response.
    pub(crate) accepted: u64,
    /// Requests with a 2xx response that stored or changed a message.
    pub(crate) stored: u64,
}

impl Acceptances {
    pub(super) fn of(&self, fingerprint: RequestFingerprint) -> Times {
        let SmallTimes { accepted, stored } = self.times.get(&fingerprint).copied().unwrap_or_default();
        Times { accepted: accepted.into(), stored: stored.into() }
    }

    pub(super) fn add(&mut self, fingerprint: RequestFingerprint, stored: bool) {
        let order = &mut self.order;
        let times = self.times.entry(fingerprint).or_insert_with(|| {
            order.push_back(fingerprint);
            SmallTimes::default()
        });
        times.accepted = times.accepted.saturating_add(1);
        times.stored = times.stored.saturating_add(stored.into());
        if self.order.len() > COUNTED
            && let Some(oldest) = self.order.pop_front()
        {
            self.times.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Operation;

    #[test]
    fn the_oldest_count_is_evicted_first() {
        let of = |number: usize| RequestFingerprint::of(Operation::SendMessage, "", &number.into());
        let mut acceptances = Acceptances::default();
        for number in 0..COUNTED {
            acceptances.add(of(number), false);
        }
        acceptances.add(of(0), true);
        assert_eq!(acceptances.of(of(0)), Times { accepted: 2, stored: 1 });
        acceptances.add(of(COUNTED), true);
        assert_eq!(acceptances.of(of(0)), Times::default());
        assert_eq!(acceptances.of(of(1)), Times { accepted: 1, stored: 0 });
        assert_eq!((acceptances.times.len(), acceptances.order.len()), (COUNTED, COUNTED));
    }
}
