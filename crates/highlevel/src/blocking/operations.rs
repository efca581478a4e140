//! The operations of the blocking client: one line for each method of the async one, which it runs.

use bytes::Bytes;
use highlevel_wire::types::{
    AddMessageResponse, CancelScheduledResponse, ContactDetails, ContactNoteResponse, ContactRequest,
    ContactResponse, ContactTagsResponse, ConversationDetails, ConversationMessage, ConversationResponse,
    ConversationSummary, DuplicateContactResponse, EmailDetails, InboundMessageRequest, MessageResponse,
    OutboundCallRequest, SearchContactsRequest, SendMessageRequest, SendMessageResponse, Transcription,
    TypingResponse, UpdateContactRequest, UpdateEmailStatusRequest, UpdateEmailStatusResponse,
    UpdateMessageStatusRequest, UploadFilesResponse, UpsertContactResponse,
};

use super::Client;
use crate::{
    ContactId, ContactKey, ConversationId, ConversationSearch, EmailMessageId, Finding, Fingerprint,
    MessageExport, MessageId, Note, ReadBack, Receipt, Result, Upload, VisitorId,
};

/// Defines the blocking counterparts of the async types of operations, and the methods of the client that return them.
macro_rules! counterparts {
    ($(
        $(#[$doc:meta])*
        $name:ident from $accessor:ident {
            $( $kind:ident $method:ident($($argument:ident: $type:ty),*) -> $output:ty; )+
        }
    )+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone)]
            pub struct $name {
                inner: crate::$name,
                client: Client,
            }

            impl $name {
                $( method! { $kind $name $method($($argument: $type),*) -> $output } )+
            }

            impl Client {
                #[doc = concat!(
                    "Returns the operations of [`", stringify!($name), "`]. See [`Client::", stringify!($accessor),
                    "`](crate::Client::", stringify!($accessor), ").",
                )]
                pub fn $accessor(&self) -> $name {
                    $name { inner: self.as_async().$accessor(), client: self.clone() }
                }
            }
        )+
    };
}

/// Defines a method: `run` waits for the result of an async one, `list` wraps a list that is read page by page.
macro_rules! method {
    (run $name:ident $method:ident($($argument:ident: $type:ty),*) -> $output:ty) => {
        #[doc = concat!(
            "Runs [`", stringify!($name), "::", stringify!($method), "`](crate::", stringify!($name), "::",
            stringify!($method), "), and waits for its result.\n\n# Errors\n\nReturns the errors of the async method, and \
            [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) inside an async task.",
        )]
        pub fn $method(&self, $($argument: $type),*) -> Result<$output> {
            self.client.run(self.inner.$method($($argument),*))
        }
    };
    (list $name:ident $method:ident($($argument:ident: $type:ty),*) -> $output:ty) => {
        #[doc = concat!(
            "Returns the list of [`", stringify!($name), "::", stringify!($method), "`](crate::", stringify!($name), "::",
            stringify!($method), ") as an iterator.",
        )]
        pub fn $method(&self, $($argument: $type),*) -> Listing<$output> {
            Listing { inner: self.inner.$method($($argument),*), client: self.client.clone() }
        }
    };
}

counterparts! {
    /// Sends messages, adds messages that arrived elsewhere, and reads messages. From [`Client::messages`].
    Messages from messages {
        run send(message: impl Into<SendMessageRequest>) -> Receipt<SendMessageResponse>;
        run add_inbound(message: impl Into<InboundMessageRequest>) -> Receipt<AddMessageResponse>;
        run get(message: &MessageId) -> Receipt<MessageResponse>;
        run get_email(email: &EmailMessageId) -> Receipt<EmailDetails>;
        list list(conversation: &ConversationId) -> ConversationMessage;
        list export(export: MessageExport) -> ConversationMessage;
        run set_status(message: &MessageId, status: impl Into<UpdateMessageStatusRequest>) -> Receipt<SendMessageResponse>;
        run set_email_status(
            email: &EmailMessageId, status: impl Into<UpdateEmailStatusRequest>
        ) -> Receipt<UpdateEmailStatusResponse>;
        run cancel(message: &MessageId) -> Receipt<CancelScheduledResponse>;
        run cancel_email(email: &EmailMessageId) -> Receipt<CancelScheduledResponse>;
        run set_attachments(message: &MessageId, urls: impl IntoIterator<Item = impl Into<String>>) -> Receipt<()>;
    }

    /// Adds calls that were made elsewhere, and reads recordings and transcriptions. From [`Client::calls`].
    Calls from calls {
        run add_outbound(call: impl Into<OutboundCallRequest>) -> Receipt<AddMessageResponse>;
        run transcription(call: &MessageId) -> Receipt<Transcription>;
    }

    /// Finds, creates and updates contacts. From [`Client::contacts`].
    Contacts from contacts {
        run upsert(contact: impl Into<ContactRequest>) -> Receipt<UpsertContactResponse>;
        run create(contact: impl Into<ContactRequest>) -> Receipt<ContactResponse>;
        run get(contact: &ContactId) -> Receipt<ContactResponse>;
        run update(contact: &ContactId, changes: impl Into<UpdateContactRequest>) -> Receipt<ContactResponse>;
        run find_duplicate(key: ContactKey) -> Receipt<DuplicateContactResponse>;
        list search(search: impl Into<SearchContactsRequest>) -> ContactDetails;
        run add_tags(contact: &ContactId, tags: impl IntoIterator<Item = impl Into<String>>) -> Receipt<ContactTagsResponse>;
        run remove_tags(contact: &ContactId, tags: impl IntoIterator<Item = impl Into<String>>) -> Receipt<ContactTagsResponse>;
        run add_note(contact: &ContactId, note: impl Into<Note>) -> Receipt<ContactNoteResponse>;
    }

    /// Finds, creates and updates conversations. From [`Client::conversations`].
    Conversations from conversations {
        list search(search: ConversationSearch) -> ConversationSummary;
        run get(conversation: &ConversationId) -> Receipt<ConversationDetails>;
        run create(contact: &ContactId) -> Receipt<ConversationResponse>;
        run set_unread(conversation: &ConversationId, messages: u32) -> Receipt<ConversationResponse>;
        run set_starred(conversation: &ConversationId, is_starred: bool) -> Receipt<ConversationResponse>;
        run set_typing(
            conversation: &ConversationId, visitor: &VisitorId, is_typing: bool
        ) -> Receipt<TypingResponse>;
    }

    /// Uploads files. From [`Client::files`].
    Files from files {
        run upload(upload: Upload) -> Receipt<UploadFilesResponse>;
    }
}

impl Client {
    /// Reads back whether the message of a request exists. See [`Client::find`](crate::Client::find).
    ///
    /// # Errors
    ///
    /// Returns the errors of the async method, and [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) inside an async
    /// task.
    pub fn find(&self, fingerprint: &Fingerprint) -> Result<Finding> {
        self.run(self.as_async().find(fingerprint))
    }

    /// Reads back the messages that could be that of a request, without a decision. See
    /// [`Client::read_back`](crate::Client::read_back).
    ///
    /// # Errors
    ///
    /// Returns an [`Error`](crate::Error) if the messages cannot be read.
    pub fn read_back(&self, fingerprint: &Fingerprint) -> Result<ReadBack> {
        self.run(self.as_async().read_back(fingerprint))
    }
}

impl Calls {
    /// Returns the recording of a call as an iterator over its parts. See [`Calls::recording`](crate::Calls::recording).
    ///
    /// # Errors
    ///
    /// Returns the errors of the async method, and [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) inside an async
    /// task.
    pub fn recording(&self, call: &MessageId) -> Result<Recording> {
        let receipt = self.client.run(self.inner.recording(call))?;
        Ok(Recording { inner: receipt.into_response(), client: self.client.clone() })
    }
}

/// A list that is read page by page. See [`Listing`](crate::Listing).
#[derive(Debug)]
#[must_use = "a list does nothing until its items are taken"]
pub struct Listing<T> {
    inner: crate::Listing<T>,
    client: Client,
}

impl<T> Iterator for Listing<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        let next = async { Ok(self.inner.next().await) };
        self.client.run(next).unwrap_or_else(|error| Some(Err(error)))
    }
}

/// The recording of a call: an iterator over its parts. See [`Recording`](crate::Recording).
#[derive(Debug)]
pub struct Recording {
    inner: crate::Recording,
    client: Client,
}

impl Recording {
    /// Returns the content type, for example `audio/x-wav`.
    pub fn content_type(&self) -> Option<&str> {
        self.inner.content_type()
    }

    /// Returns the length in bytes, if the response specifies it.
    pub fn content_length(&self) -> Option<u64> {
        self.inner.content_length()
    }
}

impl Iterator for Recording {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Result<Bytes>> {
        self.client.run(self.inner.chunk()).transpose()
    }
}
