//! Logs operations whose future is dropped.

use highlevel_wire::RequestContext;

use crate::telemetry;

/// Logs an operation whose future is dropped before it has finished: nothing else reports whether its request was sent.
pub(super) struct DropLog {
    operation: &'static str,
    /// The number of attempts that were started.
    pub(super) attempts: u32,
    /// An earlier attempt may have been done; a later rejection does not undo it.
    pub(super) may_have_been_done: bool,
    /// The attempt in progress.
    pub(super) current: Option<RequestContext>,
    pub(super) is_finished: bool,
}

impl DropLog {
    pub(super) fn new(operation: &'static str) -> Self {
        Self { operation, attempts: 0, may_have_been_done: false, current: None, is_finished: false }
    }
}

impl Drop for DropLog {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        telemetry::drop_operation(self.operation);
        // A sealed request cannot be written after this line.
        let is_written = self.current.as_ref().is_some_and(RequestContext::seal);
        tracing::warn!(
            operation = self.operation,
            attempt = self.attempts,
            may_have_been_sent = is_written || self.may_have_been_done,
            "the future of a call was dropped before it finished"
        );
    }
}
