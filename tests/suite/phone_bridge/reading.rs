//! The reports of Twilio and Telnyx are read.

use super::reports::{self, Content};

/// A body, and the description of its report.
struct Case {
    path: &'static str,
    body: &'static str,
    expected: Result<Option<&'static str>, &'static str>,
}

const CASES: &[Case] = &[
    Case {
        path: "twilio",
        body: "MessageSid=SM1&From=%2B1503&To=%2B1504&Body=a+%26+b&MediaUrl0=http%3A%2F%2Fa&MediaUrl1=http%3A%2F%2Fb",
        expected: Ok(Some("SM1 +1503 +1504 text a & b [\"http://a\", \"http://b\"]")),
    },
    Case {
        path: "twilio",
        body: "CallSid=CA1&From=%2B1503&To=%2B1504&CallStatus=completed&CallDuration=95",
        expected: Ok(Some("CA1 +1503 +1504 call Completed Some(95s)")),
    },
    Case {
        path: "twilio",
        body: "CallSid=CA1&From=%2B1503&To=%2B1504&CallStatus=no-answer",
        expected: Ok(Some("CA1 +1503 +1504 call NoAnswer None")),
    },
    Case { path: "twilio", body: "CallSid=CA1&From=a&To=b&CallStatus=ringing", expected: Ok(None) },
    Case { path: "twilio", body: "MessageSid=SM1&To=b", expected: Err("the form has no field From") },
    Case { path: "twilio", body: "From=a&To=b&Body=c", expected: Err("the form has no field MessageSid") },
    Case {
        path: "telnyx",
        body: r#"{"data": {"event_type": "message.received", "payload": {"id": "m1", "from": {"phone_number": "+1503"},
            "to": [{"phone_number": "+1504"}], "text": "a", "media": [{"url": "http://a"}]}}}"#,
        expected: Ok(Some("m1 +1503 +1504 text a [\"http://a\"]")),
    },
    Case {
        path: "telnyx",
        body: r#"{"data": {"event_type": "message.received", "payload": {"id": "m1", "from": {"phone_number": "+1503"},
            "to": []}}}"#,
        expected: Err("the message has no recipient"),
    },
    Case {
        path: "telnyx",
        body: r#"{"data": {"event_type": "call.hangup", "payload": {"call_leg_id": "l1", "from": "+1503", "to": "+1504",
            "hangup_cause": "normal_clearing", "start_time": "2026-09-01T08:00:00Z",
            "end_time": "2026-09-01T08:01:35Z"}}}"#,
        expected: Ok(Some("l1 +1503 +1504 call Completed Some(95s)")),
    },
    Case {
        path: "telnyx",
        body: r#"{"data": {"event_type": "call.hangup", "payload": {"call_leg_id": "l1", "from": "+1503", "to": "+1504",
            "hangup_cause": "user_busy"}}}"#,
        expected: Ok(Some("l1 +1503 +1504 call Busy None")),
    },
    Case {
        path: "telnyx",
        body: r#"{"data": {"event_type": "message.sent", "payload": {}}}"#,
        expected: Ok(None),
    },
    Case { path: "telnyx", body: "{}", expected: Err("missing field `data` at line 1 column 2") },
];

#[test]
fn reports_of_both_phone_systems_are_read() {
    for case in CASES {
        let report = match case.path {
            "twilio" => reports::twilio(case.body.as_bytes()),
            _ => reports::telnyx(case.body.as_bytes()),
        };
        let described = report.map(|report| {
            report.map(|report| {
                let content = match &report.content {
                    Content::Text { text, files } => format!("text {text} {files:?}"),
                    Content::Call { status, duration } => format!("call {status:?} {duration:?}"),
                };
                format!("{} {} {} {content}", report.id, report.from, report.to)
            })
        });
        let expected = case.expected.map(|report| report.map(str::to_owned)).map_err(str::to_owned);
        assert_eq!(described, expected, "{}", case.body);
    }
}
