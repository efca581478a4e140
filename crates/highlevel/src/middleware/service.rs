//! The service below a layer, with the type of the layers below it erased.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::{BoxError, RequestBody, ResponseBody};

type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, BoxError>> + Send>>;

/// The service below a layer: other layers, and at last the connections of the client. Cheap to clone.
#[derive(Clone)]
pub struct HttpService(Arc<dyn Execute>);

/// A service that can be called through a shared reference.
trait Execute: Send + Sync {
    fn execute(&self, request: Request<RequestBody>) -> ResponseFuture;
}

impl HttpService {
    /// Creates the service that sends requests over the connections of an HTTP client.
    pub(crate) fn of_connections(http: reqwest::Client) -> Self {
        Self(Arc::new(Connections(http)))
    }

    /// Creates a service from one of another type.
    pub(crate) fn new<S>(service: S) -> Self
    where
        S: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
    {
        Self(Arc::new(Erased(service)))
    }
}

impl Service<Request<RequestBody>> for HttpService {
    type Response = Response<ResponseBody>;
    type Error = BoxError;
    type Future = ResponseFuture;

    /// Always ready: layers below wait inside the future of the call.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> ResponseFuture {
        self.0.execute(request)
    }
}

impl fmt::Debug for HttpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService").finish_non_exhaustive()
    }
}

struct Erased<S>(S);

impl<S> Execute for Erased<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    fn execute(&self, request: Request<RequestBody>) -> ResponseFuture {
        let mut service = self.0.clone();
        Box::pin(async move {
            poll_fn(|context| service.poll_ready(context)).await.map_err(Into::into)?;
            service.call(request).await.map_err(Into::into)
        })
    }
}

/// The connections of an HTTP client.
struct Connections(reqwest::Client);

impl Execute for Connections {
    fn execute(&self, request: Request<RequestBody>) -> ResponseFuture {
        let http = self.0.clone();
        Box::pin(async move {
            let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap))?;
            let (parts, body) = Response::<reqwest::Body>::from(http.execute(request).await?).into_parts();
            Ok(Response::from_parts(parts, ResponseBody::new(body)))
        })
    }
}
