//! For axum: a layer that receives, commits and aborts, and an extractor of the event.
//!
//! ```
//! use axum::Router;
//! use axum::routing::post;
//! use highlevel::webhook::axum::{Webhook, WebhookLayer};
//! use highlevel::webhook::{Event, Receiver};
//!
//! async fn handle(Webhook(event): Webhook<Event>) {
//!     println!("{}", event.name());
//! }
//!
//! # fn example() -> Router {
//! let receiver = Receiver::builder().app_id("665c6bb13d4e5364bdec0e2f").build();
//! Router::new().route("/webhook", post(handle).layer(WebhookLayer::new(receiver)))
//! # }
//! ```
//!
//! - An event that is rejected does not reach the handler: the response has [`WebhookError::status`] and
//!   [`WebhookErrorKind::public_message`], 200 for a duplicate. The text of the error is logged (`tracing`), not sent.
//! - If the handler responds with a 2xx, the event is committed, and redeliveries are duplicates. If the commit fails,
//!   the response is 429, and HighLevel redelivers the event.
//! - If the handler responds with anything else, panics or is cancelled, the claim is aborted and the response is 429,
//!   so that HighLevel redelivers the event. Body and headers of the handler's response are sent.
//!
//! Every request that passes the layer has to be a webhook. So put it around the handlers of the route, as above;
//! `Router::layer` would put it around all other paths as well. Put a timeout layer inside
//! this one (`post(handle).layer(timeout).layer(webhook)`), where its response is turned into 429.

use std::any::Any;
use std::convert::Infallible;
use std::error::Error;
use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, Request};
use axum_core::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::request::Parts;
use http_body_util::BodyExt;
use tower_layer::Layer;
use tower_service::Service;

use super::claim::panic_text;
use super::{Event, Receiver, Verified, WebhookError, WebhookErrorKind};

/// Extracts the verified event. Needs a [`WebhookLayer`] around the handler.
///
/// The layer commits: there is nothing to call.
#[derive(Debug, Clone)]
pub struct Webhook<T>(pub Arc<Verified<T>>);

impl<T> Deref for Webhook<T> {
    type Target = Verified<T>;

    fn deref(&self) -> &Verified<T> {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Webhook<Event> {
    type Rejection = (StatusCode, &'static str);

    /// Without the layer, responds with 429: HighLevel redelivers the event while the program is fixed.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            tracing::error!(
                "the event was not verified: put a `WebhookLayer` around the route of this handler"
            );
            (StatusCode::TOO_MANY_REQUESTS, WebhookErrorKind::Unavailable.public_message())
        })
    }
}

type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Receives the events for the handlers inside this layer.
#[derive(Clone)]
pub struct WebhookLayer {
    receiver: Receiver,
    clock: Clock,
}

impl WebhookLayer {
    /// Creates a layer that uses the system clock.
    pub fn new(receiver: Receiver) -> Self {
        Self::with_clock(receiver, SystemTime::now)
    }

    /// Creates a layer that uses another clock, for tests.
    pub fn with_clock(receiver: Receiver, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { receiver, clock: Arc::new(clock) }
    }
}

impl std::fmt::Debug for WebhookLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookLayer").field("receiver", &self.receiver).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for WebhookLayer {
    type Service = WebhookService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WebhookService { inner, layer: self.clone() }
    }
}

/// The service of a [`WebhookLayer`].
#[derive(Debug, Clone)]
pub struct WebhookService<S> {
    inner: S,
    layer: WebhookLayer,
}

impl<S> Service<Request> for WebhookService<S>
where
    S: Service<Request, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The service that is ready is moved into the future; its clone has to become ready for the next request.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();
        Box::pin(async move {
            let mut response = pin!(respond(inner, &layer, request));
            // The clock is code of the caller, as is the handler.
            let result =
                poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| response.as_mut().poll(context))) {
                    Ok(poll) => poll.map(Ok),
                    Err(panic) => Poll::Ready(Err(panic)),
                });
            Ok(result.await.unwrap_or_else(|panic| panicked(panic.as_ref())))
        })
    }
}

async fn respond<S>(mut inner: S, layer: &WebhookLayer, request: Request) -> Response
where
    S: Service<Request, Error = Infallible>,
    S::Response: IntoResponse,
{
    let (mut parts, body) = request.into_parts();
    let body = match read(body, layer.receiver.body_limit()).await {
        Ok(body) => body,
        Err(error) => return reject(&error),
    };
    let received = match layer.receiver.receive(&parts.headers, body.clone(), (layer.clock)()).await {
        Ok(received) => received,
        Err(error) => return reject(&error),
    };
    let (verified, claim) = received.into_parts();
    parts.extensions.insert(Webhook(Arc::new(verified)));
    let request = Request::from_parts(parts, Body::from(body));

    let mut response = match inner.call(request).await {
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    };
    if response.status().is_success() {
        return match claim.commit().await {
            Ok(()) => response,
            Err(error) => {
                tracing::error!(
                    kind = ?error.kind(),
                    %error,
                    cause = error.source(),
                    "a webhook was handled, but not committed; responding with 429"
                );
                error.into_response()
            }
        };
    }
    tracing::warn!(
        status = response.status().as_u16(),
        "the handler of a webhook failed; responding with 429"
    );
    // Before the response, so that a redelivery does not find the event in progress.
    claim.abort().await;
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response
}

/// Reads the body, up to the limit, into one piece of memory, however small its frames are.
async fn read<B>(mut body: B, limit: usize) -> Result<Bytes, WebhookError>
where
    B: BodyExt<Data = Bytes, Error: Display> + Unpin,
{
    let too_large =
        || WebhookError::new(WebhookErrorKind::TooLarge, format!("body exceeds the limit of {limit} bytes"));
    if usize::try_from(body.size_hint().lower()).map_or(true, |announced| announced > limit) {
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            WebhookError::new(
                WebhookErrorKind::Unavailable,
                format!("the body could not be read to its end: {error}"),
            )
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limit - bytes.len() {
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

fn reject(error: &WebhookError) -> Response {
    let (kind, cause) = (error.kind(), error.source());
    match kind {
        WebhookErrorKind::Duplicate | WebhookErrorKind::InProgress => {
            tracing::debug!(?kind, %error, "a webhook was rejected");
        }
        _ => tracing::warn!(?kind, %error, cause, "a webhook was rejected"),
    }
    error.into_response()
}

impl IntoResponse for &WebhookError {
    /// Responds with the status and the public message. The text of the error is for the log.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
        (status, self.kind().public_message()).into_response()
    }
}

impl IntoResponse for WebhookError {
    fn into_response(self) -> Response {
        (&self).into_response()
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    tracing::error!(
        panic = panic_text(panic),
        "the handler of a webhook or the clock of its layer panicked; responding with 429"
    );
    (StatusCode::TOO_MANY_REQUESTS, WebhookErrorKind::Unavailable.public_message()).into_response()
}
