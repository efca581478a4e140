//! The macros that define the types of channels: each group adds the methods of some fields.

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

/// The attachments of channels that deliver them.
macro_rules! attachments {
    ($name:ident) => {
        impl $name {
            /// Adds the URL of a file to attach.
            pub fn attachment(mut self, url: impl Into<String>) -> Self {
                self.0.attachments.push(url.into());
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

/// The fields of channels that can be emails.
macro_rules! email {
    ($name:ident) => {
        impl $name {
            /// Sets the subject line.
            pub fn subject(mut self, subject: impl Into<String>) -> Self {
                self.0.subject = Some(subject.into());
                self
            }

            /// Sets the content as HTML. HighLevel sends no email without HTML.
            pub fn html(mut self, html: impl Into<String>) -> Self {
                self.0.html = Some(html.into());
                self
            }

            /// Sets the content from plain text: as the text and, escaped, as the HTML of the email.
            pub fn text_as_html(mut self, text: impl Into<String>) -> Self {
                let text = text.into();
                self.0.html = Some(html::from_text(&text));
                self.0.message = Some(text);
                self
            }

            /// Sets the address to send from.
            pub fn from(mut self, address: impl Into<String>) -> Self {
                self.0.email_from = Some(address.into());
                self
            }

            /// Sets the address to send to, which has to be one of the contact. It is sent in lower case, because HighLevel stores
            /// addresses in lower case and compares them letter by letter. Defaults to the contact's primary address.
            pub fn to_address(mut self, address: impl Into<String>) -> Self {
                self.0.email_to = Some(address.into().to_lowercase());
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

            /// Sets the email that this one replies to. HighLevel sends its id as `In-Reply-To`, so that mail programs show both as
            /// one thread.
            pub fn reply_to_email(mut self, email: impl Into<EmailMessageId>) -> Self {
                self.0.email_message_id = Some(email.into());
                self
            }

            /// Sets the email thread that this message belongs to.
            pub fn thread(mut self, thread: impl Into<ThreadId>) -> Self {
                self.0.thread_id = Some(thread.into());
                self
            }
        }
    };
}

pub(super) use {attachments, channel, common, email, outgoing, phone, provider, to};
