//! The documented requirements that the schemas do not express, and their enforcement.

use serde_json::{Map, Value};

use crate::fidelity::{RULES, Strictness};
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
    strictness: Strictness,
) -> Evaluation {
    let Some(fields) = body.as_object() else {
        // Already reported as a violation of the schema.
        return Evaluation { violations, ..Evaluation::default() };
    };
    let missing = RULES.iter().filter(|rule| rule.operation == operation && !fields.contains_key(rule.field));
    let missing: Vec<_> = missing.map(|rule| (rule, format!("/{}", rule.field))).collect();
    // For these fields, the rules replace the violations of the schema.
    violations.retain(|found| missing.iter().all(|(_, pointer)| found.pointer != *pointer));
    let always = always_required(operation, fields, &violations);
    violations.extend(always);
    let mut tolerated = Vec::new();
    for (rule, pointer) in missing {
        if violations.iter().any(|found| found.pointer == pointer) {
            continue;
        }
        match strictness {
            Strictness::Documented => {
                violations.push(Violation::new(&pointer, "required", "is required, but it is missing"));
            }
            Strictness::Lenient => tolerated.push(rule.name),
        }
    }
    violations.sort_by(|one, other| one.pointer.cmp(&other.pointer));
    let more = violations.len().saturating_sub(MAX_VIOLATIONS);
    violations.truncate(MAX_VIOLATIONS);
    Evaluation { violations, more, tolerated }
}

/// Returns the violations of requirements that all documents agree on, but no schema expresses.
fn always_required(operation: Operation, fields: &Map<String, Value>, found: &[Violation]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let adds = matches!(operation, Operation::AddInboundMessage | Operation::AddOutboundCall);
    if adds && !fields.contains_key("conversationId") && !fields.contains_key("contactId") {
        violations.push(Violation::new(
            "/conversationId",
            "required",
            "or contactId is required, but both are missing",
        ));
    }
    if operation == Operation::AddInboundMessage
        && let Some(channel) = fields.get("type").and_then(Value::as_str)
        // An invalid type may be a misspelling of one that has a default provider.
        && found.iter().all(|violation| violation.pointer != "/type")
        && !has_default_provider(channel)
        && !fields.contains_key("conversationProviderId")
    {
        let problem = format!("is required for all types except SMS and Email; the type is {channel}");
        violations.push(Violation::new("/conversationProviderId", "required", &problem));
    }
    violations
}

fn has_default_provider(channel: &str) -> bool {
    matches!(channel, "SMS" | "Email")
}

/// Returns `true` if the body is an inbound message of the type `Custom` whose only violation is the missing provider.
pub(super) fn lacks_only_a_custom_provider(
    operation: Operation,
    body: &Value,
    violations: &[Violation],
) -> bool {
    operation == Operation::AddInboundMessage
        && body.get("type").and_then(Value::as_str) == Some("Custom")
        && body.get("conversationProviderId").is_none()
        && violations.iter().all(|each| each.pointer == "/conversationProviderId")
}
