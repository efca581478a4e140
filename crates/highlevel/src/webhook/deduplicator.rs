//! The contract of a deduplicator.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::EventId;

/// An error returned by a deduplicator.
pub type DeduplicatorError = Box<dyn std::error::Error + Send + Sync>;

/// The future returned by a method of a [`Deduplicator`].
pub type DeduplicatorFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, DeduplicatorError>> + Send + 'a>>;

/// Records which events are in progress and which have been handled.
///
/// The receiver calls [`begin`](Self::begin) last, after an event has passed every other check. The default is an
/// [`InMemoryDeduplicator`](super::InMemoryDeduplicator); a store that several processes share implements this trait.
///
/// # Contract
///
/// - **One claim.** Of concurrent calls of `begin` for one event, exactly one returns [`Claim::Granted`].
/// - **Tokens.** Each granted claim has a token that no other claim has. Only the token of the current claim can commit
///   or abort it.
/// - **Claims end.** A process that is killed calls neither `commit` nor `abort`. A store that outlives its processes
///   therefore ends a claim some time after `begin`: later than any handler takes, and early enough that HighLevel
///   still redelivers the event afterwards (10 minutes is a good value). A claim that has ended can be granted to
///   another delivery. The first one then gets [`CommitResult::ClaimLost`], and changes nothing. A deduplicator in the
///   memory of its process needs no such timeout.
/// - **Commits are durable.** Once `commit` has returned [`CommitResult::Committed`], `begin` returns
///   [`Claim::Handled`], at least for the time that was passed to [`retain_at_least`](Self::retain_at_least).
/// - **Ids are compared byte by byte.** Case, trailing spaces and the last of 256 bytes matter.
/// - **Errors are returned.** An event whose claim or commit failed is redelivered, so an error loses nothing; a claim
///   or a commit that is reported but did not happen does. A panic is treated as an error.
/// - **Futures end.** The response to HighLevel waits for them, so give a database a timeout. A future that is dropped
///   or returns an error may or may not have taken effect.
///
/// The module [`conformance`](super::conformance) (feature `testing`) checks an implementation against this contract.
///
/// # On a database
///
/// ```sql
/// CREATE TABLE event (
///     id         text COLLATE "C" PRIMARY KEY,      -- EventId::as_str, at most 256 bytes
///     token      uuid NOT NULL,                     -- ClaimToken::from_u128
///     claimed_at timestamptz NOT NULL,              -- by the clock of the database, which all processes share
///     handled    boolean NOT NULL DEFAULT false
/// );
/// -- begin: granted if it returns a row; otherwise read `handled`
/// INSERT INTO event VALUES ($1, gen_random_uuid(), now())
///     ON CONFLICT (id) DO UPDATE SET token = excluded.token, claimed_at = excluded.claimed_at
///     WHERE NOT event.handled AND event.claimed_at < now() - interval '10 minutes'
///     RETURNING token;
/// -- commit: the claim is lost if it changes no row
/// UPDATE event SET handled = true WHERE id = $1 AND token = $2;
/// -- abort
/// DELETE FROM event WHERE id = $1 AND token = $2 AND NOT handled;
/// ```
pub trait Deduplicator: Send + Sync {
    /// Claims an event.
    ///
    /// `now` is the time that was passed to the receiver, for deduplicators without a clock. One that is shared by
    /// several machines should use its own clock, because theirs differ.
    ///
    /// # Errors
    ///
    /// Returns an error if the event cannot be claimed now. The delivery is rejected with 429, and HighLevel
    /// redelivers the event.
    fn begin<'a>(&'a self, id: &'a EventId, now: SystemTime) -> DeduplicatorFuture<'a, Claim>;

    /// Records that an event was handled.
    ///
    /// A commit by the current token is idempotent: repeated, it returns [`CommitResult::Committed`] again.
    ///
    /// # Errors
    ///
    /// Returns an error if the commit is not known to have happened. The receiver then aborts the claim, and HighLevel
    /// redelivers the event.
    fn commit<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, CommitResult>;

    /// Ends a claim without a commit: the next delivery of the event can claim it at once.
    ///
    /// Does nothing if the token is not that of the current claim, or if the claim was committed.
    ///
    /// The receiver polls the future once where an event is dropped, possibly outside of any runtime. If it is not
    /// finished then, it continues as a task of the current tokio runtime, if there is one; otherwise it is dropped,
    /// and the claim ends by its timeout.
    ///
    /// # Errors
    ///
    /// Returns an error if the claim may still be there. The error is logged, and the claim ends by its timeout.
    fn abort<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, ()>;

    /// Requires committed events to be recognized for at least this long after their claim.
    ///
    /// Called once by each receiver that is built with the deduplicator, with the time during which the receiver
    /// accepts deliveries of one event: both sides of its [`window`](super::ReceiverBuilder::window). Of several calls
    /// the longest time counts. An implementation that never deletes events does nothing here.
    fn retain_at_least(&self, window: Duration);
}

impl<T: Deduplicator + ?Sized> Deduplicator for Arc<T> {
    fn begin<'a>(&'a self, id: &'a EventId, now: SystemTime) -> DeduplicatorFuture<'a, Claim> {
        (**self).begin(id, now)
    }

    fn commit<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, CommitResult> {
        (**self).commit(id, token)
    }

    fn abort<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, ()> {
        (**self).abort(id, token)
    }

    fn retain_at_least(&self, window: Duration) {
        (**self).retain_at_least(window);
    }
}

/// The result of [`Deduplicator::begin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Claim {
    /// The event is claimed for this delivery. Only this token can commit or abort the claim.
    Granted(ClaimToken),
    /// Another delivery of the event is in progress. This one is rejected with 429, so that HighLevel redelivers it in
    /// case the other one fails.
    InProgress,
    /// The event was handled. The delivery is rejected as a duplicate, with 200.
    Handled,
}

/// The result of [`Deduplicator::commit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[must_use = "a commit can find that the claim was lost"]
pub enum CommitResult {
    /// The event is recorded as handled.
    Committed,
    /// The claim had ended, and another delivery may have claimed the event since. Nothing was changed.
    ClaimLost,
}

/// Identifies one claim of one event.
///
/// Never reused by a deduplicator: 128 random bits (a UUID), or a number from a sequence.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClaimToken(u128);

impl ClaimToken {
    /// Creates a token from its 128 bits, such as those of a UUID.
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// Returns the 128 bits of the token.
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Debug for ClaimToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClaimToken({:032x})", self.0)
    }
}
