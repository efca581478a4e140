//! What the connections of one sandbox share, and what one request does to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};
use http::{StatusCode, Uri};
use tokio::sync::mpsc::UnboundedSender;

use super::body::{LONGEST, Received};
use crate::api::{self, Answer, Call, Fresh, Refusal, Rulebook};
use crate::clock::Clock;
use crate::contract::Contract;
use crate::credentials::{Credentials, Grant};
use crate::identifiers;
use crate::ledger::{Entry, Ledger, RecordedRequest};
use crate::rate_limit::{Account, RateLimiter, Verdict};
use crate::webhook::{Envelope, Parcel, Signer, event_name, event_payload};
use crate::world::{Conversation, Message, Record, World};

/// Everything that one sandbox knows.
///
/// Who holds several locks took them in the order of the fields.
pub(crate) struct State {
    pub(crate) contract: &'static Contract,
    pub(crate) clock: Clock,
    pub(crate) signer: Signer,
    /// The private integration token that is printed, and what it belongs to.
    pub(crate) token: String,
    pub(crate) account: Arc<Account>,
    pub(crate) success: StatusCode,
    pub(crate) world: Mutex<World>,
    pub(crate) credentials: Mutex<Credentials>,
    pub(crate) limiter: Mutex<RateLimiter>,
    pub(crate) webhook_url: Mutex<Option<Uri>>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) parcels: UnboundedSender<Parcel>,
}

/// What goes back to the caller.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    /// JSON.
    pub(super) body: String,
    /// What was left of the limits after this request, whatever came in the meantime.
    pub(super) verdict: Verdict,
}

/// The clock and the new ids of one request.
pub(super) struct Moment {
    now: DateTime<Utc>,
    fresh: Fresh,
}

impl Moment {
    pub(super) fn at(now: DateTime<Utc>) -> Self {
        let fresh = Fresh {
            now: now.to_rfc3339_opts(SecondsFormat::Millis, true),
            trace_id: identifiers::uuid(),
            message_id: identifiers::object_id(),
            email_message_id: identifiers::object_id(),
            conversation_id: identifiers::object_id(),
        };
        Self { now, fresh }
    }
}

impl State {
    /// Answers a request. When this returns, the ledger has it and its webhook is on the way.
    pub(super) fn answer(&self, call: Call<'_>, received: &Received, moment: &Moment) -> Answered {
        let caller = api::authenticate(call.headers, &lock(&self.credentials), moment.now);
        let verdict = self.count(&caller, moment);
        let trace_id = &moment.fresh.trace_id;
        let answer = match (&verdict.spent, received) {
            (Some(spent), _) => Refusal::too_many_requests(spent).answer(trace_id),
            (None, Received::TooLarge(_)) => Refusal::too_large(LONGEST).answer(trace_id),
            (None, Received::Whole(_)) => self.act(&caller, call, moment),
        };
        let body = answer.body.to_string();
        self.record(call, moment, answer.status, &body);
        Answered { status: answer.status, body, verdict }
    }

    /// Counts requests of another program of the same app, on the same location.
    pub(crate) fn use_rate_limit(&self, count: usize) {
        lock(&self.limiter).take(&self.account, self.clock.now(), count);
    }

    fn count(&self, caller: &Result<Grant, Refusal>, moment: &Moment) -> Verdict {
        let mut limiter = lock(&self.limiter);
        match caller {
            Ok(grant) => limiter.admit(&grant.account, moment.now),
            Err(_) => limiter.look(&self.account, moment.now),
        }
    }

    fn act(&self, caller: &Result<Grant, Refusal>, call: Call<'_>, moment: &Moment) -> Answer {
        let rulebook = Rulebook { contract: self.contract, success: self.success };
        let mut world = self.world();
        let mut answer = api::answer(&rulebook, &world, caller, call, &moment.fresh);
        if let Some(message) = answer.accepted.take() {
            // Under the lock, so that events leave in the order in which messages were stored.
            self.announce(&world, &message, moment);
            let conversation = (world.conversation(&message.conversation_id).is_none()).then(|| {
                Conversation::new(&message.conversation_id, &message.contact_id)
                    .location(&message.location_id)
            });
            let conversation = conversation.map(Record::Conversation);
            self.put(&mut world, conversation.into_iter().chain([Record::Message(message)]));
        }
        answer
    }

    /// Changes what exists. The one way to do it.
    pub(crate) fn put(&self, world: &mut World, records: impl IntoIterator<Item = Record>) {
        for record in records {
            world.put(record);
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    fn announce(&self, world: &World, message: &Message, moment: &Moment) {
        let Some(url) = lock(&self.webhook_url).clone() else {
            return;
        };
        let envelope = Envelope {
            timestamp: moment.fresh.now.clone(),
            webhook_id: identifiers::uuid(),
            app_id: self.account.app_id.clone(),
            version_id: self.account.app_id.clone(),
        };
        let contact = world.contact(&message.contact_id);
        let body = event_payload(self.contract, message, contact, &envelope).to_string().into_bytes();
        let parcel = Parcel {
            webhook_id: envelope.webhook_id,
            event: event_name(message),
            url,
            signature: self.signer.sign(&body),
            body,
        };
        if self.parcels.send(parcel).is_err() {
            tracing::warn!("the sandbox is stopping: an event is not delivered");
        }
    }

    fn record(&self, call: Call<'_>, moment: &Moment, status: StatusCode, body: &str) {
        tracing::debug!(method = call.method, target = call.target, status = status.as_u16(), "answered");
        self.ledger.record(Entry::Request(RecordedRequest {
            received_at: moment.fresh.now.clone(),
            method: call.method.to_owned(),
            path: call.target.to_owned(),
            headers: super::redacted(call.headers),
            body: call.body.to_vec(),
            status: status.as_u16(),
            answer: body.as_bytes().to_vec(),
        }));
    }
}

/// Locks. Nothing that is kept here is left half-changed, so what a panic left behind can be used.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
