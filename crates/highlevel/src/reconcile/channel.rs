//! Compares channels by family, because the name that is read back differs from the name that was sent.

use std::collections::BTreeSet;

use super::matching::Match;

/// A channel. Requests, events and messages use different names for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Channel {
    Sms,
    GroupSms,
    CampaignSms,
    WhatsApp,
    Instagram,
    Facebook,
    GoogleBusiness,
    WebChat,
    LiveChat,
    AllInOneChat,
    FormSubmission,
    Rcs,
    TikTok,
    Email,
    CampaignEmail,
    Call,
    VoiceMail,
    InternalComment,
    PublicComment,
    Activity,
    /// A channel of a conversation provider: a custom one of an app, or the SMS, email or calls of another carrier.
    Custom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Text,
    Email,
    Call,
    VoiceMail,
    InternalComment,
    PublicComment,
    Activity,
}

impl Channel {
    fn families(self) -> &'static [Family] {
        match self {
            Self::Sms
            | Self::GroupSms
            | Self::CampaignSms
            | Self::WhatsApp
            | Self::Instagram
            | Self::Facebook
            | Self::GoogleBusiness
            | Self::WebChat
            | Self::LiveChat
            | Self::AllInOneChat
            | Self::FormSubmission
            | Self::Rcs
            | Self::TikTok => &[Family::Text],
            Self::Email | Self::CampaignEmail => &[Family::Email],
            Self::Call => &[Family::Call],
            Self::VoiceMail => &[Family::VoiceMail],
            Self::InternalComment => &[Family::InternalComment],
            Self::PublicComment => &[Family::PublicComment],
            Self::Activity => &[Family::Activity],
            Self::Custom => &[Family::Text, Family::Email, Family::Call],
        }
    }

    /// Returns the channel of a name in a request (`Live_Chat`), an event (`CALL`) or a message (`TYPE_CUSTOM_SMS`).
    fn named(name: &str) -> Option<Self> {
        let name = name.strip_prefix("TYPE_").unwrap_or(name);
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        Some(match plain.to_ascii_lowercase().as_str() {
            "sms" | "customsms" | "customprovidersms" => Self::Sms,
            "groupsms" => Self::GroupSms,
            "campaignsms" => Self::CampaignSms,
            "whatsapp" => Self::WhatsApp,
            "ig" | "instagram" => Self::Instagram,
            "fb" | "facebook" => Self::Facebook,
            "gmb" => Self::GoogleBusiness,
            "webchat" => Self::WebChat,
            "livechat" => Self::LiveChat,
            "allinonechat" => Self::AllInOneChat,
            "formsubmission" => Self::FormSubmission,
            "rcs" => Self::Rcs,
            "tiktok" => Self::TikTok,
            "email" | "customemail" | "customprovideremail" => Self::Email,
            "campaignemail" => Self::CampaignEmail,
            "call" | "customcall" | "ivrcall" | "campaigncall" => Self::Call,
            "voicemail" | "campaignvoicemail" => Self::VoiceMail,
            "internalcomment" | "internalcomments" => Self::InternalComment,
            "facebookcomment" | "instagramcomment" | "tiktokcomment" => Self::PublicComment,
            "activity"
            | "activitycontact"
            | "activityinvoice"
            | "activitypayment"
            | "activityopportunity"
            | "activityappointment"
            | "livechatinfo"
            | "livechatinfomessage" => Self::Activity,
            "custom" => Self::Custom,
            _ => return None,
        })
    }

    /// Returns the channel of a number in `messageTypeId` of an event or `type` of a message.
    fn numbered(number: u64) -> Option<Self> {
        Some(match number {
            1 | 8 | 24 | 34 => Self::Call,
            2 | 20 | 22 => Self::Sms,
            3 | 21 | 23 => Self::Email,
            5 => Self::WebChat,
            7 => Self::CampaignSms,
            9 => Self::CampaignEmail,
            10 => Self::VoiceMail,
            11 => Self::Facebook,
            15 => Self::GoogleBusiness,
            18 => Self::Instagram,
            19 => Self::WhatsApp,
            25..=28 | 30 | 31 => Self::Activity,
            29 => Self::LiveChat,
            32 | 33 | 42 => Self::PublicComment,
            35 => Self::GroupSms,
            37 => Self::InternalComment,
            41 => Self::TikTok,
            _ => return None,
        })
    }
}

/// The channels that an observed message may have, from all names and numbers that it carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ObservedChannel(BTreeSet<Channel>);

impl ObservedChannel {
    pub(super) fn add_name(&mut self, name: &str) {
        self.0.extend(Channel::named(name));
    }

    pub(super) fn add_number(&mut self, number: u64) {
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

    fn compare(requested: &str, names: &[&str], numbers: &[u64]) -> Match {
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
        let cases: &[(&str, &[&str], &[u64])] = &[
            ("SMS", &["SMS", "TYPE_SMS"], &[2]),
            ("SMS", &["TYPE_CUSTOM_SMS"], &[20]),
            ("SMS", &["TYPE_CUSTOM_PROVIDER_SMS"], &[22]),
            ("SMS", &["Custom", "TYPE_CUSTOM_SMS"], &[]),
            ("IG", &["TYPE_INSTAGRAM"], &[18]),
            ("FB", &["TYPE_FACEBOOK"], &[11]),
            ("GMB", &["GMB"], &[15]),
            ("Live_Chat", &["Live Chat", "TYPE_LIVE_CHAT"], &[29]),
            ("TIKTOK", &["TYPE_TIKTOK"], &[41]),
            ("Email", &["Email", "TYPE_CUSTOM_PROVIDER_EMAIL"], &[3]),
            ("Custom", &["Custom"], &[]),
            ("Custom", &["TYPE_CUSTOM_EMAIL"], &[21]),
            ("Call", &["CALL"], &[1]),
            ("Call", &["Custom", "TYPE_CUSTOM_CALL"], &[34]),
            ("IVR_Call", &["CALL", "TYPE_IVR_CALL"], &[24]),
            ("Campaign_Call", &["CALL"], &[8]),
            ("Campaign_VoiceMail", &["VoiceMail"], &[10]),
            ("InternalComment", &["TYPE_INTERNAL_COMMENTS"], &[37]),
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
            ("SMS", &["TYPE_CARRIER_PIGEON"] as &[&str], &[] as &[u64]),
            ("SMS", &[], &[99]),
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
