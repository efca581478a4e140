//! The initial state: objects from seeds and the state file.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use crate::credentials::Credentials;
use crate::engine::{LoadedState, model_of};
use crate::model::{Bounds, Conflict, Kind, Model, Record};
use crate::persistence::{ReadLimits, Store};
use crate::snapshot::StoredSnapshot;

/// The default limits for messages: their number, and their memory in bytes.
const MAX_MESSAGES: usize = 100_000;
const MAX_MESSAGE_BYTES: usize = 128 * 1024 * 1024;

/// The configuration of the initial state.
#[derive(Clone, Debug)]
pub(super) struct StateOptions {
    pub(super) seeds: Vec<StoredSnapshot>,
    pub(super) state_file: Option<PathBuf>,
    pub(super) bounds: Bounds,
}

impl Default for StateOptions {
    fn default() -> Self {
        let bounds = Bounds { messages: MAX_MESSAGES, message_bytes: MAX_MESSAGE_BYTES };
        Self { seeds: Vec::new(), state_file: None, bounds }
    }
}

/// The state with which the sandbox starts.
pub(super) struct Now {
    pub(super) model: Model,
    /// `true` if the state file must be rewritten.
    pub(super) rewrite: bool,
    /// The objects that the seeds add to the state file.
    pub(super) added: Vec<Record>,
    /// The names of all objects that seeds have added so far.
    pub(super) seeded: BTreeSet<String>,
    /// The number of messages that were evicted because of the limits.
    pub(super) evicted: usize,
}

impl StateOptions {
    /// Reads the state file, if one is configured.
    pub(super) fn load(&self) -> io::Result<LoadedState> {
        let Some(path) = &self.state_file else { return Ok(LoadedState::default()) };
        let limits = ReadLimits {
            kind: Kind::Message.as_str(),
            rows: self.bounds.messages,
            bytes: self.bounds.message_bytes,
        };
        let (store, kept, unread) = Store::open(path, limits)?;
        let mut loaded = LoadedState {
            store: Some(store),
            is_initialized: !kept.is_empty(),
            unread,
            ..LoadedState::default()
        };
        for kept in kept {
            let name = format!("{} {}", kept.kind, kept.id);
            loaded.take(kept).map_err(|why| {
                let words = format!("{} has a {name} that cannot be used: {why}", path.display());
                io::Error::new(ErrorKind::InvalidData, words)
            })?;
        }
        Ok(loaded)
    }

    /// Returns the initial objects.
    pub(super) fn beginning(&self, credentials: &mut Credentials) -> io::Result<Model> {
        let mut model =
            Model::try_from(crate::snapshot::seed()).map_err(|conflict| unusable_seed(&conflict))?;
        for seed in &self.seeds {
            model.put(seed.clone().into_records()).map_err(|conflict| unusable_seed(&conflict))?;
            credentials.add(seed.credentials.clone())?;
        }
        Ok(model)
    }

    /// Returns the current objects: those of the state file and those that the seeds have never added to it. Without a
    /// state file, the initial objects.
    pub(super) fn now(
        &self,
        beginning: &Model,
        loaded: &mut LoadedState,
        credentials: &mut Credentials,
    ) -> io::Result<Now> {
        let records = std::mem::take(&mut loaded.records);
        let mut model = if loaded.is_initialized {
            model_of(records).map_err(|conflict| io::Error::new(ErrorKind::InvalidData, conflict))?
        } else {
            beginning.clone()
        };
        if loaded.is_initialized {
            credentials.restore(std::mem::take(&mut loaded.credentials))?;
        }
        let mut seeded = loaded.seeded.clone();
        let mut is_new = |name: String| {
            let is_new = !loaded.seeded.contains(&name);
            seeded.insert(name);
            is_new
        };
        let mut added = Vec::new();
        for seed in &self.seeds {
            credentials.add(seed.credentials.clone().only(&mut is_new))?;
            let records = seed.clone().into_records();
            let records: Vec<Record> = records
                .filter(|record| is_new(format!("{} {}", record.kind().as_str(), record.id())))
                .collect();
            model.put(records.iter().cloned()).map_err(|conflict| unusable_seed(&conflict))?;
            added.extend(records);
        }
        let evicted = loaded.unread + model.evict_messages(self.bounds).len();
        // A seed may have added files.
        let evicted_files = model.evict_files().len();
        let rewrite = !loaded.is_initialized || loaded.has_former_format || evicted + evicted_files > 0;
        Ok(Now { model, rewrite, added, seeded, evicted })
    }
}

fn unusable_seed(conflict: &Conflict) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, format!("the seed cannot be used: {conflict}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::Sandbox;
    use crate::model::Kind;
    use crate::oauth::TokenResource;
    use crate::persistence::{ReadLimits, RowChange, Store};

    fn open(path: &std::path::Path) -> (Store, Vec<crate::persistence::StoredRow>) {
        let limits = ReadLimits { kind: "message", rows: usize::MAX, bytes: usize::MAX };
        let (store, kept, _) = Store::open(path, limits).unwrap();
        (store, kept)
    }

    #[tokio::test]
    async fn a_file_with_all_credentials_in_one_row_is_read_and_rewritten() {
        let path = std::env::temp_dir().join(format!("highlevel-sandbox-former-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let builder = || Sandbox::builder().state_file(&path);
        let sandbox = builder().start().await.unwrap();
        let location = TokenResource::location(sandbox.location_id());
        let tokens = sandbox.issue_tokens(&location, ["a"]).unwrap();
        let (token, before) = (tokens["access_token"].as_str().unwrap().to_owned(), sandbox.snapshot());
        sandbox.stop().await;

        let (store, kept) = open(&path);
        let kinds = Kind::ALL.map(Kind::as_str).into_iter().chain(["setting"]);
        let mut rows: Vec<RowChange> = Vec::new();
        for kind in kinds {
            let of_kind = kept.iter().filter(|row| row.kind == kind);
            rows.extend(of_kind.map(|row| {
                RowChange::json((kind, row.id.clone()), Some(serde_json::from_slice(&row.json).unwrap()))
            }));
        }
        rows.push(RowChange::json(("credentials", String::new()), Some(json!(before.credentials))));
        store.replace(rows);
        store.close();

        let sandbox = builder().start().await.unwrap();
        assert!(sandbox.snapshot() == before, "something was lost");
        assert!(sandbox.expire_token(&token));
        sandbox.stop().await;
        let (_store, kept) = open(&path);
        let count = |kind: &str| kept.iter().filter(|row| row.kind == kind).count();
        assert_eq!(["credentials", "access-token", "refresh-token"].map(count), [0, 1, 1]);
        std::fs::remove_file(&path).unwrap();
    }
}
