//! When an event that was not taken is delivered again. Functions of values: the clock is the caller's.

use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

/// How many waits a schedule of one's own has at most.
const MOST_WAITS: usize = 100;
/// The longest of them: ten years of 365 days.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// When an event that was not answered with a 2xx is delivered again.
///
/// The waits count from when the attempt before was due, by the sandbox's clock: moving the clock forward by two hours
/// makes all attempts that two hours would have seen, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetrySchedule {
    /// As `HighLevel` documents it since August 2026: up to 12 times after the first, on any answer that is not a 2xx
    /// and when there is none, with exponential back-off and jitter. How long the waits are, the documentation does
    /// not say; here they are 1 s, 2 s, 4 s … 2,048 s, give or take a tenth, together 68 minutes.
    #[default]
    Documented,
    /// As it was until then: up to six times after the first, ten minutes apart, give or take a tenth, and only when
    /// the answer was 429. Any other answer, or none, was the end.
    OnlyOn429,
    /// One attempt each.
    None,
    /// These waits exactly, on any answer that is not a 2xx and when there is none. There are at most 100 of them, and
    /// none is longer than ten years of 365 days: those beyond the hundredth do not count, and longer ones are ten years.
    Custom(Vec<Duration>),
}

/// The schedules by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RetryKind {
    Documented,
    OnlyOn429,
    None,
    Custom,
}

impl RetryKind {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Documented, Self::OnlyOn429, Self::None, Self::Custom];

    /// What the admin API calls it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::OnlyOn429 => "onlyOn429",
            Self::None => "none",
            Self::Custom => "custom",
        }
    }

    /// The schedule, if the name says all of it.
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
            format!("there is no retry schedule `{text}`; there are {names}")
        })
    }
}

impl RetrySchedule {
    /// Which one it is.
    pub(crate) fn kind(&self) -> RetryKind {
        match self {
            Self::Documented => RetryKind::Documented,
            Self::OnlyOn429 => RetryKind::OnlyOn429,
            Self::None => RetryKind::None,
            Self::Custom(_) => RetryKind::Custom,
        }
    }

    /// These waits, if they are within the bounds; otherwise what is wrong.
    pub(crate) fn custom(waits: Vec<Duration>) -> Result<Self, String> {
        if waits.len() > MOST_WAITS {
            let count = waits.len();
            return Err(format!(
                "{count} waits are more than {MOST_WAITS}, which are possible; leave some out"
            ));
        }
        match waits.iter().find(|wait| **wait > LONGEST_WAIT) {
            Some(wait) => Err(format!(
                "a wait of {} s is longer than ten years ({} s); choose a shorter one",
                wait.as_secs(),
                LONGEST_WAIT.as_secs()
            )),
            None => Ok(Self::Custom(waits)),
        }
    }

    /// How long to wait before the next attempt, without jitter; `None` when there is none.
    ///
    /// `attempts` is how many there were, and `status` what the last one was answered, `None` if it was not.
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
                let wait = waits.iter().take(MOST_WAITS).nth(usize::try_from(retries).ok()?)?;
                Some((*wait).min(LONGEST_WAIT))
            }
        }
    }

    /// The wait with its jitter, which is a function of the seed: each run of a program has the same.
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

    /// The waits until a schedule gives up on a target that always answers the same.
    #[test]
    fn all_names_are_those_that_are_read() {
        let refused = serde_json::from_value::<RetryKind>("?".into()).unwrap_err().to_string();
        let names = RetryKind::ALL.map(|kind| format!("`{}`", kind.as_str())).join(", ");
        assert_eq!(refused, format!("unknown variant `?`, expected one of {names}"));
        for kind in RetryKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(kind.fixed().map_or(RetryKind::Custom, |schedule| schedule.kind()), kind);
        }
        assert!("once".parse::<RetryKind>().unwrap_err().contains("there are documented, onlyOn429, none"));
    }

    fn waits(schedule: &RetrySchedule, status: Option<u16>) -> Vec<u64> {
        (1..).map_while(|attempts| schedule.wait(attempts, status)).map(|wait| wait.as_secs()).collect()
    }

    #[test]
    fn schedules_are_what_is_documented() {
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
    fn waits_of_ones_own_have_bounds() {
        let second = Duration::from_secs(1);
        let cases = [
            (vec![second; 100], None, (100, second)),
            (vec![second; 101], Some("101 waits"), (100, second)),
            (vec![LONGEST_WAIT], None, (1, LONGEST_WAIT)),
            (vec![LONGEST_WAIT + second], Some("a wait of 315360001 s"), (1, LONGEST_WAIT)),
            (vec![Duration::MAX], Some("longer than ten years"), (1, LONGEST_WAIT)),
        ];
        for (given, fault, (count, longest)) in cases {
            let schedule = RetrySchedule::Custom(given.clone());
            match (RetrySchedule::custom(given), fault) {
                (Ok(checked), None) => assert_eq!(checked, schedule),
                (Err(words), Some(fault)) => assert!(words.contains(fault), "{words}"),
                other => panic!("{other:?}"),
            }
            // Whoever builds it by hand gets the nearest that is within them.
            let waits = waits(&schedule, None);
            assert_eq!((waits.len(), waits[0]), (count, longest.as_secs()), "{fault:?}");
        }
    }

    #[test]
    fn jitter_is_at_most_a_tenth_and_a_function_of_its_seed() {
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
