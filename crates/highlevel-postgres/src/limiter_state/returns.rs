//! Permits that were completed or not used, until the database knows.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use serde_json::{Value, json};

use crate::sync::lock;
use crate::time::milliseconds;

/// The use of a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PermitUse {
    /// Its request was started, and has ended.
    Completed,
    /// Its request was not started.
    Unused,
}

/// A permit that is returned.
#[derive(Debug, Clone)]
pub(crate) struct Returned {
    pub(crate) location: Box<str>,
    pub(crate) grant: i64,
    pub(crate) usage: PermitUse,
    pub(crate) at: Instant,
}

/// The permits of this process that the database does not know to be returned.
#[derive(Debug, Default)]
pub(crate) struct Returns {
    state: Mutex<State>,
    /// Held while they are written.
    pub(crate) writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Returned>,
    is_scheduled: bool,
}

impl Returns {
    /// Adds a permit. Returns `true` if the caller has to schedule the write.
    pub(crate) fn add(&self, returned: Returned) -> bool {
        let mut state = lock(&self.state);
        state.waiting.push(returned);
        !std::mem::replace(&mut state.is_scheduled, true)
    }

    /// Records that no write is scheduled any more.
    pub(crate) fn unschedule(&self) {
        lock(&self.state).is_scheduled = false;
    }

    /// Takes all permits.
    pub(crate) fn take(&self) -> Vec<Returned> {
        std::mem::take(&mut lock(&self.state).waiting)
    }

    /// Puts back the permits of these locations, which could not be returned yet. Returns `true` if the caller has to schedule
    /// the write.
    pub(crate) fn put_back(&self, mut returned: Vec<Returned>, locations: &[String]) -> bool {
        returned.retain(|permit| locations.iter().any(|location| **location == *permit.location));
        let mut state = lock(&self.state);
        state.waiting.append(&mut returned);
        !std::mem::replace(&mut state.is_scheduled, true)
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.state).waiting.is_empty()
    }
}

/// Joins the permits of each grant, as `return_permits_v1` expects them. They count as completed when the last of them was.
pub(crate) fn to_json(returned: &[Returned], now: Instant) -> Value {
    let mut grants: BTreeMap<(&str, i64), (u32, u32, Instant)> = BTreeMap::new();
    for Returned { location, grant, usage, at } in returned {
        let (used, unused, last) = grants.entry((location, *grant)).or_insert((0, 0, *at));
        match usage {
            PermitUse::Completed => {
                *used += 1;
                *last = (*last).max(*at);
            }
            PermitUse::Unused => *unused += 1,
        }
    }
    let entry = |((location, grant), (used, unused, last)): ((&str, i64), (u32, u32, Instant))| {
        json!({
            "location": location,
            "grant_id": grant,
            "used": used,
            "unused": unused,
            "age_ms": milliseconds(now.saturating_duration_since(last)),
        })
    };
    grants.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_permits_of_a_grant_are_returned_together_and_never_too_early() {
        let (returns, start) = (Returns::default(), Instant::now());
        let after = |ms| start + Duration::from_millis(ms);
        let permit = |location: &str, grant, usage, ms| Returned {
            location: location.into(),
            grant,
            usage,
            at: after(ms),
        };
        assert!(returns.add(permit("a", 1, PermitUse::Completed, 10)), "the first one schedules the write");
        for returned in [
            permit("a", 1, PermitUse::Completed, 30),
            permit("a", 1, PermitUse::Unused, 40),
            permit("a", 2, PermitUse::Completed, 20),
            permit("b", 1, PermitUse::Unused, 5),
        ] {
            assert!(!returns.add(returned));
        }
        let entry = |location, grant, used, unused, age| json!({ "location": location, "grant_id": grant, "used": used, "unused": unused, "age_ms": age });
        let expected = json!([entry("a", 1, 2, 1, 70), entry("a", 2, 1, 0, 80), entry("b", 1, 0, 1, 95)]);
        let taken = returns.take();
        assert_eq!(to_json(&taken, after(100)), expected);
        assert!(returns.take().is_empty());
        returns.unschedule();
        assert!(returns.put_back(taken, &["b".to_owned()]), "the write is scheduled again");
        assert_eq!(to_json(&returns.take(), after(100)), json!([entry("b", 1, 0, 1, 95)]));
        returns.unschedule();
        assert!(returns.add(permit("a", 1, PermitUse::Unused, 0)));
    }
}
