//! What a message event says, by its channel.

use std::time::Duration;

use highlevel_wire::types::{
    CallStatus, Direction, EventMessageStatus, EventMessageType, InboundMessage, OneOrManyAddresses,
    OutboundMessage, ProviderChannel, ProviderOutboundMessage,
};
use serde_json::{Map, Value};

/// What a message is, as its channel has it. Borrowed from the event, which keeps all other fields.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Content<'a> {
    /// An SMS, or a message of a chat.
    Text(TextContent<'a>),
    /// An email.
    Email(EmailContent<'a>),
    /// A call.
    Call(CallContent<'a>),
    /// A voicemail that was left without a call, by a workflow.
    Voicemail(VoicemailContent<'a>),
}

/// An SMS, or a message of a chat.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TextContent<'a> {
    /// The channel as HighLevel names it, `SMS` for example.
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
    /// The receivers.
    pub to: Vec<&'a str>,
    /// The receivers of copies.
    pub cc: Vec<&'a str>,
    /// The receivers of hidden copies.
    pub bcc: Vec<&'a str>,
    /// The URLs of the attachments.
    pub attachments: &'a [String],
}

/// A call.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CallContent<'a> {
    /// How it went.
    pub outcome: CallOutcome,
    /// How long it was.
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

/// How a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallOutcome {
    /// A person answered.
    Answered,
    /// It reached voicemail.
    Voicemail,
    /// It has not ended.
    Pending,
    /// The line was busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// It could not be made.
    Failed,
    /// It was given up before anybody answered.
    Canceled,
    /// The two statuses of the event do not say it, or contradict each other.
    Unknown,
}

impl CallOutcome {
    /// How a call went, by the `status` and the `callStatus` of its event.
    ///
    /// Answered by a person: both `completed`. Voicemail: `callStatus` is `voicemail`, and `status` is `completed` (an
    /// outbound call) or `voicemail` (an inbound one).
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

/// What the events about a message have in common. Implemented by their generated types only.
pub trait MessageEvent: sealed::Sealed {
    /// What the message is, as its channel has it.
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

    /// Which way the message went: what the event says, or what its name says when it does not.
    fn direction(&self) -> Direction;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for highlevel_wire::types::OutboundMessage {}
    impl Sealed for highlevel_wire::types::InboundMessage {}
    impl Sealed for highlevel_wire::types::ProviderOutboundMessage {}
}

/// What is said for one of the two generated types with the same fields.
macro_rules! message_event {
    ($event:ident, $direction:ident) => {
        impl MessageEvent for $event {
            fn content(&self) -> Content<'_> {
                let named = self.message_type.as_ref().map(|channel| channel.as_str());
                let typed = self.message_type_string.as_deref();
                let attachments = self.attachments.as_deref().unwrap_or_default();
                let form = match &self.message_type {
                    // A channel that is not documented may say nothing of its form, as `Custom`.
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
    /// By the last word of `messageType` (`CALL`) or `messageTypeString` (`TYPE_CAMPAIGN_MANUAL_CALL`). `None` when that
    /// says nothing, as of all channels of text.
    fn of(channel: Option<&str>) -> Option<Self> {
        let last = channel?.rsplit('_').next()?;
        let forms = [("CALL", Self::Call), ("VOICEMAIL", Self::Voicemail), ("EMAIL", Self::Email)];
        forms.into_iter().find(|(word, _)| last.eq_ignore_ascii_case(word)).map(|(_, form)| form)
    }
}

/// The seconds of `callDuration`, also when they came as text and were set aside.
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
