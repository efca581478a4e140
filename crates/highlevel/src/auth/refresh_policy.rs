//! Decides when and how tokens are refreshed: pure functions that get the time as an argument.

use std::cmp::Ordering;
use std::time::{Duration, SystemTime};

use super::TokenSet;
use super::store::{MAX_LEASE, in_milliseconds};
use crate::unauthorized::{Cause, Unauthorized};

/// The time before their expiry at which tokens are refreshed. They are refreshed up to [`SPREAD`] earlier, four minutes
/// before expiry on average.
const AHEAD: Duration = Duration::from_secs(3 * 60);
/// A random part of this is added, so that the tokens of many locations are not refreshed at the same time.
const SPREAD: Duration = Duration::from_secs(2 * 60);
/// The time without requests after a failure that only a person can fix, after a refresh ahead of expiry that failed, and
/// after a refresh because of a 401.
pub(super) const FAILURE_COOLDOWN: Duration = Duration::from_secs(30);
/// The time without requests for a location that is not active.
pub(super) const SHORT_COOLDOWN: Duration = Duration::from_secs(5);
/// The minimum age of tokens that were refreshed because of a 401 with an unknown text, before another such 401 refreshes
/// them.
const UNKNOWN_COOLDOWN: Duration = Duration::from_secs(10 * 60);

/// The decision about tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenDecision {
    /// The access token is valid.
    Use,
    /// The access token is valid, and expires soon.
    RefreshAhead,
    /// The access token is not valid.
    RefreshNow,
}

/// HighLevel's last response about an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenStatus {
    /// Not a 401, or a 401 to another token.
    NotRejected,
    /// A 401.
    Rejected {
        why: Unauthorized,
        /// The time since this process last replaced tokens because of a 401.
        last_replaced: Option<Duration>,
    },
}

/// Decides whether tokens are used or refreshed. `jitter` is between 0 and 1, and stays the same for the same tokens.
pub(super) fn decide(tokens: &TokenSet, now: SystemTime, jitter: f64, verdict: TokenStatus) -> TokenDecision {
    let Ok(left) = tokens.expires_at.duration_since(now) else { return TokenDecision::RefreshNow };
    if left.is_zero() {
        return TokenDecision::RefreshNow;
    }
    match verdict {
        TokenStatus::Rejected { why, last_replaced } if may_help(tokens, now, why, last_replaced) => {
            TokenDecision::RefreshNow
        }
        TokenStatus::NotRejected if left <= ahead(tokens, jitter) => TokenDecision::RefreshAhead,
        TokenStatus::Rejected { .. } | TokenStatus::NotRejected => TokenDecision::Use,
    }
}

/// Returns `true` if a refresh may cure a 401. A cause that rejects one token after the other is not cured by a newer one,
/// even if other endpoints accept it.
fn may_help(tokens: &TokenSet, now: SystemTime, why: Unauthorized, last_replaced: Option<Duration>) -> bool {
    let rejections = &tokens.rejections;
    // A time in the future was set before the clock was put back.
    let ago = rejections.refreshed_at.and_then(|at| now.duration_since(at).ok());
    let cools_down = |ago: Option<Duration>, cooldown| ago.is_some_and(|ago| ago < cooldown);
    if cools_down(last_replaced, FAILURE_COOLDOWN) || cools_down(ago, FAILURE_COOLDOWN) {
        return false;
    }
    match why.cause {
        Cause::Token => true,
        Cause::Scope | Cause::Other => false,
        Cause::Unknown => {
            let did_not_help = rejections.unknown.iter().any(|entry| entry.text == why.text && !entry.helped);
            let is_young = !rejections.unknown.is_empty() && cools_down(ago, UNKNOWN_COOLDOWN);
            !did_not_help && !is_young
        }
    }
}

/// Returns the time before their expiry at which tokens are refreshed. Tokens with a lifetime of minutes are used for most of
/// it.
fn ahead(tokens: &TokenSet, jitter: f64) -> Duration {
    let lifetime = tokens.expires_at.duration_since(tokens.obtained_at).unwrap_or_default();
    (AHEAD + SPREAD.mul_f64(jitter.clamp(0.0, 1.0))).min(lifetime / 4)
}

/// Returns `true` if stored tokens are later than others: of a later installation, or of the same one and refreshed since.
///
/// An installation far in the future was stored before the clock was put back, and proves nothing. One in the near future may
/// be from another machine, whose clock is ahead.
pub(super) fn is_later(stored: &TokenSet, tokens: &TokenSet, now: SystemTime) -> bool {
    let [stored_installed, installed] = [stored, tokens].map(|tokens| in_milliseconds(tokens.installed_at));
    match stored_installed.cmp(&installed) {
        Ordering::Less => false,
        Ordering::Equal => in_milliseconds(stored.obtained_at) > in_milliseconds(tokens.obtained_at),
        Ordering::Greater => stored.installed_at <= now + MAX_LEASE,
    }
}

/// The way to obtain new tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefreshStrategy {
    /// With the refresh token.
    Refresh,
    /// With the token of the company.
    FromCompany,
    /// There is none: the owner has to authorize the app.
    Authorize(ReauthReason),
}

/// The reason why the owner has to authorize the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReauthReason {
    /// There are no tokens.
    NoTokens,
    /// There are tokens, but no refresh token.
    NoRefreshToken,
    /// HighLevel no longer accepts the refresh token.
    RefreshTokenRejected,
}

/// Decides how to obtain new tokens. `rejected` is `true` if HighLevel rejected the refresh token, `has_company` if there are
/// tokens of a company that can issue those of this location.
pub(super) fn strategy(tokens: Option<&TokenSet>, rejected: bool, has_company: bool) -> RefreshStrategy {
    let reason = match tokens {
        None => ReauthReason::NoTokens,
        Some(TokenSet { refresh_token: None, .. }) => ReauthReason::NoRefreshToken,
        Some(_) if rejected => ReauthReason::RefreshTokenRejected,
        Some(_) => return RefreshStrategy::Refresh,
    };
    if has_company { RefreshStrategy::FromCompany } else { RefreshStrategy::Authorize(reason) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::tokens::{Rejections, UnknownFields};
    use crate::unauthorized::TextDigest;

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
            rejections: Box::default(),
            unknown: UnknownFields::default(),
        }
    }

    #[test]
    fn tokens_are_refreshed_by_expiry_and_rejection() {
        use TokenDecision::{RefreshAhead, RefreshNow, Use};
        struct Case {
            lifetime: u64,
            now: u64,
            jitter: f64,
            verdict: TokenStatus,
            expected: TokenDecision,
        }
        let rejected = |last: Option<u64>| TokenStatus::Rejected {
            why: Unauthorized { cause: Cause::Token, text: TextDigest(1) },
            last_replaced: last.map(Duration::from_secs),
        };
        let lacks_scope = TokenStatus::Rejected {
            why: Unauthorized { cause: Cause::Scope, text: TextDigest(1) },
            last_replaced: None,
        };
        let valid = TokenStatus::NotRejected;
        for Case { lifetime, now, jitter, verdict, expected } in [
            Case { lifetime: DAY, now: 0, jitter: 0.0, verdict: valid, expected: Use },
            Case { lifetime: DAY, now: DAY - 301, jitter: 1.0, verdict: valid, expected: Use },
            Case { lifetime: DAY, now: DAY - 300, jitter: 1.0, verdict: valid, expected: RefreshAhead },
            Case { lifetime: DAY, now: DAY - 241, jitter: 0.5, verdict: valid, expected: Use },
            Case { lifetime: DAY, now: DAY - 240, jitter: 0.5, verdict: valid, expected: RefreshAhead },
            Case { lifetime: DAY, now: DAY - 181, jitter: 0.0, verdict: valid, expected: Use },
            Case { lifetime: DAY, now: DAY - 180, jitter: 0.0, verdict: valid, expected: RefreshAhead },
            Case { lifetime: DAY, now: DAY - 1, jitter: 0.0, verdict: valid, expected: RefreshAhead },
            Case { lifetime: DAY, now: DAY, jitter: 0.0, verdict: valid, expected: RefreshNow },
            Case { lifetime: DAY, now: DAY + 5, jitter: 0.0, verdict: valid, expected: RefreshNow },
            // A lifetime of a minute.
            Case { lifetime: 60, now: 44, jitter: 1.0, verdict: valid, expected: Use },
            Case { lifetime: 60, now: 45, jitter: 1.0, verdict: valid, expected: RefreshAhead },
            Case { lifetime: 60, now: 60, jitter: 1.0, verdict: valid, expected: RefreshNow },
            Case { lifetime: 0, now: 0, jitter: 1.0, verdict: valid, expected: RefreshNow },
            // Rejected.
            Case { lifetime: DAY, now: 10, jitter: 0.0, verdict: rejected(None), expected: RefreshNow },
            Case { lifetime: DAY, now: 10, jitter: 0.0, verdict: rejected(Some(0)), expected: Use },
            Case { lifetime: DAY, now: 10, jitter: 0.0, verdict: rejected(Some(29)), expected: Use },
            Case { lifetime: DAY, now: 10, jitter: 0.0, verdict: rejected(Some(30)), expected: RefreshNow },
            Case { lifetime: DAY, now: DAY - 60, jitter: 0.0, verdict: rejected(Some(29)), expected: Use },
            Case { lifetime: DAY, now: DAY, jitter: 0.0, verdict: rejected(Some(1)), expected: RefreshNow },
            Case { lifetime: DAY, now: 10, jitter: 0.0, verdict: lacks_scope, expected: Use },
            Case { lifetime: DAY, now: DAY, jitter: 0.0, verdict: lacks_scope, expected: RefreshNow },
        ] {
            let found = decide(&tokens(lifetime), at(now), jitter, verdict);
            assert_eq!(found, expected, "lifetime {lifetime}, now {now}, jitter {jitter}, {verdict:?}");
        }
    }

    #[test]
    fn a_401_that_a_refresh_did_not_cure_does_not_refresh_again() {
        const COOL: u64 = 600;
        struct Case {
            refreshed_for: Option<Unauthorized>,
            helped: bool,
            now: u64,
            why: Unauthorized,
            refreshes: bool,
        }
        let of = |cause, text| Unauthorized { cause, text: TextDigest(text) };
        let (token, other) = (of(Cause::Token, 9), of(Cause::Other, 9));
        let [first, second] = [of(Cause::Unknown, 1), of(Cause::Unknown, 2)];
        for Case { refreshed_for, helped, now, why, refreshes } in [
            // Tokens that were never refreshed for a 401.
            Case { refreshed_for: None, helped: false, now: 10, why: token, refreshes: true },
            Case { refreshed_for: None, helped: false, now: 10, why: other, refreshes: false },
            Case { refreshed_for: None, helped: false, now: 10, why: first, refreshes: true },
            // Refreshed at 100 for a 401 about the token.
            Case { refreshed_for: Some(token), helped: false, now: 129, why: token, refreshes: false },
            Case { refreshed_for: Some(token), helped: false, now: 130, why: token, refreshes: true },
            Case { refreshed_for: Some(token), helped: false, now: 129, why: first, refreshes: false },
            Case { refreshed_for: Some(token), helped: false, now: 130, why: first, refreshes: true },
            // For an unknown text, with which the new token was rejected as well.
            Case { refreshed_for: Some(first), helped: false, now: 130, why: first, refreshes: false },
            Case { refreshed_for: Some(first), helped: false, now: 100 + COOL, why: first, refreshes: false },
            Case { refreshed_for: Some(first), helped: false, now: DAY - 1, why: first, refreshes: false },
            Case { refreshed_for: Some(first), helped: false, now: 130, why: second, refreshes: false },
            Case { refreshed_for: Some(first), helped: false, now: 100 + COOL, why: second, refreshes: true },
            Case { refreshed_for: Some(first), helped: false, now: 129, why: token, refreshes: false },
            Case { refreshed_for: Some(first), helped: false, now: 130, why: token, refreshes: true },
            // For an unknown text, and the new token was accepted.
            Case { refreshed_for: Some(first), helped: true, now: 99 + COOL, why: first, refreshes: false },
            Case { refreshed_for: Some(first), helped: true, now: 100 + COOL, why: first, refreshes: true },
            // The clock was put back.
            Case { refreshed_for: Some(first), helped: false, now: 50, why: first, refreshes: false },
            Case { refreshed_for: Some(token), helped: false, now: 50, why: token, refreshes: true },
        ] {
            let mut tokens = tokens(DAY);
            if let Some(why) = refreshed_for {
                tokens.rejections.refreshed(why, at(100));
            }
            assert_eq!(helped, helped && tokens.rejections.helped(first.text));
            let verdict = TokenStatus::Rejected { why, last_replaced: None };
            let found = decide(&tokens, at(now), 0.0, verdict) == TokenDecision::RefreshNow;
            assert_eq!(found, refreshes, "{refreshed_for:?} {helped} {now} {why:?}");
        }
    }

    #[test]
    fn only_the_latest_texts_are_stored() {
        let mut rejections = Rejections::default();
        for text in 0..20 {
            rejections.refreshed(Unauthorized { cause: Cause::Unknown, text: TextDigest(text) }, at(text));
        }
        rejections.refreshed(Unauthorized { cause: Cause::Unknown, text: TextDigest(15) }, at(20));
        let texts: Vec<_> = rejections.unknown.iter().map(|entry| entry.text.0).collect();
        assert_eq!(texts, [12, 13, 14, 16, 17, 18, 19, 15]);
    }

    #[test]
    fn later_installations_and_refreshes_are_later() {
        const NOW: u64 = 1_000_000;
        /// The times of installation and issue, in microseconds.
        struct Case {
            stored: (u64, u64),
            tokens: (u64, u64),
            is_later: bool,
        }
        let of = |(installed, obtained): (u64, u64)| TokenSet {
            installed_at: at(0) + Duration::from_micros(installed),
            obtained_at: at(0) + Duration::from_micros(obtained),
            ..tokens(DAY)
        };
        for case in [
            // Installed later, or earlier and refreshed since.
            Case { stored: (2_000, 2_000), tokens: (1_000, 1_000), is_later: true },
            Case { stored: (1_000, 9_000), tokens: (2_000, 2_000), is_later: false },
            Case { stored: (2_000, 2_000), tokens: (1_000, 9_000), is_later: true },
            // Refreshed since the same installation, or not.
            Case { stored: (1_000, 2_000), tokens: (1_000, 1_000), is_later: true },
            Case { stored: (1_000, 1_000), tokens: (1_000, 2_000), is_later: false },
            Case { stored: (1_000, 1_000), tokens: (1_000, 1_000), is_later: false },
            // Stored times are in whole milliseconds.
            Case { stored: (1_000, 2_000), tokens: (1_900, 1_900), is_later: true },
            Case { stored: (1_000, 1_000), tokens: (1_900, 1_900), is_later: false },
            Case { stored: (1_000, 1_000), tokens: (1_000, 1_900), is_later: false },
            // A clock that is ahead, and one that was put back.
            Case { stored: (NOW + 1, NOW + 1), tokens: (NOW, NOW), is_later: false },
            Case { stored: (NOW + 1_000, NOW + 1_000), tokens: (NOW, NOW), is_later: true },
            Case { stored: (NOW + 60_000_000, NOW), tokens: (NOW, NOW), is_later: true },
            Case { stored: (NOW + 60_000_001, NOW), tokens: (NOW, NOW), is_later: false },
            Case { stored: (NOW + 90_000_000, NOW + 1_000), tokens: (NOW + 90_000_000, NOW), is_later: true },
        ] {
            let found = is_later(&of(case.stored), &of(case.tokens), at(1));
            assert_eq!(found, case.is_later, "stored {:?}, tokens {:?}", case.stored, case.tokens);
        }
    }

    #[test]
    fn the_refresh_token_is_preferred_to_the_company() {
        struct Case<'a> {
            tokens: Option<&'a TokenSet>,
            rejected: bool,
            has_company: bool,
            expected: RefreshStrategy,
        }
        let with_refresh_token = tokens(DAY);
        let without_refresh_token = TokenSet { refresh_token: None, ..tokens(DAY) };
        for Case { tokens, rejected, has_company, expected } in [
            Case {
                tokens: Some(&with_refresh_token),
                rejected: false,
                has_company: false,
                expected: RefreshStrategy::Refresh,
            },
            Case {
                tokens: Some(&with_refresh_token),
                rejected: false,
                has_company: true,
                expected: RefreshStrategy::Refresh,
            },
            Case {
                tokens: Some(&with_refresh_token),
                rejected: true,
                has_company: true,
                expected: RefreshStrategy::FromCompany,
            },
            Case {
                tokens: Some(&with_refresh_token),
                rejected: true,
                has_company: false,
                expected: RefreshStrategy::Authorize(ReauthReason::RefreshTokenRejected),
            },
            Case {
                tokens: Some(&without_refresh_token),
                rejected: false,
                has_company: true,
                expected: RefreshStrategy::FromCompany,
            },
            Case {
                tokens: Some(&without_refresh_token),
                rejected: false,
                has_company: false,
                expected: RefreshStrategy::Authorize(ReauthReason::NoRefreshToken),
            },
            Case { tokens: None, rejected: false, has_company: true, expected: RefreshStrategy::FromCompany },
            Case {
                tokens: None,
                rejected: false,
                has_company: false,
                expected: RefreshStrategy::Authorize(ReauthReason::NoTokens),
            },
        ] {
            assert_eq!(
                strategy(tokens, rejected, has_company),
                expected,
                "{tokens:?} {rejected} {has_company}"
            );
        }
    }
}
