//! All faults of the sandbox at each endpoint of the SDK. The outcomes that the SDK reports must agree with the messages
//! in the sandbox's ledger, and no message is stored twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use highlevel::{Client, Delivery, Error, Inbound, LocalRateLimiter, OutboundCall, Sms, Transport};
use highlevel_sandbox::{Contact, Entry, Fault, FaultRule, FaultSchedule, FaultStage, ProviderKind, Sandbox};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The timeout of an attempt with a fault. Faults that send no response last longer.
const FAULT_TIMEOUT: Duration = Duration::from_secs(1);
/// The timeout of an attempt without a fault: longer than a busy machine needs.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The number of all contacts.
const PHONE: &str = "+15037081210";
const STAGES: [FaultStage; 3] = [FaultStage::Head, FaultStage::Before, FaultStage::After];
/// Faults that are possible before a request is read. A response is not.
const CONNECTION_FAULTS: [Fault; 4] = [Fault::RESET, Fault::CLOSE, Fault::SILENCE, Fault::GARBAGE];

#[derive(Clone, Copy, Debug)]
enum Endpoint {
    Send,
    Inbound,
    Call,
}

impl Endpoint {
    /// Sends a message or call to a contact that has no other. Returns the id in the receipt.
    async fn call(self, client: &Client, sandbox: &Sandbox, contact: &str) -> Result<String, Error> {
        let provider = sandbox.conversation_provider_id();
        let messages = client.messages();
        match self {
            Self::Send => {
                messages.send(Sms::to(contact).text("Hello")).await.map(|sent| sent.message_id().clone())
            }
            Self::Inbound => {
                let inbound = Inbound::sms(provider).from_contact(contact).text("Hello");
                messages.add_inbound(inbound).await.map(|added| added.message_id().clone())
            }
            Self::Call => {
                let provider = sandbox.provider_id(ProviderKind::Call);
                let call = OutboundCall::to_contact(contact, provider).to(PHONE);
                client.calls().add_outbound(call).await.map(|added| added.message_id().clone())
            }
        }
        .map(|id| id.as_str().to_owned())
    }
}

fn client(sandbox: &Sandbox) -> Client {
    let limiter =
        LocalRateLimiter::with_limits(1_000, Duration::from_millis(20), 200_000).margin(Duration::ZERO);
    Client::builder()
        .base_url(sandbox.base_url())
        .token(sandbox.token())
        .location("location")
        .rate_limiter(limiter)
        .attempt_timeout(TEST_TIMEOUT)
        // A shared transport could have an open connection, which avoids the faults of connecting.
        .transport(&Transport::builder().build().expect("a transport"))
        .build()
        .expect("a client")
}

/// Returns the ids of the messages of a contact in the ledger.
fn stored(sandbox: &Sandbox, contact: &str) -> Vec<String> {
    let of = |message: highlevel_sandbox::Message| (message.contact_id == contact).then_some(message.id);
    sandbox.messages().into_iter().filter_map(of).collect()
}

/// Returns `true` if a response with this status agrees with the stage at which it is injected: 2xx after the request
/// was processed, 4xx before. A client cannot report correct outcomes for a server whose responses are wrong.
fn is_truthful(status: u16, stage: FaultStage) -> bool {
    let processed = stage == FaultStage::After;
    match status {
        200..300 => processed,
        408 | 500.. => true,
        _ => !processed,
    }
}

/// Tests a fault at a stage. Returns the errors, and the number of results by outcome.
async fn run(fault: Fault, stage: FaultStage) -> (Vec<String>, BTreeMap<String, usize>) {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let (mut wrong, mut outcomes) = (Vec::new(), BTreeMap::new());
    let mut contacts = Vec::new();
    let mut entries = sandbox.follow();
    for endpoint in [Endpoint::Send, Endpoint::Inbound, Endpoint::Call] {
        // One endpoint is enough for pooled connections.
        for pooled in [false, true].into_iter().take(if matches!(endpoint, Endpoint::Send) { 2 } else { 1 }) {
            let contact = format!("{endpoint:?}{pooled}");
            sandbox.put_contact(Contact::new(&contact).phone(PHONE)).expect("a contact");
            let client = client(&sandbox);
            if pooled {
                endpoint
                    .call(&client, &sandbox, sandbox.contact_id())
                    .await
                    .expect("a receipt, before the fault");
            }
            let rule = FaultRule::new(fault.clone()).stage(stage).schedule(FaultSchedule::First(1));
            let id = sandbox.add_fault(rule).expect("a rule");
            let client = client.with_attempt_timeout(FAULT_TIMEOUT);
            let result = endpoint.call(&client, &sandbox, &contact).await;
            let ids = stored(&sandbox, &contact);
            let triggered = sandbox.faults().iter().any(|active| active.hits == 1);
            sandbox.remove_fault(id);

            let name = format!("{}, {}, {endpoint:?}, pooled: {pooled}", fault.name(), stage.as_str());
            // No connection is opened, so a rule for connecting is not triggered.
            let is_not_applicable = pooled && stage == FaultStage::Connect;
            if !(triggered || is_not_applicable) && fault != Fault::NONE {
                wrong.push(format!("{name}: the fault was not triggered"));
            }
            let record = sandbox.requests().into_iter().rev().find(|request| request.fault.is_some());
            let truthful = record.is_none_or(|request| is_truthful(request.status, stage));
            let outcome = match &result {
                Ok(_) => "Ok".to_owned(),
                Err(error) => format!("{:?}", error.delivery()),
            };
            let agrees = match &result {
                Ok(id) => ids == [id.clone()],
                Err(error) => match error.delivery() {
                    Delivery::NotSent | Delivery::Rejected => ids.is_empty(),
                    Delivery::Accepted => ids.len() == 1,
                    Delivery::Unknown => ids.len() <= 1,
                },
            };
            if truthful && !agrees {
                wrong.push(format!("{name}: {outcome}, but {ids:?} are stored: {:?}", result.err()));
            }
            if truthful {
                *outcomes.entry(outcome).or_default() += 1;
            }
            contacts.push((name, contact, truthful));
        }
    }
    // Requests that arrive late must not be processed twice either. Earlier requests are read before this last one, and
    // once the sandbox has stopped, no request is in progress.
    let last = Endpoint::Send.call(&client(&sandbox), &sandbox, sandbox.contact_id()).await;
    let last = last.expect("a receipt, after all faults");
    sandbox.stop().await;
    let (mut attempts, mut messages) = (Vec::new(), Vec::new());
    // The ledger is complete, so the loop does not wait.
    while let Ok(entry) = tokio::time::timeout(Duration::ZERO, entries.next()).await {
        match entry {
            Entry::Request(request) => attempts.push(String::from_utf8_lossy(&request.body).into_owned()),
            Entry::Message(message) => messages.push((message.contact_id, message.id)),
            Entry::Missed(count) => wrong.push(format!("{count} entries of the ledger were missed")),
            _ => {}
        }
    }
    if !messages.iter().any(|(_, id)| *id == last) {
        wrong.push(format!("{}, {}: the ledger ends too early", fault.name(), stage.as_str()));
    }
    for (name, contact, truthful) in contacts {
        let ids = messages.iter().filter_map(|(of, id)| (*of == contact).then_some(id));
        let stored = ids.collect::<BTreeSet<_>>().len();
        let attempts = attempts.iter().filter(|body| body.contains(&format!("\"{contact}\""))).count();
        // After a wrong rejection, the SDK may retry: once for each attempt.
        let limit = if truthful { attempts.min(1) } else { attempts };
        if stored > limit {
            wrong.push(format!("{name}: stored {stored} times by {attempts} attempts"));
        }
    }
    (wrong, outcomes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_agree_with_the_ledger_under_all_faults() {
    let mut running = JoinSet::new();
    // All at once would overload a small machine, which would then miss the timeouts.
    let slots = Arc::new(Semaphore::new(24));
    let request_faults = Fault::all().flat_map(|fault| STAGES.map(|stage| (fault.clone(), stage)));
    let connection_faults = CONNECTION_FAULTS.map(|fault| (fault, FaultStage::Connect));
    for (fault, stage) in request_faults.chain(connection_faults) {
        let slots = Arc::clone(&slots);
        running.spawn(async move {
            let _slot = slots.acquire_owned().await.expect("never closed");
            run(fault, stage).await
        });
    }
    let (mut wrong, mut outcomes) = (Vec::new(), BTreeMap::<String, usize>::new());
    for (each, counts) in running.join_all().await {
        wrong.extend(each);
        for (outcome, count) in counts {
            *outcomes.entry(outcome).or_default() += count;
        }
    }
    println!("{outcomes:?}");
    assert_eq!(wrong, Vec::<String>::new());
    for outcome in ["Ok", "Rejected", "Unknown", "Accepted"] {
        assert!(outcomes.get(outcome).is_some_and(|count| *count > 20), "{outcome}: {outcomes:?}");
    }
}
