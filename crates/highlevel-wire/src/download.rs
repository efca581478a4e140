//! The body of a response, as a stream.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, Response};
use tokio::time::{Instant, Sleep};

/// The body of a response that is read part by part. From [`Client::download`](crate::Client::download).
pub struct Download {
    body: Body,
    content_type: Option<String>,
    content_length: Option<u64>,
    /// The longest pause between two parts.
    pause: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl Download {
    pub(crate) fn new(response: Response, pause: Duration) -> Self {
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Self {
            content_type: content_type.map(str::to_owned),
            content_length: response.content_length(),
            body: response.into(),
            pause,
            sleep: Box::pin(tokio::time::sleep(pause)),
        }
    }

    /// Returns the content type, if the response has one.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Returns the length of the whole body in bytes, if the response specifies it.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Returns the next part, or `None` at the end.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection broke, or if no part arrived within the timeout.
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        poll_fn(|context| self.poll_chunk(context)).await
    }

    /// Polls for the next part, as [`chunk`](Self::chunk) returns it.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`chunk`](Self::chunk).
    pub fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.sleep.as_mut().reset(Instant::now() + self.pause);
                    // Trailers are not part of the file.
                    if let Ok(part) = frame.into_data() {
                        return Poll::Ready(Ok(Some(part)));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(io::Error::other(error))),
                Poll::Ready(None) => return Poll::Ready(Ok(None)),
                Poll::Pending => {
                    ready!(self.sleep.as_mut().poll(context));
                    let text = format!("no part of the response within {:?}", self.pause);
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)));
                }
            }
        }
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("content_type", &self.content_type)
            .field("content_length", &self.content_length)
            .finish_non_exhaustive()
    }
}
