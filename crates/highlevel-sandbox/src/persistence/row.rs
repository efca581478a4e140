//! Rows of a state file.

use serde_json::Value;

use crate::model::Record;

/// A row read from the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredRow {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) json: Vec<u8>,
}

/// Limits on the rows read from a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadLimits {
    /// The kind that is limited. Its oldest rows are skipped.
    pub(crate) kind: &'static str,
    /// The maximum number of rows of this kind.
    pub(crate) rows: usize,
    /// The maximum size of the JSON in these rows, in bytes.
    pub(crate) bytes: usize,
}

/// A row to write or, without content, to delete.
#[derive(Debug)]
pub(crate) struct RowChange {
    pub(super) kind: &'static str,
    pub(super) id: String,
    pub(super) content: Option<RowContent>,
    /// The row gets a new sequence number, even if there is one with this ID: it was deleted in between.
    pub(super) is_new: bool,
}

/// The content of a row. The writer thread serializes it.
#[derive(Debug)]
pub(super) enum RowContent {
    Record(Record),
    Json(Value),
}

impl RowChange {
    pub(crate) fn record(record: Record) -> Self {
        let (kind, id) = (record.kind().as_str(), record.id().to_owned());
        Self { kind, id, content: Some(RowContent::Record(record)), is_new: false }
    }

    pub(crate) fn json((kind, id): (&'static str, String), value: Option<Value>) -> Self {
        Self { kind, id, content: value.map(RowContent::Json), is_new: false }
    }

    pub(crate) fn delete(kind: &'static str, id: String) -> Self {
        Self { kind, id, content: None, is_new: false }
    }
}

impl RowContent {
    pub(super) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Record(record) => record.to_json(),
            Self::Json(value) => serde_json::to_vec(value),
        }
    }
}
