//! The bodies of requests and responses in layers.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::BoxError;

/// The body of a request. Reading it starts the request.
///
/// Only the client creates request bodies, and they cannot be cloned.
pub struct RequestBody {
    body: reqwest::Body,
    #[cfg_attr(not(feature = "testing"), allow(dead_code, reason = "only the mock reads it"))]
    content: Option<Bytes>,
    observers: Vec<Observer>,
}

type Observer = Box<dyn FnMut(&Bytes) + Send + Sync>;

impl RequestBody {
    pub(super) fn new(body: reqwest::Body, content: Option<Bytes>) -> Self {
        Self { body, content, observers: Vec::new() }
    }

    /// Calls a function with each part of the body when it is read, usually by the connection.
    ///
    /// The function is not called for a request that is not sent. A part that was read may not have reached the server.
    pub fn observe(mut self, observer: impl FnMut(&Bytes) + Send + Sync + 'static) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Returns a copy of the content, if it was in memory, without starting the request.
    ///
    /// It stays inside this crate: a layer that sends a copy over its own connection would be reported as not sent.
    #[cfg(feature = "testing")]
    pub(crate) fn content(&self) -> Option<&Bytes> {
        self.content.as_ref()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { body, observers, .. } = &mut *self;
        let polled = Pin::new(body).poll_frame(context).map_err(Into::into);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            for observe in observers {
                observe(data);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").finish_non_exhaustive()
    }
}

/// The body of a response.
pub struct ResponseBody(reqwest::Body);

impl ResponseBody {
    /// Creates a body that is read from another one.
    pub fn new<B>(body: B) -> Self
    where
        B: Body + Send + Sync + 'static,
        B::Data: Into<Bytes>,
        B::Error: Into<BoxError>,
    {
        Self(reqwest::Body::wrap(body))
    }

    pub(super) fn into_inner(self) -> reqwest::Body {
        self.0
    }
}

impl<T: Into<Bytes>> From<T> for ResponseBody {
    fn from(content: T) -> Self {
        Self(reqwest::Body::from(content.into()))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}
