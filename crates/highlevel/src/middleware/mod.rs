//! Layers between the client and its connections: proxies, recorders and caches.
//!
//! [`TransportBuilder::layer`](crate::TransportBuilder::layer) adds a [`tower_layer::Layer`]. Its service receives each HTTP
//! request of the clients of the transport, those for tokens included, after the client has decided to send it: rate limits,
//! retries and the classification of outcomes are above, connections are below.
//!
//! # Guarantees
//!
//! A layer cannot make the client send a message twice or report a wrong outcome by accident:
//!
//! - A [`RequestBody`] cannot be created, cloned or read twice. A layer that calls the inner service twice needs a second body,
//!   so retries belong into the [`RetryPolicy`](crate::RetryPolicy).
//! - The request starts when its body is read, by a connection or by the layer. The client checks its deadlines and its permit
//!   at that moment. If one has lapsed, reading fails and the request is not sent.
//! - If the layer fails or drops the request, the outcome is [`Delivery::NotSent`](crate::Delivery::NotSent) if the body was
//!   not read, and [`Delivery::Unknown`](crate::Delivery::Unknown) otherwise. An unread body that the layer retains is closed
//!   when the attempt ends.
//! - A response that the layer returns without the inner service is evaluated like one of HighLevel.
//!
//! A layer receives the token in the header `Authorization`, the secrets of an app in requests for tokens, and the content of
//! messages. Do not record them.
//!
//! # Example
//!
//! A recorder of requests and their statuses, without contents:
//!
//! ```
//! use std::pin::Pin;
//! use std::sync::{Arc, Mutex};
//! use std::task::{Context, Poll};
//!
//! use highlevel::Transport;
//! use highlevel::middleware::{BoxError, HttpService, RequestBody, ResponseBody};
//! use tower_layer::layer_fn;
//! use tower_service::Service;
//!
//! #[derive(Clone)]
//! struct Recorder {
//!     inner: HttpService,
//!     lines: Arc<Mutex<Vec<String>>>,
//! }
//!
//! impl Service<http::Request<RequestBody>> for Recorder {
//!     type Response = http::Response<ResponseBody>;
//!     type Error = BoxError;
//!     type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;
//!
//!     fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
//!         self.inner.poll_ready(context)
//!     }
//!
//!     fn call(&mut self, request: http::Request<RequestBody>) -> Self::Future {
//!         let line = format!("{} {}", request.method(), request.uri().path());
//!         let (lines, response) = (Arc::clone(&self.lines), self.inner.call(request));
//!         Box::pin(async move {
//!             let response = response.await?;
//!             lines.lock().expect("no panic").push(format!("{line}: {}", response.status()));
//!             Ok(response)
//!         })
//!     }
//! }
//!
//! let lines = Arc::new(Mutex::new(Vec::new()));
//! let transport = Transport::builder()
//!     .layer(layer_fn(move |inner| Recorder { inner, lines: Arc::clone(&lines) }))
//!     .build()?;
//! # Ok::<(), highlevel::Error>(())
//! ```
//!
//! A request body cannot be cloned:
//!
//! ```compile_fail,E0277
//! fn requires_clone<T: Clone>() {}
//! requires_clone::<highlevel::middleware::RequestBody>();
//! ```

mod body;
mod exchange;
mod service;

pub use self::body::{RequestBody, ResponseBody};
pub(crate) use self::exchange::RequestExchange;
pub use self::exchange::RequestInfo;
pub use self::service::HttpService;

/// An error of a layer.
///
/// The client returns it as the source of an [`Error`](crate::Error). An error with an [`io::Error`](std::io::Error) of the kind
/// `ConnectionRefused` among its causes is reported as [`ErrorKind::Connect`](crate::ErrorKind::Connect), one of the kind
/// `TimedOut` as [`ErrorKind::Timeout`](crate::ErrorKind::Timeout), and others as
/// [`ErrorKind::Connection`](crate::ErrorKind::Connection).
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
