//! For axum: a layer that receives, commits and aborts, and an extractor for the event.
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
//! Router::new().route("/webhook", post(handle)).layer(WebhookLayer::new(receiver))
//! # }
//! ```
//!
//! - What is not verified does not reach the handler: it is answered with [`WebhookError::status`] and the text of the
//!   error; a duplicate with 200.
//! - When the handler answers with a 2xx, the event is committed: it is a duplicate from then on.
//! - When it answers anything else, panics or is cancelled, the event is taken again when it is delivered again, and the
//!   answer is 429, so that HighLevel does so. The handler's body and headers are kept.
//!
//! Put the layer on the webhook route only: every request that passes it has to be a webhook.

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, Request};
use axum_core::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower_layer::Layer;
use tower_service::Service;

use super::{Event, Receiver, Verified, WebhookError, WebhookErrorKind};

/// The verified event, in the arguments of a handler. Needs a [`WebhookLayer`] around the handler.
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

    /// Without the layer it is 429: the event is not lost while the program is mended.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or((
            StatusCode::TOO_MANY_REQUESTS,
            "the event was not verified: put a `WebhookLayer` around the route of this handler",
        ))
    }
}

type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Receives the events for the handlers that it is put around.
#[derive(Clone)]
pub struct WebhookLayer {
    receiver: Receiver,
    clock: Clock,
}

impl WebhookLayer {
    /// A layer by the clock of the system.
    pub fn new(receiver: Receiver) -> Self {
        Self::with_clock(receiver, SystemTime::now)
    }

    /// A layer by another clock, for tests.
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

/// What a [`WebhookLayer`] makes of a handler.
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
        // The one that is ready goes into the future, its clone waits for the next request.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();
        Box::pin(async move { Ok(answer(inner, &layer, request).await) })
    }
}

async fn answer<S>(mut inner: S, layer: &WebhookLayer, request: Request) -> Response
where
    S: Service<Request, Error = Infallible>,
    S::Response: IntoResponse,
{
    let (mut parts, body) = request.into_parts();
    let body = match read(body, layer.receiver.body_limit()).await {
        Ok(body) => body,
        Err(error) => return refuse(&error),
    };
    let verified = match layer.receiver.receive(&parts.headers, body.clone(), (layer.clock)()) {
        Ok(verified) => Arc::new(verified),
        Err(error) => return refuse(&error),
    };
    parts.extensions.insert(Webhook(Arc::clone(&verified)));
    let request = Request::from_parts(parts, Body::from(body));

    let future = match catch_unwind(AssertUnwindSafe(|| inner.call(request))) {
        Ok(future) => future,
        Err(panic) => return panicked(panic.as_ref()),
    };
    let mut future = Box::pin(future);
    let result = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await;
    let mut response = match result {
        Ok(Ok(response)) => response.into_response(),
        Ok(Err(never)) => match never {},
        Err(panic) => return panicked(panic.as_ref()),
    };
    if response.status().is_success() {
        verified.commit();
    } else {
        tracing::warn!(
            status = response.status().as_u16(),
            "the handler of a webhook failed; it is answered 429"
        );
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    }
    response
}

/// The body, as far as it is read at all.
async fn read(body: Body, limit: usize) -> Result<Bytes, WebhookError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(WebhookError::new(
            WebhookErrorKind::TooLarge,
            format!("the body has more than the {limit} bytes that are read"),
        )),
        Err(_) => Err(WebhookError::new(
            WebhookErrorKind::Unavailable,
            "the body did not come to its end: answer 429, and it comes again",
        )),
    }
}

fn refuse(error: &WebhookError) -> Response {
    tracing::debug!(kind = ?error.kind(), "a webhook was not handed to its handler");
    error.into_response()
}

impl IntoResponse for &WebhookError {
    /// The status to answer with, and the text.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
        (status, self.to_string()).into_response()
    }
}

impl IntoResponse for WebhookError {
    fn into_response(self) -> Response {
        (&self).into_response()
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(
        panic = text.unwrap_or("no text"),
        "the handler of a webhook panicked; it is answered 429"
    );
    (StatusCode::TOO_MANY_REQUESTS, "the event could not be handled now").into_response()
}
