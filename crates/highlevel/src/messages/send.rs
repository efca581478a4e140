//! One type per channel. Its methods are the fields that the channel has.

use std::time::SystemTime;

use highlevel_wire::types::{
    Forward, SendMessageRequest, SendMessageType, WhatsAppContent, WhatsAppContentType, WhatsAppMedia,
    WhatsAppMediaType,
};

use super::fields::{attachments, channel, common, email, outgoing, phone, provider, to};
use super::html;
use crate::reconcile::sealed::Sealed;
use crate::{
    AppointmentId, ContactId, ConversationProviderId, EmailMessageId, EmailReplyMode, Fingerprint,
    Fingerprintable, MessageId, OptimizationPeriod, SendStatus, TemplateId, ThreadId, UserId,
};

channel! {
    /// A text message.
    ///
    /// ```
    /// use highlevel::Sms;
    ///
    /// let message = Sms::to("abc123def456").text("Your table is ready").from_number("+14994992990");
    /// ```
    ///
    /// It has the fields of a text message and no others:
    ///
    /// ```compile_fail,E0599
    /// use highlevel::Sms;
    ///
    /// let message = Sms::to("abc123def456").subject("Your table is ready");
    /// ```
    Sms = Sms: to common attachments outgoing provider phone
}

channel! {
    /// An email.
    ///
    /// ```
    /// use highlevel::Email;
    ///
    /// let message = Email::to("abc123def456")
    ///     .subject("Order confirmed")
    ///     .html("<p>Thank you!</p>")
    ///     .cc(["ops@example.com"]);
    /// ```
    ///
    /// HighLevel sends no email without HTML, so one that has only a [`text`](Self::text) is rejected before it is sent. Use
    /// [`text_as_html`](Self::text_as_html) for plain text.
    ///
    /// Emails through a conversation provider are [`Custom`] messages: HighLevel ignores the provider of an email.
    Email = Email: to common attachments outgoing email
}

impl Email {
    /// Sets the recipients of a reply.
    pub fn reply_mode(mut self, mode: EmailReplyMode) -> Self {
        self.0.email_reply_mode = Some(mode);
        self
    }

    /// Forwards one email of a thread to an address. `message` is the message that holds the thread.
    pub fn forward(
        self,
        message: impl Into<MessageId>,
        email: impl Into<EmailMessageId>,
        to: impl Into<String>,
    ) -> Self {
        self.forwarding(message.into(), Some(email.into()), to.into())
    }

    /// Forwards the whole thread of a message to an address.
    pub fn forward_thread(self, message: impl Into<MessageId>, to: impl Into<String>) -> Self {
        self.forwarding(message.into(), None, to.into())
    }

    fn forwarding(mut self, message: MessageId, email: Option<EmailMessageId>, to: String) -> Self {
        let mut forward = Forward::new();
        forward.is_forwarded = Some(true);
        forward.forward_whole_thread = Some(email.is_none());
        forward.message_id = Some(message);
        forward.email_message_id = email;
        forward.to_email = Some(to);
        self.0.forward = Some(forward);
        self
    }
}

channel! {
    /// A WhatsApp message.
    ///
    /// HighLevel delivers files over WhatsApp only as media:
    ///
    /// ```
    /// use highlevel::WhatsApp;
    ///
    /// let message = WhatsApp::to("abc123def456").document("https://storage.com/menu.pdf", "menu.pdf");
    /// ```
    WhatsApp = WhatsApp: to common outgoing provider phone
}

impl WhatsApp {
    /// Adds the URL of a file to attach. HighLevel stores attachments of WhatsApp messages, and does not deliver them. Without a
    /// text the message fails later, although HighLevel accepts it. Use [`image`](Self::image), [`video`](Self::video),
    /// [`audio`](Self::audio) or [`document`](Self::document) for a file that the contact receives. A conversation provider may
    /// deliver attachments.
    pub fn attachment(mut self, url: impl Into<String>) -> Self {
        self.0.attachments.push(url.into());
        self
    }

    /// Sends an image, by its URL from HighLevel's upload endpoint.
    pub fn image(self, url: impl Into<String>) -> Self {
        self.media(WhatsAppMedia::new(WhatsAppMediaType::Image, url))
    }

    /// Sends a video, by its URL from HighLevel's upload endpoint.
    pub fn video(self, url: impl Into<String>) -> Self {
        self.media(WhatsAppMedia::new(WhatsAppMediaType::Video, url))
    }

    /// Sends a sound, by its URL from HighLevel's upload endpoint.
    pub fn audio(self, url: impl Into<String>) -> Self {
        self.media(WhatsAppMedia::new(WhatsAppMediaType::Audio, url))
    }

    /// Sends any other file, by its URL from HighLevel's upload endpoint, and the name that the contact sees.
    pub fn document(self, url: impl Into<String>, name: impl Into<String>) -> Self {
        let mut media = WhatsAppMedia::new(WhatsAppMediaType::Document, url);
        media.name = Some(name.into());
        self.media(media)
    }

    fn media(mut self, media: WhatsAppMedia) -> Self {
        let mut content = WhatsAppContent::new(WhatsAppContentType::Media);
        content.media = Some(media);
        self.0.whatsapp = Some(content);
        self
    }
}

channel! {
    /// An RCS message.
    Rcs = Rcs: to common attachments outgoing provider phone
}

channel! {
    /// An Instagram direct message.
    Instagram = Ig: to common attachments outgoing
}

channel! {
    /// A Facebook message.
    Facebook = Fb: to common attachments outgoing
}

channel! {
    /// A TikTok message.
    TikTok = Tiktok: to common attachments outgoing
}

channel! {
    /// A message in the live chat of a web page.
    LiveChat = LiveChat: to common attachments outgoing
}

channel! {
    /// A message over the custom channel of an app.
    ///
    /// Its conversation provider may deliver text messages or emails; the fields of emails are for the latter:
    ///
    /// ```
    /// use highlevel::Custom;
    ///
    /// let message = Custom::to("abc123def456", "61d6d1f9cdac7612faf80753")
    ///     .subject("Order confirmed")
    ///     .html("<p>Thank you!</p>")
    ///     .to_address("ada@example.com");
    /// ```
    Custom = Custom: common attachments outgoing phone email
}

impl Custom {
    /// Creates a message to a contact, through the conversation provider that is the channel.
    pub fn to(contact: impl Into<ContactId>, provider: impl Into<ConversationProviderId>) -> Self {
        let mut message = Self::new(contact);
        message.0.conversation_provider_id = Some(provider.into());
        message
    }
}

/// Returns the whole seconds since 1970, rounded down and saturating.
fn unix_seconds(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => {
            let before = before.duration();
            let partial = i64::from(before.subsec_nanos() > 0);
            i64::try_from(before.as_secs()).map_or(i64::MIN, |seconds| -seconds - partial)
        }
    }
}
