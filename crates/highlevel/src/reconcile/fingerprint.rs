//! The fingerprint of a request that creates a message.

use std::time::SystemTime;

use highlevel_wire::types::{InboundMessageRequest, OutboundCallRequest, SendMessageRequest};

use super::content::RequestContent;
use super::date::Dated;
use crate::{AltId, ContactId, ConversationId, ConversationProviderId, Direction};

/// Identifies a request that creates a message, so that the message can be found.
///
/// A fingerprint can be stored before the request is sent, so that a program that was restarted can still reconcile.
/// It contains ids and hashes, but no text, address or phone number.
///
/// ```
/// use std::time::SystemTime;
/// use highlevel::{Fingerprint, Sms};
///
/// let message = Sms::to("abc123def456").text("Your table is ready");
/// let fingerprint = Fingerprint::of(&message, SystemTime::now());
/// assert_eq!(fingerprint.contact_id().map(|id| id.as_str()), Some("abc123def456"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    pub(super) contact: Option<ContactId>,
    pub(super) conversation: Option<ConversationId>,
    pub(super) provider: Option<ConversationProviderId>,
    pub(super) alt_id: Option<AltId>,
    pub(super) channel: String,
    pub(super) direction: Option<Direction>,
    pub(super) attempted: SystemTime,
    pub(super) dated: Dated,
    pub(super) content: RequestContent,
}

/// A request that creates a message: the generated requests and the constructors of this crate.
pub trait Fingerprintable: sealed::Sealed {}

/// Keeps [`Fingerprintable`] to types of this crate.
pub(crate) mod sealed {
    use std::time::SystemTime;

    pub trait Sealed {
        fn fingerprint_at(&self, attempted: SystemTime) -> super::Fingerprint;
    }
}

macro_rules! fingerprintable {
    ($($request:ty => $function:ident),+) => {
        $(
            impl Fingerprintable for $request {}
            impl sealed::Sealed for $request {
                fn fingerprint_at(&self, attempted: SystemTime) -> Fingerprint {
                    Fingerprint::$function(self, attempted)
                }
            }
        )+
    };
}

fingerprintable! {
    SendMessageRequest => of_message, InboundMessageRequest => of_inbound, OutboundCallRequest => of_call
}

impl Fingerprint {
    /// Creates the fingerprint of a request that is sent at this time.
    pub fn of(request: &impl Fingerprintable, attempted: SystemTime) -> Self {
        request.fingerprint_at(attempted)
    }

    fn of_message(request: &SendMessageRequest, attempted: SystemTime) -> Self {
        Self {
            contact: Some(request.contact_id.clone()),
            conversation: None,
            provider: request.conversation_provider_id.clone(),
            alt_id: None,
            channel: request.type_.to_string(),
            direction: Some(Direction::Outbound),
            attempted,
            dated: Dated::of_message(request),
            content: RequestContent::of_message(request),
        }
    }

    fn of_inbound(request: &InboundMessageRequest, attempted: SystemTime) -> Self {
        Self {
            contact: request.contact_id.clone(),
            conversation: request.conversation_id.clone(),
            provider: request.conversation_provider_id.clone(),
            alt_id: request.alt_id.clone(),
            channel: request.type_.to_string(),
            direction: Some(request.direction.clone().unwrap_or(Direction::Inbound)),
            attempted,
            dated: Dated::of_record(request.date.as_ref()),
            content: RequestContent::of_inbound(request),
        }
    }

    fn of_call(request: &OutboundCallRequest, attempted: SystemTime) -> Self {
        Self {
            contact: request.contact_id.clone(),
            conversation: request.conversation_id.clone(),
            provider: Some(request.conversation_provider_id.clone()),
            alt_id: request.alt_id.clone(),
            channel: request.type_.to_string(),
            direction: Some(Direction::Outbound),
            attempted,
            dated: Dated::of_record(request.date.as_ref()),
            content: RequestContent::of_call(request),
        }
    }

    /// Returns the fingerprint of the same request, sent at another time.
    #[must_use]
    pub fn attempted_at(mut self, attempted: SystemTime) -> Self {
        self.attempted = attempted;
        self
    }

    /// Returns the time of the attempt.
    pub fn attempted(&self) -> SystemTime {
        self.attempted
    }

    /// Returns the contact, if the request named one.
    pub fn contact_id(&self) -> Option<&ContactId> {
        self.contact.as_ref()
    }

    /// Returns the conversation, if the request named one.
    pub fn conversation_id(&self) -> Option<&ConversationId> {
        self.conversation.as_ref()
    }

    /// Returns the id that the message has in the caller's system, if the request named one.
    pub fn alt_id(&self) -> Option<&AltId> {
        self.alt_id.as_ref()
    }

    /// Returns the channel as the request named it, like `SMS`.
    pub fn channel(&self) -> &str {
        &self.channel
    }
}
