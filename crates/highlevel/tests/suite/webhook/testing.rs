//! The events and keys of the feature `testing`.

use std::collections::BTreeSet;

use highlevel::webhook::testing::{EventBuilder, SigningKey};
use highlevel::webhook::{CallOutcome, Content, Event, Receiver, WebhookErrorKind};

use super::{APP, time};

fn extra(event: &Event) -> usize {
    match event {
        Event::OutboundMessage(event) => event.extra.len(),
        Event::InboundMessage(event) => event.extra.len(),
        Event::ProviderOutboundMessage(event) => event.extra.len(),
        Event::Install(event) => event.extra.len(),
        Event::Uninstall(event) => event.extra.len(),
        Event::Unknown { .. } => 0,
        event => panic!("no row for {event:?}"),
    }
}

#[test]
fn all_events_of_the_builder_are_received() {
    let key = SigningKey::from_seed([3; 32]);
    let receiver = Receiver::builder().app_id(APP).key(key.public_key("test")).build();
    let rows = [
        (EventBuilder::outbound_sms("Hello"), "OutboundMessage"),
        (EventBuilder::inbound_sms("Hello"), "InboundMessage"),
        (EventBuilder::outbound_email("Order", "<p>Hello</p>"), "OutboundMessage"),
        (EventBuilder::answered_call(90), "OutboundMessage"),
        (EventBuilder::voicemail_call(), "OutboundMessage"),
        (EventBuilder::provider_sms("+15035550100", "Hello"), "ProviderOutboundMessage"),
        (EventBuilder::install(), "INSTALL"),
        (EventBuilder::uninstall(), "UNINSTALL"),
        (EventBuilder::named("ContactCreate"), "ContactCreate"),
    ];
    let mut ids = BTreeSet::new();
    for (event, name) in &rows {
        let body = event.clone().app_id(APP).at(time()).location_id("l").body();
        let verified = receiver.verify(&key.headers(&body), body, time()).expect(name);
        assert_eq!((verified.name(), extra(&verified)), (*name, 0));
        ids.insert(verified.id().clone());
        match verified.content() {
            Some(Content::Call(call)) => {
                assert!([CallOutcome::Answered, CallOutcome::Voicemail].contains(&call.outcome));
            }
            Some(Content::Text(text)) => assert_eq!(text.text, Some("Hello")),
            _ => {}
        }
    }
    assert_eq!(ids.len(), rows.len());

    let body = EventBuilder::named("X").webhook_id("w").without("type").app_id(APP).body();
    let error = receiver.verify(&key.headers(&body), body.clone(), time()).expect_err("no type");
    assert_eq!(error.kind(), WebhookErrorKind::Malformed);
    let other = SigningKey::from_seed([4; 32]);
    let error = receiver.verify(&other.headers(&body), body, time()).expect_err("another key");
    assert_eq!(error.kind(), WebhookErrorKind::SignatureInvalid);
    assert_eq!(format!("{key:?}"), "SigningKey(…)");
}
