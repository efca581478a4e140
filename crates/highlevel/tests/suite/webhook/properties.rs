//! Properties of all bodies.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::bodies;

proptest! {
    // The same bodies in every run; the fuzz targets search for new ones.
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1_722_268_288_071),
        ..ProptestConfig::default()
    })]

    #[test]
    fn arbitrary_bytes_are_rejected_or_decoded(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        bodies::receive(&data);
        bodies::decode(&data);
    }

    #[test]
    fn signatures_are_accepted_as_by_verify_strict(
        key in any::<u8>(),
        form in any::<u8>(),
        // Most of the time, no byte or only one is changed.
        changes in proptest::collection::vec((0..64_usize, any::<u8>()), 0..2),
        body in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut data = vec![0; 66];
        (data[0], data[1]) = (key, form);
        for (at, change) in changes {
            data[2 + at] = change;
        }
        bodies::signature(&[data, body].concat());
    }

    #[test]
    fn malformed_json_is_rejected_or_decoded(text in r#"(\{|\}|\[|\]|:|,|"|\\u?|type|appId|timestamp|webhookId|SMS|INSTALL|-?[0-9]{1,30}|null| ){0,40}"#) {
        bodies::decode(text.as_bytes());
    }
}

/// Each event with each value in each field, with and without the required fields.
#[test]
fn mistyped_fields_are_rejected_or_retained() {
    let names = ["OutboundMessage", "InboundMessage", "INSTALL", "UNINSTALL", "SMS", "X"];
    let fields = [
        "messageId",
        "appId",
        "attachments",
        "callDuration",
        "status",
        "to",
        "emailTo",
        "timestamp",
        "webhookId",
        "trial",
        "whitelabelDetails",
        "messageType",
        "type",
        "newField",
    ];
    let values = [
        "null",
        "7",
        "-0.5e300",
        r#""""#,
        r#""\u0000""#,
        "[]",
        "[null]",
        "{}",
        r#"{"a":[1]}"#,
        r#"{"onTrial":true,"trialDuration":"10","domain":7,"a":null}"#,
        "true",
        r#""CALL""#,
        r#"["a@b"]"#,
    ];
    for name in names {
        for field in fields {
            for value in values {
                bodies::decode(format!(r#"{{"type":"{name}","{field}":{value}}}"#).as_bytes());
                let with_required =
                    format!(r#"{{"type":"{name}","appId":"a","messageId":"m","{field}":{value}}}"#);
                bodies::decode(with_required.as_bytes());
            }
        }
    }
}
