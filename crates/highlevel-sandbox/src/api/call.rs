//! A request to the API and its response.

use std::collections::BTreeMap;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::form::{Form, FormError};
use crate::fidelity::Settings;
use crate::ledger::RequestFingerprint;
use crate::model::{Kind, Message, Record, StoredMessage};
use crate::operation::Operation;
use crate::spec::{Spec, Violation};

/// A request as received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    /// The path and the query, if there is one.
    pub(crate) target: &'a str,
    /// The operation that serves the method and path.
    pub(crate) operation: Option<Operation>,
    /// The decoded parameters of the path.
    pub(crate) parameters: &'a [String],
    pub(crate) headers: &'a HeaderMap,
    /// The body, or the start of a form with files.
    pub(crate) body: &'a [u8],
    /// The body of a request that uploads files, if the token is valid and the whole body has arrived.
    pub(crate) form: Option<&'a Result<Form, FormError>>,
}

impl<'a> Call<'a> {
    /// Returns the path without the query.
    pub(crate) fn path(&self) -> &'a str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }
}

/// The spec and settings that requests are validated with.
#[derive(Clone, Debug)]
pub(crate) struct ApiConfig {
    pub(crate) spec: &'static Spec,
    pub(crate) settings: Settings,
    /// The sandbox's own app, which owns the providers that name no app.
    pub(crate) app_id: String,
    /// The configured URL of the sandbox.
    pub(crate) base_url: Option<String>,
}

/// The time and the new IDs of a request.
#[derive(Clone, Debug)]
pub(crate) struct Generated {
    /// RFC 3339, UTC, milliseconds.
    pub(crate) now: String,
    pub(crate) trace_id: String,
    pub(crate) message_id: String,
    pub(crate) email_message_id: String,
    pub(crate) conversation_id: String,
}

/// The response, and the message to store.
#[derive(Debug)]
pub(crate) struct ApiResponse {
    pub(crate) status: StatusCode,
    /// `Null` for no body.
    pub(crate) body: Value,
    /// A new message.
    pub(crate) accepted: Option<Message>,
    /// A changed message.
    pub(crate) changed: Option<StoredMessage>,
    /// Changes of other records.
    pub(crate) changes: Vec<Change>,
    /// Replaces the body.
    pub(crate) binary: Option<Binary>,
    pub(crate) annotations: Annotations,
}

/// A body that is not JSON.
#[derive(Clone, Debug)]
pub(crate) enum Binary {
    /// The recording of a call of this many seconds.
    Recording(u32),
}

/// A change of the model.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put(Record),
    Delete(Kind, String),
}

/// The annotations of a request in the ledger.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Annotations {
    pub(crate) operation: Option<Operation>,
    pub(crate) fingerprint: Option<RequestFingerprint>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) more_violations: usize,
    pub(crate) tolerated: Vec<&'static str>,
    pub(crate) unknown_fields: Vec<String>,
    pub(crate) suggestions: BTreeMap<String, String>,
    pub(crate) more_unknown_fields: usize,
    /// The message that was stored or changed.
    pub(crate) message_id: Option<String>,
    pub(crate) quirk: Option<&'static str>,
    /// The refusal that determined the response.
    pub(crate) refusal: Option<&'static str>,
    /// The explanation of the response, which the sandbox sends in a header.
    pub(crate) note: Option<String>,
}
