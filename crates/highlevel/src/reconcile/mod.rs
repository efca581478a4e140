//! Finds the message of a request whose outcome is unknown.

mod channel;
mod content;
mod observed;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use highlevel_wire::Timestamp;
use highlevel_wire::types::{
    CallDetails, InboundMessageRequest, OptimizationPeriod, OutboundCallRequest, SendMessageRequest,
};
use serde::{Deserialize, Serialize};

use self::content::{Hash, Phone, Text};
pub use self::observed::ObservedMessage;
use crate::{AltId, ContactId, ConversationId, ConversationProviderId, Direction, MessageId};

/// How much earlier than the request its message may be dated: two clocks are never the same.
const EARLIER: Duration = Duration::from_secs(2 * 60);
/// How much later than the request its message may be dated.
const LATER: Duration = Duration::from_secs(15 * 60);
/// The precision to which HighLevel has to store a date that the request gave it.
const SAME_DATE: Duration = Duration::from_secs(1);

/// Identifies what was sent, so that its message can be found.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Fingerprint {
    contact: Option<ContactId>,
    conversation: Option<ConversationId>,
    provider: Option<ConversationProviderId>,
    alt_id: Option<AltId>,
    channel: String,
    direction: Option<Direction>,
    attempted: SystemTime,
    dated: Dated,
    content: Content,
}

/// The date that the message of a request is expected to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Dated {
    /// The time of the request.
    AtOnce,
    /// The time at which it is scheduled.
    Scheduled(SystemTime),
    /// Any time within this span, chosen by HighLevel.
    Within(Duration),
    /// The date that the request gives it.
    Given(SystemTime),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Content {
    texts: Vec<Text>,
    /// HighLevel fills in a template or values, so that the stored text is not the one that was sent.
    rendered: bool,
    subject: Option<Hash>,
    attachments: Vec<Hash>,
    email_to: Option<Hash>,
    cc: BTreeSet<Hash>,
    bcc: BTreeSet<Hash>,
    from_number: Option<Phone>,
    to_number: Option<Phone>,
}

/// A fingerprint as it is stored.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    /// Version 1 had neither this field nor those with a default.
    #[serde(default = "first_version")]
    version: u32,
    contact: Option<ContactId>,
    conversation: Option<ConversationId>,
    #[serde(default)]
    provider: Option<ConversationProviderId>,
    #[serde(default)]
    alt_id: Option<AltId>,
    channel: String,
    #[serde(default)]
    direction: Option<Direction>,
    time: SystemTime,
    #[serde(default = "at_once")]
    dated: Dated,
    content: StoredContent,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum StoredContent {
    Current(Content),
    Version1(Option<String>),
}

const VERSION: u32 = 2;

fn first_version() -> u32 {
    1
}

fn at_once() -> Dated {
    Dated::AtOnce
}

/// A result of comparing one property of a request with that of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    /// The message has what the request asked for.
    Agrees,
    /// The message does not tell.
    Undecided,
    /// The message is not that of the request.
    Contradicts,
    /// Neither of them has it.
    Irrelevant,
}

/// A result of comparing a request with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Excluded,
    Possible,
    /// Everything that the request named is equal.
    Proven,
    /// The `altId` is equal, which no other message has.
    Exact,
}

/// The result of looking for the message of a request.
///
/// The three results are all there are, so that a `match` without a wildcard covers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reconciliation {
    /// The request was done: this is its message, and no other message could be.
    Sent(MessageId),
    /// No message could be that of the request. It may still arrive: an event can take minutes.
    NotFound,
    /// A message could be that of the request, but it is not proven, or there are several. These are the ids that are
    /// known.
    Ambiguous(Vec<MessageId>),
}

/// A request that creates a message: the generated requests and the constructors of this crate.
pub trait Fingerprintable: sealed::Sealed {}

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
        let scheduled = request.scheduled_timestamp.and_then(|seconds| u64::try_from(seconds).ok());
        let scheduled =
            scheduled.and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        let dated =
            if request.uses_native_scheduling_ai == Some(true) || request.optimization_period.is_some() {
                Dated::Within(longest(request.optimization_period.as_ref()))
            } else {
                scheduled.map_or(Dated::AtOnce, Dated::Scheduled)
            };
        let texts = [request.message.as_deref(), request.html.as_deref()];
        let rendered =
            request.template_id.is_some() || request.forward.is_some() || !request.mentions.is_empty();
        let content = Content {
            subject: request.subject.as_deref().and_then(content::subject),
            attachments: content::attachments(&request.attachments),
            email_to: request.email_to.as_deref().and_then(content::address),
            cc: content::addresses(&request.email_cc),
            bcc: content::addresses(&request.email_bcc),
            from_number: request.from_number.as_deref().and_then(Phone::of),
            to_number: request.to_number.as_deref().and_then(Phone::of),
            ..Content::of(texts, request.subject.as_deref(), rendered)
        };
        Self {
            contact: Some(request.contact_id.clone()),
            conversation: None,
            provider: request.conversation_provider_id.clone(),
            alt_id: None,
            channel: request.type_.to_string(),
            direction: Some(Direction::Outbound),
            attempted,
            dated,
            content,
        }
    }

    fn of_inbound(request: &InboundMessageRequest, attempted: SystemTime) -> Self {
        let texts = [request.message.as_deref(), request.html.as_deref()];
        let content = Content {
            subject: request.subject.as_deref().and_then(content::subject),
            attachments: content::attachments(&request.attachments),
            email_to: request.email_to.as_deref().and_then(content::address),
            cc: content::addresses(&request.email_cc),
            bcc: content::addresses(&request.email_bcc),
            ..Content::of(texts, None, false).with_numbers(request.call.as_ref())
        };
        Self {
            contact: request.contact_id.clone(),
            conversation: request.conversation_id.clone(),
            provider: request.conversation_provider_id.clone(),
            alt_id: request.alt_id.clone(),
            channel: request.type_.to_string(),
            direction: Some(request.direction.clone().unwrap_or(Direction::Inbound)),
            attempted,
            dated: given(request.date.as_ref()),
            content,
        }
    }

    fn of_call(request: &OutboundCallRequest, attempted: SystemTime) -> Self {
        let content = Content {
            attachments: content::attachments(&request.attachments),
            ..Content::default().with_numbers(request.call.as_ref())
        };
        Self {
            contact: request.contact_id.clone(),
            conversation: request.conversation_id.clone(),
            provider: Some(request.conversation_provider_id.clone()),
            alt_id: request.alt_id.clone(),
            channel: request.type_.to_string(),
            direction: Some(Direction::Outbound),
            attempted,
            dated: given(request.date.as_ref()),
            content,
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

    /// Returns the id that the message has in the caller's own system, if the request named one.
    pub fn alt_id(&self) -> Option<&AltId> {
        self.alt_id.as_ref()
    }

    /// Returns the channel as the request named it, like `SMS`.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Looks for the message of the request among events of webhooks, or messages that were read back.
    ///
    /// Returns [`Sent`](Reconciliation::Sent) only if the message is proven to be that of the request, and no other
    /// message could be. The proof of a request with an `altId` is that id, which HighLevel returns when a single
    /// message is read back. The proof of any other request is that the message has
    ///
    /// - the contact or conversation, the direction and the channel of the request,
    /// - a date from the time of the attempt to 15 minutes later, or the date that the request gave it,
    /// - its text (the HTML, if both were sent) or its attachments, or both phone numbers if it is a call,
    /// - and everything else that the request named: subject, recipients, copies, numbers, attachments.
    ///
    /// A message that lacks one of these, for example an email that was read back without its body, or that is dated
    /// up to 2 minutes before the attempt, is possible but not proven. If a message equal to this one was sent by
    /// another request, the messages cannot be distinguished:
    /// [exclude](Self::reconcile_excluding) the ids that are known to belong to other requests.
    ///
    /// ```
    /// # fn example(error: highlevel::Error, events: Vec<highlevel::wire::types::OutboundMessage>) {
    /// use highlevel::Reconciliation;
    ///
    /// if let Some(fingerprint) = error.fingerprint() {
    ///     match fingerprint.reconcile(&events) {
    ///         Reconciliation::Sent(id) => println!("it was sent: {id}"),
    ///         Reconciliation::NotFound => println!("no sign of it yet"),
    ///         Reconciliation::Ambiguous(ids) => println!("a person has to look: {ids:?}"),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn reconcile(
        &self,
        observed: impl IntoIterator<Item = impl Into<ObservedMessage>>,
    ) -> Reconciliation {
        self.reconcile_excluding(observed, std::iter::empty::<MessageId>())
    }

    /// Looks for the message of the request, except among messages that are known to belong to other requests: ids from
    /// receipts, or from earlier reconciliations.
    pub fn reconcile_excluding(
        &self,
        observed: impl IntoIterator<Item = impl Into<ObservedMessage>>,
        known: impl IntoIterator<Item = impl Into<MessageId>>,
    ) -> Reconciliation {
        let known: BTreeSet<MessageId> = known.into_iter().map(Into::into).collect();
        let mut fits: BTreeMap<Option<MessageId>, BTreeSet<Fit>> = BTreeMap::new();
        for message in observed.into_iter().map(Into::into) {
            let fit = self.fit(&message);
            if message.message.as_ref().is_none_or(|id| !known.contains(id)) {
                // One message can be observed several times: as an event, after a change of status, read back.
                fits.entry(message.message).or_default().insert(fit);
            }
        }
        let mut candidates: Vec<(Option<MessageId>, Fit)> = fits
            .into_iter()
            .map(|(id, fits)| (id.clone(), if id.is_some() { combine(&fits) } else { highest(&fits) }))
            .filter(|(_, fit)| *fit != Fit::Excluded)
            .collect();
        if candidates.iter().any(|(_, fit)| *fit == Fit::Exact) {
            candidates.retain(|(_, fit)| *fit == Fit::Exact);
        }
        match &*candidates {
            [] => Reconciliation::NotFound,
            [(Some(id), Fit::Proven | Fit::Exact)] => Reconciliation::Sent(id.clone()),
            _ => Reconciliation::Ambiguous(candidates.into_iter().filter_map(|(id, _)| id).collect()),
        }
    }

    fn fit(&self, message: &ObservedMessage) -> Fit {
        let is_call = channel::is_phone_call(&self.channel);
        let address = self.compare_address(message);
        let direction = compare(self.direction.as_ref(), message.direction.as_ref());
        let channel = message.channel.compare(&self.channel);
        let text = self.compare_text(message, is_call);
        let context = [address, direction, channel];
        let by_content = || self.fit_by_content(message, context, text, is_call);
        match (&self.alt_id, &message.alt_id) {
            (None, _) => by_content(),
            // Events do not carry this id, and the content of other messages may be equal.
            (Some(_), None) => by_content().min(Fit::Possible),
            (Some(sent), Some(observed)) if sent != observed || address == Match::Contradicts => {
                Fit::Excluded
            }
            // An id that several messages have does not identify one of them.
            _ if [direction, channel, text].contains(&Match::Contradicts) => Fit::Possible,
            _ if address == Match::Agrees => Fit::Exact,
            _ => Fit::Possible,
        }
    }

    fn fit_by_content(
        &self,
        message: &ObservedMessage,
        context: [Match; 3],
        text: Match,
        is_call: bool,
    ) -> Fit {
        let sent = &self.content;
        let time = self.compare_time(message.time);
        let attachments = match content::compare_attachments(&sent.attachments, &message.attachments) {
            // The recording of a call is added when it is ready.
            _ if is_call && sent.attachments.is_empty() => Match::Irrelevant,
            attachments => attachments,
        };
        let to_number =
            content::compare_numbers(sent.to_number.as_ref(), message.to.first().map(String::as_str));
        let from_number = match content::compare_numbers(sent.from_number.as_ref(), message.from.as_deref()) {
            // A location sends from its default number instead of one that it does not have.
            Match::Contradicts if !is_call => Match::Undecided,
            from_number => from_number,
        };
        let bcc = if sent.bcc.is_empty() {
            // A location can be set up to add blind copies.
            Match::Irrelevant
        } else {
            content::compare_copies(&sent.bcc, &message.bcc_list, &message.bcc)
        };
        let details = [
            text,
            attachments,
            to_number,
            from_number,
            content::compare_subjects(sent.subject.as_ref(), message.subject.as_deref(), sent.rendered),
            content::compare_recipient(sent.email_to.as_ref(), &message.to),
            content::compare_copies(&sent.cc, &message.cc_list, &message.cc),
            bcc,
            self.compare_provider(message),
            compare_source(message.source.as_deref()),
        ];
        let has = |result: Match| details.contains(&result);
        if context.contains(&Match::Contradicts) || time == Match::Contradicts || has(Match::Contradicts) {
            return Fit::Excluded;
        }
        let identified = text == Match::Agrees
            || attachments == Match::Agrees
            || (is_call && to_number == Match::Agrees && from_number == Match::Agrees);
        let agreed = context == [Match::Agrees; 3] && time == Match::Agrees;
        if agreed && identified && !has(Match::Undecided) { Fit::Proven } else { Fit::Possible }
    }

    fn compare_address(&self, message: &ObservedMessage) -> Match {
        let contact = compare(self.contact.as_ref(), message.contact.as_ref());
        let conversation = compare(self.conversation.as_ref(), message.conversation.as_ref());
        match (contact, conversation) {
            // HighLevel merges conversations of a contact, and then the stored id of one of them is out of date.
            (Match::Agrees, Match::Contradicts) => Match::Undecided,
            (Match::Contradicts, _) | (_, Match::Contradicts) => Match::Contradicts,
            (Match::Agrees, _) | (_, Match::Agrees) => Match::Agrees,
            _ => Match::Undecided,
        }
    }

    fn compare_text(&self, message: &ObservedMessage, is_call: bool) -> Match {
        if is_call && self.content.texts.is_empty() {
            // The transcript of a call is added when it is ready.
            return Match::Irrelevant;
        }
        content::compare_texts(&self.content.texts, &message.texts, self.content.rendered)
    }

    /// Compares the conversation providers. HighLevel sends emails through another one than the request names.
    fn compare_provider(&self, message: &ObservedMessage) -> Match {
        match (&self.provider, &message.provider) {
            (Some(sent), Some(observed)) if sent != observed && !channel::is_email(&self.channel) => {
                Match::Contradicts
            }
            _ => Match::Irrelevant,
        }
    }

    fn compare_time(&self, observed: Option<SystemTime>) -> Match {
        let Some(observed) = observed else { return Match::Undecided };
        let agrees = match self.dated {
            Dated::AtOnce => within(observed, self.attempted, LATER),
            // What is scheduled for the past is sent at once.
            Dated::Scheduled(time) => within(observed, time.max(self.attempted), LATER),
            Dated::Within(span) => within(observed, self.attempted, span.saturating_add(LATER)),
            Dated::Given(date) => distance(observed, date) < SAME_DATE,
        };
        if agrees {
            return Match::Agrees;
        }
        // A scheduled message may be dated when it is created, and a date may be ignored.
        let expected = match self.dated {
            Dated::Scheduled(time) | Dated::Given(time) => time,
            Dated::AtOnce | Dated::Within(_) => self.attempted,
        };
        let possible = [expected, self.attempted].into_iter().any(|time| {
            within(observed, time, LATER)
                || time.duration_since(observed).is_ok_and(|earlier| earlier <= EARLIER)
        });
        if possible { Match::Undecided } else { Match::Contradicts }
    }
}

impl Content {
    fn of(texts: [Option<&str>; 2], subject: Option<&str>, rendered: bool) -> Self {
        // HighLevel fills in values like {{contact.first_name}}.
        let has_values = |text: &&str| text.contains("{{");
        let rendered = rendered || texts.iter().flatten().chain(&subject).any(has_values);
        let texts = texts.into_iter().flatten().filter_map(Text::of).collect();
        Self { texts, rendered, ..Self::default() }
    }

    fn with_numbers(mut self, call: Option<&CallDetails>) -> Self {
        let number = |number: Option<&String>| number.and_then(|number| Phone::of(number));
        self.from_number = number(call.and_then(|call| call.from.as_ref()));
        self.to_number = number(call.and_then(|call| call.to.as_ref()));
        self
    }
}

/// Combines the observations of one message. Observations that contradict each other prove nothing.
fn combine(fits: &BTreeSet<Fit>) -> Fit {
    match highest(fits) {
        highest if !fits.contains(&Fit::Excluded) => highest,
        Fit::Proven | Fit::Exact => Fit::Possible,
        _ => Fit::Excluded,
    }
}

fn highest(fits: &BTreeSet<Fit>) -> Fit {
    fits.last().copied().unwrap_or(Fit::Excluded)
}

/// A message that HighLevel created by itself can have the text of a request.
fn compare_source(observed: Option<&str>) -> Match {
    match observed {
        Some("workflow" | "bulk_actions" | "campaign") => Match::Undecided,
        _ => Match::Irrelevant,
    }
}

fn compare<T: PartialEq>(sent: Option<&T>, observed: Option<&T>) -> Match {
    match (sent, observed) {
        (Some(sent), Some(observed)) if sent == observed => Match::Agrees,
        (Some(_), Some(_)) => Match::Contradicts,
        _ => Match::Undecided,
    }
}

/// Returns `true` for a date that is not before the start, to the precision of the date, and not after its end.
fn within(date: SystemTime, start: SystemTime, length: Duration) -> bool {
    let since_1970 = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nanos = since_1970(date).subsec_nanos();
    let precision = match nanos {
        0 => Duration::from_secs(1),
        _ if nanos % 1_000_000 == 0 => Duration::from_millis(1),
        _ => Duration::ZERO,
    };
    match start.duration_since(date) {
        Ok(early) => early < precision || early.is_zero(),
        Err(late) => late.duration() <= length,
    }
}

fn distance(a: SystemTime, b: SystemTime) -> Duration {
    a.duration_since(b).unwrap_or_else(|error| error.duration())
}

fn given(date: Option<&Timestamp>) -> Dated {
    date.and_then(Timestamp::to_system_time).map_or(Dated::AtOnce, Dated::Given)
}

/// The longest span in which HighLevel may send a message at the moment of its choice.
fn longest(period: Option<&OptimizationPeriod>) -> Duration {
    const HOUR: u64 = 60 * 60;
    let hours = period.and_then(|period| period.as_str().strip_suffix('h')?.parse::<u32>().ok());
    Duration::from_secs(u64::from(hours.unwrap_or(72)) * HOUR)
}

impl From<Fingerprint> for Stored {
    fn from(fingerprint: Fingerprint) -> Self {
        Self {
            version: VERSION,
            contact: fingerprint.contact,
            conversation: fingerprint.conversation,
            provider: fingerprint.provider,
            alt_id: fingerprint.alt_id,
            channel: fingerprint.channel,
            direction: fingerprint.direction,
            time: fingerprint.attempted,
            dated: fingerprint.dated,
            content: StoredContent::Current(fingerprint.content),
        }
    }
}

impl TryFrom<Stored> for Fingerprint {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        if stored.version > VERSION {
            // A newer version may compare more, and without that another message could be named.
            return Err(format!(
                "fingerprint version {} is newer than {VERSION}, the newest that this library reads; update it",
                stored.version
            ));
        }
        let content = match stored.content {
            StoredContent::Current(content) => content,
            StoredContent::Version1(text) => Content {
                texts: text
                    .map(|hex| Text { exact: Hash::from_stored(hex), visible: None })
                    .into_iter()
                    .collect(),
                ..Content::default()
            },
        };
        Ok(Self {
            contact: stored.contact,
            conversation: stored.conversation,
            provider: stored.provider,
            alt_id: stored.alt_id,
            channel: stored.channel,
            direction: stored.direction,
            attempted: stored.time,
            dated: stored.dated,
            content,
        })
    }
}

#[cfg(test)]
mod tests;
