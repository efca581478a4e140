//! One entry of a file store: the name of its file and what is in it.

use std::borrow::Cow;
use std::fmt::Write;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Key, Resource, Row};
use crate::auth::store::json::{self, FORMAT, InvalidTokens, TokensForm};
use crate::auth::store::row::HeldLease;

/// An entry as it was read: the file says of what it is.
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) row: Row,
}

/// The name of the file of a key: `location.ve9epm428h8v.my-app.1f0c….json`.
///
/// People read the ids in it; what makes it unique is the digest. Ids come from outside and file systems differ in what
/// they allow, in how long a name may be, and in whether case matters: so the ids are cut and rewritten to `a-z0-9-_`,
/// and the first word keeps the name from being one that Windows reserves.
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

/// Whether a name is like those of the files of keys.
pub(super) fn is_file_name(name: &str) -> bool {
    client(name).is_some()
}

/// Whether a file may be of an app, by its name. Whether it is, the entry says.
pub(super) fn may_be_of_app(name: &str, client_id: &str) -> bool {
    client(name).is_some_and(|client| client == readable(client_id))
}

/// What the name of a file says of its app.
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryForm<'a> {
    format: u64,
    #[serde(borrow)]
    client_id: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    version: u64,
    #[serde(borrow)]
    tokens: Option<TokensForm<'a>>,
    #[serde(borrow)]
    lease: Option<LeaseForm<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaseForm<'a> {
    #[serde(borrow)]
    holder: Cow<'a, str>,
    until_unix_ms: i64,
}

pub(super) fn to_json(key: &Key, row: &Row) -> SecretString {
    let form = EntryForm {
        format: FORMAT,
        client_id: key.client_id.as_str().into(),
        kind: key.resource.kind().into(),
        id: key.resource.id().into(),
        version: row.version,
        tokens: row.tokens.as_ref().map(TokensForm::of),
        lease: row.lease.as_ref().map(|HeldLease { holder, until }| LeaseForm {
            holder: holder.as_str().into(),
            until_unix_ms: json::rounded_up(*until),
        }),
    };
    // Strings and numbers under fixed names: nothing that serialising could fail at.
    serde_json::to_string_pretty(&form).unwrap_or_default().into()
}

pub(super) fn from_json(bytes: &[u8]) -> Result<Entry, InvalidTokens> {
    let text = str::from_utf8(bytes).map_err(|_| InvalidTokens::new("it is not text"))?;
    let form: EntryForm<'_> = json::read(text)?;
    let resource = Resource::from_kind_and_id(&form.kind, form.id)
        .ok_or_else(|| InvalidTokens::new("it is of no kind of resource that is known"))?;
    let lease = form.lease.map(|LeaseForm { holder, until_unix_ms }| {
        Ok(HeldLease { holder: holder.into_owned(), until: json::time(until_unix_ms)? })
    });
    let row = Row {
        version: form.version,
        tokens: form.tokens.map(TokensForm::into_tokens).transpose()?,
        lease: lease.transpose()?,
    };
    Ok(Entry { key: Key::new(form.client_id, resource), row })
}
