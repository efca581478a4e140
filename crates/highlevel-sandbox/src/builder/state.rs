//! What a sandbox begins with: what exists, and what a state file remembers.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::SandboxBuilder;
use crate::credentials::Credentials;
use crate::engine::{Recalled, model_of};
use crate::model::{Bounds, Conflict, Kind, Model, Record};
use crate::persistence::{ReadLimits, Store};
use crate::snapshot::{Snapshot, StoredSnapshot};

/// How many messages are kept by default, and how much memory they may take, in bytes.
const KEPT_MESSAGES: usize = 100_000;
const KEPT_MESSAGE_BYTES: usize = 128 * 1024 * 1024;

/// What was chosen about it.
#[derive(Clone, Debug)]
pub(super) struct Keeping {
    seeds: Vec<StoredSnapshot>,
    state_file: Option<PathBuf>,
    pub(super) bounds: Bounds,
}

impl Default for Keeping {
    fn default() -> Self {
        let bounds = Bounds { messages: KEPT_MESSAGES, message_bytes: KEPT_MESSAGE_BYTES };
        Self { seeds: Vec::new(), state_file: None, bounds }
    }
}

impl SandboxBuilder {
    /// Adds to what exists from the start, in place of what has the same ids. A [`state_file`](Self::state_file)
    /// remembers what was added: what became of that since, or that it was deleted, holds at the next start.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use highlevel_sandbox::{Sandbox, Snapshot};
    ///
    /// let seed = Snapshot::parse("contacts: [{id: grace, name: Grace, phone: '+15035550123'}]")?;
    /// let sandbox = Sandbox::builder().seed(seed).start().await?;
    /// assert_eq!(sandbox.contact("grace").and_then(|contact| contact.name), Some("Grace".to_owned()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn seed(mut self, seed: Snapshot) -> Self {
        self.keeping.seeds.push(seed.into_stored());
        self
    }

    /// Keeps what exists in a file, with all credentials and the key that signs webhooks, and goes on from there when a
    /// sandbox starts with the same file. What was answered with yes is on the disk by then, even if the process is
    /// killed. The default is to forget everything.
    ///
    /// The ledger, faults, the clock and the counts of the rate limits are not kept.
    pub fn state_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.keeping.state_file = Some(path.into());
        self
    }

    /// How many messages are kept, at least 1: the newest ones. Defaults to 100,000.
    pub fn keep_messages(mut self, messages: usize) -> Self {
        self.keeping.bounds.messages = messages.max(1);
        self
    }

    /// How much memory the messages that are kept may take, in bytes: the oldest are dropped first, and the newest one
    /// always stays. Defaults to 128 MiB.
    pub fn keep_bytes(mut self, bytes: usize) -> Self {
        self.keeping.bounds.message_bytes = bytes;
        self
    }
}

/// What a sandbox goes on from.
pub(super) struct Now {
    pub(super) model: Model,
    /// Whether the state file has to be written anew.
    pub(super) rewrite: bool,
    /// What the seeds add to the state file.
    pub(super) added: Vec<Record>,
    /// What seeds have added to it until now, by name.
    pub(super) seeded: BTreeSet<String>,
    /// How many messages were dropped because there are too many.
    pub(super) evicted: usize,
}

impl Keeping {
    /// Reads the state file, if there is to be one.
    pub(super) fn recall(&self) -> io::Result<Recalled> {
        let Some(path) = &self.state_file else { return Ok(Recalled::default()) };
        let limits = ReadLimits {
            kind: Kind::Message.as_str(),
            rows: self.bounds.messages,
            bytes: self.bounds.message_bytes,
        };
        let (store, kept, unread) = Store::open(path, limits)?;
        let mut recalled =
            Recalled { store: Some(store), begun: !kept.is_empty(), unread, ..Recalled::default() };
        for kept in kept {
            let name = format!("{} {}", kept.kind, kept.id);
            recalled.take(kept).map_err(|why| {
                let words = format!("{} has a {name} that cannot be used: {why}", path.display());
                io::Error::new(ErrorKind::InvalidData, words)
            })?;
        }
        Ok(recalled)
    }

    /// What exists at the very beginning.
    pub(super) fn beginning(&self, credentials: &mut Credentials) -> io::Result<Model> {
        let mut model =
            Model::try_from(crate::snapshot::seed()).map_err(|conflict| unusable_seed(&conflict))?;
        for seed in &self.seeds {
            model.put(seed.clone().into_records()).map_err(|conflict| unusable_seed(&conflict))?;
            credentials.add(seed.credentials.clone())?;
        }
        Ok(model)
    }

    /// What exists now: what the state file has, and of the seeds what they never added to it; without one, what exists
    /// at the beginning.
    pub(super) fn now(
        &self,
        beginning: &Model,
        recalled: &mut Recalled,
        credentials: &mut Credentials,
    ) -> io::Result<Now> {
        let records = std::mem::take(&mut recalled.records);
        let mut model = if recalled.begun {
            model_of(records).map_err(|conflict| io::Error::new(ErrorKind::InvalidData, conflict))?
        } else {
            beginning.clone()
        };
        if recalled.begun {
            credentials.restore(std::mem::take(&mut recalled.credentials))?;
        }
        let mut seeded = recalled.seeded.clone();
        let mut is_new = |name: String| {
            let is_new = !recalled.seeded.contains(&name);
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
        let evicted = recalled.unread + model.evict_messages(self.bounds).len();
        let rewrite = !recalled.begun || recalled.is_former || evicted > 0;
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
        let tokens = sandbox.give_tokens(&location, ["a"]).unwrap();
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
