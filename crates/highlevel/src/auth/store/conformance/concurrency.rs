//! Calls at the same time, through several handles.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context as TaskContext, Waker};
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::context::{Caller, Context};
use super::samples::tokens;
use crate::auth::store::{Key, LeaseResult, Precondition, PutResult, Version};
use crate::conformance::{CheckResult, ensure};

const TASKS: usize = 8;
const ROUNDS: usize = 10;

/// Far longer than it takes: it only ends a check of a store that hangs.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) async fn put_version(context: &Context) -> CheckResult {
    let (store, key) = (context.store(), context.key("a"));
    let mut version = store.store(&key, &tokens("start"), Precondition::Anything).await?;
    for _ in 0..ROUNDS {
        version = one_put(context, &key, Precondition::Version(version)).await?;
    }
    Ok(())
}

pub(super) async fn put_nothing(context: &Context) -> CheckResult {
    for round in 0..ROUNDS {
        one_put(context, &context.key(&round.to_string()), Precondition::Nothing).await?;
    }
    Ok(())
}

/// Puts tokens many times with the same precondition: one succeeds, and the others conflict with it.
async fn one_put(context: &Context, key: &Key, precondition: Precondition) -> Result<Version, String> {
    let key = Arc::new(key.clone());
    let results = at_once(context, |index, caller| {
        let key = Arc::clone(&key);
        async move { caller.put(&key, &tokens(&index.to_string()), precondition).await }
    });
    let mut stored = Vec::new();
    let mut conflicts = Vec::new();
    for (index, result) in results.await? {
        match result {
            PutResult::Stored(version) => stored.push((index, version)),
            PutResult::Conflict(found) => conflicts.push(found.map(|found| found.version)),
        }
    }
    let [(index, version)] = stored[..] else {
        return Err(format!(
            "of {TASKS} calls of put with {precondition:?} at the same time, 1 should have succeeded, but {} did",
            stored.len()
        ));
    };
    ensure(conflicts.iter().all(|found| *found == Some(version)), || {
        format!("all conflicts should have been with {version:?}, but were with {conflicts:?}")
    })?;
    context.other().has(&key, Some((&tokens(&index.to_string()), version))).await?;
    Ok(version)
}

pub(super) async fn remove(context: &Context) -> CheckResult {
    for round in 0..ROUNDS {
        let key = Arc::new(context.key(&round.to_string()));
        let version = context.store().store(&key, &tokens("removed"), Precondition::Nothing).await?;
        let precondition =
            if round % 2 == 0 { Precondition::Anything } else { Precondition::Version(version) };
        let results = at_once(context, |_, caller| {
            let key = Arc::clone(&key);
            async move { caller.remove(&key, precondition).await }
        });
        let removed = results.await?.into_iter().filter(|(_, removed)| *removed).count();
        ensure(removed == 1, || {
            format!(
                "of {TASKS} calls of remove with {precondition:?} at the same time, 1 should have removed the tokens, \
                 but {removed} did"
            )
        })?;
    }
    Ok(())
}

/// Each task adds one to a number: it reads the number, and writes it until no other write came between.
pub(super) async fn no_lost_update(context: &Context) -> CheckResult {
    let key = Arc::new(context.key("a"));
    context.store().store(&key, &tokens("numbers"), Precondition::Nothing).await?;
    let counting = at_once(context, |_, caller| {
        let key = Arc::clone(&key);
        async move {
            // Each failed attempt is the success of another task, so there are no more attempts than tasks.
            for _ in 0..=TASKS * ROUNDS {
                let stored = caller
                    .get(&key)
                    .await?
                    .ok_or("get should have returned the number, but returned nothing")?;
                let mut next = stored.tokens;
                next.scopes.push(String::new());
                let precondition = Precondition::Version(stored.version);
                if let PutResult::Stored(_) = caller.put(&key, &next, precondition).await? {
                    return Ok(());
                }
            }
            Err("put with the version that get returned should have succeeded once, but never did".to_owned())
        }
    });
    let before = tokens("numbers").scopes.len();
    counting.await?;
    let stored = context.other().get(&key).await?;
    let stored = stored.ok_or("get should have returned the number, but returned nothing")?;
    let added = stored.tokens.scopes.len().saturating_sub(before);
    ensure(added == TASKS, || format!("{TASKS} tasks should have added one, but {added} were added"))
}

pub(super) async fn lease(context: &Context) -> CheckResult {
    for round in 0..ROUNDS {
        let key = Arc::new(context.key(&round.to_string()));
        let results = at_once(context, |index, caller| {
            let key = Arc::clone(&key);
            async move { caller.lease(&key, &format!("holder-{index}"), Duration::from_secs(45)).await }
        });
        let results = results.await?;
        let granted = results.iter().filter(|(_, result)| *result == LeaseResult::Granted).count();
        ensure(granted == 1, || {
            format!(
                "of {TASKS} requests for a lease at the same time, 1 should have been granted, but {granted} were"
            )
        })?;
    }
    Ok(())
}

/// Calls are dropped after their first poll. They may have taken effect, but they may not block others.
pub(super) async fn dropped_calls(context: &Context) -> CheckResult {
    let (store, key) = (context.store(), context.key("a"));
    let (first, second) = (tokens("first"), tokens("second"));
    store.store(&key, &first, Precondition::Nothing).await?;
    let begin_and_drop = || {
        let mut task = TaskContext::from_waker(Waker::noop());
        let store = &*store.store;
        let _ = store.get(&key).as_mut().poll(&mut task);
        let _ = store.put(&key, &second, Precondition::Anything).as_mut().poll(&mut task);
        let _ = store.resources(&key.client_id).as_mut().poll(&mut task);
        let _ = store.lease(&key, "dropped", Duration::ZERO).as_mut().poll(&mut task);
        let _ = store.release(&key, "dropped").as_mut().poll(&mut task);
    };
    let others = async {
        for round in 0..ROUNDS {
            begin_and_drop();
            let found = context.other().get(&key).await?.ok_or("the tokens should still be there")?;
            let is_either =
                [&first, &second].iter().any(|tokens| super::samples::same(&found.tokens, tokens).is_ok());
            ensure(is_either, || "the tokens should be those before or after the dropped put".to_owned())?;
            let other = context.caller(round);
            other.store(&key, &first, Precondition::Anything).await?;
            other.lease(&key, "dropped", Duration::from_secs(45)).await?;
            other.release(&key, "dropped").await?;
        }
        Ok(())
    };
    tokio::time::timeout(TEST_TIMEOUT, others)
        .await
        .unwrap_or_else(|_| Err("calls should not wait for ever after others were dropped".to_owned()))
}

/// Runs tasks at the same time, each with a handle, and returns their results.
async fn at_once<T, F>(
    context: &Context,
    work: impl Fn(usize, Caller) -> F,
) -> Result<Vec<(usize, T)>, String>
where
    T: Send + 'static,
    F: Future<Output = Result<T, String>> + Send + 'static,
{
    let start = Arc::new(Barrier::new(TASKS));
    let mut tasks = JoinSet::new();
    for index in 0..TASKS {
        let (start, work) = (Arc::clone(&start), work(index, context.caller(index)));
        tasks.spawn(async move {
            start.wait().await;
            (index, work.await)
        });
    }
    let mut results = Vec::new();
    while let Some(task) = tasks.join_next().await {
        let (index, result) = task.map_err(|error| format!("the call did not complete: {error}"))?;
        results.push((index, result?));
    }
    Ok(results)
}
