//! The token stores of the crate, and the conformance checks.

#[cfg(feature = "testing")]
mod broken;
#[cfg(feature = "testing")]
mod conformance;
mod damage;
mod file;
mod file_locks;
mod file_versions;
mod format;
mod load;
mod names;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use highlevel::SecretString;
use highlevel::auth::TokenSet;
use highlevel::auth::store::{Key, Precondition, PutResult, Resource, StoredTokens, TokenStore, Version};
use secrecy::ExposeSecret;

/// A directory for one test, which does not exist yet; it is removed afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("store-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    /// The names of the files in it.
    fn names(&self) -> Vec<String> {
        let files = fs::read_dir(&self.0).expect("a directory");
        let mut names: Vec<_> =
            files.map(|file| file.expect("a file").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns tokens that were read from JSON.
fn tokens(name: &str) -> TokenSet {
    let json = format!(
        r#"{{"format":1,"access_token":"secret-access-{name}","refresh_token":"secret-refresh-{name}",
            "obtained_at_unix_ms":1700000000123,"expires_at_unix_ms":1700086399456,
            "scopes":["conversations/message.write"],"location_id":"ve9EPM428h8vShlRW1KT"}}"#
    );
    TokenSet::from_json(&SecretString::from(json)).expect("tokens")
}

fn key(location: &str) -> Key {
    Key::new("6650-app", Resource::Location(location.to_owned().into()))
}

/// Stores tokens, which must succeed.
async fn put(store: &impl TokenStore, key: &Key, tokens: &TokenSet) -> Version {
    match store.put(key, tokens, Precondition::Anything).await.expect("put") {
        PutResult::Stored(version) => version,
        conflict => panic!("{conflict:?}"),
    }
}

/// The name of a stored access token.
fn name(stored: &StoredTokens) -> &str {
    stored.tokens.access_token.expose_secret().strip_prefix("secret-access-").expect("a token of these tests")
}
