//! What a sandbox begins with: what exists, and what a state file remembers.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::SandboxBuilder;
use crate::credentials::{Credentials, KeptCredentials};
use crate::store::{Kept, Store};
use crate::world::{self, Conflict, Kind, Record, Snapshot, World};

/// How many messages are kept unless it is said otherwise.
const KEPT_MESSAGES: usize = 100_000;

/// What was chosen about it.
#[derive(Clone, Debug)]
pub(super) struct Keeping {
    seeds: Vec<Snapshot>,
    state_file: Option<PathBuf>,
    pub(super) messages: usize,
}

impl Default for Keeping {
    fn default() -> Self {
        Self { seeds: Vec::new(), state_file: None, messages: KEPT_MESSAGES }
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
        self.keeping.seeds.push(seed);
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

    /// How many messages are kept, at least 1: the newest ones. The default is 100,000.
    pub fn keep_messages(mut self, messages: usize) -> Self {
        self.keeping.messages = messages.max(1);
        self
    }
}

/// What a state file had in it.
#[derive(Debug, Default)]
pub(super) struct Recalled {
    pub(super) store: Option<Store>,
    records: Vec<Record>,
    credentials: Option<KeptCredentials>,
    pub(super) token: Option<String>,
    pub(super) signing_key: Option<[u8; 32]>,
    /// What seeds have added to it, by name.
    seeded: BTreeSet<String>,
    /// Whether a sandbox has begun with it: there may be nothing left of what existed.
    begun: bool,
}

/// What a sandbox goes on from.
pub(super) struct Now {
    pub(super) world: World,
    /// Whether the state file has to be written anew.
    pub(super) rewrite: bool,
    /// What the seeds add to the state file.
    pub(super) added: Vec<Record>,
    /// What seeds have added to it until now, by name.
    pub(super) seeded: BTreeSet<String>,
}

impl Keeping {
    /// Reads the state file, if there is to be one.
    pub(super) fn recall(&self) -> io::Result<Recalled> {
        let Some(path) = &self.state_file else { return Ok(Recalled::default()) };
        let (store, kept) = Store::open(path)?;
        let mut recalled = Recalled { store: Some(store), begun: !kept.is_empty(), ..Recalled::default() };
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
    pub(super) fn beginning(&self, credentials: &mut Credentials) -> io::Result<World> {
        let mut world = World::try_from(world::seed()).map_err(|conflict| unusable_seed(&conflict))?;
        for seed in &self.seeds {
            world.put(seed.clone().into_records()).map_err(|conflict| unusable_seed(&conflict))?;
            credentials.add(seed.credentials.clone());
        }
        Ok(world)
    }

    /// What exists now: what the state file has, and of the seeds what they never added to it; without one, what exists
    /// at the beginning.
    pub(super) fn now(
        &self,
        beginning: &Snapshot,
        recalled: &mut Recalled,
        credentials: &mut Credentials,
    ) -> io::Result<Now> {
        let records = std::mem::take(&mut recalled.records);
        let mut world = if recalled.begun { of(&records) } else { World::try_from(beginning.clone()) }
            .map_err(|conflict| io::Error::new(ErrorKind::InvalidData, conflict))?;
        if let Some(kept) = recalled.credentials.take() {
            credentials.restore(kept);
        }
        let mut seeded = recalled.seeded.clone();
        let mut is_new = |name: String| {
            let is_new = !recalled.seeded.contains(&name);
            seeded.insert(name);
            is_new
        };
        let mut added = Vec::new();
        for seed in &self.seeds {
            credentials.add(seed.credentials.clone().only(&mut is_new));
            let records = seed.clone().into_records();
            let records: Vec<Record> = records
                .filter(|record| is_new(format!("{} {}", record.kind().as_str(), record.id())))
                .collect();
            world.put(records.iter().cloned()).map_err(|conflict| unusable_seed(&conflict))?;
            added.extend(records);
        }
        let forgotten = world.forget_messages(self.messages);
        Ok(Now { world, rewrite: !recalled.begun || !forgotten.is_empty(), added, seeded })
    }
}

impl Recalled {
    /// The secret of an app, by its client id.
    pub(super) fn client_secret(&self, client_id: &str) -> Option<&str> {
        self.credentials.as_ref()?.client_secret(client_id)
    }

    fn take(&mut self, kept: Kept) -> Result<(), String> {
        let Kept { kind, id, value } = kept;
        if let Some(kind) = Kind::ALL.into_iter().find(|each| each.as_str() == kind) {
            self.records.push(Record::from_value(kind, value).map_err(|error| error.to_string())?);
            return Ok(());
        }
        match (kind.as_str(), id.as_str(), value) {
            ("credentials", _, value) => {
                self.credentials = Some(serde_json::from_value(value).map_err(|error| error.to_string())?);
            }
            ("setting", "token", Value::String(token)) => self.token = Some(token),
            ("setting", "signingKey", Value::String(key)) => {
                let bytes = STANDARD.decode(key).map_err(|error| error.to_string())?;
                self.signing_key = Some(bytes.try_into().map_err(|_| "a key has 32 bytes")?);
            }
            ("setting", "seeded", value) => {
                self.seeded = serde_json::from_value(value).map_err(|error| error.to_string())?;
            }
            _ => return Err("this version of the sandbox does not know it".to_owned()),
        }
        Ok(())
    }
}

/// A signing key as it is kept.
pub(super) fn encoded(key: [u8; 32]) -> Value {
    STANDARD.encode(key).into()
}

fn of(records: &[Record]) -> Result<World, Conflict> {
    let mut world = World::default();
    // A conversation may have been written before the contact that it is with was written again; what is named goes
    // first.
    for kind in Kind::ALL {
        world.put(records.iter().filter(|record| record.kind() == kind).cloned())?;
    }
    Ok(world)
}

fn unusable_seed(conflict: &Conflict) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, format!("the seed cannot be used: {conflict}"))
}
