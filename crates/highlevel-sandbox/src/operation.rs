//! The operations of the API.

use std::fmt::{Display, Formatter};

use http::Method;

/// Declares the operations, with the method and path template of each one.
macro_rules! operations {
    ($($name:ident $id:literal $method:literal $path:literal,)*) => {
        /// An operation of `HighLevel` that the sandbox serves.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $(
                #[doc = concat!("`", $method, " ", $path, "`")]
                $name,
            )*
        }

        impl Operation {
            /// All operations.
            pub const ALL: [Self; [$($id),*].len()] = [$(Self::$name),*];

            /// Returns the `operationId`, for example `sendMessage`.
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }

            pub(crate) fn method(self) -> &'static str {
                match self {
                    $(Self::$name => $method,)*
                }
            }

            pub(crate) fn path(self) -> &'static str {
                match self {
                    $(Self::$name => $path,)*
                }
            }
        }
    };
}

operations! {
    SendMessage "sendMessage" "POST" "/conversations/messages",
    AddInboundMessage "addInboundMessage" "POST" "/conversations/messages/inbound",
    AddOutboundCall "addOutboundCall" "POST" "/conversations/messages/outbound",
    UpdateMessageStatus "updateMessageStatus" "PUT" "/conversations/messages/{messageId}/status",
    CancelScheduledMessage "cancelScheduledMessage" "DELETE" "/conversations/messages/{messageId}/schedule",
    CancelScheduledEmail "cancelScheduledEmail" "DELETE" "/conversations/messages/email/{emailMessageId}/schedule",
    UpsertContact "upsertContact" "POST" "/contacts/upsert",
    CreateContact "createContact" "POST" "/contacts/",
    ListContacts "listContacts" "GET" "/contacts/",
    SearchContacts "searchContacts" "POST" "/contacts/search",
    FindDuplicateContact "findDuplicateContact" "GET" "/contacts/search/duplicate",
    GetContact "getContact" "GET" "/contacts/{contactId}",
    UpdateContact "updateContact" "PUT" "/contacts/{contactId}",
    AddContactTags "addContactTags" "POST" "/contacts/{contactId}/tags",
    RemoveContactTags "removeContactTags" "DELETE" "/contacts/{contactId}/tags",
    AddContactNote "addContactNote" "POST" "/contacts/{contactId}/notes",
    SearchConversations "searchConversations" "GET" "/conversations/search",
    CreateConversation "createConversation" "POST" "/conversations/",
    GetConversation "getConversation" "GET" "/conversations/{conversationId}",
    UpdateConversation "updateConversation" "PUT" "/conversations/{conversationId}",
    ListMessages "listMessages" "GET" "/conversations/{conversationId}/messages",
    GetMessage "getMessage" "GET" "/conversations/messages/{messageId}",
    GetEmail "getEmail" "GET" "/conversations/messages/email/{emailMessageId}",
    UpdateEmailStatus "updateEmailStatus" "PUT" "/conversations/messages/email/{emailMessageId}/status",
    SetMessageAttachments "setMessageAttachments" "PUT" "/conversations/messages/{messageId}/attachments",
    ExportMessages "exportMessages" "GET" "/conversations/messages/export",
    GetRecording "getRecording" "GET" "/conversations/messages/{messageId}/locations/{locationId}/recording",
    GetTranscription "getTranscription" "GET" "/conversations/locations/{locationId}/messages/{messageId}/transcription",
    UploadFiles "uploadFiles" "POST" "/conversations/messages/upload",
    SetTyping "setTyping" "POST" "/conversations/providers/live-chat/typing",
}

impl Operation {
    /// Returns the operation with this `operationId`.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.id() == id)
    }

    /// Returns the operation with this method and path template.
    pub(crate) fn of(method: &Method, path: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|operation| operation.method() == method.as_str() && operation.path() == path)
    }

    /// Returns `true` for operations that change nothing.
    pub(crate) fn is_read(self) -> bool {
        self.method() == "GET" || self == Self::SearchContacts
    }

    /// Returns `true` for operations that send or add a message or a call.
    pub(crate) fn adds_a_message(self) -> bool {
        matches!(self, Self::SendMessage | Self::AddInboundMessage | Self::AddOutboundCall)
    }
}

impl Display for Operation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Spec;

    #[test]
    fn the_spec_contains_all_operations() {
        let spec = Spec::load().unwrap();
        for operation in Operation::ALL {
            let (method, path) = (operation.method(), operation.path());
            assert_eq!(spec.operation_id(method, path), Some(operation.id()));
            assert_eq!(spec.scopes(method, path).len(), 1, "{operation}");
            assert_eq!(Operation::from_id(operation.id()), Some(operation));
        }
    }
}
