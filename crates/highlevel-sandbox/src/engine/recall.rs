//! Reading the rows of a state file.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, ErrorKind};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::credentials::KeptCredentials;
use crate::model::{Conflict, Kind, Model, Record};
use crate::persistence::{Store, StoredRow};

/// What a state file had in it.
#[derive(Debug, Default)]
pub(crate) struct Recalled {
    pub(crate) store: Option<Store>,
    pub(crate) records: Vec<Record>,
    pub(crate) credentials: KeptCredentials,
    /// The file has all credentials in one row, as it was before.
    pub(crate) is_former: bool,
    /// How many messages of the file were not read because there are too many.
    pub(crate) unread: usize,
    pub(crate) token: Option<String>,
    pub(crate) signing_key: Option<[u8; 32]>,
    /// What seeds have added to it, by name.
    pub(crate) seeded: BTreeSet<String>,
    /// Whether a sandbox has begun with it: there may be nothing left of what existed.
    pub(crate) begun: bool,
}

impl Recalled {
    /// The secret of an app, by its client id.
    pub(crate) fn client_secret(&self, client_id: &str) -> Option<&str> {
        self.credentials.client_secret(client_id)
    }

    pub(crate) fn take(&mut self, kept: StoredRow) -> Result<(), String> {
        let StoredRow { kind, id, json } = kept;
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
                self.signing_key = Some(bytes.try_into().map_err(|_| "a key has 32 bytes")?);
            }
            ("setting", "seeded") => self.seeded = serde_json::from_slice(json)?,
            _ if self.credentials.take(kind, id, json)? => self.is_former |= kind == "credentials",
            _ => return Err("this version of the sandbox does not know it".into()),
        }
        Ok(())
    }
}

/// A signing key as it is kept.
pub(crate) fn encoded(key: [u8; 32]) -> Value {
    STANDARD.encode(key).into()
}

/// What rows of a state file stand for: what exists, and the credentials.
///
/// # Errors
///
/// Returns an error if a row cannot be used.
pub(crate) fn recalled(rows: Vec<StoredRow>) -> io::Result<(Model, KeptCredentials)> {
    let invalid = |error: Box<dyn Error + Send + Sync>| io::Error::new(ErrorKind::InvalidData, error);
    let mut recalled = Recalled::default();
    for row in rows {
        recalled.take(row).map_err(|error| invalid(error.into()))?;
    }
    let model = model_of(recalled.records).map_err(|conflict| invalid(conflict.to_string().into()))?;
    Ok((model, recalled.credentials))
}

pub(crate) fn model_of(mut records: Vec<Record>) -> Result<Model, Conflict> {
    let mut model = Model::default();
    // A conversation may have been written before the contact that it is with was written again; what is named goes
    // first.
    records.sort_by_key(|record| Kind::ALL.iter().position(|kind| *kind == record.kind()));
    model.put(records)?;
    Ok(model)
}
