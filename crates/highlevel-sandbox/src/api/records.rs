//! Operations that read and change records: contacts, and messages that exist.

mod calls;
mod contact_fields;
mod contact_rejection;
mod contact_search;
mod contact_view;
mod contacts;
mod conversation_view;
mod conversations;
mod export;
mod files;
mod message_view;
mod messages;
mod query;
mod scheduled;
mod search_index;

use http::StatusCode;
use serde_json::{Value, json};

use super::form::{Form, form_fields, form_violations, unknown_form_fields};
use super::{Annotations, ApiConfig, Binary, Call, Change, ErrorResponse, Generated, body, rules, tolerance};
use crate::fidelity::{Quirk, Refusal, Settings, Strictness};
use crate::model::{Contact, Kind, Model, Record, Unindexed};
use crate::operation::Operation;
pub(crate) use calls::MAX_DURATION;
pub(crate) use contact_rejection::{ContactRejection, too_many_notes};
pub(crate) use contacts::{changed as changed_contact, new_contact, with_note};
pub(crate) use files::{FILE_ROUTE, file_path, is_of_stored_file};
use query::Query;

/// A valid request to read or change records.
pub(super) struct RecordRequest<'a> {
    model: &'a Model,
    unindexed: &'a Unindexed,
    settings: &'a Settings,
    generated: &'a Generated,
    /// The location of the token.
    location: &'a str,
    /// The decoded parameters of the path.
    parameters: &'a [String],
    query: Query,
    /// `Null` if the operation has no body.
    body: Value,
    form: Option<&'a Form>,
}

/// A successful response, with the changes to make before it is sent.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Value,
    pub(super) changes: Vec<Change>,
    /// Replaces the body.
    pub(super) binary: Option<Binary>,
}

impl Reply {
    fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body, changes: Vec::new(), binary: None }
    }

    fn binary(binary: Binary) -> Self {
        Self { binary: Some(binary), ..Self::ok(Value::Null) }
    }

    /// Sets the status of responses to requests that create a record.
    fn created(mut self, settings: &Settings) -> Self {
        self.status = settings.success_status.code();
        self
    }

    fn put(mut self, record: Record) -> Self {
        self.changes.push(Change::Put(record));
        self
    }

    fn delete(mut self, kind: Kind, id: &str) -> Self {
        self.changes.push(Change::Delete(kind, id.to_owned()));
        self
    }
}

/// A request with a valid token and version.
pub(super) struct Authorized<'a> {
    pub(super) operation: Operation,
    pub(super) config: &'a ApiConfig,
    pub(super) model: &'a Model,
    /// The changes that searches do not return yet.
    pub(super) unindexed: &'a Unindexed,
    /// The location of the token.
    pub(super) location: &'a str,
    pub(super) call: Call<'a>,
    pub(super) generated: &'a Generated,
}

/// Validates and handles a request.
pub(super) fn respond(
    authorized: &Authorized<'_>,
    annotations: &mut Annotations,
) -> Result<Reply, ErrorResponse> {
    let Authorized { operation, config, model, unindexed, location, call, generated } = *authorized;
    let (method, path) = (operation.method(), operation.path());
    let query = Query::parse(call.target);
    let mut violations =
        query.violations(&config.spec.query_parameters(method, path), config.settings.strictness);
    let mut body = Value::Null;
    if let Some(schema) = config.spec.request_schema(method, path) {
        body = body::parse(call.headers, call.body)?;
        // The example of the reference is a boolean, and the type is a string.
        if let Some(typing @ Value::Bool(_)) = body.get_mut("isTyping") {
            *typing = json!(typing.to_string());
        }
        let unknown = config.spec.first_unknown_fields(schema, &body, rules::MAX_UNKNOWN_FIELDS);
        annotations.unknown_fields = unknown.pointers;
        annotations.more_unknown_fields = unknown.more;
        annotations.suggestions = unknown.suggestions;
        let is_documented = config.settings.strictness == Strictness::Documented;
        let mut validated = body.clone();
        // The body keeps them: `null` removes a field of a contact.
        if !is_documented && tolerance::remove_nulls(&mut validated) {
            annotations.tolerated.push("null-fields");
        }
        violations.extend(config.spec.validate(schema, &validated));
    }
    let form = match (operation, call.form) {
        (Operation::UploadFiles, Some(form)) => Some(form.as_ref().map_err(ErrorResponse::of_form)?),
        // The token became valid while the body was received.
        (Operation::UploadFiles, None) => return Err(ErrorResponse::unavailable()),
        _ => None,
    };
    if let Some(form) = form {
        body = form_fields(form);
        annotations.unknown_fields = unknown_form_fields(&body);
        violations.extend(form_violations(&body));
    }
    if !violations.is_empty() {
        let more = violations.len().saturating_sub(rules::MAX_VIOLATIONS);
        violations.truncate(rules::MAX_VIOLATIONS);
        let error = ErrorResponse::invalid(&violations, more);
        (annotations.violations, annotations.more_violations) = (violations, more);
        return Err(error);
    }
    let settings = &config.settings;
    let request = RecordRequest {
        model,
        unindexed,
        settings,
        generated,
        location,
        parameters: call.parameters,
        query,
        body,
        form,
    };
    if !unindexed.is_empty() {
        annotations.quirk = Some(Quirk::SearchIndexLag.name());
    }
    request.check_location()?;
    let mut reply = match operation {
        Operation::UploadFiles => request.upload_files(config, call.headers)?,
        operation => request.handle(operation)?,
    };
    if let Some(fields) = reply.body.as_object_mut() {
        fields.insert("traceId".to_owned(), json!(generated.trace_id));
    }
    Ok(reply)
}

impl RecordRequest<'_> {
    fn handle(&self, operation: Operation) -> Result<Reply, ErrorResponse> {
        match operation {
            Operation::CancelScheduledMessage => Ok(self.cancel_scheduled_message()),
            Operation::CancelScheduledEmail => Ok(self.cancel_scheduled_email()),
            Operation::UpsertContact => self.upsert_contact(),
            Operation::CreateContact => self.create_contact(),
            Operation::ListContacts => Ok(self.list_contacts()),
            Operation::SearchContacts => self.search_contacts(),
            Operation::FindDuplicateContact => self.find_duplicate_contact(),
            Operation::GetContact => self.get_contact(),
            Operation::UpdateContact => self.update_contact(),
            Operation::AddContactTags => self.add_contact_tags(),
            Operation::RemoveContactTags => self.remove_contact_tags(),
            Operation::AddContactNote => self.add_contact_note(),
            Operation::SearchConversations => Ok(self.search_conversations()),
            Operation::CreateConversation => self.create_conversation(),
            Operation::GetConversation => self.get_conversation(),
            Operation::UpdateConversation => self.update_conversation(),
            Operation::ListMessages => self.list_messages(),
            Operation::GetMessage => self.get_message(),
            Operation::GetEmail => self.get_email(),
            Operation::UpdateEmailStatus => self.update_email_status(),
            Operation::SetMessageAttachments => self.set_message_attachments(),
            Operation::ExportMessages => self.export_messages(),
            Operation::GetRecording => self.get_recording(),
            Operation::GetTranscription => self.get_transcription(),
            Operation::SetTyping => self.set_typing(),
            Operation::SendMessage
            | Operation::AddInboundMessage
            | Operation::AddOutboundCall
            | Operation::UploadFiles
            | Operation::UpdateMessageStatus => Err(ErrorResponse::internal_error()),
        }
    }

    /// Rejects a request that names another location than that of the token.
    fn check_location(&self) -> Result<(), ErrorResponse> {
        let named = self.text("locationId").or_else(|| self.query.get("locationId"));
        self.check_owner(named.unwrap_or(self.location))
    }

    /// Rejects the location of a record, or one that the request names, if it is not that of the token.
    fn check_owner(&self, location: &str) -> Result<(), ErrorResponse> {
        if location != self.location && self.settings.refuses(Refusal::OtherLocation) {
            return Err(ErrorResponse::refused(Refusal::OtherLocation, ""));
        }
        Ok(())
    }

    /// Returns a string field of the body.
    fn text(&self, field: &str) -> Option<&str> {
        self.body.get(field)?.as_str()
    }

    /// Returns a parameter of the path by its position.
    fn parameter(&self, index: usize) -> &str {
        self.parameters.get(index).map_or("", String::as_str)
    }

    /// Returns the contact in the path.
    fn contact(&self) -> Result<&Contact, ErrorResponse> {
        let id = self.parameter(0);
        let contact = self.model.contact(id);
        let contact =
            contact.ok_or_else(|| ErrorResponse::bad_request(&format!("Contact with id {id} not found")))?;
        self.check_owner(&contact.location_id)?;
        Ok(contact)
    }
}
