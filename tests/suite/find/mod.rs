//! Reading back after an unknown outcome, against the sandbox: `Error::find` names the message that the request created, or
//! reports that there is none. The ledger of the sandbox decides which of both is right.

mod concurrent;
mod matrix;
mod reads;

use std::collections::BTreeSet;
use std::time::Duration;

use highlevel::{
    CallStatus, Client, ClientBuilder, Email, Error, Finding, Inbound, LocalRateLimiter, MessageId,
    OutboundCall, Sms, Transport,
};
use highlevel_sandbox::{Contact, ProviderKind, Sandbox};

/// The timeout of an attempt without a fault: longer than a busy machine needs.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The number of all contacts.
const PHONE: &str = "+15037081210";
const OFFICE: &str = "+15035550100";
const TEXT: &str = "Your table is ready";

/// A request that creates a message or call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Sms,
    Email,
    Inbound,
    InboundWithAltId,
    Call,
    CallWithAltId,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Sms, Self::Email, Self::Inbound, Self::InboundWithAltId, Self::Call, Self::CallWithAltId];

    fn name(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
            Self::Inbound => "inbound",
            Self::InboundWithAltId => "inbound, altId",
            Self::Call => "call",
            Self::CallWithAltId => "call, altId",
        }
    }

    /// Sends an equal request each time, except for the `altId`.
    async fn send(
        self,
        client: &Client,
        sandbox: &Sandbox,
        contact: &str,
        alt_id: &str,
    ) -> Result<MessageId, Error> {
        let messages = client.messages();
        let inbound = Inbound::sms(sandbox.conversation_provider_id()).from_contact(contact).text(TEXT);
        let call = OutboundCall::to_contact(contact, sandbox.provider_id(ProviderKind::Call));
        let call = call.from(OFFICE).to(PHONE).status(CallStatus::Completed);
        match self {
            Self::Sms => {
                messages.send(Sms::to(contact).text(TEXT)).await.map(|sent| sent.message_id().clone())
            }
            Self::Email => {
                let email = Email::to(contact).subject("Tonight").html(format!("<p>{TEXT}</p>"));
                messages.send(email).await.map(|sent| sent.message_id().clone())
            }
            Self::Inbound => messages.add_inbound(inbound).await.map(|added| added.message_id().clone()),
            Self::InboundWithAltId => {
                messages.add_inbound(inbound.alt_id(alt_id)).await.map(|added| added.message_id().clone())
            }
            Self::Call => client.calls().add_outbound(call).await.map(|added| added.message_id().clone()),
            Self::CallWithAltId => {
                client.calls().add_outbound(call.alt_id(alt_id)).await.map(|added| added.message_id().clone())
            }
        }
    }
}

/// Returns a builder of clients whose limiter never waits.
fn builder(sandbox: &Sandbox) -> ClientBuilder {
    let limiter =
        LocalRateLimiter::with_limits(1_000, Duration::from_millis(20), 200_000).margin(Duration::ZERO);
    Client::builder()
        .base_url(sandbox.base_url())
        .token(sandbox.token())
        .location(sandbox.location_id())
        .rate_limiter(limiter)
        .attempt_timeout(TEST_TIMEOUT)
        // A shared transport could have an open connection, which avoids the faults of connecting.
        .transport(&Transport::builder().build().expect("a transport"))
}

fn put_contact(sandbox: &Sandbox, id: &str) {
    sandbox.put_contact(Contact::new(id).phone(PHONE).email("ada@example.com")).expect("a contact");
}

/// Returns the ids of the messages of a contact in the ledger.
fn stored(sandbox: &Sandbox, contact: &str) -> BTreeSet<String> {
    let of = |message: highlevel_sandbox::Message| (message.contact_id == contact).then_some(message.id);
    sandbox.messages().into_iter().filter_map(of).collect()
}

/// Returns the name of a result, and whether it is right if these messages can be that of the request.
fn evaluate(found: &Finding, created: &BTreeSet<String>) -> (&'static str, bool) {
    match found {
        Finding::Sent(id) => ("sent", created.len() == 1 && created.contains(id.as_str())),
        Finding::NotFound(_) => ("not found", created.is_empty()),
        // An empty list reports that there were more messages than are examined.
        Finding::Ambiguous(ids) => (
            "ambiguous",
            ids.is_empty() || created.iter().all(|id| ids.iter().any(|found| found.as_str() == id)),
        ),
    }
}
