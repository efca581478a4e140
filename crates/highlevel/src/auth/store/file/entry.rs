//! An entry of a file store: the name and the contents of its file.

use std::borrow::Cow;
use std::fmt::Write;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::auth::TokenSet;
use crate::auth::store::json::{self, FORMAT, InvalidTokens, TokensForm};
use crate::auth::store::{Key, Resource, StoredTokens, Version};

/// An entry that was read. Its file contains the key.
pub(super) struct TokenFile {
    pub(super) key: Key,
    pub(super) stored: Option<StoredTokens>,
}

/// Returns the name of the file of a key: `location.ve9epm428h8v.my-app.1f0c….json`.
///
/// The ids in it are for people; the digest makes it unique. Ids are external input, and file systems differ in the
/// characters, the length and the case that they support. So the ids are shortened and rewritten to `a-z0-9-_`, and the
/// kind comes first, so that the name is none that Windows reserves.
pub(super) fn file_name(key: &Key) -> String {
    let Key { client_id, resource } = key;
    let mut digest = Sha256::new();
    for part in [client_id.as_str(), resource.kind(), resource.id()] {
        // With its length, so that no two lists of parts are the same bytes.
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let mut name = format!("{}.{}.{}.", resource.kind(), readable(resource.id()), readable(client_id));
    for byte in &digest.finalize()[..16] {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name + ".json"
}

/// Returns `true` if a name has the form of an entry's file.
pub(super) fn is_file_name(name: &str) -> bool {
    client(name).is_some()
}

/// Returns `true` if the name of a file may be of an app. The entry in it decides.
pub(super) fn may_be_of_app(name: &str, client_id: &str) -> bool {
    client(name).is_some_and(|client| client == readable(client_id))
}

/// Returns the readable part of the client id in the name of a file.
fn client(name: &str) -> Option<&str> {
    match name.split('.').collect::<Vec<_>>()[..] {
        ["location" | "company", _, client, _, "json"] => Some(client),
        _ => None,
    }
}

fn readable(id: &str) -> String {
    let plain = |character: char| match character {
        'a'..='z' | '0'..='9' | '-' => character,
        'A'..='Z' => character.to_ascii_lowercase(),
        _ => '_',
    };
    id.chars().take(40).map(plain).collect()
}

/// The JSON of an entry. Earlier formats had a lease in it as well, and no tokens after they were removed.
#[derive(Serialize, Deserialize)]
struct EntryForm<'a> {
    format: u64,
    #[serde(borrow)]
    client_id: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    /// A random number for each write. The version of the tokens is a digest of it and of them.
    version: u64,
    #[serde(borrow)]
    tokens: Option<TokensForm<'a>>,
}

pub(super) fn to_json(key: &Key, nonce: u64, tokens: &TokenSet) -> SecretString {
    let form = EntryForm {
        format: FORMAT,
        client_id: key.client_id.as_str().into(),
        kind: key.resource.kind().into(),
        id: key.resource.id().into(),
        version: nonce,
        tokens: Some(TokensForm::of(tokens)),
    };
    // Strings, numbers and parsed JSON: serialising them cannot fail.
    serde_json::to_string_pretty(&form).unwrap_or_default().into()
}

pub(super) fn from_json(bytes: &[u8]) -> Result<TokenFile, InvalidTokens> {
    let text = str::from_utf8(bytes).map_err(|_| InvalidTokens::new("it is not UTF-8"))?;
    let form: EntryForm<'_> = json::read(text)?;
    let resource = Resource::from_kind_and_id(&form.kind, form.id)
        .ok_or_else(|| InvalidTokens::new("the kind of resource is unknown"))?;
    let tokens = form.tokens.map(TokensForm::into_tokens).transpose()?;
    let stored = tokens.map(|tokens| {
        let version = version(form.version, &tokens);
        StoredTokens::new(tokens, version)
    });
    Ok(TokenFile { key: Key::new(form.client_id, resource), stored })
}

/// Returns the version of tokens: a digest of the number of the write and of the tokens.
///
/// The number distinguishes writes of the same tokens. With the tokens in it, a file that was edited, replaced or restored
/// from a backup has the version that a process read before only if it has the same tokens.
pub(super) fn version(nonce: u64, tokens: &TokenSet) -> Version {
    let digest = Sha256::new()
        .chain_update(nonce.to_be_bytes())
        .chain_update(tokens.to_json().expose_secret())
        .finalize();
    let first = digest.first_chunk().copied().unwrap_or_default();
    Version(u64::from_be_bytes(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(access_token: &str) -> TokenSet {
        let json = format!(
            r#"{{"format":1,"access_token":"{access_token}","obtained_at_unix_ms":1,"expires_at_unix_ms":2,"scopes":[]}}"#
        );
        TokenSet::from_json(&json.into()).expect("tokens")
    }

    #[test]
    fn versions_depend_on_the_write_and_on_the_tokens() {
        let (a, b) = (tokens("a"), tokens("b"));
        assert_eq!(version(7, &a), version(7, &a));
        assert_ne!(version(7, &a), version(8, &a));
        assert_ne!(version(7, &a), version(7, &b));
    }
}
