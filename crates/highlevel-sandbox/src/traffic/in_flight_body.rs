//! The body of a response, which counts as bytes in flight until it is written.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::{Connection, Phase, Reservation};

/// A response body whose bytes are in flight until they are written.
pub(crate) struct InFlightBody<B> {
    pub(crate) body: B,
    pub(crate) reservation: Option<Reservation>,
    pub(crate) connection: Arc<Connection>,
}

/// Bytes with their reservation, which is released once they are written.
struct ReservedBytes {
    bytes: Bytes,
    _reservation: Reservation,
}

impl AsRef<[u8]> for ReservedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<B: http_body::Body<Data = Bytes> + Unpin> http_body::Body for InFlightBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| {
                // A body with a known length has a single frame.
                frame.map_data(|bytes| match this.reservation.take() {
                    Some(reservation) => {
                        Bytes::from_owner(ReservedBytes { bytes, _reservation: reservation })
                    }
                    None => bytes,
                })
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for InFlightBody<B> {
    fn drop(&mut self) {
        self.connection.enter(Phase::Flushing);
        self.connection.activity.is_fresh.store(false, Ordering::Relaxed);
    }
}
