//! Reconciliation of arbitrary sets of messages. Each message is derived from the true one by changes of known effect,
//! so that the expected result is known without a comparison.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use highlevel::wire::types::{InboundMessage, OutboundMessage};
use highlevel::{
    Delivery, Email, Fingerprint, Fingerprintable, Inbound, MessageId, ObservedMessage, OutboundCall,
    Reconciliation, SecretString, Sms, TokenResult, TokenSource,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Map, Value, json};

use crate::server::{Action, Server, TOKEN};

/// 2024-05-08T12:00:00Z
const SENT_AT: Duration = Duration::from_secs(1_715_169_600);

/// The effect of a change to the message of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// The message can still be proven.
    None,
    /// The message is possible, but not proven.
    Doubt,
    /// The message is a different one.
    Other,
}

use Effect::{Doubt, Other};

/// Changed fields, and the effect of the change. `null` removes a field.
type Changes = Vec<(Map<String, Value>, Effect)>;

fn changes(table: &[(Value, Effect)]) -> Changes {
    table.iter().map(|(fields, effect)| (fields.as_object().expect("an object").clone(), *effect)).collect()
}

/// A request, its message, and the changes that can be made to it.
struct Case {
    name: &'static str,
    fingerprint: Fingerprint,
    message: Value,
    changes: Changes,
    /// The request has an `altId`, which is the only proof.
    by_alt_id: bool,
}

fn fingerprint(request: &impl Fingerprintable) -> Fingerprint {
    Fingerprint::of(request, SystemTime::UNIX_EPOCH + SENT_AT)
}

/// Returns changes of the fields that all messages have.
fn common(direction: &str, opposite: &str) -> Vec<(Value, Effect)> {
    vec![
        (json!({ "contactId": "another" }), Other),
        (json!({ "contactId": null }), Doubt),
        (json!({ "direction": opposite }), Other),
        (json!({ "direction": null }), Doubt),
        (json!({ "direction": direction, "status": "failed" }), Effect::None),
        (json!({ "dateAdded": "2024-05-08T12:14:59.999Z" }), Effect::None),
        (json!({ "dateAdded": "2024-05-08T11:59:58.500Z" }), Doubt),
        (json!({ "dateAdded": "2024-05-08T11:30:00.000Z" }), Other),
        (json!({ "dateAdded": "2024-05-09T12:00:00.000Z" }), Other),
        (json!({ "dateAdded": null }), Doubt),
        (json!({ "messageType": "TYPE_ACTIVITY_CONTACT" }), Other),
        (json!({ "messageType": "TYPE_NOT_KNOWN_YET" }), Doubt),
        (json!({ "messageType": null }), Doubt),
        (json!({ "source": "workflow" }), Doubt),
        (json!({ "source": "app" }), Effect::None),
    ]
}

fn message(direction: &str, fields: &Value) -> Value {
    let mut message = json!({
        "contactId": "contact", "conversationId": "conversation", "direction": direction,
        "dateAdded": "2024-05-08T12:00:01.250Z",
    });
    for (name, value) in fields.as_object().expect("an object") {
        message[name] = value.clone();
    }
    message
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn cases() -> Vec<Case> {
    let sms = Sms::to("contact").text("OK");
    let files = Sms::to("contact").attachment("https://example.com/a.png");
    let email = Email::to("contact").subject("Order").html("<p>Thank you!</p>").cc(["ops@example.com"]);
    let inbound = Inbound::sms("provider").from_contact("contact").text("OK");
    let call = OutboundCall::to_contact("contact", "provider").from("+15035550100").to("+15037081210");
    let text = |table: Vec<(Value, Effect)>| {
        [
            table,
            vec![
                (json!({ "messageType": "TYPE_CUSTOM_SMS" }), Effect::None),
                (json!({ "messageType": "TYPE_WHATSAPP" }), Doubt),
                (json!({ "messageType": "TYPE_EMAIL" }), Other),
                (json!({ "body": "OK." , "attachments": null }), Doubt),
                (json!({ "body": "KO" }), Other),
                (json!({ "body": " OK\n" }), Effect::None),
                (json!({ "body": null }), Doubt),
            ],
        ]
        .concat()
    };
    let numbers = vec![
        (json!({ "from": "0015035550100" }), Effect::None),
        (json!({ "from": "+15035550199" }), Other),
        (json!({ "to": "503-708-1210" }), Doubt),
        (json!({ "to": null }), Doubt),
        (json!({ "body": "a transcript" }), Effect::None),
        (json!({ "attachments": ["https://example.com/recording.mp3"] }), Effect::None),
        (json!({ "messageType": "CALL" }), Effect::None),
        (json!({ "messageType": "VoiceMail" }), Other),
        (json!({ "conversationProviderId": "other" }), Other),
    ];
    let of_call = json!({ "messageType": "TYPE_CUSTOM_CALL", "from": "+15035550100", "to": "+15037081210" });
    vec![
        Case {
            name: "SMS",
            fingerprint: fingerprint(&sms),
            message: message("outbound", &json!({ "messageType": "TYPE_SMS", "body": "OK" })),
            changes: changes(&text(common("outbound", "inbound"))),
            by_alt_id: false,
        },
        Case {
            name: "attachment",
            fingerprint: fingerprint(&files),
            message: message(
                "outbound",
                &json!({ "messageType": "TYPE_SMS", "body": "", "attachments": ["https://example.com/a.png"] }),
            ),
            changes: changes(
                &[
                    common("outbound", "inbound"),
                    vec![
                        (json!({ "body": "OK" }), Other),
                        (json!({ "attachments": null }), Doubt),
                        (json!({ "attachments": ["https://example.com/b.png"] }), Doubt),
                        (json!({ "attachments": [{ "url": "https://example.com/a.png" }] }), Effect::None),
                    ],
                ]
                .concat(),
            ),
            by_alt_id: false,
        },
        Case {
            name: "email",
            fingerprint: fingerprint(&email),
            message: message(
                "outbound",
                &json!({
                    "messageType": "TYPE_EMAIL", "body": "<p>Thank you!</p>", "subject": "Order",
                    "to": ["contact@example.com"], "ccList": ["ops@example.com"],
                }),
            ),
            changes: changes(
                &[
                    common("outbound", "inbound"),
                    vec![
                        (json!({ "body": null }), Doubt),
                        (json!({ "body": "<div><p>Thank you!</p></div>" }), Doubt),
                        (json!({ "body": "<p>Sorry</p>" }), Other),
                        (json!({ "subject": "RE: Order" }), Effect::None),
                        (json!({ "subject": "Reminder" }), Other),
                        (json!({ "subject": null }), Doubt),
                        (json!({ "ccList": null, "cc": "Ops <OPS@example.com>" }), Effect::None),
                        (json!({ "ccList": ["boss@example.com"] }), Other),
                        (json!({ "ccList": null }), Doubt),
                        (json!({ "bccList": ["archive@example.com"] }), Effect::None),
                    ],
                ]
                .concat(),
            ),
            by_alt_id: false,
        },
        Case {
            name: "inbound",
            fingerprint: fingerprint(&inbound),
            message: message("inbound", &json!({ "messageType": "TYPE_SMS", "body": "OK" })),
            changes: changes(&text(common("inbound", "outbound"))),
            by_alt_id: false,
        },
        Case {
            name: "call",
            fingerprint: fingerprint(&call),
            message: message("outbound", &of_call),
            changes: changes(&[common("outbound", "inbound"), numbers].concat()),
            by_alt_id: false,
        },
        Case {
            name: "inbound with an altId",
            fingerprint: fingerprint(&inbound.alt_id("ours")),
            message: message("inbound", &json!({ "messageType": "TYPE_SMS", "body": "OK", "altId": "ours" })),
            changes: changes(&[
                (json!({ "altId": "theirs" }), Other),
                (json!({ "altId": "theirs", "body": null }), Other),
                (json!({ "contactId": "another" }), Other),
                (json!({ "contactId": null, "conversationId": null }), Doubt),
                (json!({ "direction": "outbound" }), Doubt),
                (json!({ "direction": null }), Effect::None),
                (json!({ "dateAdded": "2024-05-09T12:00:00.000Z" }), Effect::None),
                (json!({ "dateAdded": null }), Effect::None),
                (json!({ "messageType": "TYPE_NOT_KNOWN_YET" }), Effect::None),
                (json!({ "body": null }), Effect::None),
                (json!({ "body": "Another part" }), Doubt),
            ]),
            by_alt_id: true,
        },
    ]
}

/// A message of a case: the numbers of its changes, and the number in its id, 0 for no id.
type Seen = (Vec<usize>, u8);

fn apply(case: &Case, (picks, number): &Seen) -> (Value, Option<String>, Effect) {
    let mut message = case.message.clone();
    let mut changed: Vec<&String> = Vec::new();
    let mut worst = Effect::None;
    for pick in picks {
        let (fields, effect) = &case.changes[pick % case.changes.len()];
        // A field is changed once.
        if fields.keys().any(|name| changed.contains(&name)) {
            continue;
        }
        changed.extend(fields.keys());
        for (name, value) in fields {
            message[name] = value.clone();
        }
        worst = match (worst, effect) {
            (Other, _) | (_, Other) => Other,
            (Doubt, _) | (_, Doubt) => Doubt,
            _ => Effect::None,
        };
    }
    let id = (*number > 0).then(|| format!("m{number}"));
    message["id"] = json!(id);
    (message, id, worst)
}

/// Returns the result that follows from the effects.
fn expected(by_alt_id: bool, seen: &[(Option<String>, Effect)], known: &[String]) -> Reconciliation {
    let mut effects: BTreeMap<Option<&String>, Vec<Effect>> = BTreeMap::new();
    for (id, effect) in seen {
        if id.as_ref().is_none_or(|id| !known.contains(id)) {
            effects.entry(id.as_ref()).or_default().push(*effect);
        }
    }
    let mut proven = Vec::new();
    let mut possible = Vec::new();
    for (id, effects) in effects {
        let has = |effect| effects.contains(&effect);
        match (has(Effect::None), has(Doubt), has(Other)) {
            // Observations of a message that has no id are those of several messages.
            (true, _, contradicted) if id.is_none() || !contradicted => proven.push(id),
            (true, _, true) => possible.push(id),
            (false, true, contradicted) if id.is_none() || !contradicted => possible.push(id),
            _ => {}
        }
    }
    let all =
        if by_alt_id && !proven.is_empty() { proven.clone() } else { [proven.clone(), possible].concat() };
    match (&*all, &*proven) {
        ([], _) => Reconciliation::NotFound,
        ([Some(id)], [Some(_)]) => Reconciliation::Sent(MessageId::from(*id)),
        _ => {
            let mut ids: Vec<MessageId> = all.into_iter().flatten().map(MessageId::from).collect();
            ids.sort();
            Reconciliation::Ambiguous(ids)
        }
    }
}

/// Returns the message as an event, if events have all its fields.
fn event(message: &Value) -> Option<ObservedMessage> {
    let mut event = message.clone();
    let fields = event.as_object_mut()?;
    fields.retain(|_, value| !value.is_null());
    let inbound = fields.get("direction")? == "inbound";
    let id = fields.remove("id");
    fields.extend(id.map(|id| ("messageId".to_owned(), id)));
    if inbound {
        // HighLevel also sends inbound messages under this name.
        fields.insert("type".to_owned(), json!("OutboundMessage"));
        serde_json::from_value::<InboundMessage>(event).ok().map(|event| ObservedMessage::from(&event))
    } else {
        fields.insert("type".to_owned(), json!("OutboundMessage"));
        serde_json::from_value::<OutboundMessage>(event).ok().map(|event| ObservedMessage::from(&event))
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 8_000,
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_message_is_reported_only_if_it_is_proven_and_unique(
        case in 0_usize..6,
        seen in prop::collection::vec((prop::collection::vec(any::<usize>(), 0..4), 0_u8..5), 0..6),
        known in prop::collection::vec(1_u8..5, 0..2),
        as_events in any::<bool>(),
    ) {
        thread_local!(static CASES: Vec<Case> = cases());
        CASES.with(|cases| {
            let case = &cases[case];
            let known: Vec<String> = known.iter().map(|number| format!("m{number}")).collect();
            let seen: Vec<_> = seen.iter().map(|seen| apply(case, seen)).collect();
            let effects: Vec<_> = seen.iter().map(|(_, id, effect)| (id.clone(), *effect)).collect();
            let observed = seen.iter().map(|(message, ..)| {
                event(message).filter(|_| as_events).unwrap_or_else(|| ObservedMessage::from(message))
            });
            let found = case.fingerprint.reconcile_excluding(observed, &known);
            let expected = expected(case.by_alt_id, &effects, &known);
            prop_assert_eq!(found, expected, "{}: {:?}", case.name, seen);
            Ok(())
        })?;
    }
}

#[test]
fn each_change_has_its_effect() {
    let cases = cases();
    for case in &cases {
        for pick in 0..case.changes.len() {
            let (message, id, effect) = apply(case, &(vec![pick], 1));
            let expected = expected(case.by_alt_id, &[(id, effect)], &[]);
            assert_eq!(case.fingerprint.reconcile([&message]), expected, "{}: {message}", case.name);
        }
    }
    // Without a change, each message is found.
    for case in &cases {
        let (message, ..) = apply(case, &(Vec::new(), 1));
        assert_eq!(case.fingerprint.reconcile([&message]), Reconciliation::Sent(MessageId::from("m1")));
    }
}

/// A token source that records the time at which it returned the token.
#[derive(Debug, Clone, Default)]
struct SlowTokens(Arc<Mutex<Option<SystemTime>>>);

impl TokenSource for SlowTokens {
    fn token<'a>(
        &'a self,
        _: Option<&'a SecretString>,
    ) -> Pin<Box<dyn Future<Output = TokenResult> + Send + 'a>> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            *self.0.lock().expect("not poisoned") = Some(SystemTime::now());
            Ok(TOKEN.into())
        })
    }
}

#[tokio::test]
async fn a_fingerprint_has_the_time_of_the_attempt() {
    let server = Server::always(Action::Reset).await;
    let tokens = SlowTokens::default();
    let client = server.builder().token_source(tokens.clone()).build().expect("a client");
    let sms = Sms::to("contact").text("OK");
    let error = client.messages().send(sms.clone()).await.expect_err("the connection broke");
    assert_eq!(error.delivery(), Delivery::Unknown);
    let fingerprint = error.fingerprint().expect("a fingerprint");
    let ready = tokens.0.lock().expect("not poisoned").expect("the token was returned");
    assert!(fingerprint.attempted() >= ready, "{:?} is before {ready:?}", fingerprint.attempted());
    assert_eq!(*fingerprint, Fingerprint::of(&sms, fingerprint.attempted()));
}
