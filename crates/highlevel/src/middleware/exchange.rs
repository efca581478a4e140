//! Passes the requests of the generated client through layers.

use bytes::Bytes;
use highlevel_wire::{ExchangeFuture, HttpExchange};
use tower_service::Service;

use super::{HttpService, RequestBody, ResponseBody};

/// The operation and the number of the attempt that a request belongs to, in the extensions of the request.
///
/// ```
/// # fn example(request: http::Request<highlevel::middleware::RequestBody>) {
/// use highlevel::middleware::RequestInfo;
///
/// if let Some(info) = request.extensions().get::<RequestInfo>() {
///     println!("{}, attempt {}", info.operation(), info.attempt());
/// }
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestInfo {
    operation: &'static str,
    attempt: u32,
    call: u64,
}

impl RequestInfo {
    pub(crate) fn new(operation: &'static str, attempt: u32, call: u64) -> Self {
        Self { operation, attempt, call }
    }

    /// Returns the name of the operation, as [`Error::operation`](crate::Error::operation) does. It is `request` for requests of
    /// [`Client::request`](crate::Client::request).
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Returns the number of the attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Returns a number that the attempts of one call share.
    pub fn call(&self) -> u64 {
        self.call
    }
}

/// Executes one request with the service of a transport.
#[derive(Debug)]
pub(crate) struct RequestExchange {
    service: HttpService,
    info: RequestInfo,
}

impl RequestExchange {
    pub(crate) fn new(service: HttpService, info: RequestInfo) -> Self {
        Self { service, info }
    }
}

impl HttpExchange for RequestExchange {
    fn execute(&self, request: reqwest::Request, content: Option<Bytes>) -> ExchangeFuture {
        let (mut service, info) = (self.service.clone(), self.info);
        Box::pin(async move {
            let mut request = http::Request::<reqwest::Body>::try_from(request)?;
            request.extensions_mut().insert(info);
            let response = service.call(request.map(|body| RequestBody::new(body, content))).await?;
            Ok(reqwest::Response::from(response.map(ResponseBody::into_inner)))
        })
    }
}
