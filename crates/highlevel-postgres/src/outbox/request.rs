//! Requests that can be stored, and sent later.

use std::time::SystemTime;

use highlevel::wire::types::{InboundMessageRequest, OutboundCallRequest, SendMessageRequest};
use highlevel::{
    Addressed, Client, ConversationId, Custom, Email, Facebook, Fingerprint, Inbound, Instagram,
    InternalComment, LiveChat, MessageId, OutboundCall, Rcs, Sms, TikTok, WhatsApp,
};
use serde_json::Value;

/// A request that creates a message or a call. Converts from the constructors of `highlevel`, such as [`Sms`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum OutgoingRequest {
    /// A message to a contact.
    Message(Box<SendMessageRequest>),
    /// A message that a contact sent elsewhere.
    Inbound(Box<InboundMessageRequest>),
    /// A call that was made elsewhere.
    Call(Box<OutboundCallRequest>),
}

macro_rules! convert {
    ($($type:ty => $variant:ident),+ $(,)?) => {$(
        impl From<$type> for OutgoingRequest {
            fn from(request: $type) -> Self {
                Self::$variant(Box::new(request.into()))
            }
        }
    )+};
}

convert! {
    SendMessageRequest => Message,
    Sms => Message,
    Email => Message,
    WhatsApp => Message,
    Rcs => Message,
    Instagram => Message,
    Facebook => Message,
    TikTok => Message,
    LiveChat => Message,
    Custom => Message,
    InternalComment => Message,
    InboundMessageRequest => Inbound,
    OutboundCallRequest => Call,
    OutboundCall => Call,
}

impl<Channel> From<Inbound<Channel, Addressed>> for OutgoingRequest {
    fn from(request: Inbound<Channel, Addressed>) -> Self {
        Self::Inbound(Box::new(request.into()))
    }
}

/// The message of an accepted request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) message_id: MessageId,
    pub(crate) conversation_id: ConversationId,
}

impl OutgoingRequest {
    /// Returns the operation, as the API names it.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::Message(_) => "send",
            Self::Inbound(_) => "inbound",
            Self::Call(_) => "call",
        }
    }

    /// Returns the fingerprint of an attempt that starts at this time.
    pub fn fingerprint(&self, attempted: SystemTime) -> Fingerprint {
        match self {
            Self::Message(request) => Fingerprint::of(&**request, attempted),
            Self::Inbound(request) => Fingerprint::of(&**request, attempted),
            Self::Call(request) => Fingerprint::of(&**request, attempted),
        }
    }

    /// Returns the contact, or the conversation if the request names no contact.
    pub(crate) fn recipient(&self) -> Option<String> {
        let (contact, conversation) = match self {
            Self::Message(request) => return Some(request.contact_id.to_string()),
            Self::Inbound(request) => (&request.contact_id, &request.conversation_id),
            Self::Call(request) => (&request.contact_id, &request.conversation_id),
        };
        contact.as_ref().map(ToString::to_string).or_else(|| conversation.as_ref().map(ToString::to_string))
    }

    pub(crate) fn to_json(&self) -> serde_json::Result<Value> {
        match self {
            Self::Message(request) => serde_json::to_value(request),
            Self::Inbound(request) => serde_json::to_value(request),
            Self::Call(request) => serde_json::to_value(request),
        }
    }

    /// Reads a stored request. Fails if a later version of this crate stored it.
    pub(crate) fn from_stored(operation: &str, request: Value) -> Result<Self, String> {
        let read = match operation {
            "send" => serde_json::from_value(request).map(Self::Message),
            "inbound" => serde_json::from_value(request).map(Self::Inbound),
            "call" => serde_json::from_value(request).map(Self::Call),
            _ => return Err(format!("operation `{operation}` is not known to this version")),
        };
        read.map_err(|error| format!("the stored request cannot be read: {error}"))
    }

    /// Sends the request once.
    pub(crate) async fn send(self, client: &Client) -> highlevel::Result<Accepted> {
        match self {
            Self::Message(request) => {
                let receipt = client.messages().send(*request).await?;
                Ok(Accepted {
                    message_id: receipt.message_id().clone(),
                    conversation_id: receipt.conversation_id().clone(),
                })
            }
            Self::Inbound(request) => {
                let receipt = client.messages().add_inbound(*request).await?;
                Ok(Accepted {
                    message_id: receipt.message_id().clone(),
                    conversation_id: receipt.conversation_id().clone(),
                })
            }
            Self::Call(request) => {
                let receipt = client.calls().add_outbound(*request).await?;
                Ok(Accepted {
                    message_id: receipt.message_id().clone(),
                    conversation_id: receipt.conversation_id().clone(),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_requests_are_read_unchanged() {
        let requests: [OutgoingRequest; 3] = [
            Sms::to("contact").text("Your table is ready").into(),
            Inbound::sms("provider").from_contact("contact").text("See you at eight").into(),
            OutboundCall::in_conversation("conversation", "provider").from("+15037081210").into(),
        ];
        for request in requests {
            let stored = request.to_json().expect("JSON");
            assert_eq!(OutgoingRequest::from_stored(request.operation(), stored), Ok(request));
        }
    }

    #[test]
    fn unknown_operations_are_rejected() {
        assert!(OutgoingRequest::from_stored("fax", Value::Null).is_err());
        assert!(OutgoingRequest::from_stored("send", Value::Null).is_err());
    }

    #[test]
    fn messages_are_ordered_by_contact_or_conversation() {
        let message: OutgoingRequest = Sms::to("contact").text("Hello").into();
        let call: OutgoingRequest = OutboundCall::in_conversation("conversation", "provider").into();
        assert_eq!(message.recipient().as_deref(), Some("contact"));
        assert_eq!(call.recipient().as_deref(), Some("conversation"));
    }
}
