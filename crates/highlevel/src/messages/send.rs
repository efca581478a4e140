//! One type per channel. Its methods are the fields that the channel has.

use std::time::SystemTime;

use highlevel_wire::types::{Forward, SendMessageRequest, SendMessageType};

use crate::reconcile::sealed::Sealed;
use crate::{
    AppointmentId, ContactId, ConversationProviderId, EmailMessageId, EmailReplyMode, Fingerprint,
    Fingerprintable, MessageId, OptimizationPeriod, SendStatus, TemplateId, ThreadId, UserId,
};

/// Defines the type of a channel: a request whose channel is set. Each group adds methods.
macro_rules! channel {
    ($(#[$doc:meta])* $name:ident = $channel:ident: $($group:ident)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        #[must_use = "a message is sent by `client.messages().send(…)`"]
        pub struct $name(SendMessageRequest);

        impl From<$name> for SendMessageRequest {
            fn from(message: $name) -> Self {
                message.0
            }
        }

        impl Fingerprintable for $name {}

        impl Sealed for $name {
            fn fingerprint_at(&self, attempted: SystemTime) -> Fingerprint {
                self.0.fingerprint_at(attempted)
            }
        }

        impl $name {
            fn new(contact: impl Into<ContactId>) -> Self {
                // HighLevel requires a status; a message that is not sent yet is pending.
                Self(SendMessageRequest::new(contact, SendStatus::Pending, SendMessageType::$channel))
            }
        }

        $( $group!($name); )+
    };
}

/// The constructor of channels that need a contact only.
macro_rules! to {
    ($name:ident) => {
        impl $name {
            /// Creates a message to a contact of the location.
            pub fn to(contact: impl Into<ContactId>) -> Self {
                Self::new(contact)
            }
        }
    };
}

/// The fields of all channels.
macro_rules! common {
    ($name:ident) => {
        impl $name {
            /// Sets the text of the message.
            pub fn text(mut self, text: impl Into<String>) -> Self {
                self.0.message = Some(text.into());
                self
            }

            /// Adds the URL of a file to attach.
            pub fn attachment(mut self, url: impl Into<String>) -> Self {
                self.0.attachments.push(url.into());
                self
            }

            /// Sets the user in whose name the message is sent.
            pub fn user(mut self, user: impl Into<UserId>) -> Self {
                self.0.user_id = Some(user.into());
                self
            }

            /// Sets the status to record the message with. HighLevel requires one. Defaults to `pending`.
            pub fn status(mut self, status: SendStatus) -> Self {
                self.0.status = status;
                self
            }
        }
    };
}

/// The fields of all channels that reach the contact.
macro_rules! outgoing {
    ($name:ident) => {
        impl $name {
            /// Sets the template that provides the content.
            pub fn template(mut self, template: impl Into<TemplateId>) -> Self {
                self.0.template_id = Some(template.into());
                self
            }

            /// Sets the message that this one replies to.
            pub fn reply_to(mut self, message: impl Into<MessageId>) -> Self {
                self.0.reply_message_id = Some(message.into());
                self
            }

            /// Sets the appointment that this message belongs to.
            pub fn appointment(mut self, appointment: impl Into<AppointmentId>) -> Self {
                self.0.appointment_id = Some(appointment.into());
                self
            }

            /// Schedules the message for this time, to the second. Accepts `SystemTime`, and the types of date
            /// libraries that convert to it. Defaults to sending it at once.
            pub fn at(mut self, time: impl Into<SystemTime>) -> Self {
                self.0.scheduled_timestamp = Some(unix_seconds(time.into()));
                self
            }

            /// Lets HighLevel choose the best moment to send within this time span.
            pub fn best_moment_within(mut self, period: OptimizationPeriod) -> Self {
                self.0.uses_native_scheduling_ai = Some(true);
                self.0.optimization_period = Some(period);
                self
            }
        }
    };
}

/// The field of channels for which a location can have several conversation providers.
macro_rules! provider {
    ($name:ident) => {
        impl $name {
            /// Sets the conversation provider to send through. Defaults to that of the location.
            pub fn provider(mut self, provider: impl Into<ConversationProviderId>) -> Self {
                self.0.conversation_provider_id = Some(provider.into());
                self
            }
        }
    };
}

/// The fields of channels that use phone numbers.
macro_rules! phone {
    ($name:ident) => {
        impl $name {
            /// Sets the phone number to send from, like `+14994992990`.
            pub fn from_number(mut self, number: impl Into<String>) -> Self {
                self.0.from_number = Some(number.into());
                self
            }

            /// Sets the phone number to send to. Defaults to that of the contact.
            pub fn to_number(mut self, number: impl Into<String>) -> Self {
                self.0.to_number = Some(number.into());
                self
            }
        }
    };
}

/// The fields of emails.
macro_rules! email {
    ($name:ident) => {
        impl $name {
            /// Sets the subject line.
            pub fn subject(mut self, subject: impl Into<String>) -> Self {
                self.0.subject = Some(subject.into());
                self
            }

            /// Sets the content as HTML.
            pub fn html(mut self, html: impl Into<String>) -> Self {
                self.0.html = Some(html.into());
                self
            }

            /// Sets the address to send from.
            pub fn from(mut self, address: impl Into<String>) -> Self {
                self.0.email_from = Some(address.into());
                self
            }

            /// Sets the address to send to, which has to be one of the contact. Defaults to the contact's primary
            /// address.
            pub fn to_address(mut self, address: impl Into<String>) -> Self {
                self.0.email_to = Some(address.into());
                self
            }

            /// Adds addresses that receive a copy.
            pub fn cc(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
                self.0.email_cc.extend(addresses.into_iter().map(Into::into));
                self
            }

            /// Adds addresses that receive a blind copy.
            pub fn bcc(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
                self.0.email_bcc.extend(addresses.into_iter().map(Into::into));
                self
            }

            /// Sets the email thread that this message belongs to.
            pub fn thread(mut self, thread: impl Into<ThreadId>) -> Self {
                self.0.thread_id = Some(thread.into());
                self
            }

            /// Sets the recipients of a reply.
            pub fn reply_mode(mut self, mode: EmailReplyMode) -> Self {
                self.0.email_reply_mode = Some(mode);
                self
            }

            /// Forwards one email to an address.
            pub fn forward(self, email: impl Into<EmailMessageId>, to: impl Into<String>) -> Self {
                let email = email.into();
                self.forwarding(false, to, |forward| forward.email_message_id = Some(email))
            }

            /// Forwards the whole thread of a message to an address.
            pub fn forward_thread(self, message: impl Into<MessageId>, to: impl Into<String>) -> Self {
                let message = message.into();
                self.forwarding(true, to, |forward| forward.message_id = Some(message))
            }

            fn forwarding(
                mut self,
                whole: bool,
                to: impl Into<String>,
                set: impl FnOnce(&mut Forward),
            ) -> Self {
                let mut forward = Forward::new();
                forward.is_forwarded = Some(true);
                forward.forward_whole_thread = Some(whole);
                forward.to_email = Some(to.into());
                set(&mut forward);
                self.0.forward = Some(forward);
                self
            }
        }
    };
}

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
    Sms = Sms: to common outgoing provider phone
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
    Email = Email: to common outgoing provider email
}

channel! {
    /// A WhatsApp message.
    WhatsApp = WhatsApp: to common outgoing provider phone
}

channel! {
    /// An RCS message.
    Rcs = Rcs: to common outgoing provider phone
}

channel! {
    /// An Instagram direct message.
    Instagram = Ig: to common outgoing
}

channel! {
    /// A Facebook message.
    Facebook = Fb: to common outgoing
}

channel! {
    /// A TikTok message.
    TikTok = Tiktok: to common outgoing
}

channel! {
    /// A message in the live chat of a web page.
    LiveChat = LiveChat: to common outgoing
}

channel! {
    /// A message over the custom channel of an app.
    Custom = Custom: common outgoing phone
}

impl Custom {
    /// Creates a message to a contact, through the conversation provider that is the channel.
    pub fn to(contact: impl Into<ContactId>, provider: impl Into<ConversationProviderId>) -> Self {
        let mut message = Self::new(contact);
        message.0.conversation_provider_id = Some(provider.into());
        message
    }
}

channel! {
    /// A comment that users of the location see, and the contact does not.
    InternalComment = InternalComment: common
}

impl InternalComment {
    /// Creates a comment in the conversation with a contact.
    pub fn about(contact: impl Into<ContactId>) -> Self {
        Self::new(contact)
    }

    /// Mentions a user, who is notified of the comment.
    pub fn mention(mut self, user: impl Into<UserId>) -> Self {
        self.0.mentions.push(user.into());
        self
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
