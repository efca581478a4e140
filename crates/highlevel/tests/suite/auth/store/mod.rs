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

use highlevel::SecretString;
use highlevel::auth::TokenSet;
use highlevel::auth::store::{Key, Precondition, PutResult, Resource, StoredTokens, TokenStore, Version};
use highlevel_test_support::Directory;
use secrecy::ExposeSecret;

/// Returns a directory for one test, which does not exist yet.
fn scratch() -> Directory {
    Directory::absent(env!("CARGO_TARGET_TMPDIR"), "store")
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
