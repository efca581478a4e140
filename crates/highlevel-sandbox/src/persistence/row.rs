//! Rows of a state file.

use serde_json::Value;

use crate::model::Record;

/// A row that was in the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredRow {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) json: Vec<u8>,
}

/// How much is read of a file that has more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadLimits {
    /// The kind of which the oldest rows are left out.
    pub(crate) kind: &'static str,
    /// How many rows of it are read, and how many bytes of JSON.
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

/// A row that is to be written, or, without content, deleted.
#[derive(Debug)]
pub(crate) struct RowChange {
    pub(super) kind: &'static str,
    pub(super) id: String,
    pub(super) content: Option<Content>,
    /// The row is a new one, though there was one with this id: it comes after all others.
    pub(super) is_new: bool,
}

/// What is written. It becomes text in the thread that writes.
#[derive(Debug)]
pub(super) enum Content {
    Record(Record),
    Json(Value),
}

impl RowChange {
    pub(crate) fn record(record: Record) -> Self {
        let (kind, id) = (record.kind().as_str(), record.id().to_owned());
        Self { kind, id, content: Some(Content::Record(record)), is_new: false }
    }

    pub(crate) fn json((kind, id): (&'static str, String), value: Option<Value>) -> Self {
        Self { kind, id, content: value.map(Content::Json), is_new: false }
    }

    pub(crate) fn delete(kind: &'static str, id: String) -> Self {
        Self { kind, id, content: None, is_new: false }
    }
}

impl Content {
    pub(super) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Record(record) => record.to_json(),
            Self::Json(value) => serde_json::to_vec(value),
        }
    }
}
