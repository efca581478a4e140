//! The stored form of tokens, and of an entry of a file store. All earlier formats stay readable.

use std::fs;
use std::time::{Duration, SystemTime};

use highlevel::SecretString;
use highlevel::auth::TokenSet;
use highlevel::auth::store::{FileStore, Precondition, TokenStore};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{key, put, scratch, tokens};

fn at(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
}

/// The entry of a file, written by hand.
fn entry() -> Value {
    json!({
        "format": 2,
        "client_id": "6650-app",
        "kind": "location",
        "id": "a",
        "version": 7,
        "tokens": {
            "format": 2,
            "access_token": "secret-access-seven",
            "refresh_token": "secret-refresh-seven",
            "obtained_at_unix_ms": 1_700_000_000_123_u64,
            "installed_at_unix_ms": 1_690_000_000_789_u64,
            "expires_at_unix_ms": 1_700_086_399_456_u64,
            "scopes": ["conversations/message.write", "contacts.readonly"],
            "company_id": "company",
            "location_id": "a",
            "user_id": "user",
        },
        "lease": { "holder": "ann", "until_unix_ms": 1_700_000_030_000_u64 },
    })
}

#[tokio::test]
async fn a_file_written_by_hand_is_read_and_continued() {
    for format in [1, 2, 3] {
        reads_and_continues(format).await;
    }
}

fn entry_of_format(format: u64) -> Value {
    let mut entry = entry();
    entry["format"] = format.into();
    entry["tokens"]["format"] = format.into();
    entry
}

/// An entry as the first format had it, which did not know when the app was installed.
fn entry_of_format_1() -> Value {
    let mut entry = entry_of_format(1);
    entry["tokens"].as_object_mut().expect("an object").remove("installed_at_unix_ms");
    entry
}

async fn reads_and_continues(format: u64) {
    let scratch = scratch();
    let (store, key) = (FileStore::open(scratch.path()).expect("a store"), key("a"));
    put(&store, &key, &tokens("a")).await;
    let (written, installed_at) = match format {
        1 => (entry_of_format_1(), 1_700_000_000_123),
        format => (entry_of_format(format), 1_690_000_000_789),
    };
    fs::write(store.path_of(&key), written.to_string()).expect("a file");

    let stored = store.get(&key).await.expect("get").expect("tokens");
    assert_eq!(store.get(&key).await.expect("get").expect("tokens").version, stored.version);
    let tokens = &stored.tokens;
    assert_eq!(tokens.access_token.expose_secret(), "secret-access-seven");
    assert_eq!(tokens.refresh_token.as_ref().expect("a token").expose_secret(), "secret-refresh-seven");
    assert_eq!((tokens.obtained_at, tokens.expires_at), (at(1_700_000_000_123), at(1_700_086_399_456)));
    assert_eq!(tokens.installed_at, at(installed_at), "format {format}");
    assert_eq!(tokens.scopes, ["conversations/message.write", "contacts.readonly"]);
    assert_eq!(tokens.company_id.as_ref().map(AsRef::as_ref), Some("company"));
    assert_eq!(tokens.location_id.as_ref().map(AsRef::as_ref), Some("a"));
    assert_eq!(tokens.user_id.as_ref().map(AsRef::as_ref), Some("user"));

    // The same entry is written again, in the current format and as another write.
    store.put(&key, tokens, Precondition::Version(stored.version)).await.expect("put");
    let mut written: Value =
        serde_json::from_slice(&fs::read(store.path_of(&key)).expect("a file")).expect("JSON");
    let mut wanted = entry_of_format(3);
    wanted["tokens"]["installed_at_unix_ms"] = installed_at.into();
    assert_ne!(written["version"], wanted["version"]);
    written["version"] = wanted["version"].clone();
    wanted.as_object_mut().expect("an object").remove("lease");
    assert_eq!(written, wanted);
}

/// Up to format 2, the file remained when the tokens were removed.
#[tokio::test]
async fn an_entry_without_tokens_of_an_earlier_format() {
    let scratch = scratch();
    let (store, key) = (FileStore::open(scratch.path()).expect("a store"), key("a"));
    let mut written = entry();
    written["tokens"] = Value::Null;
    fs::write(store.path_of(&key), written.to_string()).expect("a file");
    #[cfg(unix)]
    fs::set_permissions(store.path_of(&key), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("permissions");
    assert!(store.get(&key).await.expect("get").is_none());
    assert_eq!(store.resources(&key.client_id).await.expect("resources"), []);
    assert!(!store.remove(&key, Precondition::Anything).await.expect("remove"));
    put(&store, &key, &tokens("a")).await;
    assert_eq!(store.resources(&key.client_id).await.expect("resources"), [key.resource]);
}

/// A token must not seem to live longer than it does.
#[test]
fn times_are_rounded_down() {
    let before_epoch = SystemTime::UNIX_EPOCH - Duration::from_nanos(100);
    for (expires_at, stored) in [
        (at(5) + Duration::from_nanos(999_900), at(5)),
        (at(5), at(5)),
        (before_epoch, SystemTime::UNIX_EPOCH - Duration::from_millis(1)),
        // The last day of 9999 and the first of 1601 are as far as it goes.
        (at(u64::MAX / 4), at(253_402_300_799_999)),
        (
            SystemTime::UNIX_EPOCH - Duration::from_secs(11_644_473_600),
            SystemTime::UNIX_EPOCH - Duration::from_secs(11_644_473_600),
        ),
    ] {
        let mut tokens = tokens("a");
        tokens.expires_at = expires_at;
        let read = TokenSet::from_json(&tokens.to_json()).expect("tokens");
        assert_eq!(read.expires_at, stored);
    }
}

/// For a database: the same form as in the files.
#[test]
fn tokens_as_json() {
    let json = entry_of_format(3)["tokens"].clone();
    let tokens = TokenSet::from_json(&json.to_string().into()).expect("tokens");
    let written: Value = serde_json::from_str(tokens.to_json().expose_secret()).expect("JSON");
    assert_eq!(written, json);
    assert!(!format!("{:?}", tokens.to_json()).contains("secret-access"));

    let mut bare = tokens;
    (bare.refresh_token, bare.company_id, bare.location_id, bare.user_id) = (None, None, None, None);
    bare.scopes.clear();
    let read = TokenSet::from_json(&bare.to_json()).expect("tokens");
    assert!(read.refresh_token.is_none() && read.company_id.is_none() && read.location_id.is_none());
    assert!(read.user_id.is_none() && read.scopes.is_empty());
}

#[test]
fn fields_of_a_later_version_are_preserved() {
    let mut json = entry_of_format(3)["tokens"].clone();
    json["secret_remark"] = json!({ "of": ["a", 1, null], "at": 1.5 });
    let tokens = TokenSet::from_json(&json.to_string().into()).expect("tokens");
    assert!(!format!("{tokens:?}").contains("1.5"), "{tokens:?}");
    let written: Value = serde_json::from_str(tokens.to_json().expose_secret()).expect("JSON");
    assert_eq!(written, json);
}

#[test]
fn json_that_is_not_tokens() {
    let with = |field: &str, value: Value| {
        let mut json = entry()["tokens"].clone();
        json[field] = value;
        json.to_string()
    };
    let without = |field: &str| {
        let mut json = entry()["tokens"].clone();
        json.as_object_mut().expect("an object").remove(field);
        json.to_string()
    };
    for (json, text) in [
        (String::new(), "it ends too early (line 1, column 0)"),
        ("secret-access-seven".to_owned(), "it is not JSON (line 1, column 1)"),
        ("\"secret-access-seven\"".to_owned(), "a field is missing or of another type"),
        ("{}".to_owned(), "a field is missing or of another type"),
        (with("scopes", "secret-access-seven".into()), "a field is missing or of another type"),
        (with("expires_at_unix_ms", "secret-access-seven".into()), "a field is missing"),
        (with("expires_at_unix_ms", i64::MIN.into()), "the time -9223372036854775808 is out of range"),
        (without("access_token"), "a field is missing"),
        (without("scopes"), "a field is missing"),
        (without("format"), "a field is missing"),
        (without("installed_at_unix_ms"), "the field installed_at_unix_ms is missing"),
        (with("format", "1".into()), "a field is missing or of another type"),
        (with("format", 4.into()), "it has format 4, but this program supports formats up to 3"),
    ] {
        let error = TokenSet::from_json(&SecretString::from(json.clone())).expect_err(&json);
        assert!(error.to_string().contains(text), "{json}: {error}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{json}: {error:?}");
        assert_eq!(error.is_newer_format(), json.contains("\"format\":4"), "{json}");
    }
}
