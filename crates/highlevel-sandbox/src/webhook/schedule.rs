//! Retry schedules of webhooks, as pure functions. Callers supply the time.

use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

/// The maximum number of delays of a custom schedule.
const MAX_DELAYS: usize = 100;
/// The maximum delay: ten years of 365 days.
const MAX_DELAY: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The schedule of attempts for an event that received no 2xx response.
///
/// Delays count from the due time of the attempt before, by the sandbox's clock. Moving the clock forward by two hours
/// sends all attempts that are due within them, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetrySchedule {
    /// The schedule documented by `HighLevel` since August 2026: up to 12 retries, after any response that is not a 2xx
    /// and after none, with exponential backoff and jitter. The delays are not documented; the sandbox uses
    /// 1 s, 2 s, 4 s … 2,048 s, ± 10 %, 68 minutes in total.
    #[default]
    Documented,
    /// The schedule before August 2026: up to six retries, ten minutes apart, ± 10 %, and only after a 429. Any other
    /// response, or none, ends the delivery.
    OnlyOn429,
    /// No retries.
    None,
    /// These delays exactly, after any response that is not a 2xx and after none. Delays after the hundredth are ignored,
    /// and longer ones are cut to ten years of 365 days.
    Custom(Vec<Duration>),
}

/// The names of schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RetryKind {
    Documented,
    OnlyOn429,
    None,
    Custom,
}

impl RetryKind {
    /// All names.
    pub(crate) const ALL: [Self; 4] = [Self::Documented, Self::OnlyOn429, Self::None, Self::Custom];

    /// Returns the name in the admin API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::OnlyOn429 => "onlyOn429",
            Self::None => "none",
            Self::Custom => "custom",
        }
    }

    /// Returns the schedule of the name, unless it needs delays.
    pub(crate) fn fixed(self) -> Option<RetrySchedule> {
        match self {
            Self::Documented => Some(RetrySchedule::Documented),
            Self::OnlyOn429 => Some(RetrySchedule::OnlyOn429),
            Self::None => Some(RetrySchedule::None),
            Self::Custom => None,
        }
    }
}

impl FromStr for RetryKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("unknown retry schedule `{text}`; known schedules: {names}")
        })
    }
}

impl RetrySchedule {
    /// Returns the name of the schedule.
    pub(crate) fn kind(&self) -> RetryKind {
        match self {
            Self::Documented => RetryKind::Documented,
            Self::OnlyOn429 => RetryKind::OnlyOn429,
            Self::None => RetryKind::None,
            Self::Custom(_) => RetryKind::Custom,
        }
    }

    /// Creates a custom schedule.
    ///
    /// # Errors
    ///
    /// Returns the reason if there are too many delays or one is too long.
    pub(crate) fn custom(waits: Vec<Duration>) -> Result<Self, String> {
        if waits.len() > MAX_DELAYS {
            let count = waits.len();
            return Err(format!("{count} delays exceed the maximum of {MAX_DELAYS}"));
        }
        match waits.iter().find(|wait| **wait > MAX_DELAY) {
            Some(wait) => {
                Err(format!("a delay of {} s exceeds ten years ({} s)", wait.as_secs(), MAX_DELAY.as_secs()))
            }
            None => Ok(Self::Custom(waits)),
        }
    }

    /// Returns the delay before the next attempt without jitter, or `None` if there is no next attempt.
    ///
    /// `attempts` is the number of attempts so far, `status` the status of the last response, if there was one.
    ///
    /// ```
    /// use highlevel_sandbox::RetrySchedule;
    /// use std::time::Duration;
    ///
    /// assert_eq!(RetrySchedule::Documented.wait(3, Some(500)), Some(Duration::from_secs(4)));
    /// assert_eq!(RetrySchedule::OnlyOn429.wait(1, Some(500)), None);
    /// ```
    pub fn wait(&self, attempts: u32, status: Option<u16>) -> Option<Duration> {
        if attempts == 0 || status.is_some_and(|status| (200..300).contains(&status)) {
            return None;
        }
        let retries = attempts - 1;
        match self {
            Self::Documented => (retries < 12).then(|| Duration::from_secs(1 << retries)),
            Self::OnlyOn429 => (status == Some(429) && retries < 6).then_some(Duration::from_secs(600)),
            Self::None => None,
            Self::Custom(waits) => {
                let wait = waits.iter().take(MAX_DELAYS).nth(usize::try_from(retries).ok()?)?;
                Some((*wait).min(MAX_DELAY))
            }
        }
    }

    /// Returns the delay with jitter, which depends on the seed only, so that runs are repeatable.
    pub(crate) fn jittered(&self, attempts: u32, status: Option<u16>, seed: u64) -> Option<Duration> {
        let wait = self.wait(attempts, status)?;
        Some(match self {
            Self::Custom(_) | Self::None => wait,
            Self::Documented | Self::OnlyOn429 => {
                wait.mul_f64(0.9 + 0.2 * fastrand::Rng::with_seed(seed).f64())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the delays until the schedule ends, for a target that always responds alike.
    #[test]
    fn all_names_can_be_parsed() {
        let refused = serde_json::from_value::<RetryKind>("?".into()).unwrap_err().to_string();
        let names = RetryKind::ALL.map(|kind| format!("`{}`", kind.as_str())).join(", ");
        assert_eq!(refused, format!("unknown variant `?`, expected one of {names}"));
        for kind in RetryKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(kind.fixed().map_or(RetryKind::Custom, |schedule| schedule.kind()), kind);
        }
        assert!(
            "once".parse::<RetryKind>().unwrap_err().contains("known schedules: documented, onlyOn429, none")
        );
    }

    fn waits(schedule: &RetrySchedule, status: Option<u16>) -> Vec<u64> {
        (1..).map_while(|attempts| schedule.wait(attempts, status)).map(|wait| wait.as_secs()).collect()
    }

    #[test]
    fn schedules_match_the_documentation() {
        let documented = vec![1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048];
        let custom = RetrySchedule::Custom(vec![Duration::from_secs(5), Duration::ZERO]);
        let cases = [
            (RetrySchedule::Documented, Some(500), documented.clone()),
            (RetrySchedule::Documented, Some(429), documented.clone()),
            (RetrySchedule::Documented, Some(404), documented.clone()),
            (RetrySchedule::Documented, Some(301), documented.clone()),
            (RetrySchedule::Documented, None, documented),
            (RetrySchedule::Documented, Some(200), vec![]),
            (RetrySchedule::Documented, Some(204), vec![]),
            (RetrySchedule::OnlyOn429, Some(429), vec![600; 6]),
            (RetrySchedule::OnlyOn429, Some(500), vec![]),
            (RetrySchedule::OnlyOn429, None, vec![]),
            (RetrySchedule::None, Some(429), vec![]),
            (custom.clone(), Some(500), vec![5, 0]),
            (custom.clone(), None, vec![5, 0]),
            (custom, Some(299), vec![]),
        ];
        for (schedule, status, expected) in cases {
            assert_eq!(waits(&schedule, status), expected, "{schedule:?} {status:?}");
        }
    }

    #[test]
    fn custom_delays_are_bounded() {
        let second = Duration::from_secs(1);
        let cases = [
            (vec![second; 100], None, (100, second)),
            (vec![second; 101], Some("101 delays"), (100, second)),
            (vec![MAX_DELAY], None, (1, MAX_DELAY)),
            (vec![MAX_DELAY + second], Some("a delay of 315360001 s"), (1, MAX_DELAY)),
            (vec![Duration::MAX], Some("exceeds ten years"), (1, MAX_DELAY)),
        ];
        for (given, fault, (count, longest)) in cases {
            let schedule = RetrySchedule::Custom(given.clone());
            match (RetrySchedule::custom(given), fault) {
                (Ok(checked), None) => assert_eq!(checked, schedule),
                (Err(error), Some(expected)) => assert!(error.contains(expected), "{error}"),
                other => panic!("{other:?}"),
            }
            // A value that was built without `custom` is cut to the bounds.
            let waits = waits(&schedule, None);
            assert_eq!((waits.len(), waits[0]), (count, longest.as_secs()), "{fault:?}");
        }
    }

    #[test]
    fn jitter_is_at_most_a_tenth_and_depends_on_the_seed_only() {
        let schedule = RetrySchedule::OnlyOn429;
        let mut seen = Vec::new();
        for seed in 0..200 {
            let wait = schedule.jittered(1, Some(429), seed).unwrap();
            assert_eq!(schedule.jittered(1, Some(429), seed), Some(wait));
            assert!((540.0..660.0).contains(&wait.as_secs_f64()), "{wait:?}");
            seen.push(wait);
        }
        seen.sort();
        seen.dedup();
        assert!(seen.len() > 100, "the jitter is always the same: {seen:?}");
        let custom = RetrySchedule::Custom(vec![Duration::from_secs(7)]);
        assert_eq!(custom.jittered(1, None, 3), Some(Duration::from_secs(7)));
    }
}
