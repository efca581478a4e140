//! Where generated code meets the data of a call.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use progenitor_client::{ClientHooks, ClientInfo, Error, OperationInfo, ResponseValue};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Body, Method, Request, RequestBuilder, Response};

use crate::exchange::{Answer, End, Exchange};
use crate::generated::Client;

const VERSION: HeaderName = HeaderName::from_static("version");
/// Generated code adds this header to every request; HighLevel does not know it.
const API_VERSION: HeaderName = HeaderName::from_static("api-version");

impl ClientHooks<Exchange> for Client {
    async fn pre<E>(&self, request: &mut Request, _: &OperationInfo) -> Result<(), Error<E>> {
        let data = self.inner().data();
        let headers = request.headers_mut();
        headers.remove(API_VERSION);
        if let Some(authorization) = &data.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        headers.insert(VERSION, data.version.clone());
        if let Some(user_agent) = &data.user_agent {
            headers.insert(USER_AGENT, user_agent.clone());
        }
        *request.timeout_mut() = Some(data.timeout);
        if let Some(body) = request.body_mut().take() {
            *request.body_mut() = Some(Body::wrap(Watched { body, exchange: self.inner().clone() }));
        }
        Ok(())
    }

    /// Executes the request, reads the answer up to the limit, records it, and hands on an answer with the same
    /// status and body, and the same headers unless they were to be moved.
    async fn exec(&self, request: Request, _: &OperationInfo) -> reqwest::Result<Response> {
        let exchange = self.inner();
        let url = request.url().clone();
        let has_body = request.body().is_some();
        let mut response = self.client().execute(request).await.inspect_err(|error| {
            // Without a body there is nothing to watch: only a failed connection shows that nothing was written.
            if !has_body && !error.is_connect() {
                exchange.mark_written();
            }
        })?;
        if !has_body {
            exchange.mark_written();
        }
        let (body, end) = read(&mut response, exchange.data().body_limit).await;
        let headers = std::mem::take(response.headers_mut());
        let mut handed_on = http::Response::new(body.clone());
        *handed_on.status_mut() = response.status();
        *handed_on.version_mut() = response.version();
        if !exchange.moves_headers {
            headers.clone_into(handed_on.headers_mut());
        }
        let redirected = *response.url() != url;
        exchange.record(Answer { status: response.status(), headers, redirected, body, end });
        Ok(Response::from(handed_on))
    }
}

impl Client {
    /// Makes a request to any other endpoint, with the data of the call like the generated operations.
    ///
    /// `path` begins with a slash. The answer is that of any status; its body is in the [`Exchange`].
    ///
    /// # Errors
    ///
    /// There was no answer, or the request cannot be built.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(String, String)],
        json: Option<&serde_json::Value>,
    ) -> Result<ResponseValue<()>, Error<()>> {
        let mut builder = self.client.request(method, format!("{}{path}", self.baseurl));
        builder = builder.header(ACCEPT, HeaderValue::from_static("application/json"));
        if !query.is_empty() {
            builder = builder.query(query);
        }
        if let Some(json) = json {
            builder = builder.json(json);
        }
        self.run(builder, "request").await
    }

    /// Posts a form, as the endpoints of OAuth take it. `path` begins with a slash. The answer is that of any status; its
    /// body is in the [`Exchange`].
    ///
    /// # Errors
    ///
    /// There was no answer, or the request cannot be built.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Result<ResponseValue<()>, Error<()>> {
        let builder = self.client.post(format!("{}{path}", self.baseurl)).form(fields);
        self.run(builder.header(ACCEPT, HeaderValue::from_static("application/json")), "form").await
    }

    async fn run(
        &self,
        builder: RequestBuilder,
        operation_id: &'static str,
    ) -> Result<ResponseValue<()>, Error<()>> {
        let mut request = builder.build()?;
        let info = OperationInfo { operation_id };
        self.pre(&mut request, &info).await?;
        let response = self.exec(request, &info).await?;
        Ok(ResponseValue::new((), response.status(), response.headers().clone()))
    }
}

/// Reads to the end, the limit or the fault, whichever comes first; what was read is kept in each case.
async fn read(response: &mut Response, limit: usize) -> (Bytes, End) {
    let mut body = Read::default();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => {
                body.push(chunk.slice(..limit - body.len()));
                return (body.into_bytes(), End::TooLarge);
            }
            Ok(Some(chunk)) => body.push(chunk),
            Ok(None) => return (body.into_bytes(), End::Complete),
            Err(error) => return (body.into_bytes(), End::Cut(error)),
        }
    }
}

/// What was read of an answer. Nearly every answer is one chunk, and that is kept as it is, without copying.
#[derive(Default)]
struct Read {
    first: Bytes,
    /// All of it, as soon as there is more than the first chunk.
    all: BytesMut,
}

impl Read {
    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn push(&mut self, chunk: Bytes) {
        if self.len() == 0 {
            self.first = chunk;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&chunk);
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}

/// The body of a request, which notes that the transport began to take it.
///
/// It cannot be replayed either: no client below this crate can send it a second time on its own.
struct Watched {
    body: Body,
    exchange: Exchange,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.exchange.mark_written();
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
