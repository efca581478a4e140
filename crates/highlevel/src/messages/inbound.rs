//! Messages that came in through a system outside HighLevel.
//!
//! Which fields a message has depends on its channel, and whether it can be added depends on whether it says from
//! whom it is; both are part of its type.

use std::marker::PhantomData;
use std::time::SystemTime;

use highlevel_wire::types::{CallDetails, InboundMessageRequest, InboundMessageType};

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
/// The first type parameter is the channel, the second says whether it is known from whom the message is.
#[derive(Debug, Clone)]
#[must_use = "a message is added by `client.messages().add_inbound(…)`"]
pub struct Inbound<Channel, Address = Unaddressed> {
    request: InboundMessageRequest,
    types: PhantomData<fn() -> (Channel, Address)>,
}

/// It is not known yet from whom the message is.
#[derive(Debug, Clone, Copy)]
pub enum Unaddressed {}

/// It is known from whom the message is.
#[derive(Debug, Clone, Copy)]
pub enum Addressed {}

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
                /// `provider` is the conversation provider that it came through.
                pub fn $name(provider: impl Into<ConversationProviderId>) -> Self {
                    Self::new(InboundMessageType::$type, Some(provider.into()))
                }
            )+
        }
    };
}

constructors! { Text:
    /// A text message.
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
    /// A message over the channel that an app adds to the location.
    custom = Custom,
    /// A message from a chat widget.
    web_chat = WebChat,
    /// A message from a live chat.
    live_chat = LiveChat,
    /// A message from the chat of several channels in one.
    all_in_one_chat = AllInOneChat,
    /// What a contact wrote into a form.
    form_submission = FormSubmission,
}

constructors! { Mail:
    /// An email.
    email = Email,
}

constructors! { Voice:
    /// A call.
    call = Call,
    /// A call that a voice menu answered.
    ivr_call = IvrCall,
    /// A call that came from a campaign.
    campaign_call = CampaignCall,
    /// A voicemail that came from a campaign.
    campaign_voicemail = CampaignVoiceMail,
}

impl Inbound<Text> {
    /// A text message through the default provider of the location.
    pub fn default_sms() -> Self {
        Self::new(InboundMessageType::Sms, None)
    }
}

impl Inbound<Mail> {
    /// An email through the default provider of the location.
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
    /// The contact who sent the message; HighLevel finds or creates the conversation.
    pub fn from_contact(mut self, contact: impl Into<ContactId>) -> Inbound<Channel, Addressed> {
        self.request.contact_id = Some(contact.into());
        Inbound { request: self.request, types: PhantomData }
    }

    /// The conversation that the message belongs to.
    pub fn in_conversation(mut self, conversation: impl Into<ConversationId>) -> Inbound<Channel, Addressed> {
        self.request.conversation_id = Some(conversation.into());
        Inbound { request: self.request, types: PhantomData }
    }

    /// The URL of a file that came with the message. Can be called several times.
    pub fn attachment(mut self, url: impl Into<String>) -> Self {
        self.request.attachments.push(url.into());
        self
    }

    /// The id of the message in your own system.
    pub fn alt_id(mut self, id: impl Into<AltId>) -> Self {
        self.request.alt_id = Some(id.into());
        self
    }

    /// When the message was received. Takes `SystemTime`, and the types of date libraries that convert to it.
    pub fn at(mut self, time: impl Into<SystemTime>) -> Self {
        self.request.date = Some(time.into().into());
        self
    }

    /// The direction to record, if it has to be set by hand. HighLevel documents `outbound` as its default.
    pub fn direction(mut self, direction: Direction) -> Self {
        self.request.direction = Some(direction);
        self
    }
}

impl<Address> Inbound<Text, Address> {
    /// The text of the message.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.request.message = Some(text.into());
        self
    }
}

impl<Address> Inbound<Mail, Address> {
    /// The text of the email.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.request.message = Some(text.into());
        self
    }

    /// The content of the email as HTML.
    pub fn html(mut self, html: impl Into<String>) -> Self {
        self.request.html = Some(html.into());
        self
    }

    /// The subject line.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.request.subject = Some(subject.into());
        self
    }

    /// The address it came from. It is associated with the contact and cannot be changed this way.
    pub fn from(mut self, address: impl Into<String>) -> Self {
        self.request.email_from = Some(address.into());
        self
    }

    /// The address it was sent to. It is associated with the contact and cannot be changed this way.
    pub fn to(mut self, address: impl Into<String>) -> Self {
        self.request.email_to = Some(address.into());
        self
    }

    /// Addresses that got a copy. Can be called several times.
    pub fn cc(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.request.email_cc.extend(addresses.into_iter().map(Into::into));
        self
    }

    /// Addresses that got a copy without the others knowing. Can be called several times.
    pub fn bcc(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.request.email_bcc.extend(addresses.into_iter().map(Into::into));
        self
    }

    /// The email that this one replies to, so that both are shown as one thread.
    pub fn reply_to(mut self, email: impl Into<EmailMessageId>) -> Self {
        self.request.email_message_id = Some(email.into());
        self
    }
}

impl<Address> Inbound<Voice, Address> {
    /// The phone number of the caller, like `+15037081210`.
    pub fn from(mut self, number: impl Into<String>) -> Self {
        self.details().from = Some(number.into());
        self
    }

    /// The phone number that was called, like `+15037081210`.
    pub fn to(mut self, number: impl Into<String>) -> Self {
        self.details().to = Some(number.into());
        self
    }

    /// How the call went.
    pub fn status(mut self, status: CallStatus) -> Self {
        self.details().status = Some(status);
        self
    }

    /// A note about the call, or what was said.
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

impl<Channel> From<Inbound<Channel, Addressed>> for InboundMessageRequest {
    fn from(message: Inbound<Channel, Addressed>) -> Self {
        message.request
    }
}
