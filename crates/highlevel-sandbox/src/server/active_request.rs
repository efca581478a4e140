//! The state of a request between its connection and its handler.

use std::sync::{Arc, Mutex};

use axum::response::{IntoResponse, Response};
use tokio::sync::{AcquireError, OwnedSemaphorePermit};
use tokio::task::JoinError;

use super::interruption::Interruption;
use crate::engine::Engine;
use crate::sync::lock;
use crate::traffic::{Connection, Reservation};

/// The sandbox and the connection of a request, and the resources that the request holds until its response is sent. An
/// extension of the request.
pub(super) struct ActiveRequest {
    pub(super) engine: Arc<Engine>,
    pub(super) connection: Arc<Connection>,
    pub(super) interruption: Interruption,
    held: Mutex<Held>,
}

/// The resources of a request.
#[derive(Default)]
pub(super) struct Held {
    pub(super) reservation: Option<Reservation>,
    /// The permit of a long operation.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

impl ActiveRequest {
    pub(super) fn new(engine: Arc<Engine>, connection: Arc<Connection>, interruption: Interruption) -> Self {
        Self { engine, connection, interruption, held: Mutex::default() }
    }

    /// Holds bytes in flight until the response is sent.
    pub(super) fn hold_bytes(&self, reservation: Option<Reservation>) {
        lock(&self.held).reservation = reservation;
    }

    /// Holds the permit of a long operation until the response has its reservation.
    pub(super) fn hold_permit(&self, permit: OwnedSemaphorePermit) {
        lock(&self.held).permit = Some(permit);
    }

    /// Returns everything that the request holds.
    pub(super) fn take(&self) -> Held {
        std::mem::take(&mut lock(&self.held))
    }
}

/// The connection ends without a response: a fault interrupts it, the client disconnected, or a handler panicked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aborted;

impl IntoResponse for Aborted {
    /// Returns a response that is not sent, marked with `Aborted`.
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<axum::Error> for Aborted {
    fn from(error: axum::Error) -> Self {
        tracing::debug!(%error, "failed to read a body");
        Self
    }
}

impl From<JoinError> for Aborted {
    fn from(error: JoinError) -> Self {
        tracing::error!(%error, "a handler failed");
        Self
    }
}

impl From<AcquireError> for Aborted {
    fn from(_: AcquireError) -> Self {
        Self
    }
}
