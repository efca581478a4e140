//! The routes of the admin API, whose requests are not recorded in the ledger.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Router};
use bytes::Bytes;

use super::active_request::{Aborted, ActiveRequest};
use super::reject::reject;
use crate::access::ADMIN_PREFIX as PREFIX;
use crate::admin;
use crate::api_error::ApiError;
use crate::routing::{self, Matched, PathParameters, Routes};
use crate::traffic::{Received, receive};

pub(super) fn router() -> Router {
    let handler = |routes: admin::Routes| {
        move |Extension(active_request): Extension<Arc<ActiveRequest>>,
              PathParameters(parameters): PathParameters,
              request: Request| {
            let matched = match parameters {
                Some(_) => Matched::of(&routes, request.method()),
                None => Matched::Unknown,
            };
            serve(matched, parameters.unwrap_or_default(), active_request, request)
        }
    };
    routing::router(admin::routes(), admin::addresses, handler)
        .route(&format!("{PREFIX}{{*path}}"), any(handler(Routes::default())))
}

async fn serve(
    matched: admin::Matched,
    parameters: Vec<String>,
    active_request: Arc<ActiveRequest>,
    request: Request,
) -> Result<Response, Aborted> {
    let engine = &active_request.engine;
    let (head, body) = request.into_parts();
    if let Err(error) = engine.access.check(&head.method, head.uri.path(), &head.headers) {
        return reject(engine, &head, body, error, &active_request).await;
    }
    let max_length = admin::max_body(&matched);
    let (received, reservation) =
        receive(body, max_length, engine.read_timeout, &active_request.connection).await?;
    active_request.hold_bytes(reservation);
    if !head.method.is_safe()
        && let Err(error) = engine.check_writable()
    {
        return Ok(admin::not_written(&error).into_response());
    }
    let before = engine.submitted();
    let is_long = admin::takes_long(&matched);
    let respond = |body: Bytes| {
        let engine = Arc::clone(engine);
        move || admin::respond(&engine, &matched, parameters, &head, &body)
    };
    let response = match received {
        Received::Whole(body) if is_long => {
            active_request.hold_permit(Arc::clone(&engine.long_work).acquire_owned().await?);
            tokio::task::spawn_blocking(respond(body)).await?
        }
        Received::Whole(body) => respond(body)(),
        Received::TooLarge(_) => admin::Output::from(ApiError::too_large(max_length)).into_response(),
        Received::TooSlow(_) | Received::Unread => admin::Output::from(ApiError::too_slow()).into_response(),
    };
    match engine.written_since(before).await {
        Ok(()) => Ok(response),
        Err(error) => Ok(admin::not_written(&error).into_response()),
    }
}
