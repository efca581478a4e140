//! The documented requirements that the live API does not enforce.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::operation::Operation;

/// The strictness of request validation.
///
/// Both levels validate requests against the schemas of the spec. They differ only in these rules:
///
#[doc = include_str!("rules.md")]
///
/// At both levels, the sandbox deviates from the reference in these points:
///
#[doc = include_str!("deviations.md")]
///
/// The sources are **\[reference\]**, the published reference of the endpoint, **\[doc\]**, other official documentation,
/// and **\[seen\]**, reports by users of the live API.
///
/// Both levels accept messages without text, and fields that are not in the spec, because no document forbids either. The
/// ledger lists such fields in [`unknown_fields`](crate::RecordedRequest::unknown_fields), and violated rules that were not
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

/// A field that the reference requires, but [`Strictness::Lenient`] does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// The name of the rule in the ledger.
    pub name: &'static str,
    /// The operation that the rule applies to.
    pub operation: Operation,
    /// The field that is required by [`Strictness::Documented`].
    pub field: &'static str,
    /// A description of the documented requirement.
    pub documented: &'static str,
    /// A description of the requests that [`Strictness::Lenient`] accepts.
    pub lenient: &'static str,
    /// The sources of both.
    pub source: &'static str,
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

const DEVIATIONS: &[Deviation] = &[Deviation {
    name: "inbound-direction",
    operation: Operation::AddInboundMessage,
    documented: "`direction` defaults to `outbound`",
    sandbox: "a message without `direction` is inbound",
    reason: "the endpoint adds messages of contacts, so callers expect an inbound message",
}];

impl Deviation {
    /// Returns all deviations.
    pub fn all() -> &'static [Self] {
        DEVIATIONS
    }
}

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "send-without-status",
        operation: Operation::SendMessage,
        field: "status",
        documented: "`status` is required",
        lenient: "a message without `status`, which becomes `pending`",
        source: "[reference], [seen] programs omit it",
    },
    Rule {
        name: "inbound-without-provider",
        operation: Operation::AddInboundMessage,
        field: "conversationProviderId",
        documented: "`conversationProviderId` is required",
        lenient: "an `SMS` or `Email` without it, which uses the default provider; other types require it",
        source: "[reference], [doc] it is not required for the default SMS and email providers",
    },
    Rule {
        name: "call-without-conversation",
        operation: Operation::AddOutboundCall,
        field: "conversationId",
        documented: "`conversationId` is required",
        lenient: "a call with `contactId` instead; the conversation is found or created",
        source: "[reference], [doc] `contactId` can be used instead",
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
            "| rule | operation | `documented` | `lenient` accepts | source |\n|---|---|---|---|---|"
                .to_owned(),
        ];
        for Rule { name, operation, documented, lenient, source, .. } in RULES {
            let source = source.replace('[', "\\[").replace(']', "\\]");
            table.push(format!("| `{name}` | `{operation}` | {documented} | {lenient} | {source} |"));
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
