//! Reading the body of a request, up to a limit and not for ever.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout_at};

/// The longest body that the API reads, in bytes.
pub(crate) const LONGEST: usize = 1024 * 1024;
/// How much more is taken and thrown away. A client that is still writing when the connection closes may never read
/// the answer that says why.
const DISCARDED: usize = 256 * 1024 * 1024;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Whole(Bytes),
    /// The beginning of a body that is longer than is allowed.
    TooLarge(Bytes),
    /// The beginning of a body whose rest did not come in time.
    TooSlow(Bytes),
    /// A fault came before the body was read.
    Unread,
}

impl Received {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) | Self::TooLarge(bytes) | Self::TooSlow(bytes) => bytes,
            Self::Unread => &[],
        }
    }
}

/// Reads a body of at most `longest` bytes that has so much time to come.
pub(crate) async fn receive(
    mut body: Incoming,
    longest: usize,
    timeout: Duration,
) -> hyper::Result<Received> {
    let mut kept = BytesMut::new();
    let mut length = 0;
    // Most bodies are there already, and are one frame: they are not copied.
    let deadline = Instant::now() + timeout;
    loop {
        let Ok(frame) = timeout_at(deadline, body.frame()).await else {
            return Ok(Received::TooSlow(kept.freeze()));
        };
        let Some(frame) = frame else { break };
        let Ok(data) = frame?.into_data() else { continue };
        if length == 0 && body.is_end_stream() && data.len() <= longest {
            return Ok(Received::Whole(data));
        }
        length += data.len();
        let room = longest - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if length > longest + DISCARDED {
            break;
        }
    }
    let kept = kept.freeze();
    Ok(if length > longest { Received::TooLarge(kept) } else { Received::Whole(kept) })
}
