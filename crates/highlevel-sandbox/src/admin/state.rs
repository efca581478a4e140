//! Seeds, snapshots, reset, and private integration tokens.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::channel::Channel;
use serde::Deserialize;
use serde_json::json;

use super::response::{AdminBody, Output};
use super::route::{Input, Route};
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::engine::MutationError;
use crate::model::{Kind, Record};
use crate::oauth::TokenResource;
use crate::traffic::Body;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "snapshot", handler: |state, _| snapshot(state) },
    Route { method: Method::PUT, path: "snapshot", handler: restore },
    Route { method: Method::PUT, path: "seed", handler: seed },
    Route { method: Method::POST, path: "reset", handler: reset },
    Route { method: Method::POST, path: "tokens", handler: issue_token },
];

/// Streams a snapshot, as fast as the client reads.
fn snapshot(state: &Arc<Engine>) -> Result<Output, ApiError> {
    /// The approximate size of a chunk in bytes.
    const CHUNK: usize = 64 * 1024;
    let (model, credentials) = state.everything();
    let credentials = serde_json::to_string(&credentials).map_err(io::Error::other)?;
    // The records are shared, so changes need neither wait nor copy them.
    let records: Vec<Record> = model.records().collect();
    drop(model);
    let (mut sender, body) = Channel::<Bytes>::new(1);
    let state = Arc::clone(state);
    tokio::spawn(async move {
        let Ok(_slot) = state.snapshots.acquire().await else { return };
        let mut text = format!("{{\"credentials\":{credentials}");
        drop(credentials);
        let mut records = records.into_iter().peekable();
        for kind in Kind::ALL {
            // Writing to a string cannot fail.
            let _ = write!(text, ",\"{kind}s\":[");
            let mut is_first = true;
            while let Some(record) = records.next_if(|record| record.kind() == kind) {
                if !std::mem::replace(&mut is_first, false) {
                    text.push(',');
                }
                // Stored records are JSON, which is UTF-8.
                text.push_str(&String::from_utf8(record.to_json().unwrap_or_default()).unwrap_or_default());
                drop(record);
                if text.len() >= CHUNK && sender.send_data(std::mem::take(&mut text).into()).await.is_err() {
                    return;
                }
            }
            text.push(']');
        }
        text.push('}');
        // The client may have disconnected.
        let _ = sender.send_data(text.into()).await;
    });
    let media_type = "application/json; charset=utf-8";
    Ok(Output { status: StatusCode::OK, content: AdminBody::Other { media_type, body: Body::new(body) } })
}

fn restore(state: &Arc<Engine>, input: &Input<'_>) -> Result<Output, ApiError> {
    state.restore(input.snapshot()?)?;
    Ok(Output::no_content())
}

fn seed(state: &Arc<Engine>, input: &Input<'_>) -> Result<Output, ApiError> {
    state.seed(input.snapshot()?)?;
    Ok(Output::no_content())
}

fn reset(state: &Arc<Engine>, _input: &Input<'_>) -> Result<Output, ApiError> {
    state.reset()?;
    Ok(Output::no_content())
}

/// The token to create.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewToken {
    location_id: Option<String>,
    company_id: Option<String>,
    token: Option<String>,
}

fn issue_token(state: &Arc<Engine>, input: &Input<'_>) -> Result<Output, ApiError> {
    let NewToken { location_id, company_id, token } = input.json()?;
    let resource = TokenResource::of_private_integration(location_id, company_id)
        .map_err(|message| MutationError::Invalid(message.to_owned()))?;
    let token = state.issue_token(&resource, token)?;
    let body = match resource {
        TokenResource::Location(id) => json!({ "token": token, "locationId": id }),
        TokenResource::Company(id) => json!({ "token": token, "companyId": id }),
    };
    Ok(Output { status: StatusCode::CREATED, content: AdminBody::Json(body) })
}

impl From<MutationError> for ApiError {
    fn from(unchanged: MutationError) -> Self {
        let (status, message) = match unchanged {
            MutationError::Missing(message) => (StatusCode::NOT_FOUND, message),
            MutationError::Conflict(message) => (StatusCode::CONFLICT, message),
            MutationError::Invalid(message) => (StatusCode::BAD_REQUEST, message),
            MutationError::TooLarge(message) => (StatusCode::INSUFFICIENT_STORAGE, message),
        };
        Self { status, message }
    }
}
