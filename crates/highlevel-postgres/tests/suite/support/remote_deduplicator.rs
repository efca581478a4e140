//! A deduplicator whose operations are executed in another process.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use highlevel::webhook::{
    Claim, ClaimToken, CommitResult, Deduplicator, DeduplicatorError, DeduplicatorFuture, EventId,
};
use serde_json::{Value, json};

use super::remote::{self, Remote};

/// The deduplicator of a child process.
pub(crate) struct RemoteDeduplicator(Remote);

impl RemoteDeduplicator {
    /// Starts the process with the role `deduplicator`.
    pub(crate) fn start(role: &Value) -> Self {
        Self(Remote::start(role))
    }
}

fn token_to_json(token: ClaimToken) -> Value {
    token.as_u128().to_string().into()
}

fn token_from_json(json: &Value) -> ClaimToken {
    ClaimToken::from_u128(json.as_str().and_then(|text| text.parse().ok()).expect("a token"))
}

impl Deduplicator for RemoteDeduplicator {
    fn begin<'a>(&'a self, id: &'a EventId, _: SystemTime) -> DeduplicatorFuture<'a, Claim> {
        Box::pin(async move {
            let result = self.0.call(json!({ "what": "begin", "id": id.as_str() })).await?;
            Ok(match result.as_str() {
                Some("handled") => Claim::Handled,
                Some("in progress") => Claim::InProgress,
                _ => Claim::Granted(token_from_json(&result["token"])),
            })
        })
    }

    fn commit<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, CommitResult> {
        let request = json!({ "what": "commit", "id": id.as_str(), "token": token_to_json(token) });
        Box::pin(async move {
            let is_committed = self.0.call(request).await? == true;
            Ok(if is_committed { CommitResult::Committed } else { CommitResult::ClaimLost })
        })
    }

    fn abort<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, ()> {
        let request = json!({ "what": "abort", "id": id.as_str(), "token": token_to_json(token) });
        Box::pin(async move { Ok(self.0.call(request).await.map(drop)?) })
    }

    fn retain_at_least(&self, window: Duration) {
        self.0.notify(&json!({ "retain_s": window.as_secs() }));
    }
}

/// Executes the operations that arrive, until the end of standard input.
pub(super) async fn serve(deduplicator: impl Deduplicator + 'static) {
    let deduplicator = Arc::new(deduplicator);
    remote::serve(move |request| {
        if let Some(seconds) = request["retain_s"].as_u64() {
            deduplicator.retain_at_least(Duration::from_secs(seconds));
            return None;
        }
        let deduplicator = Arc::clone(&deduplicator);
        Some(Box::pin(
            async move { execute(&*deduplicator, &request).await.map_err(|error| error.to_string()) },
        ))
    })
    .await;
}

async fn execute(deduplicator: &impl Deduplicator, request: &Value) -> Result<Value, DeduplicatorError> {
    let id = EventId::from_text(request["id"].as_str().expect("an id"));
    let token = || token_from_json(&request["token"]);
    Ok(match request["what"].as_str() {
        Some("begin") => match deduplicator.begin(&id, SystemTime::now()).await? {
            Claim::Granted(token) => json!({ "token": token_to_json(token) }),
            Claim::Handled => "handled".into(),
            Claim::InProgress => "in progress".into(),
            other => return Err(format!("unexpected result {other:?}").into()),
        },
        Some("commit") => (deduplicator.commit(&id, token()).await? == CommitResult::Committed).into(),
        Some("abort") => {
            deduplicator.abort(&id, token()).await?;
            Value::Null
        }
        other => return Err(format!("unknown operation {other:?}").into()),
    })
}
