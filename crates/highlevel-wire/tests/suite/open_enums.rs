//! Enums that keep values which this version does not know.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};
use std::convert::Infallible;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::str::FromStr;

use highlevel_wire::types;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::spec::{names, schemas};

fn check<T>(name: &str, known: &[&str], unknown: fn(String) -> T)
where
    T: for<'t> From<&'t str> + From<String> + FromStr<Err = Infallible> + Display + AsRef<str>,
    T: Clone + Debug + Eq + Ord + Hash + Serialize + DeserializeOwned,
{
    assert_eq!(json!(known), schemas()[name]["enum"], "{name}: the documented values");
    let is_unknown = |value: &T| format!("{value:?}").starts_with("Unknown(");
    let novel = ["", "tomorrow", "sms", "SMS ", "Unknown", "\u{1f44b}", "\"quoted\""];
    for text in known.iter().copied().chain(novel) {
        let value = T::from(text);
        assert_eq!(is_unknown(&value), !known.contains(&text), "{name}: {text} is {value:?}");
        assert_eq!(value.as_ref(), text, "{name}");
        assert_eq!(value.to_string(), text, "{name}");
        assert_eq!(format!("{value:>20}"), format!("{text:>20}"), "{name}");
        for same in [
            T::from(text.to_owned()),
            text.parse().unwrap_or_else(|never: Infallible| match never {}),
            serde_json::from_value(json!(text)).expect("any text is a value"),
        ] {
            assert_eq!(format!("{same:?}"), format!("{value:?}"), "{name}: one variant, however it is made");
        }
        assert_eq!(serde_json::to_value(&value).expect("JSON"), json!(text), "{name}");

        // Two values are equal when their texts are.
        let by_hand = unknown(text.to_owned());
        assert_eq!(by_hand, value, "{name}");
        assert_eq!(by_hand.cmp(&value), Ordering::Equal, "{name}");
        assert_eq!(HashSet::from([by_hand, value]).len(), 1, "{name}");
    }
    let all: BTreeSet<T> = known.iter().copied().chain(novel).map(T::from).collect();
    let texts: BTreeSet<&str> = known.iter().copied().chain(novel).collect();
    assert_eq!(all.iter().map(AsRef::as_ref).collect::<Vec<_>>(), Vec::from_iter(texts), "{name}: by text");
    for odd in [json!(7), json!(null), json!(["SMS"])] {
        assert!(serde_json::from_value::<T>(odd.clone()).is_err(), "{name}: {odd} is not a text");
    }
}

macro_rules! enums {
    ($($name:ident),* $(,)?) => {
        #[test]
        fn every_enum_retains_unknown_values() {
            let listed: BTreeSet<&str> = [$(stringify!($name)),*].into();
            let documented = names(|schema| schema.get("enum").is_some());
            assert_eq!(listed, documented.into_iter().collect(), "the list of this test");
            $(check(stringify!($name), types::$name::KNOWN, types::$name::Unknown);)*
        }
    };
}

enums! {
    ApiVersion, CallStatus, CanonicalCode, ConversationFilter, ConversationSortKey, ConversationType,
    Direction, DndStatus, EmailReplyMode, EmailStatsEvent, EmailStatus, EventMessageStatus,
    EventMessageType, EventMessageTypeString, EventName, ExportChannel, ExportSortKey, InboundMessageType,
    InstallType, MessageSource, OptimizationPeriod, OutboundCallType, ProviderChannel, SendMessageType,
    SendStatus, SortOrder, VoiceAiActionType, WhatsAppContentType, WhatsAppMediaType,
}

/// The names of variants are part of the contract with callers; a few of each shape.
#[test]
fn variants_have_their_documented_values() {
    assert!(matches!("SMS".into(), types::SendMessageType::Sms));
    assert!(matches!("Live_Chat".into(), types::SendMessageType::LiveChat));
    assert!(matches!("ALL_IN_ONE_CHAT".into(), types::InboundMessageType::AllInOneChat));
    assert!(matches!("no-answer".into(), types::CallStatus::NoAnswer));
    assert!(matches!("24h".into(), types::OptimizationPeriod::V24h));
    assert!(matches!("2021-04-15".into(), types::ApiVersion::V2021_04_15));
}
