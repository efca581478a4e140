//! The properties of each refusal, from its row of the table.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use super::quirk::Quirk;
use super::refusal::Refusal;
use super::refusal_table::{Row, TABLE};
use crate::operation::Operation;

impl Refusal {
    /// Returns all refusals, in the order in which a request is checked for them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.refusal)
    }

    /// Returns the name in settings, on the command line and in the ledger.
    pub fn name(self) -> &'static str {
        self.row().map_or("", |row| row.name)
    }

    /// Returns the operations that it applies to.
    pub fn operations(self) -> &'static [Operation] {
        self.row().map_or(&[], |row| row.operations)
    }

    /// Returns the HTTP status of the response.
    pub fn status(self) -> u16 {
        self.row().map_or(400, |row| row.status)
    }

    /// Returns the `canonicalCode` of the response.
    pub fn code(self) -> Option<&'static str> {
        self.row()?.code
    }

    /// Returns the text of the response. The value that the refusal is about is a placeholder, for example `{id}`.
    pub fn message(self) -> &'static str {
        self.row().map_or("", |row| row.message)
    }

    /// Returns the entries that follow the text, if the `message` of the response is a list. `None` if it is a string.
    pub fn more_messages(self) -> Option<&'static [&'static str]> {
        self.row()?.more_messages
    }

    /// Returns the text of the response for a value.
    pub(crate) fn message_about(self, value: &str) -> String {
        let message = self.message();
        let placeholder = ["{id}", "{channel}", "{version}"].into_iter().find(|each| message.contains(each));
        placeholder.map_or_else(|| message.to_owned(), |placeholder| message.replace(placeholder, value))
    }

    /// Returns a description of the refused requests.
    pub fn condition(self) -> &'static str {
        self.row().map_or("", |row| row.condition)
    }

    /// Returns the source, with the strength of the evidence.
    pub fn source(self) -> &'static str {
        self.row().map_or("", |row| row.source)
    }

    /// Returns the quirk that enables the refusal. `None` if it is enabled by default.
    pub fn quirk(self) -> Option<Quirk> {
        self.row()?.quirk
    }

    /// Returns the row, which exists for all refusals.
    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.refusal == self)
    }
}

impl Display for Refusal {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Refusal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::all().find(|refusal| refusal.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::all().map(Self::name).collect();
            format!("refusal `{text}` does not exist; choose one of {}", names.join(", "))
        })
    }
}

impl TryFrom<String> for Refusal {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Refusal> for &'static str {
    fn from(refusal: Refusal) -> Self {
        refusal.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_all_refusals() {
        let mut table = vec![
            "| refusal | operations | status | `canonicalCode` | `message` | refused requests | source |\n\
             |---|---|---|---|---|---|---|"
                .to_owned(),
        ];
        for row in TABLE {
            let Row { name, operations, status, code, has_own_text, condition, source, quirk, .. } = row;
            let more = row.more_messages.unwrap_or_default();
            let mut message = [&[row.message], more].concat().join("; ");
            if row.more_messages.is_some() {
                message += " (*a list*)";
            }
            let operations: Vec<String> = operations.iter().map(|each| format!("`{each}`")).collect();
            let operations = if operations.len() == Operation::ALL.len() {
                "all".to_owned()
            } else {
                operations.join(", ")
            };
            let code = code.map_or_else(|| "–".to_owned(), |code| format!("`{code}`"));
            let unknown = if *has_own_text { " (*text unknown*)" } else { "" };
            let source = source.replace('[', "\\[").replace(']', "\\]");
            let only = quirk.map(|quirk| format!("; only with the quirk `{quirk}`")).unwrap_or_default();
            table.push(format!(
                "| `{name}` | {operations} | {status} | {code} | {message}{unknown} | {condition} | {source}{only} |"
            ));
        }
        let table = table.join("\n") + "\n";
        assert_eq!(include_str!("refusals.md"), table, "src/fidelity/refusals.md must be:\n{table}");
    }

    #[test]
    fn names_are_distinct_and_parsed() {
        for refusal in Refusal::all() {
            assert_eq!(refusal.name().parse(), Ok(refusal));
            assert_eq!(serde_json::to_value(refusal).unwrap(), refusal.name());
        }
        assert!("none".parse::<Refusal>().unwrap_err().contains("no-content"));
    }

    #[test]
    fn weak_evidence_needs_a_quirk() {
        for row in TABLE {
            let is_weak = row.source.contains("[one]");
            assert!(!is_weak || row.quirk.is_some(), "{}", row.name);
        }
    }
}
