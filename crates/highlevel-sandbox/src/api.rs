//! Handles requests to the API. A response is a pure function of the request, the model, new IDs and the time.
//!
//! The checks run in this order: route, token, version, body, schema and rules, references to the model. The rate limit
//! depends on other requests, so the caller checks it beforehand.

mod authentication;
mod body;
mod call;
mod error_response;
mod existence;
mod form;
mod message;
mod provider;
mod receipt;
mod records;
mod refusals;
mod rules;
mod status;
mod tolerance;
mod version;

use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::Value;

use crate::credentials::Grant;
use crate::fidelity::{Quirk, Refusal, Settings, Strictness};
use crate::ledger::RequestFingerprint;
use crate::model::{Message, Model, StoredMessage, Unindexed};
use crate::operation::Operation;
use crate::unserved;

pub(crate) use authentication::authenticate;
pub(crate) use call::{Annotations, ApiConfig, ApiResponse, Binary, Call, Change, Generated};
pub(crate) use error_response::ErrorResponse;
pub(crate) use form::{Form, FormError, MAX_FORM};
pub(crate) use message::initial_status;
pub(crate) use records::{
    ContactRejection, FILE_ROUTE, MAX_DURATION, changed_contact, file_path, new_contact, too_many_notes,
    with_note,
};
pub(crate) use version::check as check_version;

/// The effect of an accepted request.
enum Effect {
    Added(Message),
    Changed(StoredMessage),
    /// Records were read or changed.
    Replied(records::Reply),
    /// The request gets a successful response without an effect.
    None,
}

/// Determines the response to a request. The caller has to store the new or changed message.
pub(crate) fn respond(
    config: &ApiConfig,
    model: &Model,
    unindexed: &Unindexed,
    caller: &Result<Grant, ErrorResponse>,
    call: Call<'_>,
    generated: &Generated,
) -> ApiResponse {
    let mut annotations = Annotations::default();
    let (operation, effect) =
        match handle(config, (model, unindexed), caller, call, generated, &mut annotations) {
            Ok(handled) => handled,
            Err(error) => {
                let mut response = error.into_response(&generated.trace_id);
                annotations.refusal = response.annotations.refusal;
                annotations.note = annotations.note.or(response.annotations.note.take());
                return ApiResponse { annotations, ..response };
            }
        };
    let settings = &config.settings;
    let success = settings.success_status.code();
    let (status, body, accepted, changed) = match effect {
        Effect::Added(message) if settings.has(Quirk::EmptySuccess) => {
            annotations.quirk = Some(Quirk::EmptySuccess.name());
            (success, Value::Null, Some(message), None)
        }
        Effect::Added(message) => (
            success,
            receipt::receipt(operation, &message, settings.strictness, &generated.trace_id),
            Some(message),
            None,
        ),
        Effect::Changed(message) => (
            StatusCode::OK,
            receipt::receipt(operation, &message, settings.strictness, &generated.trace_id),
            None,
            Some(message),
        ),
        Effect::Replied(reply) => {
            let records::Reply { status, body, changes, binary } = reply;
            return ApiResponse { status, body, accepted: None, changed: None, changes, binary, annotations };
        }
        Effect::None => (success, Value::Null, None, None),
    };
    let added = accepted.as_ref().map(|message| message.id.clone());
    annotations.message_id = added.or_else(|| Some(changed.as_ref()?.id.to_string()));
    ApiResponse { status, body, accepted, changed, changes: Vec::new(), binary: None, annotations }
}

fn handle(
    config: &ApiConfig,
    (model, unindexed): (&Model, &Unindexed),
    caller: &Result<Grant, ErrorResponse>,
    call: Call<'_>,
    generated: &Generated,
    annotations: &mut Annotations,
) -> Result<(Operation, Effect), ErrorResponse> {
    let settings = &config.settings;
    let Some(operation) = call.operation else {
        annotations.note = Some(unserved::note(call.method, call.path()));
        return Err(ErrorResponse::no_route(call.method, call.target));
    };
    let spec = config.spec;
    let (method, path) = (operation.method(), operation.path());
    annotations.operation = Some(operation);
    let grant = match caller {
        Ok(grant) => grant,
        Err(_) if settings.has(Quirk::BadToken500) && call.headers.contains_key(AUTHORIZATION) => {
            annotations.quirk = Some(Quirk::BadToken500.name());
            return Err(ErrorResponse::internal_error());
        }
        Err(error) => return Err(error.clone()),
    };
    authentication::authorize(settings, grant, &spec.scopes(method, path))?;
    version::check(settings, call.headers, &spec.allowed_values("ApiVersion"))?;
    let location = &grant.account.location_id;
    if !operation.adds_a_message() && operation != Operation::UpdateMessageStatus {
        let authorized =
            records::Authorized { operation, config, model, unindexed, location, call, generated };
        let reply = records::respond(&authorized, annotations)?;
        return Ok((operation, Effect::Replied(reply)));
    }
    let mut body = body::parse(call.headers, call.body)?;
    if operation.adds_a_message() {
        annotations.fingerprint = Some(RequestFingerprint::of(operation, location, &body));
    }

    let schema = spec.request_schema(method, path).unwrap_or_default();
    let unknown = spec.first_unknown_fields(schema, &body, rules::MAX_UNKNOWN_FIELDS);
    annotations.unknown_fields = unknown.pointers;
    annotations.more_unknown_fields = unknown.more;
    annotations.suggestions = unknown.suggestions;
    if settings.strictness == Strictness::Lenient {
        annotations.tolerated = tolerance::normalise(operation, &mut body);
    }
    let found = spec.validate(schema, &body);
    let evaluation = rules::evaluate(operation, &body, found, settings);
    annotations.tolerated.extend(evaluation.tolerated);
    let violations = evaluation.violations;
    if !violations.is_empty() {
        let error = ErrorResponse::invalid(&violations, evaluation.more);
        (annotations.violations, annotations.more_violations) = (violations, evaluation.more);
        return Err(error);
    }
    if settings.has(Quirk::CustomInboundVanishes) && rules::lacks_a_custom_provider(operation, &body) {
        annotations.quirk = Some(Quirk::CustomInboundVanishes.name());
        return Ok((operation, Effect::None));
    }
    let candidate = refusals::Candidate { operation, body: &body, now: &generated.now };
    check_location(settings, location, &body)?;
    refusals::check_body(settings, &candidate)?;
    if let Some(id) = call.parameters.first() {
        let message = status::update(config, model, grant, id, &body, generated, annotations)?;
        return Ok((operation, Effect::Changed(message)));
    }
    let parties = existence::parties(operation, settings, model, location, &body)?;
    if settings.has(Quirk::WrongProvider500) && !provider::exists(model, location, &body) {
        annotations.quirk = Some(Quirk::WrongProvider500.name());
        return Err(ErrorResponse::internal_error());
    }
    let provider = provider::resolve(operation, config, model, grant, &body)?;
    if let Some(contact) = model.contact(&parties.contact) {
        refusals::check(settings, model, contact, &candidate)?;
    }
    let message = message::compose(operation, model, location, parties, provider, body, generated);
    annotations.note = message::warning(&message);
    Ok((operation, Effect::Added(message)))
}

/// Rejects a body that names another location than that of the token.
fn check_location(settings: &Settings, location: &str, body: &Value) -> Result<(), ErrorResponse> {
    let named = body.get("locationId").and_then(Value::as_str);
    if named.is_some_and(|named| named != location) && settings.refuses(Refusal::OtherLocation) {
        return Err(ErrorResponse::refused(Refusal::OtherLocation, ""));
    }
    Ok(())
}
