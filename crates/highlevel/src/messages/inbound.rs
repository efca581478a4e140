//! Messages that arrived through a system outside HighLevel.
//!
//! The type of a message has two parameters: its channel, which determines its fields, and [`Addressed`] or
//! [`Unaddressed`]. Only a message with a contact or a conversation can be added.

use std::marker::PhantomData;
use std::time::{Duration, SystemTime};

use highlevel_wire::types::{CallDetails, InboundMessageRequest, InboundMessageType};

use crate::calls::{set_duration, set_status};
use crate::reconcile::sealed::Sealed;
use crate::{
    AltId, CallStatus, ContactId, ConversationId, ConversationProviderId, Direction, EmailMessageId,
    Fingerprint, Fingerprintable,
};

/// A message that a contact sent through a system outside HighLevel.
///
/// ```
/// use highlevel::Inbound;
///
/// let message = Inbound::sms("61d6d1f9cdac7612faf80753").from_contact("abc123def456").text("See you at eight");
/// ```
///
/// Without a contact or a conversation it cannot be added:
///
/// ```compile_fail,E0277
/// # async fn example(client: highlevel::Client) {
/// use highlevel::Inbound;
///
/// client.messages().add_inbound(Inbound::sms("61d6d1f9cdac7612faf80753").text("See you at eight")).await;
/// # }
/// ```
///
/// The first type parameter is the channel, the second is [`Addressed`] once the contact or the conversation is set.
#[derive(Debug, Clone)]
#[must_use = "a message is added by `client.messages().add_inbound(…)`"]
pub struct Inbound<Channel, Address = Unaddressed> {
    request: InboundMessageRequest,
    types: PhantomData<fn() -> (Channel, Address)>,
}

/// Neither the contact nor the conversation of the message is set.
#[derive(Debug, Clone, Copy)]
pub enum Unaddressed {}

/// The contact or the conversation of the message is set.
#[derive(Debug, Clone, Copy)]
pub enum Addressed {}

/// Implemented for [`Addressed`] only.
#[diagnostic::on_unimplemented(
    message = "this inbound message has neither a contact nor a conversation",
    label = "call `.from_contact(..)` or `.in_conversation(..)` on the message"
)]
pub trait HasAddress {}

impl HasAddress for Addressed {}

/// A channel of text messages.
#[derive(Debug, Clone, Copy)]
pub enum Text {}

/// The channel of emails.
#[derive(Debug, Clone, Copy)]
pub enum Mail {}

/// A channel of calls.
#[derive(Debug, Clone, Copy)]
pub enum Voice {}

macro_rules! constructors {
    ($channel:ident: $($(#[$doc:meta])* $name:ident = $type:ident,)+) => {
        impl Inbound<$channel> {
            $(
                $(#[$doc])*
                ///
                /// `provider` is the conversation provider through which it arrived.
                pub fn $name(provider: impl Into<ConversationProviderId>) -> Self {
                    Self::new(InboundMessageType::$type, Some(provider.into()))
                }
            )+
        }
    };
}

constructors! { Text:
    /// A text message. A custom provider of text messages takes [`custom`](Self::custom) instead.
    sms = Sms,
    /// A WhatsApp message.
    whatsapp = WhatsApp,
    /// A message from a Google business profile.
    google_business = Gmb,
    /// An Instagram direct message.
    instagram = Ig,
    /// A Facebook message.
    facebook = Fb,
    /// A TikTok message.
    tiktok = Tiktok,
    /// An RCS message.
    rcs = Rcs,
    /// A message over the custom channel of an app.
    custom = Custom,
    /// A message from a chat widget.
    web_chat = WebChat,
    /// A message from a live chat.
    live_chat = LiveChat,
    /// A message from the all-in-one chat.
    all_in_one_chat = AllInOneChat,
    /// A form submission.
    form_submission = FormSubmission,
}

constructors! { Mail:
    /// An email.
    email = Email,
    /// An email over the custom channel of an app, whose provider is one of emails.
    custom_email = Custom,
}

constructors! { Voice:
    /// A call.
    call = Call,
    /// A call that reached a voice menu.
    ivr_call = IvrCall,
    /// A call of a campaign.
    campaign_call = CampaignCall,
    /// A voicemail of a campaign.
    campaign_voicemail = CampaignVoiceMail,
}

impl Inbound<Text> {
    /// Creates a text message through the default provider of the location.
    pub fn default_sms() -> Self {
        Self::new(InboundMessageType::Sms, None)
    }

    /// Creates a WhatsApp message through the default provider of the location.
    pub fn default_whatsapp() -> Self {
        Self::new(InboundMessageType::WhatsApp, None)
    }

    /// Creates a message from a live chat, without a provider.
    pub fn default_live_chat() -> Self {
        Self::new(InboundMessageType::LiveChat, None)
    }
}

impl Inbound<Mail> {
    /// Creates an email through the default provider of the location.
    pub fn default_email() -> Self {
        Self::new(InboundMessageType::Email, None)
    }
}

impl<Channel> Inbound<Channel> {
    fn new(channel: InboundMessageType, provider: Option<ConversationProviderId>) -> Self {
        let mut request = InboundMessageRequest::new(channel);
        request.conversation_provider_id = provider;
        Self { request, types: PhantomData }
    }
}

impl<Channel, Address> Inbound<Channel, Address> {
    /// Sets the contact who sent the message. HighLevel finds or creates the conversation.
    pub fn from_contact(mut self, contact: impl Into<ContactId>) -> Inbound<Channel, Addressed> {
        self.request.contact_id = Some(contact.into());
        Inbound { request: self.request, types: PhantomData }
    }

    /// Sets the conversation that the message belongs to.
    pub fn in_conversation(mut self, conversation: impl Into<ConversationId>) -> Inbound<Channel, Addressed> {
        self.request.conversation_id = Some(conversation.into());
        Inbound { request: self.request, types: PhantomData }
    }

    /// Adds the URL of a file that is attached to the message.
    pub fn attachment(mut self, url: impl Into<String>) -> Self {
        self.request.attachments.push(url.into());
        self
    }

    /// Sets the id of the message in your system.
    pub fn alt_id(mut self, id: impl Into<AltId>) -> Self {
        self.request.alt_id = Some(id.into());
        self
    }

    /// Sets the time at which the message was received. Accepts `SystemTime`, and the types of date libraries that
    /// convert to it.
    pub fn at(mut self, time: impl Into<SystemTime>) -> Self {
        self.request.date = Some(time.into().into());
        self
    }

    /// Sets the direction to record. HighLevel documents `outbound` as the default.
    pub fn direction(mut self, direction: Direction) -> Self {
        self.request.direction = Some(direction);
        self
    }
}

impl<Address> Inbound<Text, Address> {
    /// Sets the text of the message.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.request.message = Some(text.into());
        self
    }
}

impl<Address> Inbound<Mail, Address> {
    /// Sets the text of the email.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.request.message = Some(text.into());
        self
    }

    /// Sets the HTML of the email.
    pub fn html(mut self, html: impl Into<String>) -> Self {
        self.request.html = Some(html.into());
        self
    }

    /// Sets the subject line.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.request.subject = Some(subject.into());
        self
    }

    /// Sets the address of the sender. It is associated with the contact and cannot be changed this way.
    pub fn from(mut self, address: impl Into<String>) -> Self {
        self.request.email_from = Some(address.into());
        self
    }

    /// Sets the address of the recipient. It is associated with the contact and cannot be changed this way.
    pub fn to(mut self, address: impl Into<String>) -> Self {
        self.request.email_to = Some(address.into());
        self
    }

    /// Adds addresses that received a copy.
    pub fn cc(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.request.email_cc.extend(addresses.into_iter().map(Into::into));
        self
    }

    /// Adds addresses that received a blind copy.
    pub fn bcc(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.request.email_bcc.extend(addresses.into_iter().map(Into::into));
        self
    }

    /// Sets the email that this one replies to, so that both are shown as one thread.
    pub fn reply_to(mut self, email: impl Into<EmailMessageId>) -> Self {
        self.request.email_message_id = Some(email.into());
        self
    }
}

impl<Address> Inbound<Voice, Address> {
    /// Sets the phone number of the caller, like `+15037081210`.
    pub fn from(mut self, number: impl Into<String>) -> Self {
        self.details().from = Some(number.into());
        self
    }

    /// Sets the phone number that was called, like `+15037081210`.
    pub fn to(mut self, number: impl Into<String>) -> Self {
        self.details().to = Some(number.into());
        self
    }

    /// Sets the outcome of the call.
    pub fn status(mut self, status: CallStatus) -> Self {
        set_status(self.details(), status);
        self
    }

    /// Sets the duration of the call, in whole seconds. A single report confirms that HighLevel shows it.
    pub fn duration(mut self, duration: Duration) -> Self {
        set_duration(self.details(), duration);
        self
    }

    /// Sets a note about the call, or its transcript.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.request.message = Some(text.into());
        self
    }

    fn details(&mut self) -> &mut CallDetails {
        self.request.call.get_or_insert_default()
    }
}

impl<Channel> Fingerprintable for Inbound<Channel, Addressed> {}

impl<Channel> Sealed for Inbound<Channel, Addressed> {
    fn fingerprint_at(&self, attempted: SystemTime) -> Fingerprint {
        self.request.fingerprint_at(attempted)
    }
}

impl<Channel, Address: HasAddress> From<Inbound<Channel, Address>> for InboundMessageRequest {
    fn from(message: Inbound<Channel, Address>) -> Self {
        message.request
    }
}
