//! What the reference requires and other sources say is not needed.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::operation::Operation;

/// How much of the reference is insisted on.
///
/// What a request has to be like beyond the specification's schemas differs between the two by these rules and no other:
///
#[doc = include_str!("rules.md")]
///
/// Where a fact comes from: **\[reference\]** is the published reference of the endpoint, **\[doc\]** other official
/// documentation, **\[seen\]** what users of the live API report.
///
/// Both accept a message without text, and fields that the specification does not have: no document forbids either. The
/// ledger names such fields in [`unknown_fields`](crate::RecordedRequest::unknown_fields), and the rules that a request
/// got by with in [`tolerated`](crate::RecordedRequest::tolerated).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strictness {
    /// The reference of each endpoint to the letter. What passes is right by every published document.
    Documented,
    /// What the live API is known to accept, which is what programs that work today rely on. The default, so that the
    /// sandbox refuses no program that the live API does not.
    #[default]
    Lenient,
}

/// One difference between the two [strictnesses](Strictness): a field that the reference requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// What it is called in the ledger.
    pub name: &'static str,
    /// The operation that it is about.
    pub operation: Operation,
    /// The field that is required by [`Strictness::Documented`].
    pub field: &'static str,
    /// What the documentation requires.
    pub documented: &'static str,
    /// What is accepted all the same by [`Strictness::Lenient`].
    pub lenient: &'static str,
    /// Where that comes from.
    pub source: &'static str,
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
    /// As it is written in settings.
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
            .ok_or_else(|| format!("`{text}` is not a strictness; there are `documented` and `lenient`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_documentation_has_every_rule() {
        let mut table = vec![
            "| rule | operation | `documented` | `lenient` accepts | source |\n|---|---|---|---|---|"
                .to_owned(),
        ];
        for Rule { name, operation, documented, lenient, source, .. } in RULES {
            let source = source.replace('[', "\\[").replace(']', "\\]");
            table.push(format!("| `{name}` | `{operation}` | {documented} | {lenient} | {source} |"));
        }
        let table = table.join("\n") + "\n";
        assert_eq!(include_str!("rules.md"), table, "src/fidelity/rules.md has to be:\n{table}");
    }
}
