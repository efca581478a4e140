//! Identifiers: a type each, made of any text.

use std::any::TypeId;
use std::collections::{BTreeSet, HashSet};
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::str::FromStr;

use highlevel_wire::types;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::spec::names;

fn check<T>(name: &str)
where
    T: for<'t> From<&'t str> + for<'t> From<&'t String> + for<'t> From<&'t T> + From<String> + Into<String>,
    T: FromStr + Display + AsRef<str> + Clone + Debug + Eq + Ord + Hash,
    T: Serialize + DeserializeOwned,
{
    for text in ["abc123", "", " padded ", "\"quoted\"", "\u{1f44b}"] {
        let id = T::from(text);
        assert_eq!(T::from(text.to_owned()), id, "{name}");
        assert_eq!(T::from(&text.to_owned()), id, "{name}");
        assert_eq!(T::from(&id), id, "{name}");
        assert_eq!(text.parse::<T>().ok(), Some(id.clone()), "{name}");
        assert_eq!(id.to_string(), text, "{name}");
        assert_eq!(id.as_ref(), text, "{name}");
        assert_eq!(serde_json::to_value(&id).expect("JSON"), json!(text), "{name}");
        assert_eq!(serde_json::from_value::<T>(json!(text)).expect("an id"), id, "{name}");
        assert_eq!(Into::<String>::into(id), text, "{name}");
    }
    assert_ne!(T::from("a"), T::from("A"), "{name}");
    assert!(serde_json::from_value::<T>(json!(7)).is_err(), "{name}");
}

macro_rules! ids {
    ($($id:ident),* $(,)?) => {
        #[test]
        fn every_id_is_text_on_the_wire() {
            let listed: BTreeSet<&str> = [$(stringify!($id)),*].into();
            let plain = |schema: &serde_json::Value| {
                schema["type"] == "string" && schema.get("enum").is_none() && schema.get("format").is_none()
            };
            assert_eq!(listed, names(plain).into_iter().collect(), "the list of this test");
            $(check::<types::$id>(stringify!($id));)*
            let distinct: HashSet<TypeId> = [$(TypeId::of::<types::$id>()),*].into();
            assert_eq!(distinct.len(), listed.len(), "two ids are one type");
        }
    };
}

ids! {
    AltId, AppId, AppVersionId, AppointmentId, ChatWidgetId, CompanyId, ContactId, ConversationId,
    ConversationProviderId, CustomFieldId, CustomSubtypeId, EmailMessageId, LocationId, MessageId, NoteId,
    PlanId, TemplateId, ThreadId, TraceId, UserId, VisitorId, VoiceAiAgentId, VoiceAiCallId, WebhookId,
}
