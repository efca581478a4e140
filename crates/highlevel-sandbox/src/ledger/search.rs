//! Filters requests of the ledger.

use super::{RecordedRequest, RequestFingerprint};
use crate::operation::Operation;

/// Conditions on a request. `None` matches any value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Requests with a smaller number.
    pub(crate) before: Option<u64>,
    pub(crate) status: Option<u16>,
    pub(crate) method: Option<String>,
    /// The path without the query.
    pub(crate) path: Option<String>,
    pub(crate) operation: Option<Operation>,
    pub(crate) location_id: Option<String>,
    pub(crate) fingerprint: Option<RequestFingerprint>,
    pub(crate) message_id: Option<String>,
    pub(crate) accepted: Option<bool>,
    /// `true` for requests of which an equal one was accepted before.
    pub(crate) repeated: Option<bool>,
}

impl Filter {
    pub(super) fn matches(&self, request: &RecordedRequest) -> bool {
        let path = request.path.split('?').next().unwrap_or_default();
        self.before.is_none_or(|before| request.number < before)
            && self.status.is_none_or(|status| request.status == status)
            && self.method.as_deref().is_none_or(|method| request.method == method)
            && self.path.as_deref().is_none_or(|wanted| path == wanted)
            && self.operation.is_none_or(|operation| request.operation == Some(operation))
            && (self.location_id.is_none() || request.location_id == self.location_id)
            && (self.fingerprint.is_none() || request.fingerprint == self.fingerprint)
            && (self.message_id.is_none() || request.message_id == self.message_id)
            && self.accepted.is_none_or(|accepted| request.accepted == accepted)
            && self.repeated.is_none_or(|repeated| (request.accepted_before > 0) == repeated)
    }
}
