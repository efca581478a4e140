//! The example `phone_bridge` between a phone system and a sandbox, both of which fail. Each message and each call is in the
//! ledger of the sandbox exactly once, or on the desk.

#[path = "../../examples/phone_bridge/bridge.rs"]
mod bridge;
#[path = "../../examples/phone_bridge/carrier.rs"]
mod carrier;
#[path = "../../examples/phone_bridge/journal.rs"]
mod journal;
#[path = "../../examples/phone_bridge/reports.rs"]
mod reports;

mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use highlevel::webhook::{PublicKey, Receiver};
use highlevel::{Client, Delivery, LocalRateLimiter, Sms, Transport};
use highlevel_sandbox::{
    ConversationProvider, Fault, FaultRule, FaultSchedule, FaultStage, ProviderKind, Quirk, RetrySchedule,
    Sandbox,
};
use highlevel_test_support::until;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, LocalSet};

use self::bridge::Bridge;
use self::carrier::{Carrier, CarrierError, Console, OutgoingText};
use self::journal::Journal;

/// Ends a test that would otherwise wait forever.
const TIMEOUT: Duration = Duration::from_secs(60);
const SEEDS: u64 = 20;
const REPORTS: usize = 12;
const BUSINESS: &str = "+15035550100";
/// The phone system delivers a report this many times at most while there are faults.
const ATTEMPTS: usize = 3;

/// Faults whose response agrees with the stage: a status that reports a rejection is sent before the request is processed.
const FAULTS: [(Fault, FaultStage); 12] = [
    (Fault::RESET, FaultStage::After),
    (Fault::RESET, FaultStage::Before),
    (Fault::CLOSE, FaultStage::After),
    (Fault::CLOSE, FaultStage::Before),
    (Fault::CUT_BODY, FaultStage::After),
    (Fault::GARBAGE, FaultStage::After),
    (Fault::INTERNAL_ERROR, FaultStage::After),
    (Fault::INTERNAL_ERROR, FaultStage::Before),
    (Fault::UNAVAILABLE, FaultStage::After),
    (Fault::UNAVAILABLE, FaultStage::Before),
    (Fault::TOO_MANY_REQUESTS_RETRY_AFTER, FaultStage::Before),
    (Fault::SILENCE, FaultStage::After),
];

/// A bridge with its server and a sandbox.
struct Setup<C> {
    sandbox: Sandbox,
    bridge: Arc<Bridge<C>>,
    address: String,
    http: reqwest::Client,
}

impl<C: Carrier> Setup<C> {
    async fn start(carrier: C) -> Self {
        let sandbox = Sandbox::start().await.expect("a sandbox");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let bridge = Arc::new(Bridge {
            client: client(&sandbox),
            carrier,
            journal: Journal::default(),
            number: BUSINESS.parse().expect("a number"),
            sms: sandbox.provider_id(ProviderKind::Sms).into(),
            calls: sandbox.provider_id(ProviderKind::Call).into(),
        });
        let provider = ConversationProvider::new(bridge.sms.as_str()).kind(ProviderKind::Sms);
        let provider = provider.default_of_location().delivery_url(format!("{address}/deliver"));
        sandbox.put_provider(provider).expect("a provider");
        let key = PublicKey::from_base64("sandbox", sandbox.webhook_public_key()).expect("a key");
        let receiver = Receiver::builder().app_id_if_present(sandbox.app_id()).key(key).build();
        let router = bridge.router(receiver);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let _already_installed = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { sandbox, bridge, address, http }
    }

    /// Delivers a report, and returns the status of the response.
    async fn deliver(&self, report: &TestReport) -> u16 {
        let request = self.http.post(format!("{}/{}", self.address, report.path)).body(report.body.clone());
        request.send().await.expect("a response").status().as_u16()
    }

    /// Delivers a report up to a number of times, until the bridge has settled it.
    async fn deliver_until_settled(&self, report: &TestReport, attempts: usize) {
        for _ in 0..attempts {
            match self.deliver(report).await {
                204 => return,
                status => assert_eq!(status, 503, "{}", report.id),
            }
        }
    }

    /// Sends a message of a user to a contact, through the provider.
    async fn send(&self, text: &str) -> String {
        let user = Client::builder().base_url(self.sandbox.base_url()).token(self.sandbox.token());
        let user = user.build().expect("a client");
        let sent = user.messages().send(Sms::to(self.sandbox.contact_id()).text(text)).await;
        sent.expect("a receipt").message_id().to_string()
    }

    fn hits(&self) -> u64 {
        self.sandbox.faults().iter().map(|fault| fault.hits).sum()
    }

    /// Adds a random fault for an operation, which some of its requests trigger.
    fn add_fault(&self, operation: &str, probability: f64, random: &mut Rng) {
        let (fault, stage) = random.choice(&FAULTS).expect("a fault").clone();
        let schedule = FaultSchedule::Random { probability, seed: random.u64(..) };
        let rule = FaultRule::new(fault).stage(stage).operation(operation).schedule(schedule);
        self.sandbox.add_fault(rule).expect("a rule");
    }
}

fn client(sandbox: &Sandbox) -> Client {
    let limiter =
        LocalRateLimiter::with_limits(1_000, Duration::from_millis(20), 200_000).margin(Duration::ZERO);
    Client::builder()
        .base_url(sandbox.base_url())
        .token(sandbox.token())
        .location(sandbox.location_id())
        .rate_limiter(limiter)
        .transport(&Transport::builder().build().expect("a transport"))
        .attempt_timeout(Duration::from_secs(1))
        .call_timeout(Duration::from_secs(3))
        .build()
        .expect("a client")
}

/// A report of the phone system.
struct TestReport {
    id: String,
    /// Number of the contact. `anonymous` cannot become one.
    number: String,
    path: &'static str,
    body: String,
}

/// Returns a report: in turn an SMS and a call by Twilio, and an SMS and a call by Telnyx.
fn test_report(index: usize) -> TestReport {
    let id = format!("report-{index}");
    let number = if index == 0 { "anonymous".to_owned() } else { format!("+1503708130{}", index % 3) };
    let encoded = number.replace('+', "%2B");
    let (path, body) = match index % 4 {
        0 => ("twilio", format!("MessageSid={id}&From={encoded}&To=%2B15035550100&Body=Text+{index}")),
        1 => ("twilio", format!("CallSid={id}&From=%2B15035550100&To={encoded}&CallStatus=busy")),
        2 => {
            let parties = format!(
                r#""from": {{"phone_number": "{number}"}}, "to": [{{"phone_number": "{BUSINESS}"}}]"#
            );
            let payload = format!(r#"{{"id": "{id}", {parties}, "text": "Text {index}"}}"#);
            ("telnyx", format!(r#"{{"data": {{"event_type": "message.received", "payload": {payload}}}}}"#))
        }
        _ => {
            let parties = format!(r#""from": "{number}", "to": "{BUSINESS}", "hangup_cause": "timeout""#);
            let payload = format!(r#"{{"call_leg_id": "{id}", {parties}}}"#);
            ("telnyx", format!(r#"{{"data": {{"event_type": "call.hangup", "payload": {payload}}}}}"#))
        }
    };
    TestReport { id, number, path, body }
}

/// The figures of a run, to prove that the faults have an effect.
#[derive(Debug, Default)]
struct Figures {
    faults: u64,
    added: usize,
    on_desk: usize,
    added_and_on_desk: usize,
}

async fn run_reports(seed: u64) -> Figures {
    let setup = Arc::new(Setup::start(Console).await);
    let mut random = Rng::with_seed(seed);
    for operation in ["upsertContact", "addInboundMessage", "addOutboundCall"] {
        setup.add_fault(operation, 0.5, &mut random);
    }
    setup.add_fault("searchConversations", 0.3, &mut random);
    let reports: Vec<Arc<TestReport>> = (0..REPORTS).map(|index| Arc::new(test_report(index))).collect();
    let mut deliveries = JoinSet::new();
    for report in &reports {
        // The phone system delivers some reports twice at the same time, and closes some connections early.
        for _ in 0..random.usize(1..3) {
            let patience =
                if random.u8(..4) == 0 { Duration::from_millis(random.u64(..30)) } else { TIMEOUT };
            let (setup, report) = (Arc::clone(&setup), Arc::clone(report));
            deliveries.spawn(async move {
                let delivered = setup.deliver_until_settled(&report, ATTEMPTS);
                let _may_be_cut = tokio::time::timeout(patience, delivered).await;
            });
        }
    }
    while let Some(delivered) = deliveries.join_next().await {
        delivered.expect("a delivery");
    }
    let faults = setup.hits();
    setup.sandbox.clear_faults();
    for report in &reports {
        // Tasks whose phone system has disconnected may be running.
        let settled = async || setup.deliver(report).await == 204;
        until(&report.id, TIMEOUT, Duration::from_millis(20), settled).await;
    }

    let desk = setup.bridge.journal.desk();
    let mut figures = Figures { faults, ..Figures::default() };
    let mut contacts: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let messages = setup.sandbox.messages();
    for report in &reports {
        let found: Vec<_> = messages.iter().filter(|message| message.request["altId"] == report.id).collect();
        let is_on_desk = desk.contains_key(&report.id);
        let name = format!("seed {seed}, {}, desk: {:?}", report.id, desk.get(&report.id));
        assert!(found.len() <= 1, "{name}: added {} times", found.len());
        assert!(found.len() == 1 || is_on_desk, "{name}: lost");
        if report.number == "anonymous" {
            assert!(is_on_desk && found.is_empty(), "{name}: there is no such contact");
        }
        figures.added += found.len();
        figures.on_desk += usize::from(is_on_desk);
        figures.added_and_on_desk += usize::from(is_on_desk && found.len() == 1);
        let ids = found.iter().map(|message| message.contact_id.clone());
        contacts.entry(&report.number).or_default().extend(ids);
    }
    assert_eq!(messages.len(), figures.added, "seed {seed}: messages that were not reported");
    assert!(contacts.values().all(|ids| ids.len() <= 1), "seed {seed}: one contact per number: {contacts:?}");
    figures
}

/// Runs a test with all seeds at the same time.
async fn for_all_seeds<T: 'static>(run: impl AsyncFn(u64) -> T + Copy + 'static) -> Vec<T> {
    let mut runs = JoinSet::new();
    let tasks = LocalSet::new();
    for seed in 0..SEEDS {
        runs.spawn_local_on(async move { run(seed).await }, &tasks);
    }
    tasks.run_until(runs.join_all()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_report_is_added_once_or_on_the_desk() {
    let mut total = Figures::default();
    for figures in for_all_seeds(run_reports).await {
        total.faults += figures.faults;
        total.added += figures.added;
        total.on_desk += figures.on_desk;
        total.added_and_on_desk += figures.added_and_on_desk;
    }
    println!("{total:?}");
    assert!(total.faults >= 5 * SEEDS, "{total:?}: the faults are rare");
    assert!(total.added > REPORTS * 15, "{total:?}: most reports are added");
    // The report of each seed that cannot be added, and those whose outcome is unknown.
    assert!(total.on_desk > 20, "{total:?}: no outcome was unknown");
}

/// Behaves by the first word of each text, and counts the deliveries of each text.
#[derive(Debug, Default)]
struct Scripted(Mutex<BTreeMap<String, usize>>);

impl Scripted {
    fn count(&self, text: &str) -> usize {
        self.0.lock().expect("the counts").get(text).copied().unwrap_or_default()
    }
}

impl Carrier for Scripted {
    async fn send(&self, message: &OutgoingText) -> Result<(), CarrierError> {
        let count = {
            let mut counts = self.0.lock().expect("the counts");
            let count = counts.entry(message.text.clone()).or_default();
            *count += 1;
            *count
        };
        let delivery = match message.text.split(' ').next() {
            Some("refuse") => Delivery::Rejected,
            Some("lose") => Delivery::Unknown,
            Some("accept") => Delivery::Accepted,
            Some("delay") if count == 1 => Delivery::NotSent,
            _ => return Ok(()),
        };
        Err(CarrierError { delivery, reason: format!("the carrier did {}", message.text) })
    }
}

/// The first word of a text, and the expected result.
struct Expected {
    word: &'static str,
    sent: usize,
    /// `None` if the result is unknown.
    status: Option<&'static str>,
}

const EXPECTED: [Expected; 5] = [
    Expected { word: "deliver", sent: 1, status: Some("delivered") },
    Expected { word: "accept", sent: 1, status: Some("delivered") },
    Expected { word: "delay", sent: 2, status: Some("delivered") },
    Expected { word: "refuse", sent: 1, status: Some("failed") },
    Expected { word: "lose", sent: 1, status: None },
];

async fn run_messages(seed: u64) -> u64 {
    let setup = Setup::start(Scripted::default()).await;
    setup.sandbox.set_retry_schedule(RetrySchedule::Custom(vec![Duration::from_millis(100); 100]));
    let mut random = Rng::with_seed(seed);
    setup.add_fault("updateMessageStatus", 0.5, &mut random);
    let mut sent = Vec::new();
    for round in 0..2 {
        for expected in &EXPECTED {
            let text = format!("{} {round}", expected.word);
            sent.push((setup.send(&text).await, text, expected));
        }
    }
    let settled = async || {
        let deliveries = setup.sandbox.deliveries();
        // A redelivery of an event whose first delivery was too slow is a duplicate, with 200.
        let is_settled = |status| matches!(status, Some(200 | 204));
        deliveries.len() == sent.len() && deliveries.iter().all(|delivery| is_settled(delivery.status()))
    };
    until("all messages are settled", TIMEOUT, Duration::from_millis(20), settled).await;
    let desk = setup.bridge.journal.desk();
    for (id, text, expected) in sent {
        let message = setup.sandbox.message(&id).expect("a message");
        let name = format!("seed {seed}, {text}, desk: {:?}", desk.get(&id));
        assert_eq!(setup.bridge.carrier.count(&text), expected.sent, "{name}");
        assert_eq!(desk.contains_key(&id), expected.status.is_none(), "{name}");
        let status = expected.status.unwrap_or(&message.history[0].status);
        assert_eq!(message.status, status, "{name}");
        let error = message.history.last().and_then(|change| change.error.clone());
        let reason = (expected.word == "refuse").then(|| format!("the carrier did {text}"));
        assert_eq!(error, reason, "{name}");
    }
    setup.hits()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_is_delivered_once_and_its_status_reported() {
    let faults: u64 = for_all_seeds(run_messages).await.into_iter().sum();
    println!("{faults} faults");
    assert!(faults >= 5 * SEEDS, "the faults are rare: {faults}");
}

/// HighLevel rejects a status within seconds of sending. The message is not delivered another time for it.
#[tokio::test(flavor = "multi_thread")]
async fn an_early_status_is_reported_later() {
    let setup = Setup::start(Scripted::default()).await;
    setup.sandbox.set_retry_schedule(RetrySchedule::Custom(vec![Duration::from_secs(5); 5]));
    setup.sandbox.set_settings(setup.sandbox.settings().quirk(Quirk::EarlyStatus403));
    let id = setup.send("deliver").await;
    setup.sandbox.wait_for_attempts(1, TIMEOUT).await.expect("an attempt");
    assert!(setup.bridge.journal.desk().contains_key(&id), "the status is not reported yet");
    setup.sandbox.advance_clock(Duration::from_secs(20));
    let reported = async || setup.sandbox.message(&id).is_some_and(|message| message.status == "delivered");
    until("the status is reported", TIMEOUT, Duration::from_millis(20), reported).await;
    assert_eq!(setup.bridge.carrier.count("deliver"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_system_that_disconnects_does_not_interrupt_the_bridge() {
    let setup = Setup::start(Console).await;
    let rule = FaultRule::new(Fault::LATENCY).stage(FaultStage::After).operation("addInboundMessage");
    setup.sandbox.add_fault(rule).expect("a rule");
    let report = test_report(4);
    let host = setup.address.strip_prefix("http://").expect("an address");
    let mut connection = TcpStream::connect(host).await.expect("a connection");
    let (path, body) = (report.path, &report.body);
    let request =
        format!("POST /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    connection.write_all(request.as_bytes()).await.expect("a request");
    let stored = async || !setup.sandbox.messages().is_empty();
    until("the message is stored", TIMEOUT, Duration::from_millis(2), stored).await;
    drop(connection);
    let settled = async || setup.deliver(&report).await == 204;
    until("the report is settled", TIMEOUT, Duration::from_millis(20), settled).await;
    assert_eq!(setup.sandbox.messages().len(), 1);
    assert_eq!(setup.bridge.journal.desk(), BTreeMap::new());
}
