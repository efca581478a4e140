//! Compares channels by family, because the name that is read back differs from the name that was sent.

use std::collections::BTreeSet;

use super::matching::Match;
use crate::channel::{Channel, Family};

/// The channels that an observed message may have, from all names and numbers that it carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ObservedChannel(BTreeSet<Channel>);

impl ObservedChannel {
    pub(super) fn add_name(&mut self, name: &str) {
        self.0.extend(Channel::named(name));
    }

    pub(super) fn add_number(&mut self, number: f64) {
        self.0.extend(Channel::numbered(number));
    }

    /// Compares with the channel that a request named. An unknown name proves nothing, and neither does another
    /// channel of the same family.
    pub(super) fn compare(&self, requested: &str) -> Match {
        let Some(requested) = Channel::named(requested) else { return Match::Undecided };
        let mut observed = self.0.clone();
        if observed.len() > 1 {
            // The other name is more precise: `Custom` with `TYPE_CUSTOM_CALL`.
            observed.remove(&Channel::Custom);
        }
        if observed.is_empty() {
            return Match::Undecided;
        }
        // A custom channel carries texts and emails; calls have a separate endpoint.
        let families: &[Family] = match requested {
            Channel::Custom => &[Family::Text, Family::Email],
            other => other.families(),
        };
        if !observed.iter().flat_map(|channel| channel.families()).any(|family| families.contains(family)) {
            return Match::Contradicts;
        }
        let read_back_as: &[Channel] = match requested {
            Channel::Custom => &[Channel::Custom, Channel::Sms, Channel::Email],
            _ => &[requested],
        };
        if observed.iter().all(|channel| read_back_as.contains(channel)) {
            Match::Agrees
        } else {
            Match::Undecided
        }
    }
}

/// Returns `true` for a request that records a phone call or a voicemail.
pub(super) fn is_phone_call(requested: &str) -> bool {
    matches!(Channel::named(requested), Some(Channel::Call | Channel::VoiceMail))
}

/// Returns `true` for a request that sends or records an email.
pub(super) fn is_email(requested: &str) -> bool {
    matches!(Channel::named(requested), Some(Channel::Email))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(requested: &str, names: &[&str], numbers: &[f64]) -> Match {
        let mut observed = ObservedChannel::default();
        for name in names {
            observed.add_name(name);
        }
        for number in numbers {
            observed.add_number(*number);
        }
        observed.compare(requested)
    }

    #[test]
    fn a_channel_agrees_with_the_names_that_are_read_back() {
        let cases: &[(&str, &[&str], &[f64])] = &[
            ("SMS", &["SMS", "TYPE_SMS"], &[2.0]),
            ("SMS", &["TYPE_CUSTOM_SMS"], &[20.0]),
            ("SMS", &["TYPE_CUSTOM_PROVIDER_SMS"], &[22.0]),
            ("SMS", &["Custom", "TYPE_CUSTOM_SMS"], &[]),
            ("IG", &["TYPE_INSTAGRAM"], &[18.0]),
            ("FB", &["TYPE_FACEBOOK"], &[11.0]),
            ("GMB", &["GMB"], &[15.0]),
            ("Live_Chat", &["Live Chat", "TYPE_LIVE_CHAT"], &[29.0]),
            ("TIKTOK", &["TYPE_TIKTOK"], &[41.0]),
            ("Email", &["Email", "TYPE_CUSTOM_PROVIDER_EMAIL"], &[3.0]),
            ("Custom", &["Custom"], &[]),
            ("Custom", &["TYPE_CUSTOM_EMAIL"], &[21.0]),
            ("Call", &["CALL"], &[1.0]),
            ("Call", &["Custom", "TYPE_CUSTOM_CALL"], &[34.0]),
            ("IVR_Call", &["CALL", "TYPE_IVR_CALL"], &[24.0]),
            ("Campaign_Call", &["CALL"], &[8.0]),
            ("Campaign_VoiceMail", &["VoiceMail"], &[10.0]),
            ("InternalComment", &["TYPE_INTERNAL_COMMENTS"], &[37.0]),
        ];
        for (requested, names, numbers) in cases {
            assert_eq!(
                compare(requested, names, numbers),
                Match::Agrees,
                "{requested} {names:?} {numbers:?}"
            );
        }
    }

    #[test]
    fn channels_of_different_families_contradict() {
        for (requested, name) in [
            ("SMS", "TYPE_EMAIL"),
            ("SMS", "TYPE_CALL"),
            ("SMS", "InternalComment"),
            ("SMS", "TYPE_ACTIVITY_APPOINTMENT"),
            ("Email", "TYPE_CUSTOM_SMS"),
            ("Call", "VoiceMail"),
            ("Call", "TYPE_SMS"),
            ("FB", "TYPE_FACEBOOK_COMMENT"),
            ("InternalComment", "TYPE_SMS"),
            ("Custom", "TYPE_CUSTOM_CALL"),
        ] {
            assert_eq!(compare(requested, &[name], &[]), Match::Contradicts, "{requested} {name}");
        }
    }

    #[test]
    fn unknown_names_and_channels_of_the_same_family_prove_nothing() {
        for (requested, names, numbers) in [
            ("SMS", &["TYPE_CARRIER_PIGEON"] as &[&str], &[] as &[f64]),
            ("SMS", &[], &[99.0]),
            ("SMS", &[], &[]),
            ("Carrier_Pigeon", &["TYPE_SMS"], &[]),
            ("SMS", &["TYPE_WHATSAPP"], &[]),
            ("SMS", &["SMS", "TYPE_CAMPAIGN_SMS"], &[]),
            ("SMS", &["Custom"], &[]),
            ("Call", &["Custom"], &[]),
        ] {
            assert_eq!(compare(requested, names, numbers), Match::Undecided, "{requested} {names:?}");
        }
    }
}
