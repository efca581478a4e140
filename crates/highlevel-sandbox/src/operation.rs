//! The operations of the API.

use std::fmt::{Display, Formatter};

use http::Method;

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

    /// Returns the operation with this method and path template.
    pub(crate) fn of(method: &Method, path: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|operation| operation.method() == method.as_str() && operation.path() == path)
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
}
