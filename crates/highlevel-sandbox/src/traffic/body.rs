//! Reading request bodies, with limits on size and time.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::{Body, Connection, FREE_BYTES, Phase, Reservation};

/// The maximum size of a request body of the API, in bytes.
pub(crate) const MAX_BODY: usize = 1024 * 1024;
/// The maximum number of bytes that are discarded beyond the limit. A client that is still writing when the connection
/// closes may never read the error response.
const DISCARDED: usize = 256 * 1024 * 1024;

/// A received request body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Whole(Bytes),
    /// The start of a body that exceeds the size limit.
    TooLarge(Bytes),
    /// The start of a body that did not arrive in time.
    TooSlow(Bytes),
    /// The body was not read because of a fault.
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

/// Reads a body of at most `max_length` bytes within a timeout. A body above [`FREE_BYTES`] counts as bytes in flight until
/// the reservation is dropped.
pub(crate) async fn receive(
    mut body: Body,
    max_length: usize,
    timeout: Duration,
    connection: &Connection,
) -> Result<(Received, Option<Reservation>), axum::Error> {
    connection.enter(Phase::Client);
    let mut buffer: Vec<u8> = Vec::new();
    let mut reservation: Option<Reservation> = None;
    let mut length = 0;
    let deadline = Instant::now() + timeout;
    let received = loop {
        let Ok(frame) = timeout_at(deadline, body.frame()).await else {
            break Received::TooSlow(buffer.into());
        };
        let Some(frame) = frame else {
            break if length > max_length {
                Received::TooLarge(buffer.into())
            } else {
                Received::Whole(buffer.into())
            };
        };
        let Ok(data) = frame?.into_data() else { continue };
        // Most bodies arrive in one frame, which is not copied.
        if length == 0 && body.is_end_stream() && data.len() <= max_length {
            break Received::Whole(data);
        }
        length += data.len();
        if length > max_length + DISCARDED {
            break Received::TooLarge(buffer.into());
        }
        let data = &data[..data.len().min(max_length - buffer.len())];
        if buffer.len() + data.len() > buffer.capacity() {
            // Grows in exact steps, so that the reservation equals the allocation.
            let step = data.len().max(buffer.capacity() / 8).max(FREE_BYTES);
            if buffer.capacity() + step > FREE_BYTES {
                let grown = match &mut reservation {
                    Some(reservation) => timeout_at(deadline, reservation.grow(step)).await,
                    none => {
                        let reserved =
                            timeout_at(deadline, connection.reserve(buffer.capacity() + step)).await;
                        reserved.map(|reserved| *none = Some(reserved))
                    }
                };
                if grown.is_err() {
                    break Received::TooSlow(buffer.into());
                }
            }
            buffer.reserve_exact(buffer.capacity() - buffer.len() + step);
        }
        buffer.extend_from_slice(data);
    };
    connection.enter(Phase::Sandbox);
    Ok((received, reservation))
}
