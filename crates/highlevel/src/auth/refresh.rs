//! What to do with the tokens that are there: functions of values, the time included.

use std::cmp::Ordering;
use std::time::{Duration, SystemTime};

use super::TokenSet;
use super::store::{MAX_LEASE, in_milliseconds};

/// Tokens are renewed so long before they expire, and up to [`SPREAD`] earlier: four minutes on average.
const AHEAD: Duration = Duration::from_secs(3 * 60);
/// What is added by chance, so that the tokens of many locations are not renewed at one time.
const SPREAD: Duration = Duration::from_secs(2 * 60);
/// How long nothing is tried again that a person has to mend, and a failed renewal ahead of time is not repeated.
pub(super) const REST: Duration = Duration::from_secs(30);
/// The same for a location that is not active.
pub(super) const SHORT_REST: Duration = Duration::from_secs(5);

/// What to do with tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// The access token can be used.
    Use,
    /// It can be used, and is to be renewed meanwhile.
    RefreshAhead,
    /// It cannot be used.
    RefreshNow,
}

/// What HighLevel said about an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing, or that another one is not good.
    NotRejected,
    /// It is not good (401).
    Rejected {
        /// Whether it only lacks a scope, which a renewed one lacks as well.
        is_good: bool,
        /// How long ago one that was rejected was last replaced by another.
        last_replaced: Option<Duration>,
    },
}

/// What to do with tokens. `jitter` is between 0 and 1, and stays the same for the same tokens.
pub(super) fn decide(tokens: &TokenSet, now: SystemTime, jitter: f64, verdict: Verdict) -> Decision {
    let Ok(left) = tokens.expires_at.duration_since(now) else { return Decision::RefreshNow };
    if left.is_zero() {
        return Decision::RefreshNow;
    }
    match verdict {
        Verdict::Rejected { is_good: true, .. } => Decision::Use,
        // What rejects one token after the other is not mended by newer ones, also if they work elsewhere.
        Verdict::Rejected { last_replaced: Some(ago), .. } if ago < REST => Decision::Use,
        Verdict::Rejected { .. } => Decision::RefreshNow,
        Verdict::NotRejected if left <= ahead(tokens, jitter) => Decision::RefreshAhead,
        Verdict::NotRejected => Decision::Use,
    }
}

/// How long before they expire tokens are renewed. Those that live for minutes only are used for most of their life.
fn ahead(tokens: &TokenSet, jitter: f64) -> Duration {
    let life = tokens.expires_at.duration_since(tokens.obtained_at).unwrap_or_default();
    (AHEAD + SPREAD.mul_f64(jitter.clamp(0.0, 1.0))).min(life / 4)
}

/// Whether tokens that are there are later than others: of a later installation, or renewed since the same one. An
/// installation far in the future is of a clock that has been put back since, and shows nothing; one that is a little ahead may
/// be of a machine whose clock is.
pub(super) fn is_later(there: &TokenSet, tokens: &TokenSet, now: SystemTime) -> bool {
    let [installed_there, installed] = [there, tokens].map(|tokens| in_milliseconds(tokens.installed_at));
    match installed_there.cmp(&installed) {
        Ordering::Less => false,
        Ordering::Equal => in_milliseconds(there.obtained_at) > in_milliseconds(tokens.obtained_at),
        Ordering::Greater => there.installed_at <= now + MAX_LEASE,
    }
}

/// How new tokens are had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By the refresh token.
    Refresh,
    /// By the token of the company.
    FromCompany,
    /// Not at all.
    Authorize(Lack),
}

/// What is lacking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    /// There are no tokens.
    Tokens,
    /// There are tokens, but no refresh token.
    RefreshToken,
    /// HighLevel no longer takes the refresh token.
    GoodRefreshToken,
}

/// How new tokens are had. `refused` says that HighLevel refused the refresh token, `has_company` that there is a
/// company whose token can give those of this location.
pub(super) fn way(tokens: Option<&TokenSet>, refused: bool, has_company: bool) -> Way {
    let lack = match tokens {
        None => Lack::Tokens,
        Some(TokenSet { refresh_token: None, .. }) => Lack::RefreshToken,
        Some(_) if refused => Lack::GoodRefreshToken,
        Some(_) => return Way::Refresh,
    };
    if has_company { Way::FromCompany } else { Way::Authorize(lack) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::tokens::UnknownFields;

    const DAY: u64 = 86_399;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    fn tokens(life: u64) -> TokenSet {
        TokenSet {
            access_token: "a".into(),
            refresh_token: Some("r".into()),
            obtained_at: at(0),
            installed_at: at(0),
            expires_at: at(life),
            scopes: Vec::new(),
            company_id: None,
            location_id: None,
            user_id: None,
            unknown: UnknownFields::default(),
        }
    }

    #[test]
    fn every_row_of_the_decision() {
        use Decision::{RefreshAhead, RefreshNow, Use};
        let rejected = |last: Option<u64>| Verdict::Rejected {
            is_good: false,
            last_replaced: last.map(Duration::from_secs),
        };
        let lacking = Verdict::Rejected { is_good: true, last_replaced: None };
        let not = Verdict::NotRejected;
        for (life, now, jitter, verdict, expected) in [
            (DAY, 0, 0.0, not, Use),
            (DAY, DAY - 301, 1.0, not, Use),
            (DAY, DAY - 300, 1.0, not, RefreshAhead),
            (DAY, DAY - 241, 0.5, not, Use),
            (DAY, DAY - 240, 0.5, not, RefreshAhead),
            (DAY, DAY - 181, 0.0, not, Use),
            (DAY, DAY - 180, 0.0, not, RefreshAhead),
            (DAY, DAY - 1, 0.0, not, RefreshAhead),
            (DAY, DAY, 0.0, not, RefreshNow),
            (DAY, DAY + 5, 0.0, not, RefreshNow),
            // A token that lives for a minute.
            (60, 44, 1.0, not, Use),
            (60, 45, 1.0, not, RefreshAhead),
            (60, 60, 1.0, not, RefreshNow),
            (0, 0, 1.0, not, RefreshNow),
            // Rejected.
            (DAY, 10, 0.0, rejected(None), RefreshNow),
            (DAY, 10, 0.0, rejected(Some(0)), Use),
            (DAY, 10, 0.0, rejected(Some(29)), Use),
            (DAY, 10, 0.0, rejected(Some(30)), RefreshNow),
            (DAY, DAY - 60, 0.0, rejected(Some(29)), Use),
            (DAY, DAY, 0.0, rejected(Some(1)), RefreshNow),
            (DAY, 10, 0.0, lacking, Use),
            (DAY, DAY, 0.0, lacking, RefreshNow),
        ] {
            let found = decide(&tokens(life), at(now), jitter, verdict);
            assert_eq!(found, expected, "life {life}, now {now}, jitter {jitter}, {verdict:?}");
        }
    }

    #[test]
    fn every_row_of_what_is_later() {
        const NOW: u64 = 1_000_000;
        let of = |installed: u64, obtained: u64| TokenSet {
            installed_at: at(0) + Duration::from_micros(installed),
            obtained_at: at(0) + Duration::from_micros(obtained),
            ..tokens(DAY)
        };
        for (there, tokens, expected) in [
            // Installed later, or earlier and renewed since.
            ((2_000, 2_000), (1_000, 1_000), true),
            ((1_000, 9_000), (2_000, 2_000), false),
            ((2_000, 2_000), (1_000, 9_000), true),
            // Renewed since the same installation, or not.
            ((1_000, 2_000), (1_000, 1_000), true),
            ((1_000, 1_000), (1_000, 2_000), false),
            ((1_000, 1_000), (1_000, 1_000), false),
            // What is there has whole milliseconds, after it was stored.
            ((1_000, 2_000), (1_900, 1_900), true),
            ((1_000, 1_000), (1_900, 1_900), false),
            ((1_000, 1_000), (1_000, 1_900), false),
            // A clock that is ahead, and one that was put back.
            ((NOW + 1, NOW + 1), (NOW, NOW), false),
            ((NOW + 1_000, NOW + 1_000), (NOW, NOW), true),
            ((NOW + 60_000_000, NOW), (NOW, NOW), true),
            ((NOW + 60_000_001, NOW), (NOW, NOW), false),
            ((NOW + 90_000_000, NOW + 1_000), (NOW + 90_000_000, NOW), true),
        ] {
            let found = is_later(&of(there.0, there.1), &of(tokens.0, tokens.1), at(1));
            assert_eq!(found, expected, "there {there:?}, tokens {tokens:?}");
        }
    }

    #[test]
    fn every_row_of_the_way() {
        let good = tokens(DAY);
        let without = TokenSet { refresh_token: None, ..tokens(DAY) };
        for (tokens, refused, has_company, expected) in [
            (Some(&good), false, false, Way::Refresh),
            (Some(&good), false, true, Way::Refresh),
            (Some(&good), true, true, Way::FromCompany),
            (Some(&good), true, false, Way::Authorize(Lack::GoodRefreshToken)),
            (Some(&without), false, true, Way::FromCompany),
            (Some(&without), false, false, Way::Authorize(Lack::RefreshToken)),
            (None, false, true, Way::FromCompany),
            (None, false, false, Way::Authorize(Lack::Tokens)),
        ] {
            assert_eq!(way(tokens, refused, has_company), expected, "{tokens:?} {refused} {has_company}");
        }
    }
}
