//! The checks that make one call at a time.

use std::collections::HashSet;
use std::time::Duration;

use super::super::EventId;
use super::super::deduplicator::{Claim, ClaimToken, CommitResult};
use super::context::{Context, begin, commit as commit_with};
use crate::conformance::CheckResult;

/// The number of events that are committed one after another.
const MANY: usize = 1_000;

pub(super) async fn one_at_a_time(context: &Context<'_>) -> CheckResult {
    let id = context.id("event");
    let token = context.granted(&id, "at its first delivery").await?;
    context.expect(&id, Claim::InProgress, "at a delivery during the first one").await?;
    context.expect(&id, Claim::InProgress, "at a further delivery during the first one").await?;
    context.commit(&id, token, CommitResult::Committed, "for the delivery that was granted").await
}

pub(super) async fn independent(context: &Context<'_>) -> CheckResult {
    let (first, second) = (context.id("first"), context.id("second"));
    let token = context.granted(&first, "at its first delivery").await?;
    let other = context.granted(&second, "while another event is in progress").await?;
    context.commit(&first, token, CommitResult::Committed, "while another event is in progress").await?;
    context.expect(&second, Claim::InProgress, "after another event was committed").await?;
    context.abort(&second, other).await?;
    context.expect(&first, Claim::Handled, "after another event was aborted").await
}

pub(super) async fn handles(context: &Context<'_>) -> CheckResult {
    let id = context.id("event");
    let token = context.granted(&id, "at its first delivery").await?;
    let through = async |expected: Claim, when: &str| -> CheckResult {
        for handle in &context.handles {
            let found = begin(handle.as_ref(), &id, context.now()).await?;
            if found != expected {
                return Err(format!(
                    "begin through another handle should have returned {expected:?} {when}, but returned {found:?}"
                ));
            }
        }
        Ok(())
    };
    through(Claim::InProgress, "during the first delivery").await?;
    let committed = commit_with(context.handles[1].as_ref(), &id, token).await?;
    if committed != CommitResult::Committed {
        return Err(format!("commit through another handle returned {committed:?}"));
    }
    through(Claim::Handled, "after the commit").await
}

pub(super) async fn tokens(context: &Context<'_>) -> CheckResult {
    let mut seen = HashSet::new();
    for number in 0..16 {
        let id = context.id(&format!("event {}", number / 4));
        let token = context.granted(&id, "after an abort").await?;
        if !seen.insert(token) {
            return Err(format!("begin returned {token:?} for a second claim"));
        }
        context.abort(&id, token).await?;
    }
    Ok(())
}

pub(super) async fn commit(context: &Context<'_>) -> CheckResult {
    let id = context.id("event");
    let token = context.granted(&id, "at its first delivery").await?;
    context.commit(&id, token, CommitResult::Committed, "for the current claim").await?;
    for _ in 0..3 {
        context.expect(&id, Claim::Handled, "after the commit").await?;
    }
    Ok(())
}

pub(super) async fn commit_repeated(context: &Context<'_>) -> CheckResult {
    let id = context.id("event");
    let token = context.granted(&id, "at its first delivery").await?;
    for _ in 0..3 {
        context.commit(&id, token, CommitResult::Committed, "each time, for the same token").await?;
    }
    context.expect(&id, Claim::Handled, "after several commits").await
}

/// Returns the tokens of a claim that was aborted and of the claim that followed.
async fn stale_and_current(context: &Context<'_>, id: &EventId) -> Result<(ClaimToken, ClaimToken), String> {
    let stale = context.granted(id, "at its first delivery").await?;
    context.abort(id, stale).await?;
    Ok((stale, context.granted(id, "after an abort").await?))
}

pub(super) async fn commit_stale(context: &Context<'_>) -> CheckResult {
    let id = context.id("event");
    let (stale, current) = stale_and_current(context, &id).await?;
    context.commit(&id, stale, CommitResult::ClaimLost, "for a stale token").await?;
    context.expect(&id, Claim::InProgress, "after a commit by a stale token").await?;
    context.commit(&id, current, CommitResult::Committed, "after a commit by a stale token").await?;
    context.commit(&id, stale, CommitResult::ClaimLost, "for a stale token of a committed event").await
}

pub(super) async fn commit_unclaimed(context: &Context<'_>) -> CheckResult {
    let id = context.id("event");
    let token = ClaimToken::from_u128(0x5eed);
    context.commit(&id, token, CommitResult::ClaimLost, "for an event that was never claimed").await?;
    let token = context.granted(&id, "after a commit without a claim").await?;
    context.abort(&id, token).await?;
    context.commit(&id, token, CommitResult::ClaimLost, "after the abort").await?;
    context.granted(&id, "after a commit of an aborted claim").await.map(drop)
}

pub(super) async fn many(context: &Context<'_>) -> CheckResult {
    let ids: Vec<EventId> = (0..MANY).map(|number| context.id(&format!("event {number}"))).collect();
    for id in &ids {
        let token = context.granted(id, "at its first delivery").await?;
        context.commit(id, token, CommitResult::Committed, "for the current claim").await?;
    }
    for id in &ids {
        let when = format!("for {id} after {MANY} events were committed");
        context.expect(id, Claim::Handled, &when).await?;
    }
    Ok(())
}

pub(super) async fn abort(context: &Context<'_>) -> CheckResult {
    let id = context.id("event");
    for _ in 0..3 {
        let token = context.granted(&id, "after an abort").await?;
        context.abort(&id, token).await?;
    }
    let token = context.granted(&id, "after several aborts").await?;
    context.commit(&id, token, CommitResult::Committed, "after several aborts").await
}

pub(super) async fn abort_stale(context: &Context<'_>) -> CheckResult {
    let id = context.id("event");
    let (stale, current) = stale_and_current(context, &id).await?;
    context.abort(&id, stale).await?;
    context.expect(&id, Claim::InProgress, "after an abort by a stale token").await?;
    context.commit(&id, current, CommitResult::Committed, "after an abort by a stale token").await
}

pub(super) async fn abort_committed(context: &Context<'_>) -> CheckResult {
    let id = context.id("event");
    let token = context.granted(&id, "at its first delivery").await?;
    context.commit(&id, token, CommitResult::Committed, "for the current claim").await?;
    context.abort(&id, token).await?;
    context.expect(&id, Claim::Handled, "when an abort follows the commit").await
}

pub(super) async fn ids(context: &Context<'_>) -> CheckResult {
    let longest = "x".repeat(200);
    let names = [
        "event",
        "Event",
        "EVENT",
        "event ",
        " event",
        "event\u{301}",
        "\u{e9}vent",
        "e\u{301}vent",
        "event%",
        "event_",
        "event'",
        "event\\\\",
        "event\\u0000",
        "",
        &longest,
        &format!("{longest}x"),
        &format!("{longest}y"),
    ];
    let mut claims = Vec::new();
    for name in names {
        let id = context.id(name);
        claims.push((context.granted(&id, "beside similar ids").await?, id));
    }
    for (token, id) in &claims {
        context.commit(id, *token, CommitResult::Committed, &format!("for {id}, beside similar ids")).await?;
        context.expect(id, Claim::Handled, &format!("for {id}, beside similar ids")).await?;
    }
    Ok(())
}

pub(super) async fn timeout_not_too_early(context: &Context<'_>) -> CheckResult {
    let id = context.id("event");
    let token = context.granted(&id, "at its first delivery").await?;
    let (wait, when) = match context.timing.claim_timeout {
        Some(timeout) => (timeout / 2, "after half of the claim timeout"),
        None => (Duration::from_secs(7 * 24 * 60 * 60), "after a week, as claims have no timeout"),
    };
    context.advance(wait).await;
    context.expect(&id, Claim::InProgress, when).await?;
    context.commit(&id, token, CommitResult::Committed, when).await
}

pub(super) async fn timeout_ends(context: &Context<'_>) -> CheckResult {
    let Some(timeout) = context.timing.claim_timeout else { return Ok(()) };
    let id = context.id("event");
    let first = context.granted(&id, "at its first delivery").await?;
    context.advance(timeout * 3 / 2).await;
    let second = context.granted(&id, "after the claim timeout of a process that was killed").await?;
    if first == second {
        return Err(format!("begin returned {first:?} for a second claim"));
    }
    context.expect(&id, Claim::InProgress, "during the second claim").await?;
    context.commit(&id, second, CommitResult::Committed, "for the second claim").await?;
    context.advance(timeout * 3 / 2).await;
    context.expect(&id, Claim::Handled, "after the commit, even after the claim timeout").await
}

pub(super) async fn timeout_loses(context: &Context<'_>) -> CheckResult {
    let Some(timeout) = context.timing.claim_timeout else { return Ok(()) };
    let id = context.id("event");
    let first = context.granted(&id, "at its first delivery").await?;
    context.advance(timeout * 3 / 2).await;
    let second = context.granted(&id, "after the claim timeout").await?;
    context.abort(&id, first).await?;
    context.expect(&id, Claim::InProgress, "after an abort by the claim that timed out").await?;
    context.commit(&id, first, CommitResult::ClaimLost, "for the claim that timed out").await?;
    context.expect(&id, Claim::InProgress, "after a commit by the claim that timed out").await?;
    context.commit(&id, second, CommitResult::Committed, "for the current claim").await
}

pub(super) async fn retention(context: &Context<'_>) -> CheckResult {
    let id = context.id("event");
    let token = context.granted(&id, "at its first delivery").await?;
    context.commit(&id, token, CommitResult::Committed, "for the current claim").await?;
    for number in 1..=3 {
        context.advance(context.timing.retention * 9 / 30).await;
        // Another event, since eviction may be a side effect of a claim.
        let other = context.id(&format!("other event {number}"));
        let token = context.granted(&other, "at its first delivery").await?;
        context.commit(&other, token, CommitResult::Committed, "for the current claim").await?;
        context.expect(&id, Claim::Handled, "within the required retention").await?;
    }
    Ok(())
}

pub(super) async fn clock_set_back(context: &Context<'_>) -> CheckResult {
    let (committed, claimed) = (context.id("committed"), context.id("claimed"));
    let token = context.granted(&committed, "at its first delivery").await?;
    context.commit(&committed, token, CommitResult::Committed, "for the current claim").await?;
    let current = context.granted(&claimed, "at its first delivery").await?;
    for hours in [1, 24, 24 * 365] {
        let earlier = context.now() - Duration::from_secs(hours * 60 * 60);
        for (id, expected) in [(&committed, Claim::Handled), (&claimed, Claim::InProgress)] {
            let found = begin(context.handles[0].as_ref(), id, earlier).await?;
            if found != expected {
                return Err(format!(
                    "begin should have returned {expected:?} when the clock was set back by {hours} h, but returned \
                     {found:?}"
                ));
            }
        }
    }
    context.commit(&claimed, current, CommitResult::Committed, "when the clock was set back").await
}
