//! How often each message was accepted.

use std::collections::{HashMap, VecDeque};

use super::RequestFingerprint;

/// For how many different messages it is counted: as many as the documented daily limit allows. Beyond that, those that
/// were accepted first are forgotten first.
pub(super) const COUNTED: usize = 200_000;

/// Counts that outlive the requests that they are of.
#[derive(Debug, Default)]
pub(super) struct Acceptances {
    times: HashMap<RequestFingerprint, Times>,
    /// The keys of `times`, in the order in which they came.
    order: VecDeque<RequestFingerprint>,
}

/// How often something was accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// Answered with yes.
    pub(crate) accepted: u64,
    /// Answered with yes, and done.
    pub(crate) stored: u64,
}

impl Acceptances {
    pub(super) fn of(&self, fingerprint: RequestFingerprint) -> Times {
        self.times.get(&fingerprint).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, fingerprint: RequestFingerprint, stored: bool) {
        let order = &mut self.order;
        let times = self.times.entry(fingerprint).or_insert_with(|| {
            order.push_back(fingerprint);
            Times::default()
        });
        times.accepted += 1;
        times.stored += u64::from(stored);
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
    fn the_oldest_is_forgotten_first() {
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
