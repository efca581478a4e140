//! Recordings of calls.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use highlevel_wire::{Download, ResponseValue};
use serde::de;

use crate::classify::RepeatSafety;
use crate::executor::Operation;
use crate::{
    Calls, Delivery, Error, ErrorKind, LocationId, MessageId, Receipt, RequestPath, Result, validate,
};

/// The recording of a call: a [`Stream`] of its bytes, and [`chunk`](Self::chunk) for programs without a stream library.
///
/// It is not limited to the size of other responses, and only one part of it is in memory. If no part arrives within the timeout
/// of an attempt, it ends with an error.
#[derive(Debug)]
pub struct Recording(Download);

impl Calls {
    /// Returns the recording of a call.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client, call: highlevel::MessageId) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::io::Write;
    ///
    /// let mut file = std::fs::File::create("call.wav")?;
    /// let mut recording = client.calls().recording(&call).await?.into_response();
    /// while let Some(part) = recording.chunk().await? {
    ///     file.write_all(&part)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an [`Error`]; its code is `CONVERSATIONS_MSG_RECORDING_NOT_FOUND` for a call without a recording.
    pub async fn recording(&self, call: &MessageId) -> Result<Receipt<Recording>> {
        validate::in_path("message", call).map_err(|text| Error::invalid(GetRecording::NAME, text))?;
        let location = self.client().required_location(GetRecording::NAME)?;
        self.client().execute(&GetRecording::new(call, &location)?).await
    }
}

impl Recording {
    /// Returns the content type, for example `audio/x-wav`.
    pub fn content_type(&self) -> Option<&str> {
        self.0.content_type()
    }

    /// Returns the length in bytes, if the response specifies it.
    pub fn content_length(&self) -> Option<u64> {
        self.0.content_length()
    }

    /// Returns the next part, or `None` at the end.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] if the connection broke, or if no part arrived in time. The recording can be requested again.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.0.chunk().await.map_err(cut)
    }

    /// Returns the whole recording, if it has at most this number of bytes.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`chunk`](Self::chunk), and an error if the recording is longer.
    pub async fn into_bytes(mut self, limit: usize) -> Result<Bytes> {
        let mut all = BytesMut::new();
        while let Some(part) = self.chunk().await? {
            if all.len() + part.len() > limit {
                let text = format!("the recording has more than {limit} bytes; read it part by part");
                return Err(Error::no_response(GetRecording::NAME, Delivery::Accepted, ErrorKind::Receipt)
                    .with_text(text));
            }
            all.extend_from_slice(&part);
        }
        Ok(all.freeze())
    }
}

impl Stream for Recording {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        Poll::Ready(ready!(self.0.poll_chunk(context)).map_err(cut).transpose())
    }
}

/// Returns the error of a recording that ends before its last byte.
fn cut(error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::TimedOut => ErrorKind::Timeout,
        _ => ErrorKind::Connection,
    };
    Error::no_response(GetRecording::NAME, Delivery::Unknown, kind)
        .with_text("the recording was cut off")
        .with_effect(true, true)
        .with_source(error)
}

/// The request for a recording, whose response is a stream.
struct GetRecording {
    path: String,
}

impl GetRecording {
    fn new(call: &MessageId, location: &LocationId) -> Result<Self> {
        let segments =
            ["conversations", "messages", call.as_str(), "locations", location.as_str(), "recording"];
        let path = RequestPath::from(segments).into_checked();
        Ok(Self { path: path.map_err(|text| Error::invalid(Self::NAME, text))? })
    }
}

impl Operation for GetRecording {
    type Response = Recording;

    const NAME: &'static str = "get_recording";

    fn replay(&self) -> RepeatSafety {
        RepeatSafety::ReadOnly
    }

    fn read(_: &[u8]) -> serde_json::Result<Recording> {
        Err(de::Error::custom("the response is not a recording"))
    }

    async fn send(
        &self,
        wire: &highlevel_wire::Client,
    ) -> std::result::Result<ResponseValue<Recording>, highlevel_wire::Error<()>> {
        let response = wire.download(&self.path).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(ResponseValue::new(Recording(response.into_inner()), status, headers))
    }
}
