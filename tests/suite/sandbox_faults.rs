//! The SDK through every fault of the sandbox, at each endpoint. The sandbox's ledger says what was stored: what the SDK
//! says of it must be true, and nothing is stored twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use highlevel::{Client, Delivery, Error, Inbound, LocalRateLimiter, OutboundCall, Sms, Transport};
use highlevel_sandbox::{Contact, Entry, Fault, FaultRule, FaultSchedule, FaultStage, Sandbox};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How long the SDK waits for an answer where there is a fault. What is silent is so for longer.
const ATTEMPT: Duration = Duration::from_secs(1);
/// And where there is none: longer than a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(60);
const STAGES: [FaultStage; 3] = [FaultStage::Head, FaultStage::Before, FaultStage::After];
/// What can happen before anything is read. An answer would be about nothing.
const OF_CONNECTIONS: [Fault; 4] = [Fault::RESET, Fault::CLOSE, Fault::SILENCE, Fault::GARBAGE];

#[derive(Clone, Copy, Debug)]
enum Endpoint {
    Send,
    Inbound,
    Call,
}

impl Endpoint {
    /// A message or call with a contact of its own, by which it is found again. The id in its receipt, or the error.
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
                let call = OutboundCall::to_contact(contact, provider);
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
        .attempt_timeout(PATIENCE)
        // Separate connections: a shared one would spare a client the faults of connections.
        .transport(&Transport::builder().build().expect("a transport"))
        .build()
        .expect("a client")
}

/// What the ledger has of the messages with a contact.
fn stored(sandbox: &Sandbox, contact: &str) -> Vec<String> {
    let of = |message: highlevel_sandbox::Message| (message.contact_id == contact).then_some(message.id);
    sandbox.messages().into_iter().filter_map(of).collect()
}

/// Whether an answer with this status, injected at this stage, tells the truth: a yes after the request was done, a no
/// before. Of a server that lies nobody can tell what it did.
fn is_true(status: u16, stage: FaultStage) -> bool {
    let done = stage == FaultStage::After;
    match status {
        200..300 => done,
        408 | 500.. => true,
        _ => !done,
    }
}

/// What was found wrong in each cell of a fault at a stage, and how often each outcome was.
async fn run(fault: Fault, stage: FaultStage) -> (Vec<String>, BTreeMap<String, usize>) {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let (mut wrong, mut outcomes) = (Vec::new(), BTreeMap::new());
    let mut contacts = Vec::new();
    let mut entries = sandbox.follow();
    for endpoint in [Endpoint::Send, Endpoint::Inbound, Endpoint::Call] {
        // A connection from the pool is no matter of the endpoint.
        for pooled in [false, true].into_iter().take(if matches!(endpoint, Endpoint::Send) { 2 } else { 1 }) {
            let contact = format!("{endpoint:?}{pooled}");
            sandbox.put_contact(Contact::new(&contact)).expect("a contact");
            let client = client(&sandbox);
            if pooled {
                endpoint
                    .call(&client, &sandbox, sandbox.contact_id())
                    .await
                    .expect("a receipt, before the fault");
            }
            let rule = FaultRule::new(fault.clone()).stage(stage).schedule(FaultSchedule::First(1));
            let id = sandbox.add_fault(rule).expect("a rule");
            let client = client.with_attempt_timeout(ATTEMPT);
            let result = endpoint.call(&client, &sandbox, &contact).await;
            let ids = stored(&sandbox, &contact);
            let struck = sandbox.faults().iter().any(|active| active.hits == 1);
            sandbox.remove_fault(id);

            let name = format!("{}, {}, {endpoint:?}, pooled: {pooled}", fault.name(), stage.as_str());
            // A rule of connections has nothing to do where none is opened.
            let spared = pooled && stage == FaultStage::Connect;
            if !(struck || spared) && fault != Fault::NONE {
                wrong.push(format!("{name}: the fault did not happen"));
            }
            let record = sandbox.requests().into_iter().rev().find(|request| request.fault.is_some());
            let truthful = record.is_none_or(|request| is_true(request.status, stage));
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
                wrong.push(format!("{name}: {outcome}, and stored are {ids:?}: {:?}", result.err()));
            }
            if truthful {
                *outcomes.entry(outcome).or_default() += 1;
            }
            contacts.push((name, contact, truthful));
        }
    }
    // Also what came late was not done twice. What was sent before this message is read before it; when the sandbox has
    // stopped, no request is in progress.
    let last = Endpoint::Send.call(&client(&sandbox), &sandbox, sandbox.contact_id()).await;
    let last = last.expect("a receipt, after all faults");
    sandbox.stop().await;
    let (mut attempts, mut messages) = (Vec::new(), Vec::new());
    // Nothing is waited for: what there will ever be is there.
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
        // Who is told that nothing was done may well do it again: once for each attempt.
        let most = if truthful { attempts.min(1) } else { attempts };
        if stored > most {
            wrong.push(format!("{name}: stored {stored} times by {attempts} attempts"));
        }
    }
    (wrong, outcomes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_never_says_what_the_ledger_denies() {
    let mut running = JoinSet::new();
    // A few at a time: a machine that is busy with all of them at once would miss their timeouts.
    let free = Arc::new(Semaphore::new(24));
    let of_requests = Fault::all().flat_map(|fault| STAGES.map(|stage| (fault.clone(), stage)));
    let of_connections = OF_CONNECTIONS.map(|fault| (fault, FaultStage::Connect));
    for (fault, stage) in of_requests.chain(of_connections) {
        let free = Arc::clone(&free);
        running.spawn(async move {
            let _place = free.acquire_owned().await.expect("never closed");
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
