//! Events about conversations, emails, contacts, calls of Voice AI agents and the app.

use highlevel::Timestamp;
use highlevel::webhook::{Event, Receiver};
use serde_json::{Map, Value, json};

use super::bodies::{loose, written};
use super::{any_app, commit, public_key, receive, signing_key};

fn read(body: &Value) -> Event {
    receive(&any_app(), body.to_string()).unwrap_or_else(|error| panic!("{body}: {error}")).event().clone()
}

/// An event, and the name that it is reported under.
struct Row {
    name: &'static str,
    body: Value,
}

/// Returns each event with all documented fields.
fn documented() -> [Row; 6] {
    [
        Row {
            name: "ConversationUpdate",
            body: json!({
                "type": "ConversationUpdate", "locationId": "loc1", "companyId": "co1", "contactId": "con1",
                "oldConversationId": "old1", "newConversationId": "new1", "timestamp": "2024-07-29T15:51:00Z",
                "webhookId": "w1", "appId": "app1", "versionId": "v1",
            }),
        },
        Row {
            name: "ConversationUnreadUpdate",
            body: json!({
                "type": "ConversationUnreadUpdate", "locationId": "loc1", "id": "cv1", "contactId": "con1",
                "unreadCount": 3, "inbox": true, "starred": false, "deleted": false,
            }),
        },
        Row {
            name: "LCEmailStats",
            body: json!({
                "type": "LCEmailStats", "locationId": "loc1", "companyId": "co1",
                "webhookPayload": {
                    "event": "opened", "id": "r1", "timestamp": 1_722_268_200, "recipient": "guest@example.com",
                    "message": { "headers": { "message-id": "<m1@example.com>" }, "size": 2048 },
                    "delivery-status": { "code": 250, "mx-host": "mx.example.com" },
                },
            }),
        },
        Row {
            name: "ContactDndUpdate",
            body: json!({
                "type": "ContactDndUpdate", "locationId": "loc1", "id": "con1", "dnd": false, "email": "guest@example.com",
                "dndSettings": { "SMS": { "status": "active", "message": "STOP", "code": "21610" } },
                "inboundDndSettings": { "all": { "status": "inactive" } },
            }),
        },
        Row {
            name: "VoiceAiCallEnd",
            body: json!({
                "id": "call1", "locationId": "loc1", "agentId": "agent1", "contactId": "con1", "fromNumber": "+15550100",
                "createdAt": "2024-07-29T15:40:00.000Z", "duration": 61.5, "summary": "Asked for a table.",
                "transcript": "bot:Hello\nhuman:Hi", "messageId": "m1", "trialCall": false,
                "extractedData": { "guests": 4 },
                "executedCallActions": [{ "actionType": "SMS", "actionName": "Send the menu" }],
            }),
        },
        Row {
            name: "UPDATE",
            body: json!({
                "type": "UPDATE", "appId": "app1", "versionId": "v2", "previousVersionId": "v1", "locationId": "loc1",
            }),
        },
    ]
}

fn extra(event: &Event) -> &Map<String, Value> {
    match event {
        Event::ConversationUpdate(event) => &event.extra,
        Event::ConversationUnreadUpdate(event) => &event.extra,
        Event::LcEmailStats(event) => &event.extra,
        Event::ContactDndUpdate(event) => &event.extra,
        Event::VoiceAiCallEnd(event) => &event.extra,
        Event::AppUpdate(event) => &event.extra,
        event => panic!("no row for {event:?}"),
    }
}

#[test]
fn documented_events_have_their_variant_and_all_fields() {
    for Row { name, mut body } in documented() {
        let event = read(&body);
        assert_eq!((event.name(), event.content()), (name, None));
        assert_eq!(loose(&written(&event)), loose(&body));
        assert_eq!(extra(&event), &Map::new(), "{body}");
        // An unknown field, and one of an unexpected type.
        body["newField"] = json!({ "a": [1, null] });
        body["locationId"] = json!(7);
        let event = read(&body);
        assert_eq!(event.name(), name);
        assert_eq!(loose(&written(&event)), loose(&body));
        assert_eq!(extra(&event).keys().collect::<Vec<_>>(), ["locationId", "newField"], "{body}");
    }
}

#[test]
fn fields_are_typed() {
    let [merged, unread, email, dnd, call, update] = documented().map(|row| read(&row.body));
    let Event::ConversationUpdate(merged) = merged else { panic!("{merged:?}") };
    let ids =
        [merged.old_conversation_id, merged.new_conversation_id].map(|id| id.expect("an id").to_string());
    assert_eq!(ids, ["old1", "new1"]);
    let Event::ConversationUnreadUpdate(unread) = unread else { panic!("{unread:?}") };
    assert_eq!((unread.unread_count, unread.inbox, unread.deleted), (Some(3.0), Some(true), Some(false)));
    let Event::LcEmailStats(email) = email else { panic!("{email:?}") };
    let report = email.webhook_payload.expect("a report");
    assert_eq!(report.recipient.as_deref(), Some("guest@example.com"));
    assert_eq!(report.event.expect("a name").as_str(), "opened");
    let Event::ContactDndUpdate(dnd) = dnd else { panic!("{dnd:?}") };
    let sms = dnd.dnd_settings.expect("settings").sms.expect("a setting");
    assert_eq!((dnd.dnd, sms.status.expect("a status").as_str()), (Some(false), "active"));
    let Event::VoiceAiCallEnd(call) = call else { panic!("{call:?}") };
    assert_eq!((call.id.as_str(), call.duration, call.trial_call), ("call1", Some(61.5), Some(false)));
    assert_eq!(call.created_at.as_ref().map(Timestamp::as_str), Some("2024-07-29T15:40:00.000Z"));
    let Event::AppUpdate(update) = update else { panic!("{update:?}") };
    let versions = [update.previous_version_id, update.version_id].map(|id| id.expect("an id").to_string());
    assert_eq!((update.app_id.as_str(), versions), ("app1", ["v1".to_owned(), "v2".to_owned()]));
}

/// Bodies without a `type`.
#[test]
fn a_body_without_a_type_is_the_end_of_a_call_only_with_both_ids() {
    struct Case {
        body: Value,
        is_call: bool,
    }
    for Case { body, is_call } in [
        Case { body: json!({ "id": "call1", "agentId": "agent1" }), is_call: true },
        Case { body: json!({ "id": "call1", "agentId": "agent1", "duration": "61" }), is_call: true },
        Case {
            body: json!({ "id": "call1", "agentId": "agent1", "extractedData": { "type": "SMS" } }),
            is_call: true,
        },
        Case { body: json!({ "type": "VoiceAiCallEnd", "id": "call1" }), is_call: true },
        Case { body: json!({ "id": "call1" }), is_call: false },
        Case { body: json!({ "agentId": "agent1" }), is_call: false },
        Case { body: json!({ "id": 7, "agentId": "agent1" }), is_call: false },
        Case { body: json!({ "id": "call1", "agentId": null }), is_call: false },
        Case { body: json!({ "id": "call1", "data": { "agentId": "agent1" } }), is_call: false },
    ] {
        match receive(&any_app(), body.to_string()) {
            Ok(received) => {
                assert_eq!((received.event().name(), is_call), ("VoiceAiCallEnd", true), "{body}");
                assert_eq!(loose(&written(received.event())), loose(&body));
            }
            Err(error) => {
                let text = "the signature is genuine, but the event cannot be decoded: /type is missing";
                assert_eq!((error.to_string().as_str(), is_call), (text, false), "{body}");
            }
        }
    }
    // An event of another name that has both ids.
    let body = json!({ "type": "ContactCreate", "id": "con1", "agentId": "agent1" });
    assert_eq!(read(&body).name(), "ContactCreate");
}

/// A call ends once, so its event needs no `webhookId` to be recognized.
#[test]
fn the_end_of_a_call_is_handled_once() {
    let receiver =
        Receiver::builder().app_id_if_present("app1").key(public_key("test", &signing_key(1))).build();
    let body = json!({ "id": "call1", "agentId": "agent1" }).to_string();
    let received = receive(&receiver, &body).expect("an event");
    assert!(received.id().is_unique());
    commit(received);
    assert_eq!(receive(&receiver, &body).expect_err("a duplicate").status(), 200);
}
