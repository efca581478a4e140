//! The checks.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::context::{Context, UsedPermit, begin, of_kind};
use crate::conformance::{CheckResult, ensure};
use crate::limit::{AcquireErrorKind, RateLimitHeaders, RateLimited};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn nothing() -> RateLimitHeaders {
    RateLimitHeaders::default()
}

pub(super) async fn at_once(context: Context) -> CheckResult {
    // A limiter may pause before its first permit.
    let mut all = vec![context.permit(0, "a").await?];
    for _ in 1..context.burst() {
        all.push(context.now("a", "fewer than the limit are issued").await?);
    }
    context.none(0, "a", "as many as the limit are issued").await.map(drop)
}

/// A bucket of tokens and a fixed window let more through than a sliding window.
pub(super) async fn any_window(context: Context) -> CheckResult {
    let mut used = Vec::new();
    for pause in [7, 3, 9] {
        used.push(context.send(0, "a", &nothing()).await?);
        tokio::time::sleep(context.limits.interval * pause / 10).await;
        for _ in 0..2 * context.burst() - 1 {
            used.push(context.send(0, "a", &nothing()).await?);
        }
    }
    context.within_limit(used)
}

pub(super) async fn many_tasks(context: Context) -> CheckResult {
    let tasks: Vec<_> = (0..5 * context.burst())
        .map(|number| {
            let context = context.clone();
            tokio::spawn(async move { context.send(number, "a", &nothing()).await })
        })
        .collect();
    let mut used = Vec::new();
    for task in tasks {
        used.push(task.await.map_err(|error| format!("the limiter panicked: {error}"))??);
    }
    context.within_limit(used)
}

pub(super) async fn capacity_returns(context: Context) -> CheckResult {
    for _ in 0..3 {
        context.exhaust("a").await?;
    }
    Ok(())
}

pub(super) async fn order(context: Context) -> CheckResult {
    context.exhaust("a").await?;
    // One task polls all of them: first in this order, then in the order in which they are woken. Tasks of their own would
    // arrive, and be seen to leave, in the order in which threads run them.
    let mut waiting: FuturesUnordered<_> = (0..3 * context.burst())
        .map(|number| {
            let context = &context;
            async move { (number, context.permit(0, "a").await) }
        })
        .collect();
    let mut issued = Vec::new();
    while let Some((number, permit)) = waiting.next().await {
        ensure(begin(&permit?).is_some(), || "a new permit has expired".to_owned())?;
        issued.push(number);
    }
    // A limiter may wake those that get their permits at the same time in any order.
    for (place, number) in issued.iter().enumerate() {
        ensure(place.abs_diff(*number) <= context.burst(), || {
            format!(
                "permits should be issued in the order of arrival, but were issued in the order {issued:?}"
            )
        })?;
    }
    Ok(())
}

pub(super) async fn locations(context: Context) -> CheckResult {
    let long = "a".repeat(300);
    let names = ["a", "A", "a ", "á", "a/b", "'", "", &long, &long[1..]];
    // A limiter may pause before the first permit of a location.
    for name in names {
        context.send(0, name, &nothing()).await?;
    }
    tokio::time::sleep(context.limits.interval * 3).await;
    for name in names {
        for _ in 0..context.burst() {
            let permit = context.now(name, "other locations used up theirs").await?;
            ensure(begin(&permit).is_some(), || "a new permit has expired".to_owned())?;
        }
    }
    Ok(())
}

pub(super) async fn timeout(context: Context) -> CheckResult {
    let used = context.exhaust("a").await?;
    for timeout in [Duration::ZERO, context.limits.interval / 10] {
        let acquire = context.acquire_at(0, "a", timeout);
        let Ok(permit) = acquire.await else { continue };
        // On a slow machine, the interval may be over.
        drop(permit);
        let elapsed = used[0].before.elapsed();
        ensure(elapsed >= context.limits.interval, || {
            format!(
                "no permit should be issued with a timeout of {timeout:?}, {elapsed:?} after the limit was used up"
            )
        })?;
        let late = elapsed.saturating_sub(context.limits.interval);
        ensure(late > context.limits.interval / 2, || {
            format!("`acquire` with a timeout of {timeout:?} should not wait until a permit is available")
        })?;
    }
    Ok(())
}

pub(super) async fn timeout_error(context: Context) -> CheckResult {
    context.exhaust("a").await?;
    let error = context.none(0, "a", "the limit is used up").await?;
    of_kind(&error, AcquireErrorKind::Burst)?;
    let wait = error.retry_after();
    ensure(wait.is_some_and(|wait| !wait.is_zero() && wait <= 10 * context.limits.interval), || {
        format!("the error should have the time until a permit is available, but has {wait:?}")
    })
}

pub(super) async fn any_timeout(context: Context) -> CheckResult {
    for timeout in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_nanos(1)] {
        let location = format!("{timeout:?}");
        context.send(0, &location, &nothing()).await?;
        let acquire = context.acquire_at(0, &location, timeout);
        acquire
            .await
            .map_err(|error| format!("a permit should be issued with a timeout of {timeout:?}: {error}"))?;
    }
    Ok(())
}

pub(super) async fn cancel(context: Context) -> CheckResult {
    context.exhaust("a").await?;
    let waiting: Vec<_> = (0..4 * context.burst())
        .map(|_| {
            let context = context.clone();
            tokio::spawn(async move { context.permit(0, "a").await })
        })
        .collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    for task in &waiting {
        task.abort();
    }
    for task in waiting {
        // One that had got its permit gives it back.
        drop(task.await);
    }
    let acquire = context.acquire_at(0, "a", 3 * context.limits.interval);
    acquire.await.map(drop).map_err(|error| {
        format!("a permit should be issued within 3 intervals, because those that waited have left: {error}")
    })
}

pub(super) async fn give_back(context: Context) -> CheckResult {
    if !context.limits.gives_back {
        return Ok(());
    }
    for _ in 0..3 {
        let mut all = vec![context.permit(0, "a").await?];
        for _ in 1..context.burst() {
            all.push(context.now("a", "permits that were dropped unused are given back").await?);
        }
    }
    Ok(())
}

pub(super) async fn no_response(context: Context) -> CheckResult {
    let mut first = None;
    for _ in 0..context.burst() {
        let permit = context.permit(0, "a").await?;
        let used = begin(&permit).ok_or("a new permit has expired")?;
        first.get_or_insert(used);
    }
    let Ok(permit) = context.acquire_at(0, "a", Duration::ZERO).await else { return Ok(()) };
    let used = begin(&permit).ok_or("a new permit has expired")?;
    let apart = first.map(|first| used.after - first.before).unwrap_or_default();
    ensure(apart >= context.limits.interval, || {
        format!(
            "requests without a response should count, but a permit was issued {apart:?} after the first one"
        )
    })
}

/// A request may arrive at the server at any time before its response.
pub(super) async fn slow_response(context: Context) -> CheckResult {
    let interval = context.limits.interval;
    let mut held = Vec::new();
    let mut first = None;
    for _ in 0..context.burst() {
        let permit = context.permit(0, "a").await?;
        let used = begin(&permit).ok_or("a new permit has expired")?;
        first.get_or_insert(used);
        held.push(permit);
    }
    tokio::time::sleep(interval * 3 / 2).await;
    let none = context.none(0, "a", "requests count until their responses").await;
    // On a slow machine, the limiter may assume that the responses are lost.
    if first.is_some_and(|first| first.before.elapsed() > 4 * interval) {
        return Ok(());
    }
    none?;
    let responded = Instant::now();
    for permit in &held {
        permit.observe(&nothing(), None);
    }
    let next = context.send(0, "a", &nothing()).await?;
    let apart = next.after - responded;
    ensure(apart >= interval, || {
        format!(
            "requests should count until one interval after their responses, but one was started {apart:?} after them"
        )
    })
}

pub(super) async fn expires(context: Context) -> CheckResult {
    let permit = context.permit(0, "a").await?;
    let expiry = permit.expiry().ok_or("a permit should expire, but this one has no expiry")?;
    ensure(!expiry.has_passed(), || {
        "a permit should be usable when it is issued, but has expired".to_owned()
    })?;
    let left = expiry.monotonic().saturating_duration_since(Instant::now().into_std());
    ensure(left <= Duration::from_secs(15 * 60), || {
        format!("a permit that is never used should lapse, but this one is valid for {left:?}")
    })
}

/// Permits are held, and then used together with new ones.
pub(super) async fn used_late(context: Context) -> CheckResult {
    let mut held = Vec::new();
    for _ in 0..context.burst() {
        held.push(context.permit(0, "a").await?);
    }
    tokio::time::sleep(context.limits.interval * 3 / 2).await;
    // Expired ones are refused, which is fine.
    let mut used: Vec<UsedPermit> = held.iter().filter_map(begin).collect();
    for permit in &held {
        permit.observe(&nothing(), None);
    }
    for _ in 0..context.burst() {
        used.push(context.send(0, "a", &nothing()).await?);
    }
    context.within_limit(used)
}

pub(super) async fn rejected(context: Context) -> CheckResult {
    let permit = context.permit(0, "a").await?;
    ensure(begin(&permit).is_some(), || "a new permit has expired".to_owned())?;
    permit.observe(&nothing(), Some(RateLimited::new(None)));
    let observed = Instant::now();
    if context.acquire_at(0, "a", Duration::ZERO).await.is_ok() {
        let elapsed = observed.elapsed();
        ensure(elapsed >= context.limits.interval / 4, || {
            "a rejection without Retry-After should block the location for a while".to_owned()
        })?;
    }
    Ok(())
}

pub(super) async fn rejected_elsewhere(context: Context) -> CheckResult {
    context.send(0, "b", &nothing()).await?;
    let permit = context.permit(0, "a").await?;
    ensure(begin(&permit).is_some(), || "a new permit has expired".to_owned())?;
    permit.observe(&nothing(), Some(RateLimited::new(Some(Duration::from_secs(3600)))));
    context.now("b", "another location was rejected").await.map(drop)
}

pub(super) async fn retry_after(context: Context) -> CheckResult {
    let wait = 5 * context.limits.interval;
    let permit = context.permit(0, "a").await?;
    ensure(begin(&permit).is_some(), || "a new permit has expired".to_owned())?;
    let observed = Instant::now();
    permit.observe(&nothing(), Some(RateLimited::new(Some(wait))));
    let next = context.permit(0, "a").await?;
    let elapsed = observed.elapsed();
    drop(next);
    ensure(elapsed >= wait, || {
        format!("the next permit should be issued {wait:?} after the rejection, but was after {elapsed:?}")
    })
}

pub(super) async fn any_retry_after(context: Context) -> CheckResult {
    let permit = context.permit(0, "a").await?;
    ensure(begin(&permit).is_some(), || "a new permit has expired".to_owned())?;
    permit.observe(&nothing(), Some(RateLimited::new(Some(Duration::MAX))));
    let error = context.none(0, "a", "the location is blocked").await?;
    let wait = error.retry_after().unwrap_or(Duration::MAX);
    ensure(wait <= DAY, || format!("no limit lasts longer than a day, but this one lasts {wait:?}"))
}

pub(super) async fn lower_limit(context: Context) -> CheckResult {
    let headers = RateLimitHeaders { burst_remaining: None, ..context.headers(1, 0) };
    let first = context.send(0, "a", &headers).await?;
    let next = context.send(0, "a", &headers).await?;
    let apart = next.after - first.before;
    ensure(apart >= context.limits.interval, || {
        format!("with a reported limit of 1, requests should be an interval apart, but were {apart:?}")
    })
}

pub(super) async fn higher_limit(context: Context) -> CheckResult {
    let mut used = Vec::new();
    for _ in 0..3 * context.burst() {
        used.push(context.send(0, "a", &context.headers(1_000, 999)).await?);
    }
    context.within_limit(used)
}

pub(super) async fn shorter_interval(context: Context) -> CheckResult {
    let headers =
        RateLimitHeaders { interval_ms: Some(1), ..context.headers(context.limits.burst.into(), 1) };
    let mut used = Vec::new();
    for _ in 0..3 * context.burst() {
        used.push(context.send(0, "a", &headers).await?);
    }
    context.within_limit(used)
}

pub(super) async fn remaining(context: Context) -> CheckResult {
    let sent = context.send(0, "a", &context.headers(context.limits.burst.into(), 0)).await?;
    let next = context.send(0, "a", &nothing()).await?;
    let apart = next.after - sent.before;
    ensure(apart >= context.limits.interval / 4, || {
        format!("no permit should be issued while no request remains, but one was after {apart:?}")
    })
}

pub(super) async fn remaining_alone(context: Context) -> CheckResult {
    let headers = RateLimitHeaders { burst_remaining: Some(0), ..nothing() };
    context.send(0, "a", &headers).await?;
    context.now("a", "remaining requests without a limit mean nothing").await.map(drop)
}

pub(super) async fn spent_day(context: Context) -> CheckResult {
    let hour = Duration::from_secs(3600);
    let headers = RateLimitHeaders {
        daily_limit: Some(context.limits.daily.into()),
        daily_remaining: Some(0),
        daily_reset_ms: Some(3_600_000),
        ..nothing()
    };
    context.send(0, "a", &headers).await?;
    let error = context.none(0, "a", "the day is spent").await?;
    of_kind(&error, AcquireErrorKind::Daily)?;
    let wait = error.retry_after();
    ensure(wait.is_some_and(|wait| wait > hour / 2 && wait <= hour), || {
        format!("the day should end in {hour:?}, but ends in {wait:?}")
    })
}

pub(super) async fn any_values(context: Context) -> CheckResult {
    let all = |value| RateLimitHeaders {
        burst_limit: Some(value),
        burst_remaining: Some(value),
        interval_ms: Some(value),
        daily_limit: Some(value),
        daily_remaining: Some(value),
        daily_reset_ms: Some(value),
    };
    for value in [u64::MAX, u64::MAX / 2, 1 << 32, u64::from(u32::MAX), 0] {
        let location = value.to_string();
        context.send(0, &location, &all(value)).await?;
        let spent = RateLimitHeaders { burst_remaining: Some(0), daily_remaining: Some(0), ..all(value) };
        context.send(0, &format!("spent {location}"), &spent).await?;
        for location in [&location, &format!("spent {location}")] {
            if let Err(error) = context.acquire_at(0, location, Duration::ZERO).await {
                let wait = error.retry_after().unwrap_or_default();
                ensure(wait <= DAY, || format!("headers of {value} block the location for {wait:?}"))?;
            }
        }
    }
    Ok(())
}

pub(super) async fn daily(context: Context) -> CheckResult {
    for _ in 0..context.limits.daily {
        context.send(0, "a", &nothing()).await?;
    }
    let Err(error) = context.acquire_at(0, "a", 2 * context.limits.interval).await else {
        return Err(format!("no permit should be issued after {} on a day", context.limits.daily));
    };
    of_kind(&error, AcquireErrorKind::Daily)
}

pub(super) async fn handles(context: Context) -> CheckResult {
    let mut used = Vec::new();
    for number in 0..4 * context.burst() {
        used.push(context.send(number, "a", &nothing()).await?);
    }
    context.within_limit(used)
}
