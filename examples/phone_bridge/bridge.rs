//! The bridge: reports of the phone system become messages and calls in HighLevel, and messages of HighLevel are delivered
//! by the phone system.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::routing::post;
use highlevel::webhook::axum::{Webhook, WebhookLayer};
use highlevel::webhook::{Event, Receiver};
use highlevel::wire::types::ProviderOutboundMessage;
use highlevel::{
    Client, Contact, ContactId, ConversationProviderId, Delivery, Error, Finding, Inbound, OutboundCall,
    PhoneNumber, Status,
};

use super::carrier::{Carrier, OutgoingText};
use super::journal::{Claim, Journal, State};
use super::reports::{self, Content, Report};

/// Nothing to do for the sender. The body is empty, because Twilio sends the text of a body to the contact.
const SETTLED: StatusCode = StatusCode::NO_CONTENT;
/// The sender has to deliver it another time.
const DELIVER_LATER: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

#[derive(Debug)]
pub(crate) struct Bridge<C> {
    /// A client with a location.
    pub(crate) client: Client,
    pub(crate) carrier: C,
    pub(crate) journal: Journal,
    /// The number of the business. A call from it is outbound, all others are inbound.
    pub(crate) number: PhoneNumber,
    /// The conversation provider of the kind SMS.
    pub(crate) sms: ConversationProviderId,
    /// The conversation provider of the kind Call.
    pub(crate) calls: ConversationProviderId,
}

impl<C: Carrier> Bridge<C> {
    /// Returns the routes of the bridge. The receiver verifies the messages that HighLevel wants to be delivered.
    pub(crate) fn router(self: &Arc<Self>, receiver: Receiver) -> Router {
        Router::new()
            .route("/twilio", post(receive_twilio::<C>))
            .route("/telnyx", post(receive_telnyx::<C>))
            .route("/deliver", post(deliver::<C>).layer(WebhookLayer::new(receiver)))
            .with_state(Arc::clone(self))
    }
}

async fn receive_twilio<C: Carrier>(Shared(bridge): Shared<Arc<Bridge<C>>>, body: Bytes) -> StatusCode {
    receive(bridge, reports::twilio(&body)).await
}

async fn receive_telnyx<C: Carrier>(Shared(bridge): Shared<Arc<Bridge<C>>>, body: Bytes) -> StatusCode {
    receive(bridge, reports::telnyx(&body)).await
}

/// Handles a report in a task: if the phone system disconnects, the requests to HighLevel are still completed.
async fn receive<C: Carrier>(bridge: Arc<Bridge<C>>, report: Result<Option<Report>, String>) -> StatusCode {
    match report {
        Ok(Some(report)) => {
            tokio::spawn(async move { bridge.add_once(&report).await }).await.unwrap_or(DELIVER_LATER)
        }
        Ok(None) => SETTLED,
        Err(error) => {
            eprintln!("a report cannot be read: {error}");
            StatusCode::BAD_REQUEST
        }
    }
}

impl<C: Carrier> Bridge<C> {
    /// Adds a report, unless an earlier delivery of it was added.
    async fn add_once(&self, report: &Report) -> StatusCode {
        match self.journal.claim(&report.id) {
            Claim::Granted(_) => {}
            Claim::InProgress => return DELIVER_LATER,
            Claim::Settled => return SETTLED,
        }
        let state = match self.find_contact(report).await {
            Ok(contact) => self.add(report, contact).await,
            Err(state) => state,
        };
        let status = if matches!(state, State::Open(_)) { DELIVER_LATER } else { SETTLED };
        self.journal.release(&report.id, state);
        status
    }

    /// Returns `true` if the business sent the message or made the call.
    fn is_outbound(&self, report: &Report) -> bool {
        report.from.parse().is_ok_and(|from: PhoneNumber| from == self.number)
    }

    /// Finds or creates the contact. An upsert can be repeated, so a lost response does no harm. It replaces the fields that
    /// it names, so it names the number alone.
    async fn find_contact(&self, report: &Report) -> Result<ContactId, State> {
        let number = if self.is_outbound(report) { &report.to } else { &report.from };
        match self.client.contacts().upsert(Contact::phone(number)).await {
            Ok(contact) => Ok(contact.contact_id().clone()),
            Err(error) => Err(match error.delivery() {
                Delivery::Unknown | Delivery::Accepted => State::Open(error.to_string()),
                Delivery::NotSent | Delivery::Rejected => open_or_desk(&error),
            }),
        }
    }

    /// Adds the message or call to the conversation of the contact.
    async fn add(&self, report: &Report, contact: ContactId) -> State {
        let (messages, calls) = (self.client.messages(), self.client.calls());
        let added = match &report.content {
            Content::Text { text, files } => {
                let message = Inbound::sms(&self.sms).from_contact(contact).text(text).alt_id(&*report.id);
                messages.add_inbound(files.iter().fold(message, Inbound::attachment)).await
            }
            Content::Call { status, duration } if self.is_outbound(report) => {
                let call = OutboundCall::to_contact(contact, &self.calls).alt_id(&*report.id);
                let call = call.from(&report.from).to(&report.to).status(status.clone());
                calls.add_outbound(duration.iter().fold(call, |call, length| call.duration(*length))).await
            }
            Content::Call { status, duration } => {
                let call = Inbound::call(&self.calls).from_contact(contact).alt_id(&*report.id);
                let call = call.from(&report.from).to(&report.to).status(status.clone());
                messages.add_inbound(duration.iter().fold(call, |call, length| call.duration(*length))).await
            }
        };
        match added {
            Ok(_) => State::Done,
            Err(error) => match error.delivery() {
                Delivery::NotSent | Delivery::Rejected => open_or_desk(&error),
                Delivery::Unknown => self.find(&error).await,
                Delivery::Accepted => State::Done,
            },
        }
    }

    /// Reads the conversation back after an unknown outcome. A message that is not found may still appear later.
    async fn find(&self, error: &Error) -> State {
        match error.find(&self.client).await {
            Ok(Finding::Sent(_)) => State::Done,
            Ok(Finding::NotFound(_) | Finding::Ambiguous(_)) | Err(_) => State::Desk(error.to_string()),
        }
    }
}

/// Returns the state after a request that was not done: it is repeated if that can succeed.
fn open_or_desk(error: &Error) -> State {
    if error.is_retryable() { State::Open(error.to_string()) } else { State::Desk(error.to_string()) }
}

/// Delivers a message of HighLevel. The layer has verified it. It turns every response but 2xx into 429, so that HighLevel
/// redelivers the event.
async fn deliver<C: Carrier>(
    Shared(bridge): Shared<Arc<Bridge<C>>>,
    Webhook(event): Webhook<Event>,
) -> StatusCode {
    let Event::ProviderOutboundMessage(message) = event.event() else { return SETTLED };
    let message = message.clone();
    tokio::spawn(async move { bridge.deliver_once(&message).await }).await.unwrap_or(DELIVER_LATER)
}

impl<C: Carrier> Bridge<C> {
    async fn deliver_once(&self, message: &ProviderOutboundMessage) -> StatusCode {
        let id = message.message_id.as_str();
        let earlier = match self.journal.claim(id) {
            Claim::Granted(state) => state,
            Claim::InProgress => return DELIVER_LATER,
            Claim::Settled => return SETTLED,
        };
        let state = match earlier {
            // The phone system has it, and must not get it another time.
            State::Carried(_) => earlier,
            _ => self.carry(message).await,
        };
        let state = match state {
            State::Carried(result) => {
                self.journal.record(id, State::Carried(result.clone()));
                self.report(message, result).await
            }
            state => state,
        };
        let is_settled = matches!(state, State::Done | State::Desk(_));
        self.journal.release(id, state);
        if is_settled { SETTLED } else { DELIVER_LATER }
    }

    /// Passes a message to the phone system.
    async fn carry(&self, message: &ProviderOutboundMessage) -> State {
        let Some(to) = message.phone.clone() else {
            return State::Desk("the message has no phone number".to_owned());
        };
        let text = message.message.clone().unwrap_or_default();
        let files = message.attachments.clone().unwrap_or_default();
        match self.carrier.send(&OutgoingText { to, text, files }).await {
            Ok(()) => State::Carried(Ok(())),
            Err(error) => match error.delivery {
                Delivery::NotSent => State::Open(error.reason),
                Delivery::Rejected => State::Carried(Err(error.reason)),
                Delivery::Unknown => State::Desk(error.reason),
                Delivery::Accepted => State::Carried(Ok(())),
            },
        }
    }

    /// Reports the result to HighLevel, which shows it in the conversation. It can be repeated.
    async fn report(&self, message: &ProviderOutboundMessage, result: Result<(), String>) -> State {
        let status = match &result {
            Ok(()) => Status::delivered(),
            Err(reason) => Status::failed(reason),
        };
        match self.client.messages().set_status(&message.message_id, status).await {
            Ok(_) => State::Done,
            Err(error) if error.delivery() == Delivery::Accepted => State::Done,
            // HighLevel rejects the status of a message that it is still storing with 403.
            Err(error) if error.is_retryable() || error.status() == Some(403) => State::Carried(result),
            Err(error) => State::Desk(format!("{result:?} cannot be reported: {error}")),
        }
    }
}
