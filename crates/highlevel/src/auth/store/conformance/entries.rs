//! Tokens that are put, read and removed.

use std::time::{Duration, SystemTime};

use super::context::Context;
use super::samples::{at, bare_tokens, tokens, tokens_of_a_later_version};
use crate::auth::TokenSet;
use crate::auth::store::{Precondition, Version};
use crate::conformance::{CheckResult, ensure};

pub(super) async fn nothing_at_first(context: &Context) -> CheckResult {
    let (store, key) = (context.store(), context.key("a"));
    store
        .has(&key, None)
        .await
        .map_err(|what| format!("the storage has to be empty before the checks run: {what}"))?;
    store.has_resources(&key.client_id, vec![]).await?;
    for precondition in [Precondition::Anything, Precondition::Nothing, Precondition::Version(Version(1))] {
        store.removes(&key, precondition, false).await?;
    }
    store.release(&key, "ann").await
}

pub(super) async fn every_field(context: &Context) -> CheckResult {
    round_trips(context, &tokens("whole")).await
}

pub(super) async fn absent_fields(context: &Context) -> CheckResult {
    // Replaces tokens that have them: absent fields must not keep their old values.
    context.store().store(&context.key("a"), &tokens("before"), Precondition::Anything).await?;
    round_trips(context, &bare_tokens()).await
}

/// A later version of this crate may add fields, which an earlier one has to preserve.
pub(super) async fn unknown_fields(context: &Context) -> CheckResult {
    round_trips(context, &tokens_of_a_later_version()?).await?;
    // And they must not stay when the tokens that replace them have none.
    round_trips(context, &tokens("without")).await
}

pub(super) async fn times(context: &Context) -> CheckResult {
    let epoch = SystemTime::UNIX_EPOCH;
    for (obtained_at, expires_at) in [
        (epoch, at(86_399_000)),
        (at(1_700_000_000_001), at(1_700_086_399_999)),
        (
            epoch + Duration::new(1_700_000_000, 123_456_789),
            epoch + Duration::new(1_700_086_399, 999_999_900),
        ),
        (epoch - Duration::new(1, 500_000_100), epoch - Duration::from_nanos(100)),
        // 31 December 1969, and the last second of 9998.
        (epoch - Duration::from_secs(86_400), epoch + Duration::from_secs(253_370_764_799)),
    ] {
        round_trips(context, &TokenSet { obtained_at, expires_at, ..tokens("times") }).await?;
    }
    Ok(())
}

pub(super) async fn any_text(context: &Context) -> CheckResult {
    for text in
        ["", " ", "quote \" and ' and \\", "line\nfeed\r\ttab", "Zürich 東京 🏨", "%s {} ${x} ;--", "null"]
    {
        round_trips(context, &TokenSet { scopes: vec![text.to_owned(), String::new()], ..tokens(text) })
            .await?;
    }
    round_trips(context, &tokens(&"long".repeat(2_500))).await
}

async fn round_trips(context: &Context, tokens: &TokenSet) -> CheckResult {
    let (store, key) = (context.store(), context.key("a"));
    let version = store.store(&key, tokens, Precondition::Anything).await?;
    store.has(&key, Some((tokens, version))).await
}

pub(super) async fn put_anything(context: &Context) -> CheckResult {
    let (store, key) = (context.store(), context.key("a"));
    let (one, another) = (tokens("one"), tokens("another"));
    let version = store.store(&key, &one, Precondition::Anything).await?;
    store.has(&key, Some((&one, version))).await?;
    let version = store.store(&key, &another, Precondition::Anything).await?;
    store.has(&key, Some((&another, version))).await
}

pub(super) async fn put_nothing(context: &Context) -> CheckResult {
    let (store, key) = (context.store(), context.key("a"));
    let (one, another) = (tokens("one"), tokens("another"));
    let version = store.store(&key, &one, Precondition::Nothing).await?;
    store.has(&key, Some((&one, version))).await?;
    store.conflict(&key, &another, Precondition::Nothing, Some((&one, version))).await?;
    store.removes(&key, Precondition::Anything, true).await?;
    let version = store.store(&key, &another, Precondition::Nothing).await?;
    store.has(&key, Some((&another, version))).await
}

pub(super) async fn put_version(context: &Context) -> CheckResult {
    let (store, key) = (context.store(), context.key("a"));
    let (one, another) = (tokens("one"), tokens("another"));
    for version in [Version(0), Version(1)] {
        store.conflict(&key, &one, Precondition::Version(version), None).await?;
    }
    let first = store.store(&key, &one, Precondition::Anything).await?;
    let second = store.store(&key, &another, Precondition::Version(first)).await?;
    store.has(&key, Some((&another, second))).await?;
    store.conflict(&key, &one, Precondition::Version(first), Some((&another, second))).await?;
    // The same tokens get another version.
    let third = store.store(&key, &another, Precondition::Version(second)).await?;
    store.conflict(&key, &one, Precondition::Version(second), Some((&another, third))).await
}

pub(super) async fn remove(context: &Context) -> CheckResult {
    let (store, key) = (context.store(), context.key("a"));
    let (one, another) = (tokens("one"), tokens("another"));
    let first = store.store(&key, &one, Precondition::Anything).await?;
    let second = store.store(&key, &another, Precondition::Anything).await?;
    for refused in [Precondition::Nothing, Precondition::Version(first)] {
        store.removes(&key, refused, false).await?;
        store.has(&key, Some((&another, second))).await?;
    }
    store.removes(&key, Precondition::Version(second), true).await?;
    store.has(&key, None).await?;
    store.removes(&key, Precondition::Version(second), false).await?;
    store.removes(&key, Precondition::Anything, false).await?;
    store.store(&key, &one, Precondition::Anything).await?;
    store.removes(&key, Precondition::Anything, true).await?;
    store.has(&key, None).await
}

pub(super) async fn versions(context: &Context) -> CheckResult {
    let (store, key) = (context.store(), context.key("a"));
    let sample = tokens("versions");
    let mut seen: Vec<Version> = Vec::new();
    for round in 0..12 {
        let version = store.store(&key, &sample, Precondition::Anything).await?;
        ensure(!seen.contains(&version), || {
            format!("write {round} should have got a new version, but got {version:?} again, after {seen:?}")
        })?;
        seen.push(version);
        if round % 3 == 2 {
            store.removes(&key, Precondition::Version(version), true).await?;
            // A caller that still has an earlier version must not be able to write.
            for old in &seen {
                store.conflict(&key, &sample, Precondition::Version(*old), None).await?;
            }
        }
    }
    Ok(())
}

pub(super) async fn resources(context: &Context) -> CheckResult {
    let (store, sample) = (context.store(), tokens("resources"));
    let (a, b, same_id) = (context.key("a"), context.key("b"), context.company_key("a"));
    let (removed, leased) = (context.key("removed"), context.key("leased"));
    let mut foreign = context.key("foreign");
    foreign.client_id.push('2');
    for key in [&a, &b, &same_id, &removed, &foreign] {
        store.store(key, &sample, Precondition::Anything).await?;
    }
    store.store(&a, &sample, Precondition::Anything).await?;
    store.removes(&removed, Precondition::Anything, true).await?;
    store.lease(&leased, "holder", Duration::from_secs(30)).await?;
    store.has_resources(&foreign.client_id, vec![foreign.resource.clone()]).await?;
    store.has_resources(&a.client_id, vec![a.resource.clone(), b.resource, same_id.resource]).await
}

pub(super) async fn handles(context: &Context) -> CheckResult {
    let (store, other, key) = (context.store(), context.other(), context.key("a"));
    let (one, another) = (tokens("one"), tokens("another"));
    let first = store.store(&key, &one, Precondition::Nothing).await?;
    let elsewhere = |what| format!("through another handle: {what}");
    other.has(&key, Some((&one, first))).await.map_err(elsewhere)?;
    other.has_resources(&key.client_id, vec![key.resource.clone()]).await.map_err(elsewhere)?;
    other.conflict(&key, &another, Precondition::Nothing, Some((&one, first))).await.map_err(elsewhere)?;
    let second = other.store(&key, &another, Precondition::Version(first)).await.map_err(elsewhere)?;
    store.conflict(&key, &one, Precondition::Version(first), Some((&another, second))).await?;
    other.removes(&key, Precondition::Version(second), true).await.map_err(elsewhere)?;
    store.has(&key, None).await
}
