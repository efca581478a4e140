//! Reading the body of a request, up to a limit.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// The longest body that is read, in bytes.
pub(crate) const LONGEST: usize = 1024 * 1024;
/// How much more is taken and thrown away. A client that is still writing when the connection closes may never read
/// the answer that says why.
const DISCARDED: usize = 64 * 1024 * 1024;

/// What came.
pub(super) enum Received {
    Whole(Bytes),
    /// The beginning of a body that is longer than is allowed.
    TooLarge(Bytes),
}

impl Received {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) | Self::TooLarge(bytes) => bytes,
        }
    }
}

pub(super) async fn receive(mut body: Incoming) -> hyper::Result<Received> {
    let mut kept = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        length += data.len();
        let room = LONGEST - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if length > LONGEST + DISCARDED {
            break;
        }
    }
    let kept = kept.freeze();
    Ok(if length > LONGEST { Received::TooLarge(kept) } else { Received::Whole(kept) })
}
