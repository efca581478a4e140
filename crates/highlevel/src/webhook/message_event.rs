//! The content and the direction of events about a message.

use highlevel_wire::types::{
    CallStatus, Direction, InboundMessage, OneOrManyAddresses, OutboundMessage, ProviderChannel,
    ProviderOutboundMessage,
};
use serde_json::{Map, Value};

use super::call::{CallOutcome, duration};
use super::content::{
    Attachment, CallContent, Content, EmailContent, InternalCommentContent, TextContent, VoicemailContent,
};
use super::form::{MessageForm, NamedFields};

/// The common interface of events about a message. Implemented by their generated types only.
pub trait MessageEvent: sealed::Sealed {
    /// Returns the content of the message, by the family of its channel.
    ///
    /// The names `messageType` and `messageTypeString` and the number `messageTypeId` are compared by family, because
    /// HighLevel uses several names for one channel. Unknown names and numbers decide nothing.
    ///
    /// ```
    /// use highlevel::webhook::{CallOutcome, Content, MessageEvent};
    /// use highlevel::wire::types::OutboundMessage;
    ///
    /// # fn example(message: &OutboundMessage) {
    /// match message.content() {
    ///     Content::Text(text) => println!("{}", text.text.unwrap_or_default()),
    ///     Content::Call(call) if call.outcome == CallOutcome::Answered => println!("{:?}", call.duration),
    ///     other => println!("{other:?}"),
    /// }
    /// # }
    /// ```
    fn content(&self) -> Content<'_>;

    /// Returns the direction of the message: that of the field, or that of the name of the event if there is no field.
    fn direction(&self) -> Direction;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for highlevel_wire::types::OutboundMessage {}
    impl Sealed for highlevel_wire::types::InboundMessage {}
    impl Sealed for highlevel_wire::types::ProviderOutboundMessage {}
}

/// Implements the trait for the two generated types that have the same fields.
macro_rules! message_event {
    ($event:ident, $direction:ident) => {
        impl MessageEvent for $event {
            fn content(&self) -> Content<'_> {
                let call_status = self.call_status.as_ref().map(CallStatus::as_str);
                let number_as_text = || self.extra.get("messageTypeId")?.as_str()?.parse().ok();
                let named = NamedFields {
                    message_type: self.message_type.as_ref().map(|channel| channel.as_str()),
                    type_string: self.message_type_string.as_ref().map(AsRef::as_ref),
                    type_id: self.message_type_id.or_else(number_as_text),
                    has_call_fields: filled(call_status).is_some()
                        || duration(self.call_duration, &self.extra).is_some(),
                    has_email_fields: filled(self.subject.as_deref())
                        .or(self.email_message_id.as_ref().and_then(|id| filled(Some(id.as_str()))))
                        .is_some(),
                };
                let attachments = attachments(self.attachments.as_deref(), &self.extra);
                let text = self.body.as_deref();
                match named.form() {
                    MessageForm::Text => {
                        Content::Text(TextContent { channel: named.channel(), text, attachments })
                    }
                    MessageForm::PublicComment => {
                        Content::PublicComment(TextContent { channel: named.channel(), text, attachments })
                    }
                    MessageForm::Other => {
                        Content::Other(TextContent { channel: named.channel(), text, attachments })
                    }
                    MessageForm::InternalComment => Content::InternalComment(InternalCommentContent {
                        text,
                        author: self.user_id.as_ref().filter(|id| !id.as_str().is_empty()),
                        mentions: self.mentions.iter().flatten().filter_map(mention).collect(),
                        attachments,
                    }),
                    MessageForm::Call => {
                        let outcome = CallOutcome::of(self.status.as_ref(), self.call_status.as_ref());
                        let is_open = matches!(outcome, CallOutcome::Completed | CallOutcome::Unknown);
                        let is_voicemail = is_open && filled(call_status).is_none() && named.is_voicemail();
                        Content::Call(CallContent {
                            outcome: if is_voicemail { CallOutcome::Voicemail } else { outcome },
                            duration: duration(self.call_duration, &self.extra),
                            recordings: attachments,
                        })
                    }
                    MessageForm::Voicemail => {
                        Content::Voicemail(VoicemailContent { recordings: attachments })
                    }
                    MessageForm::Email => Content::Email(EmailContent {
                        subject: self.subject.as_deref(),
                        body: text,
                        plain_text: self.plain_text.as_deref(),
                        from: self.from.as_deref(),
                        to: addresses(self.to.as_ref()),
                        cc: all_addresses(self.cc.as_ref(), self.cc_list.as_deref()),
                        bcc: all_addresses(self.bcc.as_ref(), self.bcc_list.as_deref()),
                        attachments,
                    }),
                }
            }

            fn direction(&self) -> Direction {
                let direction = self.direction.clone().filter(|direction| !direction.as_str().is_empty());
                direction.unwrap_or(Direction::$direction)
            }
        }
    };
}

message_event!(OutboundMessage, Outbound);
message_event!(InboundMessage, Inbound);

impl MessageEvent for ProviderOutboundMessage {
    fn content(&self) -> Content<'_> {
        let attachments = attachments(self.attachments.as_deref(), &self.extra);
        let html = filled(self.html.as_deref());
        let to = addresses(self.email_to.as_ref());
        // `Custom` is the type of providers of SMS and of email.
        let is_email = match &self.type_ {
            ProviderChannel::Email => true,
            ProviderChannel::Custom => html.is_some() || !to.is_empty(),
            _ => false,
        };
        if is_email {
            Content::Email(EmailContent {
                subject: self.subject.as_deref(),
                body: html.or(self.message.as_deref()),
                plain_text: html.and(self.message.as_deref()),
                from: self.email_from.as_deref(),
                to,
                cc: Vec::new(),
                bcc: Vec::new(),
                attachments,
            })
        } else {
            Content::Text(TextContent {
                channel: Some(self.type_.as_str()),
                text: self.message.as_deref(),
                attachments,
            })
        }
    }

    fn direction(&self) -> Direction {
        Direction::Outbound
    }
}

/// Returns the attachments. If some of them arrived as objects, all are among the unknown fields.
fn attachments<'a>(urls: Option<&'a [String]>, extra: &'a Map<String, Value>) -> Vec<Attachment<'a>> {
    let urls = urls.unwrap_or_default().iter().map(|url| Attachment::from(url.as_str()));
    let others = match extra.get("attachments") {
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(entry) => std::slice::from_ref(entry),
        None => &[],
    };
    urls.chain(others.iter().filter_map(attachment)).filter(|attachment| !attachment.url.is_empty()).collect()
}

/// Reads an attachment that is a URL or an object.
fn attachment(entry: &Value) -> Option<Attachment<'_>> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    match entry {
        Value::String(url) => Some(url.as_str().into()),
        Value::Object(_) => {
            Some(Attachment { url: text("url")?, content_type: text("contentType"), name: text("name") })
        }
        _ => None,
    }
}

/// Reads the id of a mentioned user, from a text or an object.
fn mention(entry: &Value) -> Option<&str> {
    filled(entry.as_str().or_else(|| entry.get("userId").or_else(|| entry.get("id"))?.as_str()))
}

fn addresses(field: Option<&OneOrManyAddresses>) -> Vec<&str> {
    let addresses: &[String] = match field {
        Some(OneOrManyAddresses::One(address)) => std::slice::from_ref(address),
        Some(OneOrManyAddresses::Many(addresses)) => addresses,
        None => &[],
    };
    addresses.iter().map(String::as_str).filter(|address| !address.is_empty()).collect()
}

/// Returns the addresses of a list, or those of the field that HighLevel limits to the first one.
fn all_addresses<'a>(field: Option<&'a OneOrManyAddresses>, list: Option<&'a [String]>) -> Vec<&'a str> {
    match list {
        Some(list) if !list.is_empty() => list.iter().map(String::as_str).collect(),
        _ => addresses(field),
    }
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
