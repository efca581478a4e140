//! Requests that probably repeat another one by mistake.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta};

use crate::engine::Engine;
use crate::ledger::{RecordedRequest, RequestFingerprint};

/// The maximum time between a request and its repetition by mistake. Later repetitions are usually intended, such as reminders.
const WITHIN: TimeDelta = TimeDelta::minutes(5);

/// A request that stored a message.
pub(super) struct StoringRequest {
    pub(super) id: String,
    pub(super) number: u64,
    /// The time of receipt, RFC 3339.
    pub(super) at: String,
    /// `true` if the client did not learn that the message was stored.
    pub(super) is_lost: bool,
}

impl StoringRequest {
    pub(super) fn of(request: &RecordedRequest) -> Self {
        Self {
            id: request.id.clone(),
            number: request.number,
            at: request.received_at.clone(),
            is_lost: is_lost(request.broken, request.status),
        }
    }
}

/// Returns `true` if the client could not know that its request was done.
pub(super) fn is_lost(is_broken: bool, status: u16) -> bool {
    is_broken || status >= 500
}

/// Returns the IDs of the requests with these fingerprints that are duplicates.
pub(super) fn find(state: &Engine, fingerprints: &HashSet<RequestFingerprint>) -> HashSet<String> {
    if fingerprints.is_empty() {
        return HashSet::new();
    }
    let (all, _) = state.ledger.collect(usize::MAX, |request| {
        let fingerprint = request.fingerprint.filter(|fingerprint| fingerprints.contains(fingerprint))?;
        request.message_id.as_ref()?;
        Some((fingerprint, StoringRequest::of(request)))
    });
    let mut by_content: HashMap<RequestFingerprint, Vec<StoringRequest>> = HashMap::new();
    for (fingerprint, request) in all {
        by_content.entry(fingerprint).or_default().push(request);
    }
    by_content.into_values().flat_map(duplicates).collect()
}

/// Returns the IDs of those requests with the same content that follow another one within minutes, or after a lost response,
/// and of the requests before them.
pub(super) fn duplicates(mut requests: Vec<StoringRequest>) -> HashSet<String> {
    requests.sort_unstable_by_key(|request| request.number);
    let time = |request: &StoringRequest| DateTime::parse_from_rfc3339(&request.at).ok();
    let mut found = HashSet::new();
    for pair in requests.windows(2) {
        let [earlier, later] = pair else { continue };
        let is_soon = match (time(earlier), time(later)) {
            (Some(earlier), Some(later)) => later - earlier <= WITHIN,
            _ => false,
        };
        if is_soon || earlier.is_lost {
            found.extend([earlier.id.clone(), later.id.clone()]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_duplicates_within_minutes_or_after_a_lost_response() {
        /// The times of day, with `!` after a request whose response was lost.
        const CASES: [(&str, &str); 6] = [
            ("09:00:00 09:00:12", "1 2"),
            ("09:00:00 09:05:00 09:10:01", "1 2"),
            ("09:00:00 12:00:00", ""),
            ("09:00:00! 12:00:00", "1 2"),
            ("09:00:00 12:00:00!", ""),
            ("09:00:00", ""),
        ];
        for (times, expected) in CASES {
            let request = |(index, time): (usize, &str)| StoringRequest {
                id: (index + 1).to_string(),
                number: index as u64,
                at: format!("2026-01-31T{}Z", time.trim_end_matches('!')),
                is_lost: time.ends_with('!'),
            };
            let mut requests: Vec<_> = times.split(' ').enumerate().map(request).collect();
            requests.reverse();
            let mut found: Vec<String> = duplicates(requests).into_iter().collect();
            found.sort_unstable();
            assert_eq!(found.join(" "), expected, "{times}");
        }
        assert!(is_lost(true, 201) && is_lost(false, 503) && !is_lost(false, 422));
    }
}
