//! Current memory usage.

use std::sync::atomic::Ordering;

use super::retained::{Part, Retained};
use super::state::Engine;
use crate::ledger;
use crate::model::{MAX_FILE_BYTES, RECORD_BYTES};
use crate::sync::lock;
use crate::webhook;

impl Engine {
    /// Returns the current memory usage. Never blocks: a part whose lock is held by a long operation has the value of the
    /// previous call.
    pub(crate) fn retained(&self) -> Retained {
        let mut retained = *lock(&self.retained);
        if let Ok(model) = self.model.try_lock() {
            let (count, bytes, record_bytes) = model.weights();
            let dropped = self.evicted_messages.load(Ordering::Relaxed);
            retained.messages = Part { count, bytes, max_bytes: self.bounds.message_bytes, dropped };
            let count = model.record_count();
            retained.records = Part { count, bytes: record_bytes, max_bytes: RECORD_BYTES, dropped: 0 };
            let (count, bytes) = model.file_weights();
            let dropped = self.evicted_files.load(Ordering::Relaxed);
            retained.files = Part { count, bytes, max_bytes: MAX_FILE_BYTES, dropped };
        }
        if let Ok(credentials) = self.credentials.try_lock() {
            let (count, bytes, max_bytes) = credentials.oauth.retained();
            retained.credentials = Part { count, bytes, max_bytes, dropped: 0 };
        }
        let (_, in_ledger) = self.ledger.totals();
        let part = |share: ledger::Share, max_bytes| Part {
            count: share.count,
            bytes: share.bytes,
            max_bytes,
            dropped: share.dropped,
        };
        retained.ledger = part(in_ledger.own, ledger::MAX_BYTES);
        retained.unauthenticated = part(in_ledger.unauthenticated, ledger::MAX_UNAUTHENTICATED_BYTES);
        let (count, bytes, dropped) = self.outbox.retained();
        retained.deliveries = Part { count, bytes, max_bytes: webhook::MAX_DELIVERY_BYTES, dropped };
        retained.traffic = self.traffic.usage();
        *lock(&self.retained) = retained;
        retained
    }
}
