//! The documented requirements that the schemas do not express, and their enforcement.

use serde_json::{Map, Value, json};

use super::provider;
use crate::fidelity::{RULES, Refusal, Requirement, Rule, Settings, Strictness};
use crate::model::is_phone;
use crate::operation::Operation;
use crate::spec::Violation;

/// The maximum number of violations that are listed for a request.
pub(super) const MAX_VIOLATIONS: usize = 100;

/// The maximum number of unknown fields that are listed for a request.
pub(super) const MAX_UNKNOWN_FIELDS: usize = 100;

/// The violations of a body, and the rules that were not enforced.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Evaluation {
    /// At most [`MAX_VIOLATIONS`].
    pub(super) violations: Vec<Violation>,
    /// The number of further violations.
    pub(super) more: usize,
    /// The names of the violated rules that are not enforced.
    pub(super) tolerated: Vec<&'static str>,
}

/// Evaluates the rules for a body with these violations of the schema.
pub(super) fn evaluate(
    operation: Operation,
    body: &Value,
    mut violations: Vec<Violation>,
    settings: &Settings,
) -> Evaluation {
    let Some(fields) = body.as_object() else {
        // Already reported as a violation of the schema.
        return Evaluation { violations, ..Evaluation::default() };
    };
    let is_missing = |name: &str| match name.split_once('.') {
        Some((outer, inner)) => {
            fields.get(outer).and_then(Value::as_object).is_some_and(|outer| !outer.contains_key(inner))
        }
        None => !fields.contains_key(name),
    };
    let mut tolerated = Vec::new();
    if settings.strictness == Strictness::Lenient {
        let accepted: Vec<&Rule> = RULES
            .iter()
            .filter(|rule| rule.operations.contains(&operation) && has_value(fields, rule))
            .collect();
        for rule in accepted {
            violations.retain(|found| found.keyword != "enum" || found.pointer != format!("/{}", rule.field));
            tolerated.push(rule.name);
        }
    }
    let missing = RULES.iter().filter(|rule| {
        rule.requirement == Requirement::Presence
            && rule.operations.contains(&operation)
            && is_missing(rule.field)
    });
    let missing: Vec<_> = missing.map(|rule| (rule, format!("/{}", rule.field.replace('.', "/")))).collect();
    // For these fields, the rules or the refusals replace the violations of the schema.
    violations.retain(|found| {
        missing.iter().all(|(_, pointer)| found.pointer != *pointer)
            && !(found.keyword == "required" && is_refused(operation, fields, &found.pointer, settings))
    });
    for violation in &mut violations {
        explain_type(operation, fields, violation);
    }
    let parties = lacks_parties(operation, fields);
    for (rule, pointer) in missing {
        let is_reported = parties.as_ref().is_some_and(|parties| parties.pointer == pointer);
        if is_reported || is_refused(operation, fields, &pointer, settings) {
            continue;
        }
        match settings.strictness {
            Strictness::Documented => {
                violations.push(Violation::new(&pointer, "required", "is required, but it is missing"));
            }
            Strictness::Lenient => tolerated.push(rule.name),
        }
    }
    violations.extend(parties);
    violations.sort_by(|one, other| one.pointer.cmp(&other.pointer));
    let more = violations.len().saturating_sub(MAX_VIOLATIONS);
    violations.truncate(MAX_VIOLATIONS);
    Evaluation { violations, more, tolerated }
}

/// Returns `true` if a body has the value that a rule is about.
fn has_value(fields: &Map<String, Value>, rule: &Rule) -> bool {
    let Requirement::NotValue(value) = rule.requirement else { return false };
    fields.get(rule.field).and_then(Value::as_str) == Some(value)
}

/// Returns `true` if a later check refuses a request without this field, with the response of the live API.
fn is_refused(operation: Operation, fields: &Map<String, Value>, pointer: &str, settings: &Settings) -> bool {
    let channel = fields.get("type").and_then(Value::as_str).unwrap_or_default();
    let refusal = match (operation, pointer) {
        (Operation::SendMessage, "/contactId") => Refusal::MissingContact,
        (Operation::AddOutboundCall, "/conversationProviderId") => Refusal::CallWithoutProvider,
        (Operation::AddInboundMessage, "/conversationProviderId") if is_phone(channel) => {
            Refusal::CallWithoutProvider
        }
        (Operation::AddInboundMessage, "/conversationProviderId") if channel == "Custom" => {
            Refusal::CustomWithoutProvider
        }
        _ => return false,
    };
    settings.refuses(refusal)
}

/// Adds the right endpoint to the violation of a message that is sent to the endpoint of calls.
fn explain_type(operation: Operation, fields: &Map<String, Value>, violation: &mut Violation) {
    if operation == Operation::AddOutboundCall && violation.pointer == "/type" && violation.keyword == "enum"
    {
        let found = fields.get("type").map_or_else(String::new, |found| json!(found).to_string());
        let problem = format!(
            "must be one of Call; found {found}; send messages with {} {}",
            Operation::SendMessage.method(),
            Operation::SendMessage.path(),
        );
        *violation = Violation::new("/type", "enum", &problem);
    }
}

/// Returns the violation of a message or call that names neither a contact nor a conversation.
fn lacks_parties(operation: Operation, fields: &Map<String, Value>) -> Option<Violation> {
    let adds = matches!(operation, Operation::AddInboundMessage | Operation::AddOutboundCall);
    (adds && !fields.contains_key("conversationId") && !fields.contains_key("contactId")).then(|| {
        Violation::new("/conversationId", "required", "or contactId is required, but both are missing")
    })
}

/// Returns `true` for an inbound message of the type `Custom` without a provider.
pub(super) fn lacks_a_custom_provider(operation: Operation, body: &Value) -> bool {
    operation == Operation::AddInboundMessage
        && body.get("type").and_then(Value::as_str) == Some("Custom")
        && provider::named(body).is_none()
}
