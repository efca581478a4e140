//! Reading the body of a request, up to a limit and not for ever.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout_at};

use super::{Connection, FREE_BYTES, Phase, Reservation};

/// The longest body that the API reads, in bytes.
pub(crate) const MAX_BODY: usize = 1024 * 1024;
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

/// Reads a body of at most `longest` bytes that has so much time to arrive. While it is larger than is free, it counts as
/// bytes on their way, until the reservation is dropped.
pub(crate) async fn receive(
    mut body: Incoming,
    longest: usize,
    timeout: Duration,
    connection: &Connection,
) -> hyper::Result<(Received, Option<Reservation>)> {
    connection.enter(Phase::Client);
    let mut kept: Vec<u8> = Vec::new();
    let mut reservation: Option<Reservation> = None;
    let mut length = 0;
    let deadline = Instant::now() + timeout;
    let received = loop {
        let Ok(frame) = timeout_at(deadline, body.frame()).await else {
            break Received::TooSlow(kept.into());
        };
        let Some(frame) = frame else {
            break if length > longest {
                Received::TooLarge(kept.into())
            } else {
                Received::Whole(kept.into())
            };
        };
        let Ok(data) = frame?.into_data() else { continue };
        // Most bodies are there already, and are one frame: they are not copied.
        if length == 0 && body.is_end_stream() && data.len() <= longest {
            break Received::Whole(data);
        }
        length += data.len();
        if length > longest + DISCARDED {
            break Received::TooLarge(kept.into());
        }
        let data = &data[..data.len().min(longest - kept.len())];
        if kept.len() + data.len() > kept.capacity() {
            // In steps, and exactly: what is reserved is what is taken.
            let step = data.len().max(kept.capacity() / 8).max(FREE_BYTES);
            if kept.capacity() + step > FREE_BYTES {
                let grown = match &mut reservation {
                    Some(reservation) => timeout_at(deadline, reservation.grow(step)).await,
                    none => {
                        let reserved = timeout_at(deadline, connection.reserve(kept.capacity() + step)).await;
                        reserved.map(|reserved| *none = Some(reserved))
                    }
                };
                if grown.is_err() {
                    break Received::TooSlow(kept.into());
                }
            }
            kept.reserve_exact(kept.capacity() - kept.len() + step);
        }
        kept.extend_from_slice(data);
    };
    connection.enter(Phase::Sandbox);
    Ok((received, reservation))
}
