//! A deduplicator whose claims have a timeout, and which is broken in one way at a time. It shares no code with those
//! of the crate, and is correct without a defect.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use highlevel::webhook::{
    Claim, ClaimToken, CommitResult, Deduplicator, DeduplicatorError, DeduplicatorFuture, EventId,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    None,
    // claims
    GrantsTwice,
    GrantsOneEventAtOnce,
    ReportsHandledForInProgress,
    HandlesApart,
    RacyBegin,
    // tokens
    SameTokenForAll,
    CommitByStaleToken,
    CommitByStaleTokenOfCommitted,
    AbortByStaleToken,
    // commits
    ForgetsCommit,
    SwallowsErrors,
    CommitNotRepeatable,
    CommitsUnclaimed,
    CommitsAborted,
    ReportsClaimLost,
    // aborts
    AbortDoesNothing,
    AbortUndoesCommit,
    // ids
    IgnoresCase,
    TrimsIds,
    TruncatesIds,
    AsciiOnly,
    // timeouts
    NeverExpires,
    ExpiresTooEarly,
    ExpiresCommitted,
    SameTokenAfterTimeout,
    ExpiresWhenClockSetBack,
    // retention
    EvictsInsideWindow,
    RetainsHalfAsLong,
    ForgetsWhenClockSetBack,
}

/// The time after which a claim ends.
pub(super) const TIMEOUT: Duration = Duration::from_secs(600);

#[derive(Clone)]
pub(super) struct Broken {
    pub(super) defect: Defect,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    rows: HashMap<String, Row>,
    retention: Duration,
    last_token: u128,
    commits: usize,
}

#[derive(Clone, Copy)]
struct Row {
    token: u128,
    claimed_at: SystemTime,
    is_handled: bool,
    is_aborted: bool,
}

impl Broken {
    pub(super) fn new(defect: Defect) -> Self {
        Self { defect, state: Arc::default() }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a lock")
    }

    fn key(&self, id: &EventId) -> String {
        let id = id.as_str();
        match self.defect {
            Defect::IgnoresCase => id.to_lowercase(),
            Defect::TrimsIds => id.trim_end_matches(['"', ']']).trim_end().to_owned(),
            Defect::TruncatesIds => id.chars().take(200).collect(),
            Defect::AsciiOnly => id.chars().filter(char::is_ascii).collect(),
            _ => id.to_owned(),
        }
    }

    fn is_current(&self, row: &Row, now: SystemTime) -> bool {
        let timeout = match self.defect {
            Defect::NeverExpires => Duration::MAX,
            Defect::ExpiresTooEarly => TIMEOUT / 4,
            _ => TIMEOUT,
        };
        match now.duration_since(row.claimed_at) {
            Ok(age) => age <= timeout,
            Err(_) => !self.is(Defect::ExpiresWhenClockSetBack),
        }
    }

    async fn begin(&self, id: &EventId, now: SystemTime) -> Claim {
        let key = self.key(id);
        let found = self.state().rows.get(&key).copied().filter(|row| !row.is_aborted);
        if self.is(Defect::RacyBegin) {
            tokio::task::yield_now().await;
        }
        let mut state = self.state();
        let found = if self.is(Defect::RacyBegin) { found } else { state.rows.get(&key).copied() };
        let retention = match self.defect {
            Defect::RetainsHalfAsLong => state.retention / 2,
            _ => state.retention,
        };
        if let Some(row) = found.filter(|row| !row.is_aborted) {
            let is_retained = match now.duration_since(row.claimed_at) {
                Ok(age) => age <= retention.max(TIMEOUT),
                Err(_) => !self.is(Defect::ForgetsWhenClockSetBack),
            };
            let is_current = self.is_current(&row, now);
            if row.is_handled && is_retained && (is_current || !self.is(Defect::ExpiresCommitted)) {
                return Claim::Handled;
            }
            if !row.is_handled && is_current && !self.is(Defect::GrantsTwice) {
                let reports_handled = self.is(Defect::ReportsHandledForInProgress);
                return if reports_handled { Claim::Handled } else { Claim::InProgress };
            }
        }
        let is_busy = |row: &Row| !row.is_handled && !row.is_aborted && self.is_current(row, now);
        if self.is(Defect::GrantsOneEventAtOnce) && state.rows.values().any(is_busy) {
            return Claim::InProgress;
        }
        if self.is(Defect::EvictsInsideWindow) && state.rows.len() >= 500 {
            let oldest = state.rows.iter().min_by_key(|(_, row)| row.token).map(|(key, _)| key.clone());
            oldest.map(|key| state.rows.remove(&key));
        }
        state.last_token += 1;
        let previous = found.filter(|row| !row.is_aborted).map(|row| row.token);
        let token = match previous {
            Some(token) if self.is(Defect::SameTokenAfterTimeout) => token,
            _ if self.is(Defect::SameTokenForAll) => 1,
            _ => state.last_token,
        };
        state.rows.insert(key, Row { token, claimed_at: now, is_handled: false, is_aborted: false });
        Claim::Granted(ClaimToken::from_u128(token))
    }

    fn commit(&self, id: &EventId, token: ClaimToken) -> CommitResult {
        let key = self.key(id);
        let mut state = self.state();
        state.commits += 1;
        let commits = state.commits;
        if self.is(Defect::ReportsClaimLost) {
            return CommitResult::ClaimLost;
        }
        let Some(row) = state.rows.get_mut(&key) else {
            let commits_unclaimed = self.is(Defect::CommitsUnclaimed);
            return if commits_unclaimed { CommitResult::Committed } else { CommitResult::ClaimLost };
        };
        let is_repeated = row.is_handled;
        let has_token = row.token == token.as_u128()
            || self.is(Defect::CommitByStaleToken)
            || self.is(Defect::CommitByStaleTokenOfCommitted) && row.is_handled;
        if !has_token
            || row.is_aborted && !self.is(Defect::CommitsAborted)
            || is_repeated && self.is(Defect::CommitNotRepeatable)
        {
            return CommitResult::ClaimLost;
        }
        let is_lost = self.is(Defect::SwallowsErrors) && commits.is_multiple_of(16);
        if !self.is(Defect::ForgetsCommit) && !is_lost {
            row.is_handled = true;
            row.is_aborted = false;
        }
        CommitResult::Committed
    }

    fn abort(&self, id: &EventId, token: ClaimToken) {
        let key = self.key(id);
        let is_current = |row: &Row| {
            (row.token == token.as_u128() || self.is(Defect::AbortByStaleToken))
                && (!row.is_handled || self.is(Defect::AbortUndoesCommit))
        };
        if let Some(row) = self.state().rows.get_mut(&key)
            && is_current(row)
            && !self.is(Defect::AbortDoesNothing)
        {
            row.is_aborted = true;
            row.is_handled = false;
        }
    }
}

impl Deduplicator for Broken {
    fn begin<'a>(&'a self, id: &'a EventId, now: SystemTime) -> DeduplicatorFuture<'a, Claim> {
        Box::pin(async move { Ok::<_, DeduplicatorError>(self.begin(id, now).await) })
    }

    fn commit<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, CommitResult> {
        Box::pin(async move { Ok(self.commit(id, token)) })
    }

    fn abort<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, ()> {
        Box::pin(async move {
            self.abort(id, token);
            Ok(())
        })
    }

    fn retain_at_least(&self, window: Duration) {
        let mut state = self.state();
        state.retention = state.retention.max(window);
    }
}
