//! What the sandbox answers to a request, as a function of values: the request, what exists, new ids and the time.
//!
//! The checks run in this order: route, token, version, body, schema and rules, what exists. Before them comes the rate
//! limit, which is about all requests and not about this one; the caller checks it for [`account`].

mod authentication;
mod body;
mod call;
mod existence;
mod message;
mod receipt;
mod refusal;
mod rules;
mod status;
mod version;

use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::Value;

use crate::credentials::Grant;
use crate::fidelity::Quirk;
use crate::ledger::RequestFingerprint;
use crate::model::{Message, Model, StoredMessage};
use crate::operation::Operation;

pub(crate) use authentication::authenticate;
pub(crate) use call::{Answer, Call, Fresh, Remarks, Rulebook};
pub(crate) use refusal::Refusal;
pub(crate) use version::check as check_version;

/// The most unknown fields of a request that are named.
const MAX_UNKNOWN_FIELDS: usize = 100;

/// What is done about a request that is not refused.
enum Done {
    Added(Message),
    Changed(StoredMessage),
    /// It was said to be done.
    Nothing,
}

/// Decides what to answer. Changes nothing: what is to be stored is the caller's to store.
pub(crate) fn answer(
    rulebook: &Rulebook,
    model: &Model,
    caller: &Result<Grant, Refusal>,
    call: Call<'_>,
    fresh: &Fresh,
) -> Answer {
    let mut remarks = Remarks::default();
    let (operation, done) = match decide(rulebook, model, caller, call, fresh, &mut remarks) {
        Ok(decided) => decided,
        Err(refusal) => return Answer { remarks, ..refusal.answer(&fresh.trace_id) },
    };
    let settings = &rulebook.settings;
    let success = settings.success_status.code();
    let (status, body, accepted, changed) = match done {
        Done::Added(message) if settings.has(Quirk::EmptySuccess) => {
            remarks.quirk = Some(Quirk::EmptySuccess.name());
            (success, Value::Null, Some(message), None)
        }
        Done::Added(message) => (success, receipt::receipt(operation, &message), Some(message), None),
        Done::Changed(message) => {
            (StatusCode::OK, receipt::receipt(operation, &message), None, Some(message))
        }
        Done::Nothing => (success, Value::Null, None, None),
    };
    let added = accepted.as_ref().map(|message| &message.id);
    remarks.message_id = added.or(changed.as_ref().map(|message| &message.id)).cloned();
    Answer { status, body, accepted, changed, remarks }
}

fn decide(
    rulebook: &Rulebook,
    model: &Model,
    caller: &Result<Grant, Refusal>,
    call: Call<'_>,
    fresh: &Fresh,
    remarks: &mut Remarks,
) -> Result<(Operation, Done), Refusal> {
    let settings = &rulebook.settings;
    let operation =
        Operation::of(call.method, call.path()).ok_or_else(|| Refusal::no_route(call.method, call.target))?;
    let spec = operation.spec(rulebook.spec);
    let (method, path) = (operation.method(), operation.path());
    remarks.operation = Some(operation);
    let grant = match caller {
        Ok(grant) => grant,
        Err(_) if settings.has(Quirk::BadToken500) && call.headers.contains_key(AUTHORIZATION) => {
            remarks.quirk = Some(Quirk::BadToken500.name());
            return Err(Refusal::internal_error());
        }
        Err(refusal) => return Err(refusal.clone()),
    };
    authentication::authorize(grant, &spec.scopes(method, path))?;
    version::check(call.headers, &spec.allowed_values("ApiVersion"))?;
    let body = body::parse(call.headers, call.body)?;
    let location = &grant.account.location_id;
    if operation != Operation::UpdateMessageStatus {
        remarks.fingerprint = Some(RequestFingerprint::of(operation, location, &body));
    }

    let schema = spec.request_schema(method, path).unwrap_or_default();
    (remarks.unknown_fields, remarks.more_unknown_fields) =
        spec.first_unknown_fields(schema, &body, MAX_UNKNOWN_FIELDS);
    let found = spec.validate(schema, &body);
    let judgement = rules::judge(operation, &body, found, settings.strictness);
    remarks.tolerated = judgement.tolerated;
    let violations = judgement.violations;
    if settings.has(Quirk::CustomInboundVanishes)
        && rules::lacks_only_a_custom_provider(operation, &body, &violations)
    {
        remarks.quirk = Some(Quirk::CustomInboundVanishes.name());
        return Ok((operation, Done::Nothing));
    }
    if !violations.is_empty() {
        let refusal = Refusal::invalid(&violations, judgement.more);
        (remarks.violations, remarks.more_violations) = (violations, judgement.more);
        return Err(refusal);
    }
    if let Some(id) = operation.message_id(call.path()) {
        let message = status::update(model, location, id, &body, settings, fresh, remarks)?;
        return Ok((operation, Done::Changed(message)));
    }
    let parties = existence::parties(operation, model, location, &body)?;
    let provider = existence::provider(model, location, &body).map_err(|refusal| {
        if settings.has(Quirk::WrongProvider500) {
            remarks.quirk = Some(Quirk::WrongProvider500.name());
            return Refusal::internal_error();
        }
        refusal
    })?;
    Ok((operation, Done::Added(message::compose(operation, model, location, parties, provider, body, fresh))))
}
