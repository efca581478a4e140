//! The routes of the inspector, whose requests are not recorded in the ledger.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};

use super::active_request::{Aborted, ActiveRequest};
use crate::access::INSPECTOR_PATH as PATH;
use crate::admin;
use crate::api_error::ApiError;
use crate::inspector::{self, PageRequest};
use crate::routing::{self, Matched, PathParameters, Routes};
use crate::traffic::{MAX_BODY, Received, receive};

pub(super) fn router() -> Router {
    let handler = |routes: inspector::Routes| {
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
    routing::router(inspector::routes(), inspector::addresses, handler)
        .route(&format!("{PATH}/{{*path}}"), any(handler(Routes::default())))
}

async fn serve(
    matched: inspector::Matched,
    parameters: Vec<String>,
    active_request: Arc<ActiveRequest>,
    request: Request,
) -> Result<Response, Aborted> {
    let engine = &active_request.engine;
    let (head, body) = request.into_parts();
    let (received, reservation) =
        receive(body, MAX_BODY, engine.read_timeout, &active_request.connection).await?;
    // Also limits the memory of the parsed form, which is larger than the body.
    active_request.hold_bytes(reservation);
    let before = engine.submitted();
    let allowed = engine.access.check(&head.method, head.uri.path(), &head.headers);
    let allowed = allowed.and_then(|()| match &received {
        Received::Whole(_) => Ok(()),
        Received::TooLarge(_) => Err(ApiError::too_large(MAX_BODY)),
        Received::TooSlow(_) | Received::Unread => Err(ApiError::too_slow()),
    });
    let allowed = allowed.and_then(|()| match engine.check_writable() {
        Err(error) if !head.method.is_safe() => Err(admin::unwritable(&error)),
        _ => Ok(()),
    });
    let page_request = match PageRequest::new(&head, parameters, received).await {
        Ok(page_request) => page_request,
        // A request without access does not learn how the sandbox reads its form.
        Err(error) => {
            let error = allowed.err().unwrap_or(error);
            return Ok(inspector::refused(engine, &PageRequest::without_form(&head), error));
        }
    };
    let response = match allowed {
        // Pages may be large, so they are rendered as long operations.
        Ok(()) if head.method.is_safe() => {
            active_request.hold_permit(Arc::clone(&engine.long_work).acquire_owned().await?);
            let engine = Arc::clone(engine);
            tokio::task::spawn_blocking(move || inspector::respond(&engine, &matched, &page_request)).await?
        }
        Ok(()) => inspector::respond(engine, &matched, &page_request),
        Err(error) if inspector::is_needed_to_sign_in(&matched, &error) => {
            inspector::respond(engine, &matched, &page_request)
        }
        Err(error) => inspector::refused(engine, &page_request, error),
    };
    match engine.written_since(before).await {
        Ok(()) => Ok(response),
        Err(error) => {
            Ok(inspector::refused(engine, &PageRequest::without_form(&head), admin::unwritable(&error)))
        }
    }
}
