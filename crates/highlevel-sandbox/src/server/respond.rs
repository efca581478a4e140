//! The response to one request.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::{Body as _, Incoming};

use super::active_request::{Aborted, ActiveRequest, Held};
use super::interruption::{Interrupted, Interruption};
use super::router::route;
use crate::engine::Engine;
use crate::traffic::{Body, Connection, FREE_BYTES, InFlightBody, Phase};

/// Responds to a request. The body of the response counts as bytes in flight until it is sent.
pub(super) async fn respond(
    request: Request<Incoming>,
    engine: Arc<Engine>,
    connection: Arc<Connection>,
    interruption: Interruption,
) -> Result<Response<InFlightBody<Body>>, Interrupted> {
    if !connection.is_fresh() {
        // The client pipelines requests without reading responses. Yield, so that other clients are served in between.
        connection.enter(Phase::Client);
        tokio::task::yield_now().await;
    }
    let active_request = Arc::new(ActiveRequest::new(engine, Arc::clone(&connection), interruption));
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(Arc::clone(&active_request));
    let response = route(&active_request, request).await;
    if response.extensions().get::<Aborted>().is_some() {
        return Err(Interrupted);
    }
    let Held { reservation, permit } = active_request.take();
    let length = response.body().size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let reservation = match length {
        Some(length) if length > FREE_BYTES => Some(connection.reserve_response(reservation, length).await),
        _ => reservation,
    };
    // Only now: the next long operation may produce another large response.
    drop(permit);
    connection.enter(Phase::Client);
    Ok(response.map(|body| InFlightBody { body, reservation, connection }))
}
