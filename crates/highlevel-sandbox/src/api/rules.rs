//! What the documentation demands and a schema cannot say, and what of it is insisted on.

use serde_json::{Map, Value};

use crate::fidelity::{RULES, Strictness};
use crate::operation::Operation;
use crate::spec::Violation;

/// The most violations of a request that are named.
pub(super) const MAX_VIOLATIONS: usize = 100;

/// What is wrong with a body, and what is left at that.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    /// At most [`MAX_VIOLATIONS`].
    pub(super) violations: Vec<Violation>,
    /// How many there are besides.
    pub(super) more: usize,
    /// The names of the rules that are broken and not insisted on.
    pub(super) tolerated: Vec<&'static str>,
}

/// Judges a body in which the schema found these faults.
pub(super) fn judge(
    operation: Operation,
    body: &Value,
    mut violations: Vec<Violation>,
    strictness: Strictness,
) -> Judgement {
    let Some(fields) = body.as_object() else {
        // The schema says that already.
        return Judgement { violations, ..Judgement::default() };
    };
    let missing = RULES.iter().filter(|rule| rule.operation == operation && !fields.contains_key(rule.field));
    let missing: Vec<_> = missing.map(|rule| (rule, format!("/{}", rule.field))).collect();
    // What the schema says about these fields is said by the rules.
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
    Judgement { violations, more, tolerated }
}

/// What every document requires, and no schema.
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
        // What an unknown type needs nobody knows; a misspelt `SMS` needs nothing.
        && found.iter().all(|violation| violation.pointer != "/type")
        && !has_default_provider(channel)
        && !fields.contains_key("conversationProviderId")
    {
        let problem = format!("is required for every type but SMS and Email; this one is {channel}");
        violations.push(Violation::new("/conversationProviderId", "required", &problem));
    }
    violations
}

fn has_default_provider(channel: &str) -> bool {
    matches!(channel, "SMS" | "Email")
}

/// Whether it is an inbound message of the type `Custom` in which only the provider is missing.
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
