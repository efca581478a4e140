//! Calls at the same time, through several handles.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::Outcome;
use super::context::{Caller, Context, ensure};
use super::samples::{at, tokens};
use crate::auth::store::{Expected, Key, Lease, Put, Version};

const TASKS: usize = 8;
const ROUNDS: usize = 10;

pub(super) async fn replace(context: &Context) -> Outcome {
    let (store, key) = (context.store(), context.key("a"));
    let mut version = store.store(&key, &tokens("start"), Expected::Anything).await?;
    for _ in 0..ROUNDS {
        version = one_writes(context, &key, Expected::Version(version)).await?;
    }
    Ok(())
}

pub(super) async fn first(context: &Context) -> Outcome {
    for round in 0..ROUNDS {
        one_writes(context, &context.key(&round.to_string()), Expected::Nothing).await?;
    }
    Ok(())
}

/// Of many writings that expect the same, one is done; the others are told which.
async fn one_writes(context: &Context, key: &Key, expected: Expected) -> Result<Version, String> {
    let key = Arc::new(key.clone());
    let answers = at_once(context, |index, caller| {
        let key = Arc::clone(&key);
        async move { caller.put(&key, &tokens(&index.to_string()), expected).await }
    });
    let mut stored = Vec::new();
    let mut conflicts = Vec::new();
    for (index, answer) in answers.await? {
        match answer {
            Put::Stored(version) => stored.push((index, version)),
            Put::Conflict(found) => conflicts.push(found.map(|found| found.version)),
        }
    }
    let [(index, version)] = stored[..] else {
        return Err(format!(
            "of {TASKS} writings with {expected:?} at the same time, 1 should have been done, but {} were",
            stored.len()
        ));
    };
    ensure(conflicts.iter().all(|found| *found == Some(version)), || {
        format!("the conflicts should all have been with {version:?}, but were with {conflicts:?}")
    })?;
    context.other().has(&key, Some((&tokens(&index.to_string()), version))).await?;
    Ok(version)
}

/// Everybody adds one to a number: reads, and writes until no other writing came between.
pub(super) async fn count(context: &Context) -> Outcome {
    let key = Arc::new(context.key("a"));
    context.store().store(&key, &tokens("numbers"), Expected::Nothing).await?;
    let counting = at_once(context, |_, caller| {
        let key = Arc::clone(&key);
        async move {
            // Each failed attempt is the success of another, so there are no more than all together.
            for _ in 0..=TASKS * ROUNDS {
                let stored =
                    caller.get(&key).await?.ok_or("get should have found the number, but found nothing")?;
                let mut next = stored.tokens;
                next.scopes.push(String::new());
                if let Put::Stored(_) = caller.put(&key, &next, Expected::Version(stored.version)).await? {
                    return Ok(());
                }
            }
            Err("put with the version that get answered should have been done some time, but never was"
                .to_owned())
        }
    });
    let before = tokens("numbers").scopes.len();
    counting.await?;
    let stored =
        context.other().get(&key).await?.ok_or("get should have found the number, but found nothing")?;
    let added = stored.tokens.scopes.len().saturating_sub(before);
    ensure(added == TASKS, || format!("{TASKS} should have added one, but {added} were added"))
}

pub(super) async fn lease(context: &Context) -> Outcome {
    for round in 0..ROUNDS {
        let key = Arc::new(context.key(&round.to_string()));
        let answers = at_once(context, |index, caller| {
            let key = Arc::clone(&key);
            async move { caller.lease(&key, &format!("holder-{index}"), at(1_000), at(2_000)).await }
        });
        let answers = answers.await?;
        let granted = answers.iter().filter(|(_, answer)| *answer == Lease::Granted).count();
        ensure(granted == 1, || {
            format!(
                "of {TASKS} who ask at the same time, 1 should have been given the lease, but {granted} were"
            )
        })?;
        ensure(
            answers.iter().all(|(_, answer)| {
                matches!(answer, Lease::Granted) || *answer == Lease::HeldUntil(at(2_000))
            }),
            || format!("the others should have been told until when it is held, but were told {answers:?}"),
        )?;
    }
    Ok(())
}

/// Has tasks do something at the same time, each through a handle, and answers what each of them got.
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
    let mut answers = Vec::new();
    while let Some(task) = tasks.join_next().await {
        let (index, answer) = task.map_err(|error| format!("the call did not end: {error}"))?;
        answers.push((index, answer?));
    }
    Ok(answers)
}
