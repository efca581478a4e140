//! Types that HighLevel sends: no field is lost, and few fields are required.

use std::collections::BTreeSet;

use highlevel_wire::types::{self, OneOrManyAddresses};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::spec::{names, sample, schemas, smallest};

#[track_caller]
fn read<T: DeserializeOwned>(name: &str, value: &Value) -> T {
    // Through text, as it comes from the network.
    serde_json::from_str(&value.to_string()).unwrap_or_else(|error| panic!("{name}: {error} in {value}"))
}

fn check<T: Serialize + DeserializeOwned + Clone + PartialEq + std::fmt::Debug>(name: &str) {
    let schema = &schemas()[name];
    let properties = schema["properties"].as_object().expect("it has fields");

    let extra = json!({
        "anExtraField": { "deep": [1, null, { "x": "y" }] },
        "another": null,
        "extra": "called like the field that keeps it",
        "snake_case": 9_007_199_254_740_993_i64,
        "": false,
    });
    for (case, mut value) in [("all fields", sample(schema)), ("required fields", smallest(schema))] {
        let found: T = read(name, &value);
        assert_eq!(serde_json::to_value(&found).expect("JSON"), value, "{name}: {case}");
        assert_eq!(found.clone(), found, "{name}: {case}");
        value.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        let found: T = read(name, &value);
        assert_eq!(serde_json::to_value(&found).expect("JSON"), value, "{name}: {case}, and unknown ones");
    }

    for (field, property) in properties {
        let is_required = schema["required"].as_array().is_some_and(|names| names.contains(&json!(field)));
        let mut without = sample(schema);
        without.as_object_mut().expect("an object").remove(field);
        let missing = serde_json::from_value::<T>(without.clone());
        assert_eq!(missing.is_ok(), !is_required, "{name}: without {field}");

        if !is_required {
            let mut null = without.clone();
            null[field] = Value::Null;
            let found: T = read(name, &null);
            assert_eq!(serde_json::to_value(&found).expect("JSON"), without, "{name}: {field} is null");
        }
        if property["type"] == "array" {
            let mut empty = without.clone();
            empty[field] = json!([]);
            let found: T = read(name, &empty);
            assert_eq!(serde_json::to_value(&found).expect("JSON"), empty, "{name}: {field} is empty");
        }
    }
}

macro_rules! received {
    ($($name:ident),* $(,)?) => {
        #[test]
        fn every_received_object_is_lenient() {
            let listed: BTreeSet<&str> = [$(stringify!($name)),*].into();
            let documented = names(|schema| schema.get("additionalProperties") == Some(&json!({})));
            assert_eq!(listed, documented.into_iter().collect(), "the list of this test");
            $(check::<types::$name>(stringify!($name));)*
        }
    };
}

received! {
    AddMessageResponse, AdditionalEmail, AdditionalPhone, AppUpdate, BadRequestError,
    CancelScheduledResponse, ContactDetails, ContactDndUpdate, ContactListMeta, ContactNote, ContactNoteResponse,
    ContactResponse, ContactTagsResponse, ConversationDetails, ConversationMessage, ConversationResponse,
    ConversationSummary, ConversationUnreadUpdate, ConversationUpdate, CustomFieldValue, DndSetting,
    DndSettings, DuplicateContactResponse, EmailDeliveryStatus, EmailDetails, EmailStats,
    EmailStatsMessage, ExportMessagesResponse, ForbiddenError, ForwardData, InboundDndSettings,
    InboundMessage, Install, LcEmailStats, ListContactsResponse, ListMessagesResponse, MessageMeta, MessageMetaCall,
    MessageMetaEmail, MessagePage, MessageResponse, NotFoundError, OutboundMessage,
    ProviderOutboundMessage, SearchContactsResponse, SearchConversationsResponse, SecondsAndNanoseconds,
    SendMessageResponse, TranscribedSentence, Trial, TypingResponse, UnauthorizedError, Uninstall,
    UnprocessableEntityError, UpdateEmailStatusResponse, UploadError, UploadFilesResponse, UpsertContactResponse,
    VoiceAiAction, VoiceAiCallEnd, VoiceAiTranslation, WhitelabelDetails, WrittenConversation,
}

#[test]
fn unknown_fields_are_retained_in_extra() {
    let value = json!({ "conversationId": "c", "messageId": "m", "novel": [1] });
    let found: types::SendMessageResponse = read("a receipt", &value);
    assert_eq!(Value::Object(found.extra), json!({ "novel": [1] }));
}

#[test]
fn addresses_are_read_from_text_and_lists() {
    let cases = [
        (json!("a@b.c"), OneOrManyAddresses::One("a@b.c".to_owned())),
        (json!([]), OneOrManyAddresses::Many(Vec::new())),
        (json!(["a@b.c", "d@e.f"]), OneOrManyAddresses::Many(vec!["a@b.c".to_owned(), "d@e.f".to_owned()])),
    ];
    for (value, expected) in cases {
        let found: OneOrManyAddresses = read("addresses", &value);
        assert_eq!(found, expected);
        assert_eq!(serde_json::to_value(found).expect("JSON"), value);
    }
}

#[test]
fn unknown_values_do_not_reject_an_object() {
    let value = json!({
        "type": "MessageMoved", "messageType": "CARRIER_PIGEON", "status": "flying", "direction": "sideways",
        "dateAdded": "soon", "callStatus": "",
    });
    let found: types::OutboundMessage = read("an event", &value);
    assert_eq!(serde_json::to_value(&found).expect("JSON"), value);
    assert_eq!(found.date_added.expect("it came").to_system_time(), None);
}
