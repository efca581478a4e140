//! The ids by which events are deduplicated.

use highlevel::webhook::WebhookErrorKind;

use super::deduplicate::{DUPLICATE, IN_PROGRESS, rejected};
use super::{any_app, commit, receive};

/// The digests are those of `printf … | sha256sum`.
#[test]
fn event_ids_have_a_stable_form() {
    let long = "x".repeat(300);
    let with_long_id = format!(r#"{{"type":"X","webhookId":"{long}"}}"#);
    let rows = [
        (r#"{"type":"X","webhookId":"w"}"#, r#"["webhook","w",null]"#),
        (r#"{"type":"X","webhookId":"w","appId":"a"}"#, r#"["webhook","w","a"]"#),
        (r#"{"type":"SMS","webhookId":"w","messageId":"m"}"#, r#"["webhook","w",null]"#),
        (r#"{"type":"SMS","messageId":"m","message":"t"}"#, r#"["provider","SMS",null,"m",null]"#),
        (
            r#"{"type":"Email","messageId":"m","emailMessageId":"e","locationId":"l","webhookId":null}"#,
            r#"["provider","Email","l","m","e"]"#,
        ),
        (r#"{"type":"Custom","messageId":"m\",\"n"}"#, r#"["provider","Custom",null,"m\",\"n",null]"#),
        (r#"{"type":"Email","messageId":"","emailMessageId":"e"}"#, r#"["provider","Email",null,null,"e"]"#),
        // An empty id is no id: two messages without one are distinguished by their bodies.
        (
            r#"{"type":"SMS","messageId":"","message":"a"}"#,
            r#"["body","60ed67ec088fa0b3c5eabd6131b84bcb908f9a8373163bfc6247bcadf90fabe2"]"#,
        ),
        (
            r#"{"type":"SMS","messageId":"","emailMessageId":"","message":"b"}"#,
            r#"["body","2009f82c9c8b2661f75ef6b2f0ee29af13750606ee9fe532e3395def38b7b42d"]"#,
        ),
        (r#"{"type":"X"}"#, r#"["body","bde1a8ba70543caf9252d87ed94dfcf8dd8d2d134ed837e7c18eef24d1bb605a"]"#),
        (
            r#"{"type":"X","webhookId":""}"#,
            r#"["body","dda257f4645bc63e760aa6d35e355aefd29feefa0dd0f3d3e568fd197aea9b44"]"#,
        ),
        (
            with_long_id.as_str(),
            r#"["sha256","ab5c159e38cbf918891cb7c94c10f8bc3d29f3caaa31f990d872446b7396683c"]"#,
        ),
    ];
    for (body, expected) in rows {
        let verified = receive(&any_app(), body).expect(body);
        assert_eq!(verified.id().as_str(), expected, "{body}");
        assert_eq!(verified.id().to_string(), expected);
    }
}

/// Events of one message are distinct, and so are messages with equal text.
#[test]
fn events_that_differ_are_not_duplicates() {
    let receiver = any_app();
    let bodies = [
        r#"{"type":"OutboundMessage","messageId":"m","status":"pending"}"#,
        r#"{"type":"OutboundMessage","messageId":"m","status":"delivered"}"#,
        r#"{"type":"SMS","messageId":"m","message":"t"}"#,
        r#"{"type":"SMS","messageId":"n","message":"t"}"#,
        r#"{"type":"SMS","messageId":"m","locationId":"l","message":"t"}"#,
        r#"{"type":"X","webhookId":"w","appId":"a"}"#,
        r#"{"type":"X","webhookId":"w","appId":"b"}"#,
    ];
    for body in bodies {
        commit(receive(&receiver, body).expect(body));
    }
    for body in bodies {
        rejected(receive(&receiver, body), WebhookErrorKind::Duplicate, DUPLICATE);
    }
    // The same message with an additional space, and the same event with an additional field.
    for body in [r#"{"type":"SMS", "messageId":"m"}"#, r#"{"type":"X","webhookId":"w","appId":"a","n":1}"#] {
        rejected(receive(&receiver, body), WebhookErrorKind::Duplicate, DUPLICATE);
    }
}

/// Events that nothing identifies have equal bytes, so each delivery is handled.
#[test]
fn events_without_a_unique_id_are_handled_each_time() {
    let rows = [
        (r#"{"type":"UNINSTALL","appId":"a","locationId":"l"}"#, false),
        (r#"{"type":"UNINSTALL","appId":"a","companyId":"c","timestamp":null,"webhookId":""}"#, false),
        (r#"{"type":"INSTALL","appId":"a"}"#, false),
        (include_str!("../../data/events/uninstall.json"), false),
        (r#"{"type":"UNINSTALL","appId":"a","timestamp":"2024-07-29T15:51:28.071Z"}"#, true),
        (r#"{"type":"UNINSTALL","appId":"a","webhookId":"w"}"#, true),
        // The id and the time of a contact are those of all its events.
        (r#"{"type":"ContactTagUpdate","messageId":"m","dateAdded":"2024-07-29T15:51:28.071Z"}"#, false),
        (r#"{"type":"OutboundMessage","messageId":"m"}"#, true),
        (r#"{"type":"InboundMessage","emailMessageId":"m"}"#, true),
        (r#"{"type":"InboundMessage","dateAdded":"2024-07-29T15:51:28.071Z"}"#, true),
        (r#"{"type":"InboundMessage","messageId":"","dateAdded":7,"body":"yes"}"#, false),
        (r#"{"type":"SMS","messageId":"m"}"#, true),
        (r#"{"type":"SMS","messageId":"","message":"yes"}"#, false),
    ];
    for (body, is_unique) in rows {
        let receiver = any_app();
        let first = receive(&receiver, body).expect(body);
        assert_eq!(first.id().is_unique(), is_unique, "{body}");
        // Two deliveries at the same time are not handled in any case.
        rejected(receive(&receiver, body), WebhookErrorKind::InProgress, IN_PROGRESS);
        commit(first);
        if is_unique {
            rejected(receive(&receiver, body), WebhookErrorKind::Duplicate, DUPLICATE);
        } else {
            let second = receive(&receiver, body).expect(body);
            rejected(receive(&receiver, body), WebhookErrorKind::InProgress, IN_PROGRESS);
            drop(second);
            drop(receive(&receiver, body).expect(body));
        }
    }
}
