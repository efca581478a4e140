//! Reconciliation of requests whose responses are lost, in conversations with many equal messages. A message that
//! reconciliation names must be the one that the request created, according to the sandbox.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use highlevel::{
    Client, Delivery, Email, Error, Fingerprint, Inbound, LocalRateLimiter, MessageId, OutboundCall,
    Reconciliation, Sms,
};
use highlevel_sandbox::{
    Contact, Fault, FaultRule, FaultSchedule, FaultStage, Message, ProviderKind, Sandbox, SimulatedCall,
};
use serde_json::{Value, json};

const TEXTS: [&str; 2] = ["OK", "Your table is ready"];
const FILE: &str = "https://example.com/menu.pdf";
const OFFICE: &str = "+15035550100";
const MOBILE: &str = "+15037081210";

/// A kind of request that the program sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Text,
    TextWithFile,
    File,
    Email,
    Inbound,
    InboundWithAltId,
    Call,
    CallWithoutCaller,
    CallWithAltId,
}

const KINDS: [Kind; 9] = [
    Kind::Text,
    Kind::TextWithFile,
    Kind::File,
    Kind::Email,
    Kind::Inbound,
    Kind::InboundWithAltId,
    Kind::Call,
    Kind::CallWithoutCaller,
    Kind::CallWithAltId,
];

impl Kind {
    fn has_alt_id(self) -> bool {
        matches!(self, Self::InboundWithAltId | Self::CallWithAltId)
    }

    async fn send(
        self,
        client: &Client,
        sandbox: &Sandbox,
        contact: &str,
        text: &str,
        alt_id: &str,
    ) -> Result<MessageId, Error> {
        let provider = sandbox.conversation_provider_id();
        let messages = client.messages();
        let inbound = || Inbound::sms(provider).from_contact(contact).text(text);
        let call = || OutboundCall::to_contact(contact, sandbox.provider_id(ProviderKind::Call));
        let numbered = || call().from(OFFICE).to(MOBILE);
        match self {
            Self::Text => {
                messages.send(Sms::to(contact).text(text)).await.map(|sent| sent.message_id().clone())
            }
            Self::TextWithFile => {
                let sms = Sms::to(contact).text(text).attachment(FILE);
                messages.send(sms).await.map(|sent| sent.message_id().clone())
            }
            Self::File => {
                messages.send(Sms::to(contact).attachment(FILE)).await.map(|sent| sent.message_id().clone())
            }
            Self::Email => {
                let email = Email::to(contact).subject("Tonight").html(format!("<p>{text}</p>"));
                messages.send(email).await.map(|sent| sent.message_id().clone())
            }
            Self::Inbound => messages.add_inbound(inbound()).await.map(|added| added.message_id().clone()),
            Self::InboundWithAltId => {
                messages.add_inbound(inbound().alt_id(alt_id)).await.map(|added| added.message_id().clone())
            }
            Self::Call => {
                client.calls().add_outbound(numbered()).await.map(|added| added.message_id().clone())
            }
            Self::CallWithoutCaller => {
                client.calls().add_outbound(call().to(MOBILE)).await.map(|added| added.message_id().clone())
            }
            Self::CallWithAltId => client
                .calls()
                .add_outbound(numbered().alt_id(alt_id))
                .await
                .map(|added| added.message_id().clone()),
        }
    }
}

fn client(sandbox: &Sandbox) -> Client {
    let limiter =
        LocalRateLimiter::with_limits(1_000, Duration::from_millis(20), 200_000).margin(Duration::ZERO);
    let client = Client::builder().base_url(sandbox.base_url()).token(sandbox.token()).location("location");
    client.rate_limiter(limiter).build().expect("a client")
}

fn messages_of(sandbox: &Sandbox, contact: &str) -> Vec<Message> {
    sandbox.messages().into_iter().filter(|message| message.contact_id == contact).collect()
}

/// Returns the bodies of the events about a contact's messages.
fn events(sandbox: &Sandbox, contact: &str) -> Vec<Value> {
    let bodies = sandbox.deliveries();
    let events = bodies.iter().filter_map(|delivery| serde_json::from_slice::<Value>(&delivery.body).ok());
    events.filter(|event| event["contactId"] == contact && event.get("direction").is_some()).collect()
}

/// Returns the messages as HighLevel does when they are read individually: with their `altId`.
fn read_back(sandbox: &Sandbox, contact: &str) -> Vec<Value> {
    let with_alt_id = |message: Message| {
        let sent = &message.request;
        json!({ "message": {
            "id": message.id, "contactId": message.contact_id, "conversationId": message.conversation_id,
            "direction": message.direction.as_str(), "dateAdded": message.date_added, "altId": sent["altId"],
            "messageType": format!("TYPE_{}", message.channel.to_uppercase()), "body": sent["message"],
            "attachments": sent["attachments"], "from": sent["call"]["from"], "to": sent["call"]["to"],
        }, "traceId": "trace" })
    };
    messages_of(sandbox, contact).into_iter().map(with_alt_id).collect()
}

/// The results of all reconciliations.
#[derive(Default)]
struct Results {
    /// The number of results by kind and name.
    counts: BTreeMap<(Kind, &'static str), usize>,
    errors: Vec<String>,
}

impl Results {
    fn record(
        &mut self,
        kind: Kind,
        fingerprint: &Fingerprint,
        found: &Reconciliation,
        created: Option<&MessageId>,
    ) {
        let is_correct = match found {
            Reconciliation::Sent(id) => Some(id) == created,
            // If the message exists, it has to be among the candidates.
            Reconciliation::Ambiguous(ids) => created.is_none_or(|created| ids.contains(created)),
            Reconciliation::NotFound => created.is_none(),
        };
        if !is_correct {
            self.errors.push(format!("{kind:?}: {found:?}, but {created:?} was created: {fingerprint:?}"));
        }
        let name = match found {
            Reconciliation::Sent(_) => "sent",
            Reconciliation::Ambiguous(_) => "ambiguous",
            Reconciliation::NotFound => "not found",
        };
        *self.counts.entry((kind, name)).or_default() += 1;
    }
}

async fn run_conversation(sandbox: &Sandbox, seed: u64, results: &mut Results) {
    let mut random = fastrand::Rng::with_seed(seed);
    let client = client(sandbox);
    let contact = format!("contact{seed}");
    sandbox.put_contact(Contact::new(&contact).phone(MOBILE).email("ann@example.com")).expect("a contact");
    let mut known: BTreeSet<MessageId> = BTreeSet::new();
    for step in 0..40 {
        // Dates have a resolution of one millisecond. The pause separates the dates of consecutive messages.
        tokio::time::sleep(Duration::from_millis(3)).await;
        let text = TEXTS[random.usize(..TEXTS.len())];
        let kind = KINDS[random.usize(..KINDS.len())];
        match random.u8(..10) {
            // The contact sends a message or calls.
            0 => {
                let fields = [("contactId", json!(contact)), ("message", json!(text))];
                sandbox.simulate_inbound(fields).expect("an inbound message");
            }
            1 => {
                let call = SimulatedCall::outbound().contact(&contact);
                sandbox.simulate_call(call).expect("a call");
            }
            // Another program sends an equal message.
            2 => {
                kind.send(&client, sandbox, &contact, text, &format!("other{step}"))
                    .await
                    .expect("a receipt");
            }
            // The program stores the id in the receipt.
            3 | 4 => {
                known.insert(
                    kind.send(&client, sandbox, &contact, text, &format!("own{step}"))
                        .await
                        .expect("a receipt"),
                );
            }
            outcome => {
                let before: BTreeSet<String> =
                    messages_of(sandbox, &contact).into_iter().map(|message| message.id).collect();
                // Either the request is lost, or the response to it.
                let stage = if outcome < 7 { FaultStage::Before } else { FaultStage::After };
                let rule = FaultRule::new(Fault::RESET).stage(stage).schedule(FaultSchedule::First(1));
                let rule = sandbox.add_fault(rule).expect("a rule");
                let result = kind.send(&client, sandbox, &contact, text, &format!("own{step}")).await;
                sandbox.remove_fault(rule);
                let error = result.expect_err("the response was lost");
                assert_eq!(error.delivery(), Delivery::Unknown, "{error}");
                let fingerprint = error.fingerprint().expect("a fingerprint");

                let created =
                    messages_of(sandbox, &contact).into_iter().find(|message| !before.contains(&message.id));
                let created = created.map(|message| MessageId::from(message.id));
                assert_eq!(created.is_some(), stage == FaultStage::After, "{kind:?}");
                let seen =
                    if kind.has_alt_id() { read_back(sandbox, &contact) } else { events(sandbox, &contact) };
                let found = fingerprint.reconcile_excluding(&seen, &known);
                results.record(kind, fingerprint, &found, created.as_ref());
                // A person resolves ambiguous results, so the id is known afterwards.
                known.extend(created);
            }
        }
    }
}

#[tokio::test]
async fn reconciliation_never_names_another_message() {
    let mut results = Results::default();
    for seed in 0..16 {
        let sandbox = Sandbox::start().await.expect("a sandbox");
        // No server listens there. The sandbox stores the events that it would deliver.
        sandbox.set_webhook_url("http://127.0.0.1:9/").expect("a URL");
        run_conversation(&sandbox, seed, &mut results).await;
    }
    println!("{:#?}", results.counts);
    assert_eq!(results.errors, Vec::<String>::new());
    let count = |kind, name| results.counts.get(&(kind, name)).copied().unwrap_or_default();
    for kind in KINDS {
        // A call without numbers has no property that identifies it.
        let expected = if kind == Kind::CallWithoutCaller { 0..=0 } else { 1..=usize::MAX };
        assert!(expected.contains(&count(kind, "sent")), "{kind:?}: {:?}", results.counts);
        assert!(count(kind, "sent") + count(kind, "ambiguous") + count(kind, "not found") > 15, "{kind:?}");
    }
}
