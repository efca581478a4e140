//! The deduplicator under test, and the time.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::super::EventId;
use super::super::deduplicator::{Claim, ClaimToken, CommitResult, Deduplicator};
use crate::conformance::CheckResult;

/// The times that a deduplicator is checked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The time after which the deduplicator ends a claim. `None` if claims have no timeout, because they end with
    /// their process. Defaults to `None`.
    pub claim_timeout: Option<Duration>,
    /// The time for which committed events have to be recognized. Defaults to 2 hours and 5 minutes.
    pub retention: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { claim_timeout: None, retention: Duration::from_secs(125 * 60) }
    }
}

type Advance<'a> = dyn Fn(Duration) -> Pin<Box<dyn Future<Output = ()> + 'a>> + 'a;

pub(super) struct Context<'a> {
    /// The name of the running check.
    pub(super) check: &'static str,
    pub(super) handles: Vec<Arc<dyn Deduplicator>>,
    pub(super) timing: Timing,
    advance: &'a Advance<'a>,
    now: Cell<SystemTime>,
}

impl<'a> Context<'a> {
    pub(super) fn new(handles: Vec<Arc<dyn Deduplicator>>, timing: Timing, advance: &'a Advance<'a>) -> Self {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_722_268_288);
        Self { check: "", handles, timing, advance, now: Cell::new(now) }
    }

    /// Returns an event id that no other check uses.
    pub(super) fn id(&self, name: &str) -> EventId {
        EventId::from_text(&format!("[\"{}\",\"{name}\"]", self.check))
    }

    pub(super) fn now(&self) -> SystemTime {
        self.now.get()
    }

    pub(super) async fn advance(&self, by: Duration) {
        self.now.set(self.now.get() + by);
        (self.advance)(by).await;
    }

    /// Claims an event through the first handle.
    pub(super) async fn begin(&self, id: &EventId) -> Result<Claim, String> {
        begin(self.handles[0].as_ref(), id, self.now()).await
    }

    /// Claims an event that has to be granted.
    pub(super) async fn granted(&self, id: &EventId, when: &str) -> Result<ClaimToken, String> {
        match self.begin(id).await? {
            Claim::Granted(token) => Ok(token),
            other => Err(format!("begin should have granted {id} {when}, but returned {other:?}")),
        }
    }

    /// Checks that an event is not granted, for the expected reason.
    pub(super) async fn expect(&self, id: &EventId, expected: Claim, when: &str) -> CheckResult {
        match self.begin(id).await? {
            found if found == expected => Ok(()),
            found => Err(format!("begin should have returned {expected:?} {when}, but returned {found:?}")),
        }
    }

    pub(super) async fn commit(
        &self,
        id: &EventId,
        token: ClaimToken,
        expected: CommitResult,
        when: &str,
    ) -> CheckResult {
        match commit(self.handles[0].as_ref(), id, token).await? {
            found if found == expected => Ok(()),
            found => Err(format!("commit should have returned {expected:?} {when}, but returned {found:?}")),
        }
    }

    pub(super) async fn abort(&self, id: &EventId, token: ClaimToken) -> CheckResult {
        abort(self.handles[0].as_ref(), id, token).await
    }
}

pub(super) async fn begin(handle: &dyn Deduplicator, id: &EventId, now: SystemTime) -> Result<Claim, String> {
    handle.begin(id, now).await.map_err(|error| format!("begin returned an error: {error}"))
}

pub(super) async fn commit(
    handle: &dyn Deduplicator,
    id: &EventId,
    token: ClaimToken,
) -> Result<CommitResult, String> {
    handle.commit(id, token).await.map_err(|error| format!("commit returned an error: {error}"))
}

pub(super) async fn abort(handle: &dyn Deduplicator, id: &EventId, token: ClaimToken) -> CheckResult {
    handle.abort(id, token).await.map_err(|error| format!("abort returned an error: {error}"))
}
