//! Connects generated code with the context of a request.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use progenitor_client::{ClientInfo, Error, ResponseValue};
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::multipart::Form;
use reqwest::{Body, Method, Request, RequestBuilder, Response, Version};
use serde::de::DeserializeOwned;

use crate::context::{End, RawResponse, RequestContext};
use crate::download::Download;
use crate::generated::Client;
use crate::request::{self, BufferedResponse, Path};
use crate::timer::Timer;

impl Client {
    /// Starts a request with the headers of the context. An invalid URL is the error of the builder.
    pub(crate) fn builder(&self, method: Method, path: Path) -> RequestBuilder {
        match self.baseurl.join(path) {
            Ok(url) => {
                let mut request = Request::new(method, url);
                *request.headers_mut() = request::headers(self.inner.settings());
                RequestBuilder::from_parts(self.client.clone(), request)
            }
            Err(text) => self.client.request(method, text),
        }
    }

    /// Executes a request, reads the response up to the limit and records it. Returns the same response, without headers if they
    /// are moved to the context.
    pub(crate) async fn exchange(&self, request: Request) -> reqwest::Result<BufferedResponse> {
        let context = self.inner();
        let sleep = pin!(tokio::time::sleep(context.settings().timeout));
        let mut timer = Timer::new(context.settings().timeout, sleep);
        let Started { mut response, redirected } = self.start(request, &mut timer).await?;
        let (body, end) = read(&mut response, context.settings().body_limit, &mut timer).await;
        let headers = std::mem::take(response.headers_mut());
        let received = BufferedResponse {
            status: response.status(),
            version: response.version(),
            headers: if context.moves_headers { HeaderMap::new() } else { headers.clone() },
            body: body.clone(),
        };
        context.record(RawResponse { status: response.status(), headers, redirected, body, end });
        Ok(received)
    }
}

/// A response whose body has not been read.
struct Started {
    response: Response,
    /// The HTTP client has followed a redirect.
    redirected: bool,
}

impl Client {
    /// Executes the request until the head of the response has arrived.
    async fn start(&self, mut request: Request, timer: &mut Timer<'_>) -> reqwest::Result<Started> {
        let context = self.inner();
        let body = request.body_mut().take();
        let content = self.content(body.as_ref());
        *request.body_mut() = Some(Body::wrap(TrackedBody { body, context: context.clone() }));
        // However this future ends, nothing is written afterwards that was not written before.
        let _seal = SealOnDrop(context);
        let url = request.url().clone();
        let response = timer.run(self.execute(request, content), || context.seal()).await;
        let response = match response {
            Ok(response) => response?,
            Err(timed_out) => fail(timed_out.into()).await?,
        };
        if response.version() < Version::HTTP_10 {
            // Any bytes are a response of HTTP/0.9, and a successful one.
            fail(io::Error::new(io::ErrorKind::InvalidData, "the response is not HTTP/1.1")).await?;
        }
        // The response of a service has no URL.
        let redirected = context.exchange.is_none() && *response.url() != url;
        Ok(Started { response, redirected })
    }

    /// Returns a copy of a body for the service that executes the request, if there is one.
    fn content(&self, body: Option<&Body>) -> Option<Bytes> {
        self.inner().exchange.as_ref()?;
        Bytes::copy_from_slice(body.map_or(Some(&[][..]), Body::as_bytes)?).into()
    }

    async fn execute(&self, request: Request, content: Option<Bytes>) -> reqwest::Result<Response> {
        let Some(exchange) = &self.inner().exchange else { return self.client().execute(request).await };
        match exchange.execute(request, content).await {
            Ok(response) => Ok(response),
            Err(error) => match error.downcast::<reqwest::Error>() {
                Ok(error) => Err(*error),
                Err(error) => fail(io::Error::other(error)).await,
            },
        }
    }
}

/// Seals a request when its future ends or is dropped.
struct SealOnDrop<'a>(&'a RequestContext);

impl Drop for SealOnDrop<'_> {
    fn drop(&mut self) {
        self.0.seal();
    }
}

/// Fails with an error of the transport, which has no constructor for them.
async fn fail(error: io::Error) -> reqwest::Result<Response> {
    struct Failing(Option<io::Error>);

    impl http_body::Body for Failing {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            Poll::Ready(self.0.take().map(Err))
        }
    }

    let mut response = Response::from(http::Response::new(Body::wrap(Failing(Some(error)))));
    response.chunk().await?;
    Ok(response)
}

impl Client {
    /// Sends a request to any other endpoint, with the settings of the context like the generated operations.
    ///
    /// `path` starts with a slash. A response of any status is returned; its body is in the [`RequestContext`].
    ///
    /// # Errors
    ///
    /// Returns an error if there is no response, or if the request cannot be built.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(String, String)],
        json: Option<&serde_json::Value>,
    ) -> Result<ResponseValue<()>, Error<()>> {
        let mut builder = self.builder(method, Path::Formatted(path.to_owned()));
        builder = builder.header(ACCEPT, HeaderValue::from_static("application/json"));
        if !query.is_empty() {
            builder = builder.query(query);
        }
        if let Some(json) = json {
            builder = builder.json(json);
        }
        self.run(builder).await
    }

    /// Posts a form, as the OAuth endpoints require. `path` starts with a slash. A response of any status is returned; its
    /// body is in the [`RequestContext`].
    ///
    /// # Errors
    ///
    /// Returns an error if there is no response, or if the request cannot be built.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Result<ResponseValue<()>, Error<()>> {
        let builder = self.builder(Method::POST, Path::Formatted(path.to_owned())).form(fields);
        self.run(builder.header(ACCEPT, HeaderValue::from_static("application/json"))).await
    }

    /// Posts a form with files, and reads the response as JSON. `path` starts with a slash.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no response, if it is not a success or of another type, or if the request cannot be built.
    pub async fn multipart<T: DeserializeOwned>(
        &self,
        path: &str,
        form: Form,
    ) -> Result<ResponseValue<T>, Error<()>> {
        let builder = self.builder(Method::POST, Path::Formatted(path.to_owned())).multipart(form);
        let request = builder.header(ACCEPT, HeaderValue::from_static("application/json")).build()?;
        let response = self.exchange(request).await?;
        if !response.status().is_success() {
            return Err(response.into_unexpected());
        }
        response.into_value()
    }

    /// Gets a file as a stream, however long it is. `path` starts with a slash. The timeout of the context is that of the head
    /// of the response, and of each pause between two parts of the body.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no response, if the request cannot be built, or if the status is not a success. The body
    /// of such a response is in the [`RequestContext`].
    pub async fn download(&self, path: &str) -> Result<ResponseValue<Download>, Error<()>> {
        let request = self.builder(Method::GET, Path::Formatted(path.to_owned())).build()?;
        let context = self.inner();
        let sleep = pin!(tokio::time::sleep(context.settings().timeout));
        let mut timer = Timer::new(context.settings().timeout, sleep);
        let Started { mut response, redirected } = self.start(request, &mut timer).await?;
        let status = response.status();
        let is_file = status.is_success() && !redirected;
        let (body, end) = if is_file {
            (Bytes::new(), End::Complete)
        } else {
            read(&mut response, context.settings().body_limit, &mut timer).await
        };
        let headers = response.headers().clone();
        context.record(RawResponse { status, headers, redirected, body, end });
        if !is_file {
            return Err(Error::UnexpectedResponse(response));
        }
        let pause = context.settings().timeout;
        Ok(ResponseValue::new(Download::new(response, pause), status, HeaderMap::new()))
    }

    async fn run(&self, builder: RequestBuilder) -> Result<ResponseValue<()>, Error<()>> {
        Ok(self.exchange(builder.build()?).await?.into_empty())
    }
}

/// Reads until the end, the limit, an error or the deadline. Returns the bytes that were read in each case.
async fn read(response: &mut Response, limit: usize, timer: &mut Timer<'_>) -> (Bytes, End) {
    let mut body = Read::default();
    // An HTTP/1.1 body of known length is complete with its last byte, so its end is not polled. Over HTTP/2 that would reset
    // the stream.
    let announced = response.content_length().filter(|_| response.version() < Version::HTTP_2);
    loop {
        if announced == Some(body.len() as u64) {
            return (body.into_bytes(), End::Complete);
        }
        match timer.run(response.chunk(), || true).await {
            Ok(Ok(Some(chunk))) if body.len() + chunk.len() > limit => {
                body.push(chunk.slice(..limit - body.len()));
                return (body.into_bytes(), End::TooLarge);
            }
            Ok(Ok(Some(chunk))) => body.push(chunk),
            Ok(Ok(None)) => return (body.into_bytes(), End::Complete),
            Ok(Err(error)) => return (body.into_bytes(), End::Cut(error.into())),
            Err(timed_out) => return (body.into_bytes(), End::Cut(io::Error::from(timed_out).into())),
        }
    }
}

/// The part of a response body that was read. Nearly every body is one chunk, which is not copied.
#[derive(Default)]
struct Read {
    first: Bytes,
    /// All chunks, as soon as there is more than one.
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

/// The body of a request, and the gate before its first byte. Requests without a body have an empty one.
///
/// A connection asks whether the body is empty right before it encodes the head of the request. Over HTTP/1.1 it takes the
/// body before it flushes the head, over HTTP/2 as soon as the server allows another stream. A body is the point of no return
/// when it is taken, and an empty one when the connection learns that it is empty. Both happen on the task of the connection
/// while the caller may give up at any moment; [`RequestContext::begin`] decides which of them was first. If it was the caller,
/// the body claims not to be empty and fails when it is taken. Over HTTP/1.1 nothing is flushed then. Over HTTP/2 the head may
/// be, as that of a request that does not end and is reset.
///
/// No layer below can send a request twice: it cannot clone the body, and does not know that it is empty.
struct TrackedBody {
    body: Option<Body>,
    context: RequestContext,
}

impl http_body::Body for TrackedBody {
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if !self.context.begin() {
            let refused = Refused { by_gate: self.context.is_refused() };
            return Poll::Ready(Some(Err(refused.into())));
        }
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream) && self.context.begin()
    }

    fn size_hint(&self) -> SizeHint {
        if self.context.is_sealed() {
            // A connection does not take a body that it knows to be empty, and flushes the head without it.
            return SizeHint::with_exact(1);
        }
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

/// The request may not be written.
#[derive(Debug)]
struct Refused {
    by_gate: bool,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.by_gate {
            "the time before which the request had to begin has passed"
        } else {
            "the call was given up before the request began"
        })
    }
}

impl StdError for Refused {}
