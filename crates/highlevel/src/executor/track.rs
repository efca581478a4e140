//! Records the requests that create messages, from their first attempt to their end.

use std::time::SystemTime;

use super::operation::Operation;
use crate::recent::RecentRequests;
use crate::{Fingerprint, Receipt, Result};

/// Records one request. If it is dropped before its end, the request is recorded as one that may have been done.
pub(super) struct TrackedRequest<'a, O: Operation> {
    recent: &'a RecentRequests,
    operation: &'a O,
    /// The number of the request, and the start of the attempt that may have been done. `None` before the first attempt, and
    /// if the request creates no message.
    started: Option<(u64, SystemTime)>,
}

impl<'a, O: Operation> TrackedRequest<'a, O> {
    pub(super) fn new(recent: &'a RecentRequests, operation: &'a O) -> Self {
        Self { recent, operation, started: None }
    }

    /// Records an attempt.
    pub(super) fn attempt(&mut self, attempted: SystemTime) {
        if let Some((_, earlier)) = &mut self.started {
            *earlier = attempted;
        } else if let Some(addressee) = self.operation.addressee() {
            self.started = Some((self.recent.start(addressee), attempted));
        }
    }

    /// Records the end.
    pub(super) fn end(mut self, result: &Result<Receipt<O::Response>>) {
        let Some((number, _)) = self.started.take() else { return };
        match result {
            Ok(receipt) => self.recent.end(number, O::created(receipt.response()), None),
            Err(error) => {
                let is_unresolved = !error.delivery().is_safe_to_resend();
                let fingerprint = error.fingerprint().filter(|_| is_unresolved);
                self.recent.end(number, std::iter::empty(), fingerprint.cloned());
            }
        }
    }
}

impl<O: Operation> Drop for TrackedRequest<'_, O> {
    fn drop(&mut self) {
        if let Some((number, attempted)) = self.started {
            let fingerprint: Option<Fingerprint> = self.operation.fingerprint(attempted);
            self.recent.end(number, std::iter::empty(), fingerprint);
        }
    }
}
