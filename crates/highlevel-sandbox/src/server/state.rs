//! What the connections of one sandbox share, and what one request does to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use serde_json::Value;

use tokio::sync::{Semaphore, watch};

use super::body::{LONGEST, Received};
use super::change::{InitialState, ModelMut};
use super::retained::Retained;
use super::traffic::Traffic;
use crate::access::{Access, Guesses};
use crate::admin::ApiError;
use crate::api::{self, Answer, Call, Fresh, Operation, Refusal, Remarks, Rulebook};
use crate::clock::Clock;
use crate::credentials::{Credentials, Grant};
use crate::fault::{self, Base, FaultRegistry, FaultStage, TriggeredFault};
use crate::fidelity::Settings;
use crate::identifiers::Identifiers;
use crate::ledger::{Happened, Ledger, RecordedRequest};
use crate::model::{Bounds, Conversation, Message, Model, Record};
use crate::persistence::Store;
use crate::rate_limit::{Account, RateLimiter, Verdict};
use crate::spec::Spec;
use crate::webhook::{self, Outbox, Targets};

/// How much of an answer the ledger keeps, in bytes. Only a fault makes longer ones.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Everything that one sandbox knows.
///
/// Who holds several locks took them in the order of the fields.
pub(crate) struct State {
    pub(crate) spec: &'static Spec,
    pub(crate) clock: Clock,
    /// The private integration token that is printed, and what it belongs to.
    pub(crate) token: String,
    pub(crate) account: Arc<Account>,
    pub(crate) settings: Mutex<Settings>,
    /// How long the head of a request may take to come, and the body.
    pub(crate) read_timeout: Duration,
    /// How long a client may read nothing of a response.
    pub(crate) write_timeout: Duration,
    pub(crate) traffic: Arc<Traffic>,
    /// One piece of work that takes long at a time, in a thread of its own.
    pub(crate) long_work: Arc<Semaphore>,
    /// How many event streams there may be, and how many KiB of long events may be on their way in all of them.
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) long_events: Semaphore,
    /// How many events may wait for their time.
    pub(crate) delayed_events: Arc<Semaphore>,
    /// A permit to read a snapshot.
    pub(crate) snapshots: Semaphore,
    pub(crate) faults: FaultRegistry,
    /// Who may use the sandbox, and from where.
    pub(crate) access: Access,
    /// Where webhooks may be delivered.
    pub(crate) targets: Targets,
    /// The wrong admin tokens of late.
    pub(crate) guesses: Mutex<Guesses>,
    /// How many requests were refused for their `Host` or their site.
    pub(crate) refused: AtomicU64,
    /// When this run started.
    pub(crate) started: Instant,
    /// Generates ids, tokens and keys.
    pub(crate) identifiers: Identifiers,
    /// For effects that happen later.
    pub(crate) myself: Weak<Self>,
    /// Tells this run from another one with the same state.
    pub(crate) run: String,
    /// Whether it is to end.
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) initial: InitialState,
    /// Where what exists is kept, if it is.
    pub(crate) store: Option<Store>,
    /// How many messages are kept, and how many were dropped for those that came later.
    pub(crate) bounds: Bounds,
    pub(crate) evicted_messages: AtomicU64,
    /// How much there was of everything when it was last asked for.
    pub(crate) retained: Mutex<Retained>,
    pub(crate) model: Mutex<Arc<Model>>,
    pub(crate) credentials: Mutex<Credentials>,
    /// The effects of a change of the credentials that is not submitted yet.
    pub(crate) after_credentials: Mutex<Vec<Effect>>,
    pub(crate) limiter: Mutex<RateLimiter>,
    /// What it keeps has a lock of its own.
    pub(crate) outbox: Outbox,
    pub(crate) ledger: Arc<Ledger>,
}

/// What happens when a change is on the disk.
pub(crate) type Effect = Box<dyn FnOnce(&State) + Send>;

/// The clock and the new ids of one request.
pub(super) struct Moment {
    pub(super) now: DateTime<Utc>,
    pub(super) fresh: Fresh,
}

impl Moment {
    pub(super) fn at(now: DateTime<Utc>, identifiers: &Identifiers) -> Self {
        let fresh = Fresh {
            now: now.to_rfc3339_opts(SecondsFormat::Millis, true),
            trace_id: identifiers.uuid(),
            message_id: identifiers.object_id(),
            email_message_id: identifiers.object_id(),
            conversation_id: identifiers.object_id(),
        };
        Self { now, fresh }
    }
}

impl State {
    /// Answers a request, and says what the ledger is to have of it. When this returns, its webhook is on the way.
    pub(super) fn answer(
        &self,
        call: Call<'_>,
        received: &Received,
        moment: &Moment,
        triggered: Option<&TriggeredFault>,
    ) -> (Base, RecordedRequest) {
        let began = Instant::now();
        let caller = api::authenticate(call.headers, &lock(&self.credentials), moment.now);
        let verdict = self.count(&caller, moment);
        let trace_id = &moment.fresh.trace_id;
        let answer = match (&verdict.spent, received) {
            (Some(spent), _) => Refusal::too_many_requests(spent).answer(trace_id),
            _ if triggered.is_some_and(|triggered| triggered.stage != FaultStage::After) => {
                Refusal::unavailable().answer(trace_id)
            }
            (None, Received::TooLarge(_)) => Refusal::too_large(LONGEST).answer(trace_id),
            (None, Received::TooSlow(_) | Received::Unread) => Refusal::too_slow().answer(trace_id),
            (None, Received::Whole(_)) => self.act(&caller, call, moment, |_| {}),
        };
        let mut base = Base {
            status: answer.status,
            headers: headers(&verdict),
            body: if answer.body.is_null() { Bytes::new() } else { Bytes::from(answer.body.to_string()) },
        };
        if base.body.is_empty() {
            base.headers.remove(CONTENT_TYPE);
        }
        if let Some(triggered) = triggered {
            fault::edit(&triggered.fault, &mut base, trace_id);
        }
        let authenticated = caller.is_ok();
        let location = caller.ok().map(|grant| grant.account.location_id.clone());
        let Remarks {
            operation,
            fingerprint,
            violations,
            more_violations,
            tolerated,
            unknown_fields,
            more_unknown_fields,
            message_id,
            quirk,
        } = answer.remarks;
        let record = RecordedRequest {
            id: moment.fresh.trace_id.clone(),
            received_at: moment.fresh.now.clone(),
            method: call.method.to_owned(),
            path: call.target.to_owned(),
            headers: super::redacted(call.headers),
            body: call.body.to_vec(),
            operation,
            fingerprint,
            violations,
            more_violations,
            tolerated,
            unknown_fields,
            more_unknown_fields,
            accepted: answer.status.is_success(),
            message_id,
            quirk,
            location_id: location,
            authenticated,
            fault: triggered.map(|triggered| triggered.fault.name().to_owned()),
            broken: triggered.is_some_and(|triggered| triggered.fault.breaks()),
            status: base.status.as_u16(),
            answer_headers: super::redacted(&base.headers),
            answer: beginning(&base.body),
            duration: began.elapsed(),
            ..RecordedRequest::default()
        };
        (base, record)
    }

    /// Waits until what a request changed since then is on the disk, and only then has the ledger know of it: what could
    /// not be written is answered with no.
    pub(super) async fn await_commit(
        &self,
        submitted: u64,
        mut base: Base,
        mut record: RecordedRequest,
    ) -> Base {
        if let Err(error) = self.written_since(submitted).await {
            let refusal = Refusal::not_stored(&error).answer(&record.id);
            base.status = refusal.status;
            base.body = Bytes::from(refusal.body.to_string());
            record = RecordedRequest {
                accepted: false,
                message_id: None,
                status: base.status.as_u16(),
                answer: base.body.to_vec(),
                ..record
            };
        }
        tracing::debug!(method = record.method, target = record.path, status = record.status, "answered");
        self.ledger.record(Happened::Request(Arc::new(record)));
        base
    }

    /// The fault that happens to a request to the API, if one does. A request without a valid token triggers none and
    /// counts for no rule, for any client can send it.
    pub(super) fn trigger_fault(&self, call: Call<'_>, moment: &Moment) -> Option<TriggeredFault> {
        self.faults.on_request(|check| {
            let credentials = lock(&self.credentials);
            let Ok(grant) = api::authenticate(call.headers, &credentials, moment.now) else { return };
            drop(credentials);
            check(&fault::Request {
                operation: Operation::of(call.method, call.path()).map(Operation::id),
                method: call.method,
                path: call.path(),
                location: Some(&grant.account.location_id),
            });
        })
    }

    /// Logs a request that was refused for its `Host` or its site: the first ones, then fewer and fewer.
    pub(crate) fn report_refusal(&self, head: &Parts, problem: &ApiError) {
        let count = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if count <= 8 || count.is_power_of_two() {
            let (method, path, reason) = (&head.method, head.uri.path(), &problem.message);
            tracing::warn!(count, %method, ?path, reason, "refused a request");
        }
    }

    /// Logs a wrong admin token, and holds the response back if there were several.
    pub(crate) async fn slow_down_guess(&self) {
        let refusal = lock(&self.guesses).wrong(self.started.elapsed());
        if let Some(count) = refusal.report {
            tracing::warn!(count, "wrong admin tokens");
        }
        tokio::time::sleep(refusal.delay).await;
    }

    fn count(&self, caller: &Result<Grant, Refusal>, moment: &Moment) -> Verdict {
        let mut limiter = lock(&self.limiter);
        match caller {
            Ok(grant) => limiter.admit(&grant.account, moment.now),
            Err(_) => limiter.look(&self.account, moment.now),
        }
    }

    /// Does what a request with this body does, as if the location's own token had been used, and answers the message.
    /// Nobody has made it: it is neither counted nor recorded.
    pub(crate) fn simulate(
        &self,
        path: &str,
        location: &str,
        body: &Value,
        adjust: impl FnOnce(&mut Message),
    ) -> Result<Message, String> {
        let moment = Moment::at(self.clock.now(), &self.identifiers);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("version", HeaderValue::from_static("2021-04-15"));
        let caller = Ok(Grant::private_integration(&self.account.app_id, location));
        let body = body.to_string();
        let call = Call { method: "POST", target: path, headers: &headers, body: body.as_bytes() };
        let answer = self.act(&caller, call, &moment, adjust);
        let stored = answer.remarks.message_id.and_then(|id| Some(self.model().message(&id)?.parsed()));
        stored.ok_or_else(|| match &answer.body["message"] {
            Value::Array(reasons) => reasons.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "),
            reason => reason.as_str().unwrap_or("nothing was stored").to_owned(),
        })
    }

    fn act(
        &self,
        caller: &Result<Grant, Refusal>,
        call: Call<'_>,
        moment: &Moment,
        adjust: impl FnOnce(&mut Message),
    ) -> Answer {
        let rulebook = Rulebook { spec: self.spec, settings: lock(&self.settings).clone() };
        let mut model = self.model();
        let mut answer = api::answer(&rulebook, &model, caller, call, &moment.fresh);
        if (answer.accepted.is_some() || answer.changed.is_some())
            && let Err(error) = self.check_writable()
        {
            return Refusal::not_stored(&error).answer(&moment.fresh.trace_id);
        }
        if let Some(mut message) = answer.accepted.take() {
            adjust(&mut message);
            let conversation = (model.conversation(&message.conversation_id).is_none()).then(|| {
                Conversation::new(&message.conversation_id, &message.contact_id)
                    .location(&message.location_id)
            });
            let conversation = conversation.map(Record::Conversation);
            let records = conversation.into_iter().chain([Record::from(message.to_stored())]);
            if let Err(conflict) = self.put(&mut model, records) {
                return Refusal::not_stored(&conflict).answer(&moment.fresh.trace_id);
            }
            // Under the lock, so that events leave in the order in which messages were stored.
            webhook::publish(self, &model, &message, moment.now);
        }
        if let Some(message) = answer.changed.take()
            && let Err(conflict) = self.put(&mut model, [Record::from(message)])
        {
            return Refusal::not_stored(&conflict).answer(&moment.fresh.trace_id);
        }
        answer
    }

    /// Resolves when the sandbox is to end.
    pub(crate) async fn stopped(&self) {
        // The sender is in `self`: it cannot be gone.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// What exists, to be read for a moment or changed.
    pub(crate) fn model(&self) -> ModelMut<'_> {
        ModelMut(lock(&self.model))
    }

    /// What exists now, to be read for as long as it takes: nothing waits for the reader.
    pub(crate) fn shared_model(&self) -> Arc<Model> {
        Arc::clone(&lock(&self.model))
    }
}

/// As much of a response as the ledger retains.
pub(super) fn beginning(body: &[u8]) -> Vec<u8> {
    body[..body.len().min(LONGEST_ANSWER)].to_vec()
}

/// What each answer says of itself and of the limits.
fn headers(verdict: &Verdict) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    for (name, value) in verdict.headers() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    headers
}

/// Locks. Nothing that is kept here is left half-changed, so what a panic left behind can be used.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
