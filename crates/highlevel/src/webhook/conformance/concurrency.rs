//! The checks that make calls at the same time, through several handles.

use std::sync::Arc;

use super::super::EventId;
use super::super::deduplicator::{Claim, ClaimToken, CommitResult, Deduplicator};
use super::context::{Context, abort, begin, commit};
use crate::conformance::CheckResult;

const TASKS: usize = 16;
const ROUNDS: usize = 8;

/// Calls a function in several tasks, each with one of the handles, and returns their results.
async fn at_once<T, F>(
    context: &Context<'_>,
    call: impl Fn(usize, Arc<dyn Deduplicator>) -> F,
) -> Result<Vec<T>, String>
where
    T: Send + 'static,
    F: Future<Output = Result<T, String>> + Send + 'static,
{
    let handles = context.handles.iter().cycle().take(TASKS).enumerate();
    let tasks: Vec<_> =
        handles.map(|(number, handle)| tokio::spawn(call(number, Arc::clone(handle)))).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.map_err(|error| format!("a call did not return: {error}"))??);
    }
    Ok(results)
}

/// Claims an event in all tasks at once. Returns the token of the only claim that was granted.
async fn claim(context: &Context<'_>, id: &EventId) -> Result<ClaimToken, String> {
    let now = context.now();
    let claims = at_once(context, |_, handle| {
        let id = id.clone();
        async move { begin(handle.as_ref(), &id, now).await }
    })
    .await?;
    let granted: Vec<ClaimToken> = claims
        .iter()
        .filter_map(|claim| match claim {
            Claim::Granted(token) => Some(*token),
            _ => None,
        })
        .collect();
    match granted[..] {
        [token] if claims.iter().all(|claim| *claim != Claim::Handled) => Ok(token),
        _ => Err(format!(
            "of {TASKS} concurrent deliveries, 1 should have been granted and the others in progress: {claims:?}"
        )),
    }
}

pub(super) async fn one_claim(context: &Context<'_>) -> CheckResult {
    for round in 0..ROUNDS {
        let id = context.id(&format!("event {round}"));
        let token = claim(context, &id).await?;
        context.abort(&id, token).await?;
        let token = claim(context, &id).await?;
        context.commit(&id, token, CommitResult::Committed, "for the current claim").await?;
        context.expect(&id, Claim::Handled, "after the commit").await?;
    }
    Ok(())
}

/// All tasks handle all events. Each event is committed once, even if other claims of it are aborted.
pub(super) async fn one_commit(context: &Context<'_>) -> CheckResult {
    let ids: Vec<EventId> = (0..ROUNDS).map(|round| context.id(&format!("event {round}"))).collect();
    let now = context.now();
    let commits = at_once(context, |number, handle| {
        let ids = ids.clone();
        async move {
            let mut commits = 0;
            for id in &ids {
                if let Claim::Granted(token) = begin(handle.as_ref(), id, now).await? {
                    tokio::task::yield_now().await;
                    if number % 2 == 0 {
                        commits +=
                            usize::from(commit(handle.as_ref(), id, token).await? == CommitResult::Committed);
                    } else {
                        abort(handle.as_ref(), id, token).await?;
                    }
                }
            }
            Ok(commits)
        }
    })
    .await?;
    let mut expected = 0;
    for id in &ids {
        match context.begin(id).await? {
            Claim::Handled => expected += 1,
            Claim::Granted(_) => {}
            other => return Err(format!("begin returned {other:?} for {id} when all deliveries had ended")),
        }
    }
    match commits.iter().sum::<usize>() {
        found if found == expected => Ok(()),
        found => Err(format!("{found} commits succeeded, but {expected} events are handled")),
    }
}

/// The current holder commits while the previous one commits and aborts.
pub(super) async fn stale_tokens(context: &Context<'_>) -> CheckResult {
    for round in 0..ROUNDS {
        let id = context.id(&format!("event {round}"));
        let stale = context.granted(&id, "at its first delivery").await?;
        context.abort(&id, stale).await?;
        let current = context.granted(&id, "after an abort").await?;
        let results = at_once(context, |number, handle| {
            let id = id.clone();
            async move {
                match number {
                    0 => commit(handle.as_ref(), &id, current).await.map(Some),
                    _ if number % 2 == 0 => commit(handle.as_ref(), &id, stale).await.map(Some),
                    _ => abort(handle.as_ref(), &id, stale).await.map(|()| None),
                }
            }
        })
        .await?;
        let committed = results.iter().filter(|result| **result == Some(CommitResult::Committed)).count();
        if (results[0], committed) != (Some(CommitResult::Committed), 1) {
            return Err(format!("only the commit of the current claim should have succeeded: {results:?}"));
        }
        context.expect(&id, Claim::Handled, "after the commit").await?;
    }
    Ok(())
}
