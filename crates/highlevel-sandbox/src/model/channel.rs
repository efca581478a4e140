//! The channels of messages: the `type` of requests, the names in events, and the family.
//!
//! The one table of channels. The numbers and names are those that `spec/openapi.yaml` lists at `EventMessageTypeString`.

use super::ProviderKind;

/// A family of channels, which share the fields of their events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Texts between phone numbers.
    Text,
    /// Texts between accounts, which have no phone numbers.
    Chat,
    Email,
    Call,
    Voicemail,
    InternalComment,
}

/// The names of a channel in an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventType {
    /// The `messageType`.
    pub(crate) name: &'static str,
    /// The `messageTypeId`; `None` if the number is not known.
    pub(crate) id: Option<u32>,
    /// The `messageTypeString`; `None` if the text is not known.
    pub(crate) text: Option<&'static str>,
}

/// A channel, by the `type` of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Channel {
    pub(crate) name: &'static str,
    pub(crate) family: Family,
    pub(crate) event_type: EventType,
}

const fn event_type(name: &'static str, id: u32, text: &'static str) -> EventType {
    EventType { name, id: Some(id), text: Some(text) }
}

const fn channel(name: &'static str, family: Family, event_type: EventType) -> Channel {
    Channel { name, family, event_type }
}

/// All channels.
pub(crate) const CHANNELS: [Channel; 18] = [
    channel("SMS", Family::Text, event_type("SMS", 2, "TYPE_SMS")),
    channel("Email", Family::Email, event_type("Email", 3, "TYPE_EMAIL")),
    channel("WhatsApp", Family::Text, event_type("WhatsApp", 19, "TYPE_WHATSAPP")),
    channel("RCS", Family::Text, EventType { name: "RCS", id: None, text: Some("TYPE_RCS") }),
    channel("Custom", Family::Text, event_type("Custom", 20, "TYPE_CUSTOM_SMS")),
    channel("GMB", Family::Chat, event_type("GMB", 15, "TYPE_GMB")),
    channel("IG", Family::Chat, event_type("IG", 18, "TYPE_INSTAGRAM")),
    channel("FB", Family::Chat, event_type("FB", 11, "TYPE_FACEBOOK")),
    channel("TIKTOK", Family::Chat, event_type("TIKTOK", 41, "TYPE_TIKTOK")),
    channel("WebChat", Family::Chat, event_type("WebChat", 5, "TYPE_WEBCHAT")),
    channel("Live_Chat", Family::Chat, event_type("Live_Chat", 29, "TYPE_LIVE_CHAT")),
    channel("ALL_IN_ONE_CHAT", Family::Chat, EventType { name: "ALL_IN_ONE_CHAT", id: None, text: None }),
    channel(
        "FORM_SUBMISSION",
        Family::Chat,
        EventType { name: "FORM_SUBMISSION", id: None, text: Some("TYPE_FORM_SUBMISSION") },
    ),
    channel(
        "InternalComment",
        Family::InternalComment,
        event_type("InternalComment", 37, "TYPE_INTERNAL_COMMENT"),
    ),
    channel("Call", Family::Call, event_type("CALL", 1, "TYPE_CALL")),
    channel("IVR_Call", Family::Call, event_type("CALL", 24, "TYPE_IVR_CALL")),
    channel("Campaign_Call", Family::Call, event_type("CALL", 8, "TYPE_CAMPAIGN_CALL")),
    channel("Campaign_VoiceMail", Family::Voicemail, event_type("VoiceMail", 10, "TYPE_VOICEMAIL")),
];

/// An inbound call that reached voicemail.
pub(crate) const VOICEMAIL: EventType = event_type("CALL", 10, "TYPE_VOICEMAIL");

/// The channels whose names differ if the message goes through a conversation provider, with the kind of the provider,
/// or `None` for all kinds.
pub(crate) const THROUGH_PROVIDERS: [(Option<ProviderKind>, Channel); 4] = [
    (
        Some(ProviderKind::Sms),
        channel("SMS", Family::Text, event_type("SMS", 22, "TYPE_CUSTOM_PROVIDER_SMS")),
    ),
    (
        Some(ProviderKind::CustomSms),
        channel("SMS", Family::Text, event_type("Custom", 20, "TYPE_CUSTOM_SMS")),
    ),
    (
        Some(ProviderKind::Email),
        channel("Custom", Family::Email, event_type("Custom", 21, "TYPE_CUSTOM_EMAIL")),
    ),
    (None, channel("Call", Family::Call, event_type("Custom", 34, "TYPE_CUSTOM_CALL"))),
];

/// The conversation provider that a message goes through. `Some(None)` is a provider without a kind.
pub(crate) type Through = Option<Option<ProviderKind>>;

/// Returns the channel of a message. `None` if the table does not have it, as the sandbox does not restrict seeds.
pub(crate) fn channel_of(name: &str, through: Through) -> Option<Channel> {
    let of_provider = through.and_then(|kind| {
        let rows = THROUGH_PROVIDERS.iter().filter(|(_, channel)| channel.name == name);
        rows.clone()
            .find(|(required, _)| required.is_none() || *required == kind)
            .map(|(_, channel)| *channel)
    });
    of_provider.or_else(|| CHANNELS.iter().find(|channel| channel.name == name).copied())
}

/// Returns the names that the events of a channel can have.
pub(crate) fn event_types(name: &str) -> impl Iterator<Item = EventType> {
    let of_providers = THROUGH_PROVIDERS.iter().map(|(_, channel)| channel);
    let own = CHANNELS.iter().chain(of_providers).filter(move |channel| channel.name == name);
    own.map(|channel| channel.event_type).chain((name == "Call").then_some(VOICEMAIL))
}

fn family(name: &str) -> Option<Family> {
    channel_of(name, None).map(|channel| channel.family)
}

pub(crate) fn is_email(channel: &str) -> bool {
    family(channel) == Some(Family::Email)
}

/// Returns `true` for `Call`, `IVR_Call` and `Campaign_Call`.
pub(crate) fn is_call(channel: &str) -> bool {
    family(channel) == Some(Family::Call)
}

/// Returns `true` for `Campaign_VoiceMail`.
pub(crate) fn is_voicemail(channel: &str) -> bool {
    family(channel) == Some(Family::Voicemail)
}

/// Returns `true` for calls and voicemail.
pub(crate) fn is_phone(channel: &str) -> bool {
    is_call(channel) || is_voicemail(channel)
}

impl ProviderKind {
    /// Returns `true` if messages and calls of a type are added through such a provider. Other channels than SMS, email and
    /// calls are refused by calls only, because their live behaviour is unknown.
    pub(crate) fn adds(self, channel: &str) -> bool {
        match channel {
            "SMS" => self == Self::Sms,
            "Custom" => matches!(self, Self::CustomSms | Self::Email),
            "Email" => self == Self::Email,
            _ if is_phone(channel) => self == Self::Call,
            _ => self != Self::Call,
        }
    }

    /// Returns `true` if the default provider of this kind is used for messages of a type.
    pub(crate) fn replaces(self, channel: &str) -> bool {
        matches!((self, channel), (Self::Sms, "SMS") | (Self::Email, "Email"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::spec::Spec;

    #[test]
    fn the_table_has_every_channel_and_name_of_the_spec() {
        let spec = Spec::load().unwrap();
        let of_requests = ["SendMessageType", "InboundMessageType", "OutboundCallType"];
        let of_requests: BTreeSet<&str> =
            of_requests.iter().flat_map(|schema| spec.allowed_values(schema)).collect();
        assert_eq!(CHANNELS.iter().map(|channel| channel.name).collect::<BTreeSet<_>>(), of_requests);
        let (names, texts) =
            (spec.allowed_values("EventMessageType"), spec.allowed_values("EventMessageTypeString"));
        for channel in CHANNELS {
            for event_type in event_types(channel.name) {
                assert!(names.contains(&event_type.name), "{event_type:?}");
                assert!(event_type.text.is_none_or(|text| texts.contains(&text)), "{event_type:?}");
            }
        }
    }

    #[test]
    fn each_number_has_one_text() {
        let types: BTreeSet<_> = CHANNELS
            .iter()
            .flat_map(|channel| event_types(channel.name))
            .filter_map(|event_type| Some((event_type.id?, event_type.text)))
            .collect();
        let numbers: BTreeSet<_> = types.iter().map(|(id, _)| id).collect();
        assert_eq!(types.len(), numbers.len(), "{types:?}");
    }

    #[test]
    fn channels_depend_on_the_provider() {
        let cases = [
            ("SMS", None, Some(2)),
            ("SMS", Some(None), Some(2)),
            ("SMS", Some(Some(ProviderKind::Sms)), Some(22)),
            ("SMS", Some(Some(ProviderKind::CustomSms)), Some(20)),
            ("Custom", Some(Some(ProviderKind::CustomSms)), Some(20)),
            ("Custom", Some(Some(ProviderKind::Email)), Some(21)),
            ("Email", Some(Some(ProviderKind::Email)), Some(3)),
            ("Call", None, Some(1)),
            ("Call", Some(None), Some(34)),
            ("Call", Some(Some(ProviderKind::Call)), Some(34)),
            ("IVR_Call", Some(Some(ProviderKind::Call)), Some(24)),
            ("Pigeon", Some(None), None),
        ];
        for (name, through, id) in cases {
            assert_eq!(
                channel_of(name, through).and_then(|channel| channel.event_type.id),
                id,
                "{name} {through:?}"
            );
        }
    }
}
