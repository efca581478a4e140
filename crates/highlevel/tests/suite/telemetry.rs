//! Spans and metrics: the guide lists all of them, and none contains personal data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write};
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use highlevel::testing::{Mock, MockOutcome, any, operation};
use highlevel::{
    Client, Contact, ContactKey, ContactSearch, ContactUpdate, ConversationSearch, Email, Inbound,
    MessageExport, Method, OutboundCall, Sms, Status, Upload,
};
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};

use crate::server::TOKEN;

/// The part of each secret that is searched for.
const MARK: &str = "MARKED";

/// The emitted spans and events.
#[derive(Default)]
struct Emitted {
    /// The fields of each span by its name, with all values.
    spans: BTreeMap<&'static str, BTreeMap<&'static str, BTreeSet<String>>>,
    open: Vec<&'static str>,
    /// The parents of spans.
    parents: BTreeSet<(&'static str, Option<&'static str>)>,
    entered: Vec<u64>,
    /// All names and values of events.
    events: String,
}

#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Emitted>>);

struct Fields<'a>(&'a mut dyn FnMut(&'static str, String));

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        (self.0)(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl Subscriber for Capture {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("highlevel")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut emitted = self.0.lock().expect("no panic");
        let name = span.metadata().name();
        let parent = emitted.entered.last().map(|id| emitted.open[usize::try_from(*id).expect("an id") - 1]);
        emitted.parents.insert((name, parent));
        emitted.open.push(name);
        let id = Id::from_u64(emitted.open.len() as u64);
        let fields = emitted.spans.entry(name).or_default();
        span.record(&mut Fields(&mut |field, value| {
            fields.entry(field).or_default().insert(value);
        }));
        id
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut emitted = self.0.lock().expect("no panic");
        let name = emitted.open[usize::try_from(span.into_u64()).expect("an id") - 1];
        let fields = emitted.spans.entry(name).or_default();
        values.record(&mut Fields(&mut |field, value| {
            fields.entry(field).or_default().insert(value);
        }));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut emitted = self.0.lock().expect("no panic");
        event.record(&mut Fields(&mut |field, value| {
            let _ = writeln!(emitted.events, "{field}={value}");
        }));
    }

    fn enter(&self, span: &Id) {
        self.0.lock().expect("no panic").entered.push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        let mut emitted = self.0.lock().expect("no panic");
        let at = emitted.entered.iter().rposition(|entered| *entered == span.into_u64());
        if let Some(at) = at {
            emitted.entered.remove(at);
        }
    }
}

/// A value of a metric: the count, or the number of observations.
#[derive(Default)]
struct Value(AtomicU64);

impl CounterFn for Value {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, _: u64) {}
}

impl HistogramFn for Value {
    fn record(&self, value: f64) {
        assert!((0.0..3600.0).contains(&value), "{value} s");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The kind, the name and the labels of a metric.
type MetricId = (&'static str, String, Vec<(String, String)>);

/// The recorded metrics.
#[derive(Clone, Default)]
struct Metrics(Arc<Mutex<BTreeMap<MetricId, Arc<Value>>>>);

impl Metrics {
    fn value(&self, kind: &'static str, key: &Key) -> Arc<Value> {
        let labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
        let mut values = self.0.lock().expect("no panic");
        Arc::clone(values.entry((kind, key.name().to_owned(), labels)).or_default())
    }

    fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let values = self.0.lock().expect("no panic");
        let has = |found: &[(String, String)]| {
            labels.iter().all(|(key, value)| found.iter().any(|(k, v)| k == key && v == value))
        };
        let found = values.iter().filter(|((_, found, labels), _)| found == name && has(labels));
        found.map(|(_, value)| value.0.load(Ordering::Relaxed)).sum()
    }
}

impl Recorder for Metrics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.value("counter", key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.value("histogram", key))
    }
}

/// Runs a test with a clock that skips waits, and returns what was emitted.
fn observe(run: impl AsyncFnOnce()) -> (Emitted, Metrics) {
    let (capture, recorded) = (Capture::default(), Metrics::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    metrics::with_local_recorder(&recorded, || {
        tracing::subscriber::with_default(capture.clone(), || runtime.expect("a runtime").block_on(run()));
    });
    let emitted = std::mem::take(&mut *capture.0.lock().expect("no panic"));
    (emitted, recorded)
}

/// Calls all operations, with a mark in each id, number, address and text.
async fn call_all(client: &Client) {
    let messages = client.messages();
    let (contacts, conversations) = (client.contacts(), client.conversations());
    drop(messages.send(Sms::to("cMARKED1").text("text MARKED").from_number("+15037081210")).await);
    drop(
        messages
            .send(Email::to("cMARKED1").subject("MARKED").html("<p>MARKED</p>").cc(["MARKED@x.com"]))
            .await,
    );
    drop(messages.add_inbound(Inbound::sms("pMARKED1").in_conversation("vMARKED1").text("MARKED")).await);
    drop(messages.get(&"mMARKED1".into()).await);
    drop(messages.get_email(&"eMARKED1".into()).await);
    drop(messages.list(&"vMARKED1".into()).collect().await);
    drop(messages.export(MessageExport::all().with_contact("cMARKED1")).collect().await);
    drop(messages.set_status(&"mMARKED1".into(), Status::failed("MARKED")).await);
    let progress = highlevel::EmailProgress::new(highlevel::EmailStatus::from("delivered"));
    drop(
        messages
            .set_email_status(&"eMARKED1".into(), progress.recipient("MARKED@x.com", "opened".into()))
            .await,
    );
    drop(messages.cancel(&"mMARKED1".into()).await);
    drop(messages.cancel_email(&"eMARKED1".into()).await);
    drop(messages.set_attachments(&"mMARKED1".into(), ["https://example.com/MARKED.png"]).await);
    let call = OutboundCall::to_contact("cMARKED1", "pMARKED1").to("+15037081210");
    drop(client.calls().add_outbound(call).await);
    drop(client.calls().recording(&"mMARKED1".into()).await);
    drop(client.calls().transcription(&"mMARKED1".into()).await);
    drop(contacts.upsert(Contact::phone("+15037081210").company("MARKED")).await);
    drop(contacts.create(Contact::email("MARKED@example.com")).await);
    drop(contacts.get(&"cMARKED1".into()).await);
    drop(contacts.update(&"cMARKED1".into(), ContactUpdate::new().tag("MARKED")).await);
    drop(contacts.find_duplicate(ContactKey::email("MARKED@example.com")).await);
    drop(contacts.search(ContactSearch::text("MARKED")).collect().await);
    drop(contacts.add_tags(&"cMARKED1".into(), ["MARKED"]).await);
    drop(contacts.remove_tags(&"cMARKED1".into(), ["MARKED"]).await);
    drop(contacts.add_note(&"cMARKED1".into(), "MARKED").await);
    drop(conversations.search(ConversationSearch::text("MARKED")).collect().await);
    drop(conversations.get(&"vMARKED1".into()).await);
    drop(conversations.create(&"cMARKED1".into()).await);
    drop(conversations.set_starred(&"vMARKED1".into(), true).await);
    drop(conversations.set_typing(&"vMARKED1".into(), &"wMARKED1".into(), true).await);
    drop(client.files().upload(Upload::to_conversation("vMARKED1").bytes("MARKED.png", "MARKED")).await);
    let request = client.request(Method::POST, "/custom/MARKED").query("q", "MARKED");
    drop(request.json(&json!({ "text": "MARKED" })).send().await);
}

/// The number of operations that [`call_all`] calls, without the repeated one.
const OPERATIONS: usize = 30;

fn outcomes() -> Vec<MockOutcome> {
    vec![
        MockOutcome::status(200, json!({ "message": "MARKED", "contact": { "id": "cMARKED1" } })),
        MockOutcome::rejected(422, "MARKED"),
        MockOutcome::status(500, json!({ "message": "MARKED" })),
        MockOutcome::not_sent(),
        MockOutcome::unknown(),
        MockOutcome::no_response(),
        MockOutcome::unreadable(),
        MockOutcome::rate_limited(Duration::from_secs(5)).then(MockOutcome::rejected(404, "MARKED")),
    ]
}

fn mark_client(mock: &Mock) -> Client {
    mock.builder().token(format!("{TOKEN}-{MARK}")).location("lMARKED1").build().expect("a client")
}

#[test]
fn no_field_contains_personal_data() {
    for outcome in outcomes() {
        let (emitted, metrics) = observe(async || {
            let mock = Mock::new();
            mock.expect(any()).any_times().respond(outcome.clone());
            call_all(&mark_client(&mock)).await;
        });
        let mut shown = format!("{:?}\n{}", emitted.spans, emitted.events);
        for (kind, name, labels) in metrics.0.lock().expect("no panic").keys() {
            writeln!(shown, "{kind} {name} {labels:?}").expect("text");
        }
        for secret in [MARK, "15037081210", TOKEN] {
            let line = shown.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret} is emitted after {outcome:?}");
        }
        let operations = &emitted.spans["highlevel.operation"]["highlevel.operation"];
        assert_eq!(operations.len(), OPERATIONS, "{operations:?}");
        for field in ["http.request.method", "url.template", "server.address", "highlevel.outcome"] {
            assert!(emitted.spans["highlevel.attempt"].contains_key(field), "{field}: {outcome:?}");
        }
    }
}

/// Returns the rows of the tables of a section, with the text of each cell without backticks.
fn rows(page: &str, section: &str) -> Vec<Vec<String>> {
    let (_, rest) = page.split_once(&format!("## {section}\n")).expect("a section");
    let section = rest.split("\n## ").next().expect("text");
    let rows = section.lines().filter(|line| line.starts_with("| ") && !line.contains("---"));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn names(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The tables of the guide are compared with what all outcomes emit.
#[test]
fn the_guide_lists_all_spans_fields_and_metrics() {
    let page = include_str!("../../../../docs/observability.md");
    let mut documented_fields = BTreeSet::new();
    let mut documented_spans = BTreeSet::new();
    for row in rows(page, "Spans") {
        match (&row[..], row[0].as_str()) {
            (_, "span" | "field") => {}
            ([field, span, _], _)
                if names(span).len() == 1 && field.contains('.') && !row[1].contains(' ') =>
            {
                documented_fields.extend(
                    names(span)
                        .into_iter()
                        .flat_map(|span| names(field).into_iter().map(move |field| (span.clone(), field))),
                );
            }
            ([span, ..], _) => documented_spans.extend(names(span)),
            _ => {}
        }
    }
    let documented_metrics: BTreeSet<(String, String, BTreeSet<String>)> = rows(page, "Metrics")
        .into_iter()
        .skip(1)
        .map(|row| (names(&row[0]).into_iter().next().expect("a name"), row[1].clone(), names(&row[2])))
        .collect();
    let documented_outcomes: BTreeSet<String> =
        rows(page, "Outcomes").iter().skip(1).flat_map(|row| names(&row[0])).collect();

    let (mut spans, mut fields, mut outcomes_found) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut recorded: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for outcome in outcomes() {
        let (emitted, metrics) = observe(async || {
            let mock = Mock::new();
            mock.expect(any()).any_times().respond(outcome);
            let client = mark_client(&mock);
            call_all(&client).await;
            // A call whose future is dropped while it waits.
            let (contacts, contact) = (client.contacts(), "c1".into());
            let mut call = Box::pin(contacts.get(&contact));
            poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await;
        });
        for (span, values) in emitted.spans {
            spans.insert(span.to_owned());
            for (field, values) in values {
                fields.insert((span.to_owned(), field.to_owned()));
                if field == "highlevel.outcome" {
                    outcomes_found.extend(values);
                }
            }
        }
        for (kind, name, labels) in metrics.0.lock().expect("no panic").keys() {
            let found = recorded.entry((name.clone(), (*kind).to_owned())).or_default();
            found.extend(labels.iter().map(|(key, _)| key.clone()));
            let outcome = labels.iter().find(|(key, _)| key == "highlevel.outcome");
            outcomes_found.extend(outcome.map(|(_, value)| value.clone()));
        }
    }
    assert_eq!(spans, documented_spans);
    assert_eq!(fields, documented_fields);
    let recorded: BTreeSet<_> =
        recorded.into_iter().map(|((name, kind), labels)| (name, kind, labels)).collect();
    assert_eq!(recorded, documented_metrics);
    assert_eq!(outcomes_found, documented_outcomes);
}

#[test]
fn attempts_are_children_of_their_operation_and_counted() {
    let (emitted, metrics) = observe(async || {
        let mock = Mock::new();
        let limited = MockOutcome::rate_limited(Duration::from_secs(2));
        let contact = json!({ "contact": { "id": "c1" } });
        mock.expect(operation("get_contact")).respond(limited.then(MockOutcome::json(contact)));
        mock.client().contacts().get(&"c1".into()).await.expect("a contact");
    });
    let expected =
        BTreeSet::from([("highlevel.operation", None), ("highlevel.attempt", Some("highlevel.operation"))]);
    assert_eq!(emitted.parents, expected);
    let values = |span: &str, field: &str| -> Vec<String> {
        emitted.spans[span].get(field).into_iter().flatten().cloned().collect()
    };
    assert_eq!(values("highlevel.attempt", "otel.name"), ["GET /contacts/{contactId}"]);
    assert_eq!(values("highlevel.attempt", "url.template"), ["/contacts/{contactId}"]);
    assert_eq!(values("highlevel.attempt", "http.request.resend_count"), ["1"]);
    assert_eq!(values("highlevel.attempt", "http.response.status_code"), ["200", "429"]);
    assert_eq!(values("highlevel.attempt", "error.type"), ["429"]);
    assert_eq!(values("highlevel.attempt", "server.address"), ["highlevel.invalid"]);
    assert_eq!(values("highlevel.operation", "highlevel.attempts"), ["2"]);
    assert_eq!(values("highlevel.operation", "highlevel.outcome"), ["receipt"]);
    let of_contact = [("highlevel.operation", "get_contact")];
    assert_eq!(metrics.count("highlevel.operations", &of_contact), 1);
    assert_eq!(metrics.count("highlevel.operation.duration", &of_contact), 1);
    assert_eq!(metrics.count("highlevel.retries", &of_contact), 1);
    for (status, count) in [("429", 1), ("200", 1)] {
        assert_eq!(
            metrics.count("http.client.request.duration", &[("http.response.status_code", status)]),
            count
        );
    }
}
