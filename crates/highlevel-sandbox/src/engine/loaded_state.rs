//! Loading the rows of a state file.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, ErrorKind};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::credentials::StoredCredentials;
use crate::model::{Conflict, Kind, Model, Record};
use crate::persistence::{Store, StoredRow};

/// The content of a state file.
#[derive(Debug, Default)]
pub(crate) struct LoadedState {
    pub(crate) store: Option<Store>,
    pub(crate) records: Vec<Record>,
    pub(crate) credentials: StoredCredentials,
    /// All credentials are in one row, as in the former format.
    pub(crate) has_former_format: bool,
    /// The number of messages that were not read because they exceed the limits.
    pub(crate) unread: usize,
    pub(crate) token: Option<String>,
    pub(crate) signing_key: Option<[u8; 32]>,
    /// The names of the seeds that were applied to it.
    pub(crate) seeded: BTreeSet<String>,
    /// A sandbox has written the file before, even if all records have been deleted since.
    pub(crate) is_initialized: bool,
}

impl LoadedState {
    /// Returns the client secret of an app.
    pub(crate) fn client_secret(&self, client_id: &str) -> Option<&str> {
        self.credentials.client_secret(client_id)
    }

    /// Adds the content of a row.
    pub(crate) fn take(&mut self, row: StoredRow) -> Result<(), String> {
        let StoredRow { kind, id, json } = row;
        self.read(&kind, &id, &json).map_err(|error| error.to_string())
    }

    fn read(&mut self, kind: &str, id: &str, json: &[u8]) -> Result<(), Box<dyn Error>> {
        if let Some(kind) = Kind::ALL.into_iter().find(|each| each.as_str() == kind) {
            self.records.push(Record::from_json(kind, json)?);
            return Ok(());
        }
        match (kind, id) {
            ("setting", "token") => self.token = Some(serde_json::from_slice(json)?),
            ("setting", "signingKey") => {
                let bytes = STANDARD.decode(serde_json::from_slice::<String>(json)?)?;
                self.signing_key =
                    Some(bytes.try_into().map_err(|_| "the signing key does not have 32 bytes")?);
            }
            ("setting", "seeded") => self.seeded = serde_json::from_slice(json)?,
            _ if self.credentials.take(kind, id, json)? => self.has_former_format |= kind == "credentials",
            _ => return Err("this version of the sandbox does not support this row".into()),
        }
        Ok(())
    }
}

/// Returns a signing key as stored in the state file.
pub(crate) fn encoded(key: [u8; 32]) -> Value {
    STANDARD.encode(key).into()
}

/// Returns the model and the credentials stored in the rows of a state file.
///
/// # Errors
///
/// Returns an error if a row is malformed or conflicts with another one.
pub(crate) fn load_rows(rows: Vec<StoredRow>) -> io::Result<(Model, StoredCredentials)> {
    let invalid = |error: Box<dyn Error + Send + Sync>| io::Error::new(ErrorKind::InvalidData, error);
    let mut loaded = LoadedState::default();
    for row in rows {
        loaded.take(row).map_err(|error| invalid(error.into()))?;
    }
    let model = model_of(loaded.records).map_err(|conflict| invalid(conflict.to_string().into()))?;
    Ok((model, loaded.credentials))
}

/// Returns a model of records in any order.
pub(crate) fn model_of(mut records: Vec<Record>) -> Result<Model, Conflict> {
    let mut model = Model::default();
    // A contact that was deleted and added again has a later row than its conversation. Referenced kinds are added
    // first.
    records.sort_by_key(|record| Kind::ALL.iter().position(|kind| *kind == record.kind()));
    model.put(records)?;
    Ok(model)
}
