//! A token store whose operations are executed in another process.

use std::sync::Arc;
use std::time::Duration;

use highlevel::SecretString;
use highlevel::auth::TokenSet;
use highlevel::auth::store::{
    Key, LeaseResult, Precondition, PutResult, Resource, StoreError, StoreFuture, StoredTokens, TokenStore,
    Version,
};
use serde_json::{Value, json};

use super::remote::{self, Remote};

/// The store of a child process.
pub(crate) struct RemoteStore(Remote);

impl RemoteStore {
    /// Starts the process with the role `store`.
    pub(crate) fn start(role: &Value) -> Self {
        Self(Remote::start(role))
    }

    async fn execute(&self, key: Option<&Key>, mut request: Value) -> Result<Value, StoreError> {
        if let Some(key) = key {
            request["key"] = json!([key.client_id, key.resource.kind(), key.resource.id()]);
        }
        Ok(self.0.call(request).await?)
    }
}

fn precondition_to_json(precondition: Precondition) -> Value {
    match precondition {
        Precondition::Anything => Value::Null,
        Precondition::Nothing => false.into(),
        Precondition::Version(version) => version.0.into(),
    }
}

fn precondition_from_json(json: &Value) -> Precondition {
    match json {
        Value::Null => Precondition::Anything,
        Value::Bool(_) => Precondition::Nothing,
        other => Precondition::Version(Version(other.as_u64().expect("a version"))),
    }
}

fn stored_to_json(stored: &StoredTokens) -> Value {
    json!([tokens_to_text(&stored.tokens), stored.version.0])
}

fn stored_from_json(json: &Value) -> Result<Option<StoredTokens>, StoreError> {
    let Some(version) = json[1].as_u64() else { return Ok(None) };
    Ok(Some(StoredTokens::new(tokens_from_text(&json[0])?, Version(version))))
}

fn tokens_to_text(tokens: &TokenSet) -> String {
    secrecy::ExposeSecret::expose_secret(&tokens.to_json()).to_owned()
}

fn tokens_from_text(json: &Value) -> Result<TokenSet, StoreError> {
    Ok(TokenSet::from_json(&SecretString::from(json.as_str().expect("text").to_owned()))?)
}

impl TokenStore for RemoteStore {
    fn get<'a>(&'a self, key: &'a Key) -> StoreFuture<'a, Option<StoredTokens>> {
        Box::pin(async move { stored_from_json(&self.execute(Some(key), json!({ "what": "get" })).await?) })
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        tokens: &'a TokenSet,
        precondition: Precondition,
    ) -> StoreFuture<'a, PutResult> {
        let tokens = tokens_to_text(tokens);
        let precondition = precondition_to_json(precondition);
        let request = json!({ "what": "put", "tokens": tokens, "precondition": precondition });
        Box::pin(async move {
            let result = self.execute(Some(key), request).await?;
            Ok(match result["stored"].as_u64() {
                Some(version) => PutResult::Stored(Version(version)),
                None => PutResult::Conflict(stored_from_json(&result["conflict"])?),
            })
        })
    }

    fn remove<'a>(&'a self, key: &'a Key, precondition: Precondition) -> StoreFuture<'a, bool> {
        let request = json!({ "what": "remove", "precondition": precondition_to_json(precondition) });
        Box::pin(async move { Ok(self.execute(Some(key), request).await? == true) })
    }

    fn resources<'a>(&'a self, client_id: &'a str) -> StoreFuture<'a, Vec<Resource>> {
        Box::pin(async move {
            let result = self.execute(None, json!({ "what": "resources", "client_id": client_id })).await?;
            let resources = result.as_array().expect("a list").iter();
            Ok(resources.map(|it| resource(&it[0], &it[1])).collect())
        })
    }

    fn lease<'a>(&'a self, key: &'a Key, holder: &'a str, length: Duration) -> StoreFuture<'a, LeaseResult> {
        let ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let request = json!({ "what": "lease", "holder": holder, "ms": ms });
        Box::pin(async move {
            let result = self.execute(Some(key), request).await?;
            Ok(match result.as_u64() {
                None => LeaseResult::Granted,
                Some(ms) => LeaseResult::Held { remaining: Duration::from_millis(ms) },
            })
        })
    }

    fn release<'a>(&'a self, key: &'a Key, holder: &'a str) -> StoreFuture<'a, ()> {
        let request = json!({ "what": "release", "holder": holder });
        Box::pin(async move { self.execute(Some(key), request).await.map(drop) })
    }
}

fn resource(kind: &Value, id: &Value) -> Resource {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    Resource::from_kind_and_id(&text(kind), text(id)).expect("a resource")
}

/// Executes the operations that arrive, until the end of standard input.
pub(super) async fn serve(store: impl TokenStore + 'static) {
    let store = Arc::new(store);
    remote::serve(move |request| {
        let store = Arc::clone(&store);
        Some(Box::pin(async move { execute(&*store, &request).await.map_err(|error| error.to_string()) }))
    })
    .await;
}

async fn execute(store: &impl TokenStore, request: &Value) -> Result<Value, StoreError> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if request["what"] == "resources" {
        let resources = store.resources(&text(&request["client_id"])).await?;
        return Ok(resources.iter().map(|resource| json!([resource.kind(), resource.id()])).collect());
    }
    let key = &request["key"];
    let key = Key::new(text(&key[0]), resource(&key[1], &key[2]));
    let precondition = precondition_from_json(&request["precondition"]);
    let holder = text(&request["holder"]);
    Ok(match text(&request["what"]).as_str() {
        "get" => store.get(&key).await?.as_ref().map_or(Value::Null, stored_to_json),
        "put" => match store.put(&key, &tokens_from_text(&request["tokens"])?, precondition).await? {
            PutResult::Stored(version) => json!({ "stored": version.0 }),
            PutResult::Conflict(stored) => json!({ "conflict": stored.as_ref().map(stored_to_json) }),
            other => return Err(format!("unexpected result {other:?}").into()),
        },
        "remove" => store.remove(&key, precondition).await?.into(),
        "lease" => {
            let length = Duration::from_millis(request["ms"].as_u64().expect("a time"));
            match store.lease(&key, &holder, length).await? {
                LeaseResult::Granted => Value::Null,
                LeaseResult::Held { remaining } => u64::try_from(remaining.as_millis())?.into(),
                other => return Err(format!("unexpected result {other:?}").into()),
            }
        }
        "release" => {
            store.release(&key, &holder).await?;
            Value::Null
        }
        other => return Err(format!("unknown operation {other}").into()),
    })
}
