//! The right to refresh.

use std::time::{Duration, Instant};

use super::context::Context;
use super::samples::{at, tokens};
use super::time::StoreClock;
use crate::auth::store::{Key, LeaseResult, MAX_LEASE, Precondition};
use crate::conformance::{CheckResult, ensure};

/// Far longer than a check takes.
const LONG: Duration = Duration::from_secs(45);

/// The longest wait for the end of a lease by a clock that cannot be set.
const LATEST_END: Duration = Duration::from_secs(5);

pub(super) async fn one_holder(context: &Context) -> CheckResult {
    let (store, other, key) = (context.store(), context.other(), context.key("a"));
    let ann = store.granted(&key, "ann", LONG, "there is no lease").await?;
    store.held(&key, "bob", LONG, ann, "ann has it").await?;
    other.held(&key, "bob", LONG, ann, "ann has it, through another handle").await?;
    other.held(&key, "cid", context.time.short(), ann, "ann has it, and bob was refused").await?;
    // A refused request changes nothing.
    context.time.pass(context.time.short()).await;
    store.held(&key, "bob", LONG, ann, "ann has it for longer than cid wanted it").await
}

pub(super) async fn end(context: &Context) -> CheckResult {
    let (store, key, short) = (context.store(), context.key("a"), context.time.short());
    let ann = store.granted(&key, "ann", short, "there is no lease").await?;
    store.held(&key, "bob", LONG, ann, "ann has it").await?;
    let bob = granted_after(context, &key, "bob", short, "ann's lease has ended").await?;
    store.held(&key, "ann", LONG, bob, "bob has it after ann").await
}

/// Lets a lease end, and takes it over.
async fn granted_after(
    context: &Context,
    key: &Key,
    holder: &str,
    length: Duration,
    why: &str,
) -> Result<super::context::GrantedLease, String> {
    context.time.pass(length).await;
    let store = context.store();
    if let StoreClock::Real = context.time {
        // The clock of the store may be slower than that of this process.
        let start = Instant::now();
        while start.elapsed() < LATEST_END {
            if let LeaseResult::Granted = store.lease(key, holder, LONG).await? {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    store.granted(key, holder, LONG, why).await
}

pub(super) async fn exact_end(context: &Context) -> CheckResult {
    let (store, key) = (context.store(), context.key("a"));
    let (second, millisecond) = (Duration::from_secs(1), Duration::from_millis(1));
    let almost_20_seconds = Duration::from_millis(19_999);
    let ann = store.granted(&key, "ann", 30 * second, "there is no lease").await?;
    context.time.pass(10 * second).await;
    store.held(&key, "bob", LONG, ann, "20 seconds are left to ann").await?;
    context.time.pass(almost_20_seconds).await;
    store.held(&key, "bob", LONG, ann, "a millisecond is left to ann").await?;
    context.time.pass(millisecond).await;
    let bob = store.granted(&key, "bob", 30 * second, "ann's lease ends now").await?;
    store.held(&key, "ann", LONG, bob, "bob has it after ann").await?;
    context.time.pass(86_400 * second).await;
    store.granted(&key, "ann", Duration::ZERO, "bob's lease ended yesterday").await?;
    store.granted(&key, "bob", LONG, "ann's lease had no length").await.map(drop)
}

/// The holder was killed, and then the clock was put back. No caller may wait that long.
pub(super) async fn clock_put_back(context: &Context) -> CheckResult {
    let (store, start) = (context.store(), at(1_700_000_000_000));
    for back in [Duration::from_millis(1), Duration::from_secs(3_600)] {
        context.time.set(start);
        let key = context.key(&back.as_millis().to_string());
        let ann = store.granted(&key, "ann", MAX_LEASE, "there is no lease").await?;
        store.held(&key, "bob", LONG, ann, "ann has the longest lease there is").await?;
        context.time.set(start - back);
        let why = format!("ann's lease ends later than any can, {back:?} before it was granted");
        let bob = store.granted(&key, "bob", LONG, &why).await?;
        store.held(&key, "ann", LONG, bob, "bob has it after the clock was put back").await?;
    }
    context.time.set(start);
    Ok(())
}

pub(super) async fn any_year(context: &Context) -> CheckResult {
    let store = context.store();
    // 2001, 2023 and 2096.
    for start in [1_000_000_000_000, 1_700_000_000_000, 4_000_000_000_000] {
        context.time.set(at(start));
        let key = context.key(&start.to_string());
        let ann = store.granted(&key, "ann", LONG, "there is no lease").await?;
        store.held(&key, "bob", LONG, ann, "ann has it").await?;
        context.time.pass(LONG).await;
        store.granted(&key, "bob", LONG, "ann's lease has ended").await?;
    }
    context.time.set(at(1_700_000_000_000));
    Ok(())
}

pub(super) async fn maximum_length(context: &Context) -> CheckResult {
    let store = context.store();
    for (name, length) in [("longer", 2 * MAX_LEASE), ("longest", Duration::MAX)] {
        let key = context.key(name);
        store.granted(&key, "ann", length, "there is no lease").await?;
        match store.lease(&key, "bob", LONG).await? {
            LeaseResult::Held { remaining } if remaining <= MAX_LEASE + Duration::from_secs(1) => {}
            result => {
                return Err(format!(
                    "a lease of {length:?} should be held for at most {MAX_LEASE:?}, but the result is {result:?}"
                ));
            }
        }
        if let StoreClock::Settable { .. } = context.time {
            context.time.pass(MAX_LEASE).await;
            store.granted(&key, "bob", LONG, "the longest lease has ended").await?;
        }
    }
    Ok(())
}

pub(super) async fn extended(context: &Context) -> CheckResult {
    let (store, other, key) = (context.store(), context.other(), context.key("a"));
    let short = context.time.short();
    store.granted(&key, "ann", short, "there is no lease").await?;
    let ann = other.granted(&key, "ann", LONG, "ann has it and requests it again").await?;
    context.time.pass(short).await;
    store.held(&key, "bob", LONG, ann, "ann requested it again, with a later end").await?;
    store.held(&key, "Ann", LONG, ann, "Ann is not ann").await
}

pub(super) async fn shortened(context: &Context) -> CheckResult {
    let (store, other, key) = (context.store(), context.other(), context.key("a"));
    let short = context.time.short();
    store.granted(&key, "ann", LONG, "there is no lease").await?;
    let ann = other.granted(&key, "ann", short, "ann has it and requests it again").await?;
    store.held(&key, "bob", LONG, ann, "ann requested it again, with another end").await?;
    granted_after(context, &key, "bob", short, "ann requested it again, with an earlier end").await.map(drop)
}

pub(super) async fn release(context: &Context) -> CheckResult {
    let (store, other, key) = (context.store(), context.other(), context.key("a"));
    let ann = store.granted(&key, "ann", LONG, "there is no lease").await?;
    store.release(&key, "bob").await?;
    store.held(&key, "bob", LONG, ann, "bob released what ann has").await?;
    other.release(&key, "ann").await?;
    let bob = store.granted(&key, "bob", LONG, "ann released it").await?;
    // Ann is late: her lease ended long ago.
    store.release(&key, "ann").await?;
    store.held(&key, "cid", LONG, bob, "ann released what bob has by now").await
}

pub(super) async fn independent_keys(context: &Context) -> CheckResult {
    let store = context.store();
    let mut foreign = context.key("a");
    foreign.client_id.push('2');
    let keys = [context.key("a"), context.key("b"), context.company_key("a"), foreign];
    let mut leases = Vec::new();
    for key in &keys {
        leases.push(store.granted(key, "ann", LONG, "there is no lease of this key").await?);
    }
    store.release(&keys[0], "ann").await?;
    store.granted(&keys[0], "bob", LONG, "ann released it").await?;
    for (key, ann) in keys.iter().zip(leases).skip(1) {
        store.held(key, "bob", LONG, ann, "ann has the lease of this key, and released another").await?;
    }
    Ok(())
}

pub(super) async fn independent_of_tokens(context: &Context) -> CheckResult {
    let (store, key) = (context.store(), context.key("a"));
    let (one, another) = (tokens("one"), tokens("another"));
    let ann = store.granted(&key, "ann", LONG, "there is no lease, and there are no tokens").await?;
    store.has(&key, None).await?;
    // A lease binds only those that request one. Other writers are stopped by the version.
    let first = store.store(&key, &one, Precondition::Nothing).await?;
    store.held(&key, "bob", LONG, ann, "ann has it, and tokens were put").await?;
    let ann = store.granted(&key, "ann", LONG, "ann has it and requests it again").await?;
    store
        .has(&key, Some((&one, first)))
        .await
        .map_err(|what| format!("after a lease was granted again: {what}"))?;
    let second = store.store(&key, &another, Precondition::Version(first)).await?;
    store.removes(&key, Precondition::Version(second), true).await?;
    store.held(&key, "bob", LONG, ann, "ann has it, and the tokens were removed").await?;
    let third = store.store(&key, &one, Precondition::Nothing).await?;
    ensure(third != first, || format!("the version {first:?} was given twice"))?;
    store.release(&key, "ann").await?;
    store.has(&key, Some((&one, third))).await.map_err(|what| format!("after the lease was released: {what}"))
}
