//! Storing messages of requests and simulations.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde_json::Value;

use super::moment::Moment;
use super::state::Engine;
use crate::api::{self, ApiConfig, ApiResponse, Call, Change, ErrorResponse};
use crate::credentials::Grant;
use crate::fidelity::Quirk;
use crate::model::{
    Conflict, Conversation, Message, MessageDirection, MessageSource, Model, Record, SCHEDULED, Unindexed,
};
use crate::operation::Operation;
use crate::spec::Spec;
use crate::sync::lock;

impl Engine {
    /// Handles a simulated request, authorized with the token of the location, and returns the stored message. A
    /// simulated request does not count towards rate limits and is not recorded in the ledger.
    ///
    /// # Errors
    ///
    /// Returns the error message of the API if the request is rejected.
    pub(crate) fn simulate(
        &self,
        operation: Operation,
        location: &str,
        body: &Value,
        adjust: impl FnOnce(&mut Message),
    ) -> Result<Message, String> {
        let moment = Moment::at(self.clock.now(), &self.identifiers);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("version", HeaderValue::from_static("2021-04-15"));
        // A simulated request comes from the app that owns the provider.
        let provider = body.get("conversationProviderId").and_then(Value::as_str);
        let owner = provider.and_then(|id| self.model().provider(id)?.app_id.clone());
        let app = owner.as_ref().unwrap_or(&self.account.app_id);
        let caller = Ok(Grant::simulated(app, location));
        let body = body.to_string();
        let call = Call {
            method: operation.method(),
            target: operation.path(),
            operation: Some(operation),
            parameters: &[],
            headers: &headers,
            body: body.as_bytes(),
            form: None,
        };
        let adjust = |message: &mut Message| {
            message.source = MessageSource::App;
            adjust(message);
        };
        let response = self.handle(&caller, call, &moment, adjust);
        let stored = response.annotations.message_id.and_then(|id| Some(self.model().message(&id)?.parsed()));
        stored.ok_or_else(|| {
            let reason = match &response.body["message"] {
                Value::Array(reasons) => {
                    reasons.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
                }
                reason => reason.as_str().unwrap_or("the request stored no message").to_owned(),
            };
            match response.annotations.note {
                Some(note) => format!("{reason}: {note}"),
                None => reason,
            }
        })
    }

    /// Handles a request to the API, and stores the message that it creates or changes.
    ///
    /// `adjust` is called with a new message before it is stored.
    pub(super) fn handle(
        &self,
        caller: &Result<Grant, ErrorResponse>,
        call: Call<'_>,
        moment: &Moment,
        adjust: impl FnOnce(&mut Message),
    ) -> ApiResponse {
        let config = ApiConfig {
            spec: Spec::embedded(),
            settings: lock(&self.settings).clone(),
            app_id: self.account.app_id.clone(),
            base_url: self.base_url.clone(),
        };
        if call.operation.is_some_and(Operation::is_read) {
            // A search may take long, so it reads a snapshot and holds no lock.
            let model = self.shared_model();
            let is_search =
                matches!(call.operation, Some(Operation::SearchContacts | Operation::SearchConversations));
            let unindexed = if is_search && config.settings.has(Quirk::SearchIndexLag) {
                lock(&self.search_lag).unindexed(moment.now)
            } else {
                Unindexed::default()
            };
            return api::respond(&config, &model, &unindexed, caller, call, &moment.generated);
        }
        let mut model = self.model();
        let mut response =
            api::respond(&config, &model, &Unindexed::default(), caller, call, &moment.generated);
        if (response.accepted.is_some() || response.changed.is_some() || !response.changes.is_empty())
            && let Err(error) = self.check_writable()
        {
            return ErrorResponse::not_stored(&error).into_response(&moment.generated.trace_id);
        }
        if let Some(mut message) = response.accepted.take() {
            adjust(&mut message);
            let conversation = conversation_after(&model, &message, &moment.generated.now);
            let conversation = conversation.map(Record::Conversation);
            let records = conversation.into_iter().chain([Record::from(model.with_shared_texts(&message))]);
            if let Err(conflict) = self.put(&mut model, records) {
                return ErrorResponse::not_stored(&conflict).into_response(&moment.generated.trace_id);
            }
            // Under the lock, so that events are sent in the order in which messages were stored.
            if message.status != SCHEDULED {
                self.publish(&model, &message, moment.now);
            }
        }
        if let Some(message) = response.changed.take()
            && let Err(conflict) = self.put(&mut model, [Record::from(message)])
        {
            return ErrorResponse::not_stored(&conflict).into_response(&moment.generated.trace_id);
        }
        for change in std::mem::take(&mut response.changes) {
            if let Err(conflict) = self.apply(&mut model, change) {
                return ErrorResponse::not_stored(&conflict).into_response(&moment.generated.trace_id);
            }
        }
        response
    }

    fn apply(&self, model: &mut Model, change: Change) -> Result<(), Conflict> {
        match change {
            Change::Put(record) => self.put(model, [record]),
            Change::Delete(kind, id) => {
                self.delete_in(model, kind, &id);
                Ok(())
            }
        }
    }
}

/// Returns the conversation of a new message if it is new or has one more unread message.
fn conversation_after(model: &Model, message: &Message, now: &str) -> Option<Conversation> {
    let is_unread = message.direction == MessageDirection::Inbound;
    let before = model.conversation(&message.conversation_id);
    if before.is_some() && !is_unread {
        return None;
    }
    let mut conversation = before.cloned().unwrap_or_else(|| {
        let mut new = Conversation::new(&message.conversation_id, &message.contact_id);
        new.date_added = Some(now.to_owned());
        new.location(&message.location_id)
    });
    conversation.unread_count += u64::from(is_unread);
    conversation.date_updated = Some(now.to_owned());
    Some(conversation)
}
