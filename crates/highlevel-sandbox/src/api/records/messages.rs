//! Messages that exist: read, list and change them.

use http::StatusCode;
use serde_json::{Value, json};

use super::{ErrorResponse, RecordRequest, Reply, message_view};
use crate::model::{Record, StatusUpdate, StoredMessage};
use crate::spec::Violation;
use crate::webhook::payload::event_type;

/// The maximum memory of the messages on a page, in bytes; the last message may exceed it.
pub(super) const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// The maximum number of attachments of a message.
const MAX_ATTACHMENTS: usize = 5;

impl RecordRequest<'_> {
    pub(super) fn list_messages(&self) -> Result<Reply, ErrorResponse> {
        let conversation = self.conversation(self.parameter(0))?;
        let after = self.query.get("lastMessageId");
        let types: Vec<&str> = self.query.get("type").unwrap_or_default().split(',').map(str::trim).collect();
        let is_wanted = |message: &StoredMessage| {
            let text = event_type(message, self.model).and_then(|names| names.text);
            types.iter().all(|each| each.is_empty()) || text.is_some_and(|text| types.contains(&text))
        };
        let latest = self.model.latest_with(&conversation.contact_id, after).ok_or_else(|| {
            ErrorResponse::bad_request(&format!("lastMessageId {} is not in the conversation", json!(after)))
        })?;
        let mut latest = latest.filter(|message| is_wanted(message)).peekable();
        let (limit, mut bytes, mut page) = (self.query.limit(20, 100), 0, Vec::new());
        while page.len() < limit
            && bytes <= PAGE_BYTES
            && let Some(message) = latest.next()
        {
            bytes += message.weight();
            page.push(message);
        }
        let last = page.last().map(|message| &*message.id).unwrap_or_default();
        let views: Value = page.iter().map(|message| message_view::message(message, self.model)).collect();
        let next = latest.peek().is_some();
        Ok(Reply::ok(json!({
            "messages": { "lastMessageId": last, "nextPage": next, "messages": views },
        })))
    }

    pub(super) fn get_message(&self) -> Result<Reply, ErrorResponse> {
        let message = self.message(self.parameter(0))?;
        Ok(Reply::ok(json!({ "message": message_view::message(message, self.model) })))
    }

    pub(super) fn get_email(&self) -> Result<Reply, ErrorResponse> {
        let id = self.parameter(0);
        let missing = || ErrorResponse::not_found(&format!("Email message with id {id} not found"));
        let message = self.model.email(id).ok_or_else(missing)?;
        self.check_owner(&message.location_id)?;
        Ok(Reply::ok(message_view::email(message, self.model)))
    }

    pub(super) fn set_message_attachments(&self) -> Result<Reply, ErrorResponse> {
        let message = self.message(self.parameter(0))?;
        let attachments = self.body["attachments"].as_array().map_or(0, Vec::len);
        if attachments > MAX_ATTACHMENTS {
            let problem = format!("must contain no more than {MAX_ATTACHMENTS} elements");
            return Err(ErrorResponse::invalid(&[Violation::new("/attachments", "maxItems", &problem)], 0));
        }
        let mut message = message.parsed();
        message.request["attachments"] = self.body["attachments"].clone();
        let body = json!({ "success": true, "messageId": message.id });
        Ok(Reply::ok(body).put(Record::from(message.to_stored())))
    }

    pub(super) fn update_email_status(&self) -> Result<Reply, ErrorResponse> {
        let id = self.parameter(0);
        let message = self.model.email(id).filter(|message| message.location_id == self.location);
        let Some(message) = message else {
            return Err(ErrorResponse::unauthorized(&format!(
                "No message found for the id: {id} passed in params"
            )));
        };
        if message.conversation_provider_id.is_none() {
            return Err(ErrorResponse::coded(
                StatusCode::FORBIDDEN,
                "CONVERSATIONS_MSG_PROVIDER_NOT_FOUND",
                "No conversation provider found for this message.",
            ));
        }
        // The model has fewer statuses.
        let status = match self.text("status").unwrap_or_default() {
            "sent" | "connected" | "scheduled" => "pending",
            "opened" | "clicked" => "read",
            "undelivered" => "failed",
            other => other,
        };
        let recipients = self.body["recipients"].as_array().into_iter().flatten();
        let reasons = recipients.filter_map(|recipient| recipient["failReason"].as_str());
        let mut update = StatusUpdate::new(status);
        if let Some(reason) = reasons.into_iter().next().filter(|_| status == "failed") {
            update = update.error(reason);
        }
        let changed = StoredMessage::clone(message)
            .with_status(update, self.generated.now.clone())
            .map_err(|problem| ErrorResponse::bad_request(&problem))?;
        let body = json!({ "success": true, "message": "Email status updated." });
        Ok(Reply::ok(body).put(Record::from(changed)))
    }

    /// Returns a message of the location.
    pub(super) fn message(&self, id: &str) -> Result<&StoredMessage, ErrorResponse> {
        let missing = || ErrorResponse::not_found(&format!("Message with id {id} not found"));
        let message = self.model.message(id).ok_or_else(missing)?;
        self.check_owner(&message.location_id)?;
        Ok(message)
    }
}
