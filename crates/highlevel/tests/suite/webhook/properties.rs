//! What holds for every body.

use proptest::prelude::*;

#[path = "bodies.rs"]
mod bodies;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        bodies::receive(&data);
        bodies::decode(&data);
    }

    #[test]
    fn almost_json(text in r#"(\{|\}|\[|\]|:|,|"|\\u?|type|appId|timestamp|webhookId|SMS|INSTALL|-?[0-9]{1,30}|null| ){0,40}"#) {
        bodies::decode(text.as_bytes());
    }

    #[test]
    fn almost_events(
        name in prop_oneof![
            Just("OutboundMessage"), Just("InboundMessage"), Just("INSTALL"), Just("UNINSTALL"), Just("SMS"), Just("X"),
        ],
        field in prop_oneof![
            Just("messageId"), Just("appId"), Just("attachments"), Just("callDuration"), Just("status"), Just("to"),
            Just("timestamp"), Just("webhookId"), Just("trial"), Just("messageType"), Just("type"),
        ],
        value in prop_oneof![
            Just("null"), Just("7"), Just("-0.5e300"), Just("\"\""), Just("\"\\u0000\""), Just("[]"), Just("[null]"),
            Just("{}"), Just("{\"a\":[1]}"), Just("true"), Just("\"CALL\""),
        ],
    ) {
        bodies::decode(format!(r#"{{"type":"{name}","{field}":{value}}}"#).as_bytes());
    }
}
