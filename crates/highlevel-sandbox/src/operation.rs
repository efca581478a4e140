//! The operations of the API.

use std::fmt::{Display, Formatter};

/// An operation of `HighLevel` that the sandbox serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// `POST /conversations/messages`
    SendMessage,
    /// `POST /conversations/messages/inbound`
    AddInboundMessage,
    /// `POST /conversations/messages/outbound`
    AddOutboundCall,
    /// `PUT /conversations/messages/{messageId}/status`, with which a conversation provider updates the status of a
    /// message.
    UpdateMessageStatus,
}

impl Operation {
    /// All operations.
    pub const ALL: [Self; 4] =
        [Self::SendMessage, Self::AddInboundMessage, Self::AddOutboundCall, Self::UpdateMessageStatus];

    /// Returns the `operationId`, for example `sendMessage`.
    pub fn id(self) -> &'static str {
        match self {
            Self::SendMessage => "sendMessage",
            Self::AddInboundMessage => "addInboundMessage",
            Self::AddOutboundCall => "addOutboundCall",
            Self::UpdateMessageStatus => "updateMessageStatus",
        }
    }

    /// Returns the operation with this `operationId`.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.id() == id)
    }

    /// Returns the operation with this method and path. The path has no query.
    pub(crate) fn of(method: &str, path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| {
            operation.method() == method
                && match operation.path().split_once("{messageId}") {
                    Some((before, after)) => message_id(path, before, after).is_some(),
                    None => operation.path() == path,
                }
        })
    }

    /// Returns the message ID in the path of a request.
    pub(crate) fn message_id(self, path: &str) -> Option<&str> {
        let (before, after) = self.path().split_once("{messageId}")?;
        message_id(path, before, after)
    }

    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::UpdateMessageStatus => "PUT",
            _ => "POST",
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::SendMessage => "/conversations/messages",
            Self::AddInboundMessage => "/conversations/messages/inbound",
            Self::AddOutboundCall => "/conversations/messages/outbound",
            Self::UpdateMessageStatus => "/conversations/messages/{messageId}/status",
        }
    }
}

impl Display for Operation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.id())
    }
}

/// Returns the text between the two parts of a path, if it is a single segment.
fn message_id<'a>(path: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let id = path.strip_prefix(before)?.strip_suffix(after)?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
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
            assert!(spec.request_schema(method, path).is_some(), "{operation}");
            assert_eq!(spec.scopes(method, path), ["conversations/message.write"], "{operation}");
            assert_eq!(Operation::from_id(operation.id()), Some(operation));
        }
    }

    #[test]
    fn operations_are_found_by_method_and_path() {
        let cases = [
            ("POST", "/conversations/messages", Some(Operation::SendMessage)),
            ("POST", "/conversations/messages/", None),
            ("PUT", "/conversations/messages/abc/status", Some(Operation::UpdateMessageStatus)),
            ("PUT", "/conversations/messages//status", None),
            ("PUT", "/conversations/messages/a/b/status", None),
            ("PUT", "/conversations/messages/status", None),
            ("POST", "/conversations/messages/abc/status", None),
        ];
        for (method, path, expected) in cases {
            assert_eq!(Operation::of(method, path), expected, "{method} {path}");
        }
    }
}
