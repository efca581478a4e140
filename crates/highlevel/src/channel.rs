//! The channels of messages, and their families.

/// A channel. Requests, events and messages use different names for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Channel {
    Sms,
    GroupSms,
    /// An SMS that HighLevel sent automatically.
    CampaignSms,
    SmsReaction,
    WhatsApp,
    Instagram,
    Facebook,
    CampaignFacebook,
    GoogleBusiness,
    CampaignGoogleBusiness,
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

/// A family of channels. A message keeps its family on its way through HighLevel, though not the name of its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Text,
    Email,
    Call,
    VoiceMail,
    InternalComment,
    PublicComment,
    Activity,
}

impl Channel {
    /// Returns the families of the channel. A custom channel may carry texts, emails and calls.
    pub(crate) fn families(self) -> &'static [Family] {
        match self {
            Self::Sms
            | Self::GroupSms
            | Self::CampaignSms
            | Self::SmsReaction
            | Self::WhatsApp
            | Self::Instagram
            | Self::Facebook
            | Self::CampaignFacebook
            | Self::GoogleBusiness
            | Self::CampaignGoogleBusiness
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
    pub(crate) fn named(name: &str) -> Option<Self> {
        let name = name.strip_prefix("TYPE_").unwrap_or(name);
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        Some(match plain.to_ascii_lowercase().as_str() {
            "sms" | "customsms" | "customprovidersms" => Self::Sms,
            "groupsms" => Self::GroupSms,
            "campaignsms" | "campaignmanualsms" | "smsreviewrequest" | "smsnoshowrequest" => {
                Self::CampaignSms
            }
            "smsreaction" => Self::SmsReaction,
            "whatsapp" => Self::WhatsApp,
            "ig" | "instagram" => Self::Instagram,
            "fb" | "facebook" => Self::Facebook,
            "campaignfacebook" => Self::CampaignFacebook,
            "gmb" => Self::GoogleBusiness,
            "campaigngmb" => Self::CampaignGoogleBusiness,
            "webchat" => Self::WebChat,
            "livechat" => Self::LiveChat,
            "allinonechat" => Self::AllInOneChat,
            "formsubmission" => Self::FormSubmission,
            "rcs" => Self::Rcs,
            "tiktok" => Self::TikTok,
            "email" | "customemail" | "customprovideremail" => Self::Email,
            "campaignemail" => Self::CampaignEmail,
            "call" | "customcall" | "ivrcall" | "campaigncall" | "campaignmanualcall" => Self::Call,
            "voicemail" | "campaignvoicemail" => Self::VoiceMail,
            "internalcomment" | "internalcomments" => Self::InternalComment,
            "facebookcomment" | "instagramcomment" | "tiktokcomment" => Self::PublicComment,
            "activity"
            | "activitycontact"
            | "activityinvoice"
            | "activitypayment"
            | "activityopportunity"
            | "activityappointment"
            | "activityemployeeactionlog"
            | "activitywhatsapp"
            | "livechatinfo"
            | "livechatinfomessage" => Self::Activity,
            "custom" => Self::Custom,
            _ => return None,
        })
    }

    /// Returns the channel of a number in `messageTypeId` of an event or `type` of a message.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number that is no small whole number is the number of no channel"
    )]
    pub(crate) fn numbered(number: f64) -> Option<Self> {
        let is_small = number.fract() == 0.0 && (0.0..1000.0).contains(&number);
        Some(match number as u32 {
            _ if !is_small => return None,
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
