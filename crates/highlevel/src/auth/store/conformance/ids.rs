//! Ids are external input: a store must not confuse two of them, or interpret one, for example as a path.

use std::time::Duration;

use super::context::Context;
use super::samples::tokens;
use crate::auth::store::{Key, Precondition, Resource};
use crate::conformance::CheckResult;

/// Distinct ids that stores are known to confuse.
fn difficult_ids() -> Vec<String> {
    let plain = [
        "",
        " ",
        "a",
        "A",
        "a ",
        " a",
        "ve9EPM428h8vShlRW1KT",
        "VE9EPM428h8vShlRW1KT",
        ".",
        "..",
        "../a",
        "a/b",
        "a\\b",
        "/etc/passwd",
        "a.b",
        "a:b",
        "a.json",
        "CON",
        "nul",
        "*",
        "%",
        "_",
        "a%",
        "a_",
        "%2F",
        "a'b",
        "a\"b",
        "a;b--",
        "a\nb",
        "a\tb",
        "{}",
        "null",
        "0",
        "00",
        "Zürich",
        "Zu\u{308}rich",
        "straße",
        "strasse",
        "İ",
        "i",
        "東京",
        "🏨",
        "\u{202e}a",
        "\u{feff}a",
    ];
    let long = [("x", "1"), ("x", "2"), ("é", "1"), ("é", "2")];
    let long = long.map(|(filling, end)| filling.repeat(499) + end);
    plain.into_iter().map(str::to_owned).chain(long).collect()
}

pub(super) async fn resources(context: &Context) -> CheckResult {
    let keys =
        difficult_ids().into_iter().flat_map(|id| [context.key(&id), context.company_key(&id)]).collect();
    apart(context, keys).await
}

pub(super) async fn apps(context: &Context) -> CheckResult {
    let resource = Resource::Location("a".to_owned().into());
    apart(context, difficult_ids().into_iter().map(|id| Key::new(id, resource.clone())).collect()).await
}

/// Checks that the tokens and leases of the keys are independent.
async fn apart(context: &Context, keys: Vec<Key>) -> CheckResult {
    let store = context.store();
    let mut stored = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let tokens = tokens(&index.to_string());
        let version = store.store(key, &tokens, Precondition::Nothing).await?;
        let holder = format!("holder-{index}");
        store.granted(key, &holder, Duration::from_secs(30), "there is no lease of this key").await?;
        stored.push((tokens, version));
    }
    for (key, (tokens, version)) in keys.iter().zip(&stored) {
        store.has(key, Some((tokens, *version))).await?;
    }
    let mut client_ids: Vec<_> = keys.iter().map(|key| key.client_id.as_str()).collect();
    client_ids.dedup();
    for client_id in client_ids {
        let of_app = keys.iter().filter(|key| key.client_id == client_id);
        store.has_resources(client_id, of_app.map(|key| key.resource.clone()).collect()).await?;
    }
    for key in &keys {
        store.removes(key, Precondition::Anything, true).await?;
    }
    Ok(())
}
