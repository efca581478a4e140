//! The operations of the generated client, and the rule by which each is repeated.

use std::time::SystemTime;

use highlevel_wire::ResponseValue;
use highlevel_wire::types::{
    AddMessageResponse, CancelScheduledResponse, ContactDetails, ContactNoteRequest, ContactNoteResponse,
    ContactRequest, ContactResponse, ContactTagsRequest, ContactTagsResponse, ConversationDetails,
    ConversationMessage, ConversationResponse, ConversationSummary, CreateConversationRequest,
    DuplicateContactResponse, EmailDetails, ExportMessagesResponse, InboundMessageRequest,
    ListMessagesResponse, MessageResponse, OutboundCallRequest, SearchContactsRequest,
    SearchContactsResponse, SearchConversationsResponse, SendMessageRequest, SendMessageResponse,
    SetAttachmentsRequest, TranscribedSentence, Transcription, TypingRequest, TypingResponse,
    UpdateContactRequest, UpdateConversationRequest, UpdateEmailStatusRequest, UpdateEmailStatusResponse,
    UpdateMessageStatusRequest, UpsertContactResponse, WrittenConversation,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::classify::RepeatSafety;
use crate::executor::Operation;
use crate::receipt::message_ids;
use crate::recent::Addressee;
use crate::search::{ConversationSearch, MessageExport};
use crate::{ContactId, ConversationId, EmailMessageId, Fingerprint, LocationId, MessageId, Result, lenient};

/// Implements [`Operation`] for requests that create a message. They are never repeated.
macro_rules! creates_a_message {
    ($( $request:ty => $response:ty, $function:ident, $addressee:expr, $created:expr $(, is_receipt $is_receipt:expr)?; )+) => {
        $(
            impl Operation for $request {
                type Response = $response;

                const NAME: &'static str = stringify!($function);

                $( fn is_receipt(response: &$response) -> bool { $is_receipt(response) } )?

                fn read(body: &[u8]) -> serde_json::Result<$response> {
                    lenient::read_body(body)
                }

                fn fingerprint(&self, attempted: SystemTime) -> Option<Fingerprint> {
                    Some(Fingerprint::of(self, attempted))
                }

                fn addressee(&self) -> Option<Addressee> {
                    let addressee: fn(&$request) -> Addressee = $addressee;
                    Some(addressee(self))
                }

                fn created(response: &$response) -> impl Iterator<Item = &MessageId> {
                    $created(response)
                }

                async fn send(
                    &self,
                    wire: &highlevel_wire::Client,
                ) -> Result<ResponseValue<$response>, highlevel_wire::Error<()>> {
                    wire.$function(self).await
                }
            }
        )+
    };
}

creates_a_message! {
    SendMessageRequest => SendMessageResponse, send_message,
        |it| Addressee::new(Some(&it.contact_id), None), message_ids,
        is_receipt |response| message_ids(response).next().is_some();
    InboundMessageRequest => AddMessageResponse, add_inbound_message,
        |it| Addressee::new(it.contact_id.as_ref(), it.conversation_id.as_ref()), added_id;
    OutboundCallRequest => AddMessageResponse, add_outbound_call,
        |it| Addressee::new(it.contact_id.as_ref(), it.conversation_id.as_ref()), added_id;
}

fn added_id(response: &AddMessageResponse) -> impl Iterator<Item = &MessageId> {
    std::iter::once(&response.message_id)
}

/// Defines operations: the type with the arguments, the response, the function of the generated client, the replay rule, the
/// repair of a response that has another shape than the documented one, and for lists, whether the response has one: no list
/// is not an empty list.
macro_rules! operations {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($field:ident: $type:ty),+ } => $response:ty, $function:ident, $replay:ident, $repair:path,
            $( is_receipt $is_receipt:expr, )?
            |$it:ident, $wire:ident| $call:expr;
    )+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone)]
            pub(crate) struct $name {
                $( pub(crate) $field: $type, )+
            }

            impl Operation for $name {
                type Response = $response;

                const NAME: &'static str = stringify!($function);

                fn replay(&self) -> RepeatSafety {
                    RepeatSafety::$replay
                }

                $( fn is_receipt(response: &$response) -> bool {
                    let is_receipt: fn(&$response) -> bool = $is_receipt;
                    is_receipt(response)
                } )?

                fn read(body: &[u8]) -> serde_json::Result<$response> {
                    lenient::read_repaired(body, $repair)
                }

                async fn send(
                    &self,
                    $wire: &highlevel_wire::Client,
                ) -> Result<ResponseValue<$response>, highlevel_wire::Error<()>> {
                    let $it = self;
                    $call.await
                }
            }
        )+

        /// The operations and their replay rules, for the comparison with the documentation.
        #[cfg(test)]
        const REPLAYS: &[(&str, RepeatSafety)] = &[$( (stringify!($function), RepeatSafety::$replay) ),+];
    };
}

operations! {
    UpsertContact { request: ContactRequest } => UpsertContactResponse, upsert_contact, Idempotent, contact,
        |it, wire| wire.upsert_contact(&it.request);
    CreateContact { request: ContactRequest } => ContactResponse, create_contact, Unsafe, contact,
        |it, wire| wire.create_contact(&it.request);
    GetContact { contact: ContactId } => ContactResponse, get_contact, ReadOnly, contact,
        |it, wire| wire.get_contact(&it.contact);
    UpdateContact { contact: ContactId, request: UpdateContactRequest } => ContactResponse, update_contact, Idempotent, contact,
        |it, wire| wire.update_contact(&it.contact, &it.request);
    FindDuplicateContact { location: LocationId, number: Option<String>, email: Option<String> }
        => DuplicateContactResponse, find_duplicate_contact, ReadOnly, contact,
        |it, wire| wire.find_duplicate_contact(it.email.as_deref(), &it.location, it.number.as_deref());
    SearchContacts { request: SearchContactsRequest } => SearchContactsResponse, search_contacts, ReadOnly, contacts,
        |it, wire| wire.search_contacts(&it.request);
    AddContactTags { contact: ContactId, request: ContactTagsRequest }
        => ContactTagsResponse, add_contact_tags, Idempotent, unchanged,
        |it, wire| wire.add_contact_tags(&it.contact, &it.request);
    RemoveContactTags { contact: ContactId, request: ContactTagsRequest }
        => ContactTagsResponse, remove_contact_tags, Idempotent, unchanged,
        |it, wire| wire.remove_contact_tags(&it.contact, &it.request);
    AddContactNote { contact: ContactId, request: ContactNoteRequest }
        => ContactNoteResponse, add_contact_note, Unsafe, unchanged,
        |it, wire| wire.add_contact_note(&it.contact, &it.request);

    SearchConversations { location: LocationId, search: ConversationSearch }
        => SearchConversationsResponse, search_conversations, ReadOnly, conversations,
        is_receipt |response| response.conversations.is_some() || response.total == Some(0),
        |it, wire| wire.search_conversations(
            it.search.assigned_to.as_deref(),
            it.search.contact.as_ref(),
            it.search.last_message_direction.as_ref(),
            it.search.last_message_type.as_ref(),
            it.search.limit,
            &it.location,
            it.search.query.as_deref(),
            it.search.order.as_ref(),
            it.search.sort_by.as_ref(),
            it.search.after,
            it.search.status.as_ref(),
        );
    // A repetition would be rejected because the conversation exists.
    CreateConversation { request: CreateConversationRequest }
        => ConversationResponse, create_conversation, Unsafe, conversation,
        |it, wire| wire.create_conversation(&it.request);
    GetConversation { conversation: ConversationId } => ConversationDetails, get_conversation, ReadOnly, unchanged,
        |it, wire| wire.get_conversation(&it.conversation);
    UpdateConversation { conversation: ConversationId, request: UpdateConversationRequest }
        => ConversationResponse, update_conversation, Idempotent, conversation,
        |it, wire| wire.update_conversation(&it.conversation, &it.request);
    SetTyping { request: TypingRequest } => TypingResponse, set_typing, Idempotent, unchanged,
        |it, wire| wire.set_typing(&it.request);

    ListMessages { conversation: ConversationId, after: Option<MessageId>, limit: Option<i64>, channels: Option<String> }
        => ListMessagesResponse, list_messages, ReadOnly, message_page,
        is_receipt |response| response.messages.messages.is_some() || response.messages.next_page == Some(false),
        |it, wire| wire.list_messages(&it.conversation, it.after.as_ref(), it.limit, it.channels.as_deref());
    GetMessage { message: MessageId } => MessageResponse, get_message, ReadOnly, message,
        |it, wire| wire.get_message(&it.message);
    GetEmail { email: EmailMessageId } => EmailDetails, get_email, ReadOnly, email,
        |it, wire| wire.get_email(&it.email);
    ExportMessages { location: LocationId, export: MessageExport, cursor: Option<String> }
        => ExportMessagesResponse, export_messages, ReadOnly, messages,
        is_receipt |response| response.messages.is_some() || response.total == Some(0),
        |it, wire| wire.export_messages(
            it.export.channel.as_ref(),
            it.export.contact.as_ref(),
            it.export.conversation.as_ref(),
            it.cursor.as_deref(),
            it.export.until.as_ref(),
            it.export.limit,
            &it.location,
            it.export.sort_by.as_ref(),
            it.export.order.as_ref(),
            it.export.since.as_ref(),
        );
    UpdateMessageStatus { message: MessageId, request: UpdateMessageStatusRequest }
        => SendMessageResponse, update_message_status, Idempotent, unchanged,
        |it, wire| wire.update_message_status(&it.message, &it.request);
    UpdateEmailStatus { email: EmailMessageId, request: UpdateEmailStatusRequest }
        => UpdateEmailStatusResponse, update_email_status, Idempotent, unchanged,
        |it, wire| wire.update_email_status(&it.email, &it.request);
    SetMessageAttachments { message: MessageId, request: SetAttachmentsRequest }
        => (), set_message_attachments, Idempotent, nothing,
        |it, wire| wire.set_message_attachments(&it.message, &it.request);
    // A repetition would report that nothing is scheduled.
    CancelScheduledMessage { message: MessageId }
        => CancelScheduledResponse, cancel_scheduled_message, Unsafe, unchanged,
        |it, wire| wire.cancel_scheduled_message(&it.message);
    CancelScheduledEmail { email: EmailMessageId }
        => CancelScheduledResponse, cancel_scheduled_email, Unsafe, unchanged,
        |it, wire| wire.cancel_scheduled_email(&it.email);

    GetTranscription { location: LocationId, message: MessageId }
        => Transcription, get_transcription, ReadOnly, sentences,
        |it, wire| wire.get_transcription(&it.location, &it.message);
}

fn unchanged(_: &mut Value) {}

/// The body of the response is not read.
fn nothing(body: &mut Value) {
    *body = Value::Null;
}

fn contact(body: &mut Value) {
    object::<ContactDetails>(body, "contact");
}

fn contacts(body: &mut Value) {
    objects::<ContactDetails>(body.get_mut("contacts"));
}

fn conversations(body: &mut Value) {
    objects::<ConversationSummary>(body.get_mut("conversations"));
}

fn conversation(body: &mut Value) {
    object::<WrittenConversation>(body, "conversation");
}

fn messages(body: &mut Value) {
    objects::<ConversationMessage>(body.get_mut("messages"));
}

/// The vendor's OpenAPI file has the page at the top, recorded responses inside `messages`.
fn message_page(body: &mut Value) {
    if body.get("messages").is_some_and(Value::is_array) {
        wrap(body, "messages");
    }
    objects::<ConversationMessage>(body.pointer_mut("/messages/messages"));
}

/// The vendor's OpenAPI file has the message at the top, recorded responses inside `message`.
fn message(body: &mut Value) {
    if body.get("id").is_some() {
        wrap(body, "message");
    }
    object::<ConversationMessage>(body, "message");
}

/// No response of this operation is recorded. The vendor's OpenAPI file has the email at the top.
fn email(body: &mut Value) {
    for wrapper in ["emailMessage", "email", "message"] {
        let inner = body.get_mut(wrapper).filter(|inner| inner.get("id").is_some()).map(Value::take);
        if let Some(inner) = inner {
            *body = inner;
            return;
        }
    }
}

/// The vendor's OpenAPI file has one sentence instead of a list.
fn sentences(body: &mut Value) {
    if body.get("transcript").is_some() {
        *body = Value::Array(vec![body.take()]);
    }
    objects::<TranscribedSentence>(Some(body));
}

fn object<T: DeserializeOwned>(body: &mut Value, field: &str) {
    body.get_mut(field).into_iter().for_each(lenient::remove_mistyped::<T>);
}

fn objects<T: DeserializeOwned>(list: Option<&mut Value>) {
    list.and_then(Value::as_array_mut).into_iter().flatten().for_each(lenient::remove_mistyped::<T>);
}

/// Moves a value into an object with one field.
fn wrap(value: &mut Value, field: &str) {
    let inner = value.take();
    *value = Value::Object(Map::from_iter([(field.to_owned(), inner)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the guide, `| operation | again | reason |`, compared with the rules.
    #[test]
    fn the_guide_lists_the_replay_rules() {
        let guide = include_str!("../../../docs/delivery.md");
        for (name, replay) in REPLAYS {
            let again = if *replay == RepeatSafety::Unsafe { "no" } else { "yes" };
            let rows: Vec<&str> = guide
                .lines()
                .filter(|line| line.starts_with('|') && line.contains(&format!("`{name}`")))
                .collect();
            let [row] = rows[..] else { panic!("{name} is in {} rows", rows.len()) };
            assert_eq!(row.split('|').nth(2).map(str::trim), Some(again), "{row}");
        }
    }
}
