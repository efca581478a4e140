//! The documented requirements that the live API does not enforce.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::operation::Operation;

/// The strictness of request validation.
///
/// Both levels validate requests against the schemas of the spec, and apply each [`Refusal`](super::Refusal). They differ
/// only in these rules, and in the fields of success responses:
///
#[doc = include_str!("rules.md")]
///
/// At both levels, the sandbox deviates from the reference in these points:
///
#[doc = include_str!("deviations.md")]
///
/// The sources are **\[reference\]**, the published reference of the endpoint, **\[doc\]**, other official documentation,
/// **\[spec\]**, the embedded OpenAPI spec, **\[seen\]**, reports by users of the live API, and **\[live n\]**, their number.
///
/// Both levels accept fields that are not in the spec, because no document forbids them. The ledger lists such fields in [`unknown_fields`](crate::RecordedRequest::unknown_fields), and violated rules that were not
/// enforced in [`tolerated`](crate::RecordedRequest::tolerated).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strictness {
    /// Enforces everything that the reference requires, apart from the deviations of both levels. Accepted requests comply with all published documents.
    Documented,
    /// Accepts everything that the live API is known to accept. This is the default, so that programs that work with the
    /// live API also work with the sandbox.
    #[default]
    Lenient,
}

/// A request that the spec does not allow, but [`Strictness::Lenient`] accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// The name of the rule in the ledger.
    pub name: &'static str,
    /// The operations that the rule applies to.
    pub operations: &'static [Operation],
    /// The field that the rule is about, with `.` before the name of an inner field. Empty if it is about all fields.
    pub field: &'static str,
    /// A description of the documented requirement.
    pub documented: &'static str,
    /// A description of the requests that [`Strictness::Lenient`] accepts.
    pub lenient: &'static str,
    /// The sources of both.
    pub source: &'static str,
    pub(crate) requirement: Requirement,
}

/// The documented requirement of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requirement {
    /// The field is present.
    Presence,
    /// The field does not have this value.
    NotValue(&'static str),
    /// The body has a form that it is converted to before it is validated.
    Form,
}

/// A point in which the sandbox deviates from the reference at both levels of [`Strictness`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deviation {
    /// The name of the deviation.
    pub name: &'static str,
    /// The operation that it applies to.
    pub operation: Operation,
    /// The text of the reference.
    pub documented: &'static str,
    /// The behaviour of the sandbox.
    pub sandbox: &'static str,
    /// The reason.
    pub reason: &'static str,
}

const DEVIATIONS: &[Deviation] = &[
    Deviation {
        name: "inbound-direction",
        operation: Operation::AddInboundMessage,
        documented: "`direction` defaults to `outbound`",
        sandbox: "a message without `direction` is inbound",
        reason: "the endpoint adds messages of contacts, so callers expect an inbound message",
    },
    Deviation {
        name: "typing-boolean",
        operation: Operation::SetTyping,
        documented: "`isTyping` is a string",
        sandbox: "a boolean is accepted as well",
        reason: "the example of the reference is a boolean",
    },
];

impl Deviation {
    /// Returns all deviations.
    pub fn all() -> &'static [Self] {
        DEVIATIONS
    }
}

const SEND: &[Operation] = &[Operation::SendMessage];
const INBOUND: &[Operation] = &[Operation::AddInboundMessage];
const CALL: &[Operation] = &[Operation::AddOutboundCall];
const STATUS: &[Operation] = &[Operation::UpdateMessageStatus];
const BODIES: &[Operation] = &[
    Operation::SendMessage,
    Operation::AddInboundMessage,
    Operation::AddOutboundCall,
    Operation::UpdateMessageStatus,
    Operation::UpdateEmailStatus,
    Operation::SetMessageAttachments,
    Operation::UpsertContact,
    Operation::CreateContact,
    Operation::UpdateContact,
    Operation::SearchContacts,
    Operation::AddContactTags,
    Operation::RemoveContactTags,
    Operation::AddContactNote,
    Operation::CreateConversation,
    Operation::UpdateConversation,
    Operation::SetTyping,
];

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "send-without-status",
        operations: SEND,
        field: "status",
        documented: "`status` is required",
        lenient: "a message without `status`, which becomes `pending`",
        source: "[reference], [seen] programs omit it",
        requirement: Requirement::Presence,
    },
    Rule {
        name: "inbound-without-provider",
        operations: INBOUND,
        field: "conversationProviderId",
        documented: "`conversationProviderId` is required",
        lenient: "a message without it, except `Custom` and calls; `SMS` and `Email` use the default provider",
        source: "[reference], [doc] it is not required for the default providers, [live 2] nor for `Live_Chat` and `WhatsApp`",
        requirement: Requirement::Presence,
    },
    Rule {
        name: "call-without-conversation",
        operations: CALL,
        field: "conversationId",
        documented: "`conversationId` is required",
        lenient: "a call with `contactId` instead; the conversation is found or created",
        source: "[reference], [doc] `contactId` can be used instead",
        requirement: Requirement::Presence,
    },
    Rule {
        name: "error-without-code",
        operations: STATUS,
        field: "error.code",
        documented: "`error.code` is required",
        lenient: "an `error` without `code`",
        source: "[reference], [live 2] `message` is sufficient",
        requirement: Requirement::Presence,
    },
    Rule {
        name: "error-without-type",
        operations: STATUS,
        field: "error.type",
        documented: "`error.type` is required",
        lenient: "an `error` without `type`",
        source: "[reference], [live 2] `message` is sufficient",
        requirement: Requirement::Presence,
    },
    Rule {
        name: "null-fields",
        operations: BODIES,
        field: "",
        documented: "no field can be `null`",
        lenient: "`null` in optional fields, as if they were absent; an update of a contact removes them",
        source: "[reference], [seen] clients of the vendor's typed SDKs send it for each unset field",
        requirement: Requirement::Form,
    },
    Rule {
        name: "sub-type-object",
        operations: SEND,
        field: "subType",
        documented: "`subType` is a string",
        lenient: "an object, as if it were absent",
        source: "[spec], [seen] clients of the vendor's typed SDKs send an object",
        requirement: Requirement::Form,
    },
    Rule {
        name: "direction-object",
        operations: INBOUND,
        field: "direction",
        documented: "`direction` is a string",
        lenient: "an object, as if it were absent",
        source: "[spec], [seen] clients of the vendor's typed SDKs send an object",
        requirement: Requirement::Form,
    },
    Rule {
        name: "fractional-timestamp",
        operations: SEND,
        field: "scheduledTimestamp",
        documented: "`scheduledTimestamp` counts whole seconds",
        lenient: "a number with a fraction, which is cut off",
        source: "[reference], [seen] Python's `time.time()`",
        requirement: Requirement::Form,
    },
    Rule {
        name: "send-gmb",
        operations: SEND,
        field: "type",
        documented: "`type` is one of the channels of the endpoint",
        lenient: "the type `GMB`, for which the response has `messageIds`",
        source: "[reference], [doc] its response describes the GMB channel",
        requirement: Requirement::NotValue("GMB"),
    },
    Rule {
        name: "completed-call",
        operations: STATUS,
        field: "status",
        documented: "`status` is one of `delivered`, `failed`, `pending`, `read`",
        lenient: "`completed`, for a call that was added as `pending`",
        source: "[reference], [live 1] a call added as `pending` is completed later",
        requirement: Requirement::NotValue("completed"),
    },
    Rule {
        name: "body-for-message",
        operations: INBOUND,
        field: "message",
        documented: "the text is in `message`",
        lenient: "the text in `body`, if `message` has none; it becomes the `message`",
        source: "[reference], [seen] programs use the name of the field in events",
        requirement: Requirement::Form,
    },
];

impl Rule {
    /// All rules.
    pub fn all() -> &'static [Self] {
        RULES
    }
}

impl Strictness {
    /// Returns the name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Lenient => "lenient",
        }
    }
}

impl Display for Strictness {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Strictness {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Documented, Self::Lenient]
            .into_iter()
            .find(|each| each.as_str() == text)
            .ok_or_else(|| format!("strictness `{text}` does not exist; use `documented` or `lenient`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_all_rules() {
        let mut table = vec![
            "| rule | operations | `documented` | `lenient` accepts | source |\n|---|---|---|---|---|"
                .to_owned(),
        ];
        for Rule { name, operations, documented, lenient, source, .. } in RULES {
            let operations: Vec<String> = operations.iter().map(|each| format!("`{each}`")).collect();
            let operations = operations.join(", ");
            let source = source.replace('[', "\\[").replace(']', "\\]");
            table.push(format!("| `{name}` | {operations} | {documented} | {lenient} | {source} |"));
        }
        let table = table.join("\n") + "\n";
        assert_eq!(include_str!("rules.md"), table, "src/fidelity/rules.md must be:\n{table}");
    }

    #[test]
    fn the_table_of_the_documentation_has_every_deviation() {
        let mut table = vec![
            "| deviation | operation | reference | sandbox | reason |\n|---|---|---|---|---|".to_owned(),
        ];
        for Deviation { name, operation, documented, sandbox, reason } in DEVIATIONS {
            table.push(format!("| `{name}` | `{operation}` | {documented} | {sandbox} | {reason} |"));
        }
        let table = table.join("\n") + "\n";
        assert_eq!(include_str!("deviations.md"), table, "update src/fidelity/deviations.md to:\n{table}");
    }
}
