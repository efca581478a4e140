//! Schedules of fault rules.

use serde::{Deserialize, Serialize};

/// Selects which requests covered by a rule trigger it. Each rule counts its requests separately, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum FaultSchedule {
    /// Every request.
    #[default]
    Always,
    /// The nth request only.
    Nth(u64),
    /// Every nth request.
    EveryNth(u64),
    /// The first n requests.
    First(u64),
    /// A random selection. The same seed selects the same requests.
    Random {
        /// The probability of each request, from 0 to 1.
        probability: f64,
        /// The seed of the random numbers. Defaults to 0.
        #[serde(default)]
        seed: u64,
    },
}

impl FaultSchedule {
    /// Returns `true` if the request with this number triggers the rule.
    pub(super) fn triggers_on(self, number: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Nth(nth) => number == nth,
            Self::EveryNth(nth) => nth > 0 && number.is_multiple_of(nth),
            Self::First(count) => number <= count,
            Self::Random { probability, seed } => unit(seed, number) < probability,
        }
    }

    /// Returns `true` if no request after this one triggers the rule.
    pub(super) fn is_over(self, number: u64) -> bool {
        match self {
            Self::Nth(last) | Self::First(last) => number >= last,
            Self::Always | Self::EveryNth(_) | Self::Random { .. } => false,
        }
    }

    /// Returns `true` if some requests never trigger the rule.
    pub(super) fn spares(self) -> bool {
        match self {
            Self::Always | Self::EveryNth(..=1) => false,
            Self::Random { probability, .. } => probability < 1.0,
            Self::Nth(_) | Self::EveryNth(_) | Self::First(_) => true,
        }
    }

    pub(super) fn problem(self) -> Option<String> {
        match self {
            Self::Nth(0) | Self::EveryNth(0) => {
                Some("request numbers start at 1; 0 never triggers".to_owned())
            }
            Self::Random { probability, .. } if !(0.0..=1.0).contains(&probability) => {
                Some(format!("probability: {probability} is not between 0 and 1"))
            }
            _ => None,
        }
    }
}

/// Returns a pseudorandom number in 0..1 that depends on seed and number only (`SplitMix64`).
fn unit(seed: u64, number: u64) -> f64 {
    let mut bits = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    // 32 bits are enough here, and each such integer is exact as f64.
    let high = u32::try_from(bits >> 32).unwrap_or(u32::MAX);
    f64::from(high) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_on_the_requests_of_the_schedule() {
        let cases: [(FaultSchedule, &[u64]); 6] = [
            (FaultSchedule::Always, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
            (FaultSchedule::Nth(3), &[3]),
            (FaultSchedule::EveryNth(3), &[3, 6, 9]),
            (FaultSchedule::First(2), &[1, 2]),
            (FaultSchedule::Random { probability: 0.0, seed: 7 }, &[]),
            (FaultSchedule::Random { probability: 1.0, seed: 7 }, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ];
        for (schedule, expected) in cases {
            let times_triggered: Vec<u64> = (1..=10).filter(|number| schedule.triggers_on(*number)).collect();
            assert_eq!(times_triggered, expected, "{schedule:?}");
        }
    }

    /// The first outputs of the published generator for the seed 0, from its reference implementation in C.
    #[test]
    fn random_numbers_match_the_published_split_mix_vectors() {
        let published = [0xe220_a839_7b1d_cdaf_u64, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f];
        for (number, bits) in (1..).zip(published) {
            let high = u32::try_from(bits >> 32).expect("32 bits");
            assert!((unit(0, number) * 4_294_967_296.0 - f64::from(high)).abs() < 0.5, "{number}");
        }
    }

    #[test]
    fn random_selection_has_the_probability_and_repeats_with_its_seed() {
        let selected = |seed| {
            let schedule = FaultSchedule::Random { probability: 0.25, seed };
            (1..=10_000).filter(|number| schedule.triggers_on(*number)).collect::<Vec<u64>>()
        };
        for seed in 0..10 {
            // Six standard deviations: 6 * sqrt(10000 * 0.25 * 0.75) = 260.
            assert!(selected(seed).len().abs_diff(2_500) < 260, "{seed}: {}", selected(seed).len());
            assert_eq!(selected(seed), selected(seed));
        }
        assert_ne!(selected(1), selected(2));
    }
}
