//! Handles requests to the API. A response is a pure function of the request, the model, new IDs and the time.
//!
//! The checks run in this order: route, token, version, body, schema and rules, references to the model. The rate limit
//! depends on other requests, so the caller checks it beforehand.

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

/// The maximum number of unknown fields that are listed for a request.
const MAX_UNKNOWN_FIELDS: usize = 100;

/// The effect of an accepted request.
enum Effect {
    Added(Message),
    Changed(StoredMessage),
    /// The request gets a successful response without an effect.
    None,
}

/// Determines the response to a request. The caller has to store the new or changed message.
pub(crate) fn answer(
    rulebook: &Rulebook,
    model: &Model,
    caller: &Result<Grant, Refusal>,
    call: Call<'_>,
    fresh: &Fresh,
) -> Answer {
    let mut remarks = Remarks::default();
    let (operation, effect) = match handle(rulebook, model, caller, call, fresh, &mut remarks) {
        Ok(handled) => handled,
        Err(refusal) => return Answer { remarks, ..refusal.answer(&fresh.trace_id) },
    };
    let settings = &rulebook.settings;
    let success = settings.success_status.code();
    let (status, body, accepted, changed) = match effect {
        Effect::Added(message) if settings.has(Quirk::EmptySuccess) => {
            remarks.quirk = Some(Quirk::EmptySuccess.name());
            (success, Value::Null, Some(message), None)
        }
        Effect::Added(message) => (success, receipt::receipt(operation, &message), Some(message), None),
        Effect::Changed(message) => {
            (StatusCode::OK, receipt::receipt(operation, &message), None, Some(message))
        }
        Effect::None => (success, Value::Null, None, None),
    };
    let added = accepted.as_ref().map(|message| &message.id);
    remarks.message_id = added.or(changed.as_ref().map(|message| &message.id)).cloned();
    Answer { status, body, accepted, changed, remarks }
}

fn handle(
    rulebook: &Rulebook,
    model: &Model,
    caller: &Result<Grant, Refusal>,
    call: Call<'_>,
    fresh: &Fresh,
    remarks: &mut Remarks,
) -> Result<(Operation, Effect), Refusal> {
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
    let evaluation = rules::evaluate(operation, &body, found, settings.strictness);
    remarks.tolerated = evaluation.tolerated;
    let violations = evaluation.violations;
    if settings.has(Quirk::CustomInboundVanishes)
        && rules::lacks_only_a_custom_provider(operation, &body, &violations)
    {
        remarks.quirk = Some(Quirk::CustomInboundVanishes.name());
        return Ok((operation, Effect::None));
    }
    if !violations.is_empty() {
        let refusal = Refusal::invalid(&violations, evaluation.more);
        (remarks.violations, remarks.more_violations) = (violations, evaluation.more);
        return Err(refusal);
    }
    if let Some(id) = operation.message_id(call.path()) {
        let message = status::update(model, location, id, &body, settings, fresh, remarks)?;
        return Ok((operation, Effect::Changed(message)));
    }
    let parties = existence::parties(operation, model, location, &body)?;
    let provider = existence::provider(model, location, &body).map_err(|refusal| {
        if settings.has(Quirk::WrongProvider500) {
            remarks.quirk = Some(Quirk::WrongProvider500.name());
            return Refusal::internal_error();
        }
        refusal
    })?;
    Ok((
        operation,
        Effect::Added(message::compose(operation, model, location, parties, provider, body, fresh)),
    ))
}
