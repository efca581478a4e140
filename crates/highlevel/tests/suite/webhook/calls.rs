//! Outcomes and durations of calls.

use std::time::Duration;

use highlevel::webhook::{CallOutcome, Content};
use serde_json::{Value, json};

use super::content::{Row, check, read};

/// The two statuses of a call, and its outcome. An empty one counts as missing.
struct CallRow {
    status: Option<&'static str>,
    call_status: Option<&'static str>,
    outcome: CallOutcome,
}

#[test]
fn call_outcomes_follow_from_both_statuses() {
    use CallOutcome::{Answered, Busy, Canceled, Completed, Failed, NoAnswer, Pending, Unknown, Voicemail};
    let call = |status, call_status, outcome| CallRow { status, call_status, outcome };
    for CallRow { status, call_status, outcome } in [
        call(Some("completed"), Some("completed"), Answered),
        call(Some("completed"), Some("answered"), Answered),
        call(Some("completed"), Some("voicemail"), Voicemail),
        call(Some("voicemail"), Some("voicemail"), Voicemail),
        call(Some("voicemail"), Some("completed"), Unknown),
        call(Some("failed"), Some("completed"), Unknown),
        call(Some("failed"), Some("voicemail"), Unknown),
        call(Some("completed"), Some("busy"), Busy),
        call(Some("failed"), Some("busy"), Busy),
        call(Some("failed"), Some("no-answer"), NoAnswer),
        call(Some("failed"), Some("failed"), Failed),
        call(Some("failed"), Some("canceled"), Canceled),
        call(Some("pending"), Some("pending"), Pending),
        call(Some("completed"), Some("teleported"), Unknown),
        call(Some("vanished"), Some("completed"), Unknown),
        // Without a `callStatus`.
        call(Some("completed"), None, Completed),
        call(Some("completed"), Some(""), Completed),
        call(Some("voicemail"), None, Voicemail),
        call(Some("pending"), None, Pending),
        call(Some("failed"), None, Failed),
        call(Some("no-answer"), None, NoAnswer),
        call(Some("busy"), None, Busy),
        call(Some("canceled"), None, Canceled),
        call(Some("answered"), None, Answered),
        call(Some("vanished"), None, Unknown),
        // Without a `status`.
        call(None, Some("completed"), Completed),
        call(Some(""), Some("answered"), Answered),
        call(None, Some("voicemail"), Voicemail),
        call(None, Some("busy"), Busy),
        call(None, None, Unknown),
        call(Some(""), Some(""), Unknown),
    ] {
        for name in ["OutboundMessage", "InboundMessage"] {
            for channel in ["CALL", "Custom"] {
                let body = json!({
                    "type": name, "messageType": channel, "messageTypeString": "TYPE_CUSTOM_CALL", "status": status,
                    "callStatus": call_status,
                });
                let event = read(body.to_string());
                let Some(Content::Call(call)) = event.content() else { panic!("{body}") };
                assert_eq!((call.outcome, call.duration), (outcome, None), "{body}");
            }
        }
    }
}

/// HighLevel names the voicemail of a call in `messageTypeString` and `messageTypeId`.
#[test]
fn a_call_that_is_named_voicemail_reached_it_unless_its_status_contradicts() {
    check(&[
        Row {
            event: r#"{"type":"InboundMessage","messageType":"CALL","messageTypeString":"TYPE_VOICEMAIL","status":"delivered","attachments":["u"]}"#,
            content: r#"call Voicemail None ["u"]"#,
        },
        Row {
            event: r#"{"type":"InboundMessage","messageType":"CALL","messageTypeId":10,"status":"completed"}"#,
            content: "call Voicemail None []",
        },
        Row {
            event: r#"{"type":"InboundMessage","messageType":"CALL","messageTypeId":10,"status":"no-answer"}"#,
            content: "call NoAnswer None []",
        },
        Row {
            event: r#"{"type":"InboundMessage","messageType":"CALL","messageTypeId":10,"status":"completed","callStatus":"completed"}"#,
            content: "call Answered None []",
        },
    ]);
}

#[test]
fn call_durations_are_numbers_or_text() {
    let rows = [
        (json!(120), Some(Duration::from_secs(120))),
        (json!(1.5), Some(Duration::from_millis(1500))),
        (json!(0), Some(Duration::ZERO)),
        (json!("120"), Some(Duration::from_secs(120))),
        (json!(-1), None),
        (json!(1e300), None),
        (json!("NaN"), None),
        (json!("long"), None),
        (json!([120]), None),
        (Value::Null, None),
    ];
    for (seconds, expected) in rows {
        let body = json!({ "type": "OutboundMessage", "messageType": "CALL", "callDuration": seconds });
        let event = read(body.to_string());
        let Some(Content::Call(call)) = event.content() else { panic!("{body}") };
        assert_eq!(call.duration, expected, "{body}");
    }
}
