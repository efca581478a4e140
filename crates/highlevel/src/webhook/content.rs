//! The content of message events, by channel.

use std::time::Duration;

use highlevel_wire::types::{
    CallStatus, Direction, EventMessageStatus, EventMessageType, InboundMessage, OneOrManyAddresses,
    OutboundMessage, ProviderChannel, ProviderOutboundMessage,
};
use serde_json::{Map, Value};

/// The content of a message, by channel. Borrowed from the event, which has all other fields.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Content<'a> {
    /// An SMS, or a message of a chat.
    Text(TextContent<'a>),
    /// An email.
    Email(EmailContent<'a>),
    /// A call.
    Call(CallContent<'a>),
    /// A voicemail that a workflow left without a call.
    Voicemail(VoicemailContent<'a>),
}

/// An SMS, or a message of a chat.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TextContent<'a> {
    /// The name of the channel, like `SMS`.
    pub channel: Option<&'a str>,
    /// The text.
    pub text: Option<&'a str>,
    /// The URLs of the attachments.
    pub attachments: &'a [String],
}

/// An email.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EmailContent<'a> {
    /// The subject.
    pub subject: Option<&'a str>,
    /// The body, mostly HTML.
    pub body: Option<&'a str>,
    /// The text without HTML.
    pub plain_text: Option<&'a str>,
    /// The sender.
    pub from: Option<&'a str>,
    /// The recipients.
    pub to: Vec<&'a str>,
    /// The recipients of copies.
    pub cc: Vec<&'a str>,
    /// The recipients of blind copies.
    pub bcc: Vec<&'a str>,
    /// The URLs of the attachments.
    pub attachments: &'a [String],
}

/// A call.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CallContent<'a> {
    /// The outcome of the call.
    pub outcome: CallOutcome,
    /// The duration of the call.
    pub duration: Option<Duration>,
    /// The URLs of the recordings.
    pub recordings: &'a [String],
}

/// A voicemail that was left without a call.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VoicemailContent<'a> {
    /// The URLs of the recordings.
    pub recordings: &'a [String],
}

/// The outcome of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallOutcome {
    /// A person took the call.
    Answered,
    /// The call reached voicemail.
    Voicemail,
    /// The call has not ended.
    Pending,
    /// The line was busy.
    Busy,
    /// The call was not taken.
    NoAnswer,
    /// The call could not be made.
    Failed,
    /// The caller hung up before the call was taken.
    Canceled,
    /// The two statuses of the event are missing, unknown, or contradict each other.
    Unknown,
}

impl CallOutcome {
    /// Determines the outcome from the `status` and the `callStatus` of an event.
    ///
    /// [`Answered`](Self::Answered) requires both to be `completed`. [`Voicemail`](Self::Voicemail) requires the
    /// `callStatus` `voicemail`, and the `status` `completed` (an outbound call) or `voicemail` (an inbound one).
    pub fn of(status: Option<&EventMessageStatus>, call_status: Option<&CallStatus>) -> Self {
        let Some(call_status) = call_status else { return Self::Unknown };
        match (call_status, status) {
            (CallStatus::Completed | CallStatus::Answered, Some(EventMessageStatus::Completed)) => {
                Self::Answered
            }
            (CallStatus::Voicemail, Some(EventMessageStatus::Completed | EventMessageStatus::Voicemail)) => {
                Self::Voicemail
            }
            (CallStatus::Pending, _) => Self::Pending,
            (CallStatus::Busy, _) => Self::Busy,
            (CallStatus::NoAnswer, _) => Self::NoAnswer,
            (CallStatus::Failed, _) => Self::Failed,
            (CallStatus::Canceled, _) => Self::Canceled,
            _ => Self::Unknown,
        }
    }
}

/// The common interface of events about a message. Implemented by their generated types only.
pub trait MessageEvent: sealed::Sealed {
    /// Returns the content of the message, by channel.
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
                let named = self.message_type.as_ref().map(|channel| channel.as_str());
                let typed = self.message_type_string.as_deref();
                let attachments = self.attachments.as_deref().unwrap_or_default();
                let form = match &self.message_type {
                    // An undocumented channel may not imply a form, like `Custom`.
                    None | Some(EventMessageType::Unknown(_)) => Form::of(named).or_else(|| Form::of(typed)),
                    Some(_) => Form::of(named),
                };
                match form.unwrap_or(Form::Text) {
                    Form::Call => Content::Call(CallContent {
                        outcome: CallOutcome::of(self.status.as_ref(), self.call_status.as_ref()),
                        duration: duration(self.call_duration, &self.extra),
                        recordings: attachments,
                    }),
                    Form::Voicemail => Content::Voicemail(VoicemailContent { recordings: attachments }),
                    Form::Email => Content::Email(EmailContent {
                        subject: self.subject.as_deref(),
                        body: self.body.as_deref(),
                        plain_text: self.plain_text.as_deref(),
                        from: self.from.as_deref(),
                        to: addresses(self.to.as_ref(), None),
                        cc: addresses(self.cc.as_ref(), self.cc_list.as_deref()),
                        bcc: addresses(self.bcc.as_ref(), self.bcc_list.as_deref()),
                        attachments,
                    }),
                    Form::Text => Content::Text(TextContent {
                        channel: named.filter(|name| !name.is_empty()).or(typed),
                        text: self.body.as_deref(),
                        attachments,
                    }),
                }
            }

            fn direction(&self) -> Direction {
                self.direction.clone().unwrap_or(Direction::$direction)
            }
        }
    };
}

message_event!(OutboundMessage, Outbound);
message_event!(InboundMessage, Inbound);

impl MessageEvent for ProviderOutboundMessage {
    fn content(&self) -> Content<'_> {
        let attachments = self.attachments.as_deref().unwrap_or_default();
        if self.type_ == ProviderChannel::Email {
            Content::Email(EmailContent {
                subject: self.subject.as_deref(),
                body: self.html.as_deref().or(self.message.as_deref()),
                plain_text: self.html.as_ref().and(self.message.as_deref()),
                from: self.email_from.as_deref(),
                to: addresses(self.email_to.as_ref(), None),
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

enum Form {
    Text,
    Email,
    Call,
    Voicemail,
}

impl Form {
    /// Determines the form from the last word of `messageType` (`CALL`) or `messageTypeString`
    /// (`TYPE_CAMPAIGN_MANUAL_CALL`). `None` for all other words, such as those of text channels.
    fn of(channel: Option<&str>) -> Option<Self> {
        let last = channel?.rsplit('_').next()?;
        let forms = [("CALL", Self::Call), ("VOICEMAIL", Self::Voicemail), ("EMAIL", Self::Email)];
        forms.into_iter().find(|(word, _)| last.eq_ignore_ascii_case(word)).map(|(_, form)| form)
    }
}

/// Returns the `callDuration`. If it arrived as text, it is among the unknown fields.
fn duration(seconds: Option<f64>, extra: &Map<String, Value>) -> Option<Duration> {
    let seconds = seconds.or_else(|| extra.get("callDuration")?.as_str()?.parse().ok())?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn addresses<'a>(one_or_many: Option<&'a OneOrManyAddresses>, list: Option<&'a [String]>) -> Vec<&'a str> {
    match (one_or_many, list) {
        (Some(OneOrManyAddresses::One(one)), _) => vec![one],
        (Some(OneOrManyAddresses::Many(many)), _) => many.iter().map(String::as_str).collect(),
        (None, list) => list.unwrap_or_default().iter().map(String::as_str).collect(),
    }
}
