//! Who may refresh.

use std::time::SystemTime;

use super::Outcome;
use super::context::Context;
use super::samples::{at, tokens};
use crate::auth::store::{Expected, LONGEST_LEASE, Lease};

const NOW: u64 = 1_700_000_000_000;

/// From now on, for that many milliseconds.
fn span(milliseconds: u64) -> (SystemTime, SystemTime) {
    (at(NOW), at(NOW + milliseconds))
}

pub(super) async fn one_holder(context: &Context) -> Outcome {
    let (store, other, key) = (context.store(), context.other(), context.key("a"));
    store.leases((&key, "ann"), span(30_000), Lease::Granted, "nobody has it").await?;
    let held = Lease::HeldUntil(at(NOW + 30_000));
    store.leases((&key, "bob"), span(90_000), held, "ann has it").await?;
    other.leases((&key, "bob"), span(90_000), held, "ann has it, of another handle").await?;
    // Asking changes nothing.
    other.leases((&key, "cid"), span(10), held, "ann has it, and bob asked").await
}

pub(super) async fn end(context: &Context) -> Outcome {
    let (store, key) = (context.store(), context.key("a"));
    let later = |now, until| (at(NOW + now), at(NOW + until));
    store.leases((&key, "ann"), span(30_000), Lease::Granted, "nobody has it").await?;
    let held = Lease::HeldUntil(at(NOW + 30_000));
    store.leases((&key, "bob"), later(29_999, 60_000), held, "a millisecond is left to ann").await?;
    store.leases((&key, "bob"), later(30_000, 60_000), Lease::Granted, "ann's ends now").await?;
    let held = Lease::HeldUntil(at(NOW + 60_000));
    store.leases((&key, "ann"), later(30_001, 90_000), held, "bob has it after ann").await?;
    store.leases((&key, "ann"), later(86_400_000, 86_400_001), Lease::Granted, "bob's ended yesterday").await
}

/// The holder was killed, and then the clock was put back: nobody waits for as long as that.
pub(super) async fn clock_put_back(context: &Context) -> Outcome {
    let (store, key, other) = (context.store(), context.key("a"), context.key("b"));
    let longest = (at(NOW), at(NOW) + LONGEST_LEASE);
    for key in [&key, &other] {
        store.leases((key, "ann"), longest, Lease::Granted, "nobody has it").await?;
    }
    let held = Lease::HeldUntil(longest.1);
    store.leases((&key, "bob"), span(15_000), held, "ann has it, for as long as it may be").await?;
    for (key, back) in [(&key, 1), (&other, 3_600_000)] {
        let now = (at(NOW - back), at(NOW - back + 15_000));
        let why = format!("ann's ends later than any lease may, {back} ms before it was given");
        store.leases((key, "bob"), now, Lease::Granted, &why).await?;
        let held = Lease::HeldUntil(now.1);
        store.leases((key, "ann"), now, held, "bob has it after the clock was put back").await?;
    }
    Ok(())
}

pub(super) async fn again(context: &Context) -> Outcome {
    let (store, other, key) = (context.store(), context.other(), context.key("a"));
    store.leases((&key, "ann"), span(30_000), Lease::Granted, "nobody has it").await?;
    for until in [60_000, 10_000] {
        other.leases((&key, "ann"), span(until), Lease::Granted, "ann has it and asks again").await?;
        let held = Lease::HeldUntil(at(NOW + until));
        store.leases((&key, "bob"), span(90_000), held, "ann asked again, with another end").await?;
    }
    store.leases((&key, "Ann"), span(90_000), Lease::HeldUntil(at(NOW + 10_000)), "Ann is not ann").await
}

pub(super) async fn release(context: &Context) -> Outcome {
    let (store, other, key) = (context.store(), context.other(), context.key("a"));
    let held = |until| Lease::HeldUntil(at(NOW + until));
    store.leases((&key, "ann"), span(30_000), Lease::Granted, "nobody has it").await?;
    store.release(&key, "bob").await?;
    store.leases((&key, "bob"), span(60_000), held(30_000), "bob released what ann has").await?;
    other.release(&key, "ann").await?;
    store.leases((&key, "bob"), span(60_000), Lease::Granted, "ann released it").await?;
    // Ann is late, her lease was over long ago.
    store.release(&key, "ann").await?;
    store.leases((&key, "cid"), span(90_000), held(60_000), "ann released what bob has by now").await
}

pub(super) async fn of_one_key(context: &Context) -> Outcome {
    let store = context.store();
    let mut foreign = context.key("a");
    foreign.client_id.push('2');
    let keys = [context.key("a"), context.key("b"), context.company_key("a"), foreign];
    for (index, key) in (1..).zip(&keys) {
        let why = "nobody has the lease of this key";
        store.leases((key, "ann"), span(index * 1_000), Lease::Granted, why).await?;
    }
    store.release(&keys[0], "ann").await?;
    store.leases((&keys[0], "bob"), span(9_000), Lease::Granted, "ann released it").await?;
    for (index, key) in (1..).zip(&keys).skip(1) {
        let why = "ann has the lease of this key, and released another";
        store.leases((key, "bob"), span(9_000), Lease::HeldUntil(at(NOW + index * 1_000)), why).await?;
    }
    Ok(())
}

pub(super) async fn leave_tokens_alone(context: &Context) -> Outcome {
    let (store, key) = (context.store(), context.key("a"));
    let (one, another) = (tokens("one"), tokens("another"));
    let held = Lease::HeldUntil(at(NOW + 30_000));
    store.leases((&key, "ann"), span(30_000), Lease::Granted, "nobody has it, without tokens").await?;
    store.has(&key, None).await?;
    // A lease is an agreement between those who ask for one. Who writes without it is kept away by the version.
    let first = store.store(&key, &one, Expected::Nothing).await?;
    store.leases((&key, "bob"), span(60_000), held, "ann has it, and tokens were put").await?;
    store.leases((&key, "ann"), span(30_000), Lease::Granted, "ann has it and asks again").await?;
    store
        .has(&key, Some((&one, first)))
        .await
        .map_err(|what| format!("after a lease was given again: {what}"))?;
    let second = store.store(&key, &another, Expected::Version(first)).await?;
    store.removes(&key, Expected::Version(second), true).await?;
    store.leases((&key, "bob"), span(60_000), held, "ann has it, and the tokens were removed").await?;
    let third = store.store(&key, &one, Expected::Nothing).await?;
    store.release(&key, "ann").await?;
    store.has(&key, Some((&one, third))).await.map_err(|what| format!("after the lease was released: {what}"))
}

/// What time it is, callers say: clocks of machines differ, and tests have their own.
pub(super) async fn any_clock(context: &Context) -> Outcome {
    let store = context.store();
    // 2001, 2023 and 2096.
    for start in [1_000_000_000_000, NOW, 4_000_000_000_000] {
        let key = context.key(&start.to_string());
        let end = start + 1_000;
        store.leases((&key, "ann"), (at(start), at(end)), Lease::Granted, "nobody has it").await?;
        let held = Lease::HeldUntil(at(end));
        store
            .leases((&key, "bob"), (at(end - 1), at(end + 9)), held, "by the clock passed in, ann has it")
            .await?;
        let ended = (at(end), at(end + 9));
        store.leases((&key, "bob"), ended, Lease::Granted, "by the clock passed in, ann's has ended").await?;
    }
    Ok(())
}
