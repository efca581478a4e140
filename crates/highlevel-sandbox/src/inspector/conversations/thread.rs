//! The conversation that is open: its messages as bubbles, with everything that is known of each.

use std::fmt::Write as _;

use serde_json::Value;

use super::list::{self, Avatar};
use super::words::{self, Attachment};
use crate::inspector::Filter;
use crate::inspector::format::{self, Time};
use crate::world::{Contact, Direction, Message, World, is_email, is_phone, next_statuses};

/// How many messages are shown for each row that the list may have.
const MESSAGES_PER_ROW: usize = 2;
/// How much of a value is shown among the facts, in characters.
const FACT: usize = 200;
/// The conversation that is open.
pub(super) struct Thread {
    pub(super) name: String,
    pub(super) avatar: Avatar,
    pub(super) contact: Contact,
    pub(super) bubbles: Vec<Bubble>,
    /// How many that fit are older than those that are shown.
    pub(super) earlier: usize,
    /// How many the search hides.
    pub(super) hidden: usize,
}

/// A message of the conversation.
pub(super) struct Bubble {
    pub(super) id: String,
    /// The id in an address.
    pub(super) segment: String,
    /// The day, if it is another one than that of the message before.
    pub(super) day: Option<String>,
    /// Whether it goes on with what the one before it says.
    pub(super) follows: bool,
    pub(super) was_sent: bool,
    pub(super) channel: String,
    pub(super) at: Time,
    pub(super) text: Option<String>,
    pub(super) call: Option<Call>,
    pub(super) email: Option<Email>,
    /// Whether there is HTML to be framed.
    pub(super) has_html: bool,
    pub(super) attachments: Vec<Attachment>,
    pub(super) status: String,
    /// The class of a badge: how good that is.
    pub(super) tone: &'static str,
    /// Why it failed, if somebody said so.
    pub(super) reason: Option<String>,
    pub(super) history: Vec<Step>,
    pub(super) facts: Vec<(String, String)>,
    /// The statuses that may follow, if it is one to move on.
    pub(super) next: Vec<&'static str>,
}

/// What is special about a call or a voicemail.
pub(super) struct Call {
    pub(super) title: String,
    pub(super) outcome: String,
    pub(super) tone: &'static str,
    pub(super) duration: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
}

/// What is special about an email.
pub(super) struct Email {
    pub(super) subject: String,
    /// From, to and copies.
    pub(super) people: Vec<(&'static str, String)>,
}

/// A status that a message has had.
pub(super) struct Step {
    pub(super) status: String,
    pub(super) at: Time,
    pub(super) error: Option<String>,
}

/// The conversation with a contact: the newest messages of those that fit, oldest first.
pub(super) fn thread(world: &World, filter: &Filter, contact: &Contact) -> Thread {
    let is_wanted = list::is_about(filter, contact);
    let most = filter.rows * MESSAGES_PER_ROW;
    let (mut shown, mut earlier, mut hidden) = (Vec::new(), 0, 0);
    for message in world.messages().rev().filter(|message| message.contact_id == contact.id) {
        if !list::fits_message(filter, is_wanted, message) {
            hidden += 1;
        } else if shown.len() < most {
            shown.push(message);
        } else {
            earlier += 1;
        }
    }
    shown.reverse();
    let before = std::iter::once(None).chain(shown.iter().copied().map(Some));
    let bubbles = before.zip(&shown).map(|(before, message)| Bubble::of(message, before, contact)).collect();
    Thread {
        name: words::name(contact).to_owned(),
        avatar: Avatar::of(contact),
        contact: contact.clone(),
        bubbles,
        earlier,
        hidden,
    }
}

impl Thread {
    /// Whether the newest messages that can be shown at once are shown, and there are others.
    pub(super) fn is_longest(&self, filter: &Filter) -> bool {
        self.earlier > 0 && filter.longer().is_none()
    }
}

impl Bubble {
    fn of(message: &Message, before: Option<&Message>, contact: &Contact) -> Self {
        let at = Time::from(message.date_added.clone());
        let is_new_day = before.is_none_or(|before| Time(before.date_added.clone()).day() != at.day());
        let (has_html, email) = (message.field("html").is_some(), is_email(&message.channel));
        // A call that moves on is told about whoever called; a message that came in has arrived.
        let moves = message.direction == Direction::Outbound || is_phone(&message.channel);
        Self {
            id: message.id.clone(),
            segment: words::segment(&message.id),
            day: is_new_day.then(|| at.day().to_owned()),
            follows: !is_new_day && before.is_some_and(|before| before.direction == message.direction),
            was_sent: message.direction == Direction::Outbound,
            channel: message.channel.clone(),
            at,
            text: message.text().filter(|text| !text.is_empty()).map(str::to_owned),
            call: is_phone(&message.channel).then(|| Call::of(message)),
            email: email.then(|| Email::of(message, contact)),
            has_html,
            attachments: words::attachments(message),
            status: message.status.clone(),
            tone: tone(&message.status),
            reason: message.history.last().and_then(|last| last.error.clone()),
            history: message.history.iter().map(Step::of).collect(),
            facts: facts(message),
            next: if moves { next_statuses(message) } else { Vec::new() },
        }
    }
}

impl Bubble {
    /// Whether only the location sees it.
    pub(super) fn is_internal(&self) -> bool {
        self.channel == "InternalComment"
    }

    /// Whether the outcome of the call says the status already.
    pub(super) fn is_said(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.outcome == self.status)
    }
}

impl Call {
    fn of(message: &Message) -> Self {
        let end = |name: &str| Some(message.request.pointer(name)?.as_str()?.to_owned());
        let outcome = words::outcome(message).to_owned();
        Self {
            title: words::call_title(message),
            tone: tone(message.call_status.as_deref().unwrap_or(&message.status)),
            outcome,
            duration: words::call_seconds(message).map(words::duration),
            from: end("/call/from"),
            to: end("/call/to"),
        }
    }
}

impl Email {
    fn of(message: &Message, contact: &Contact) -> Self {
        let sent = message.direction == Direction::Outbound;
        let (own_from, own_to) = match contact.email.as_deref() {
            Some(address) if sent => (None, Some(address)),
            other => (other.filter(|_| !sent), None),
        };
        let people = [
            ("From", message.field("emailFrom").or(own_from).map(str::to_owned)),
            ("To", message.field("emailTo").or(own_to).map(str::to_owned)),
            ("Cc", message.request.get("emailCc").map(text_of)),
            ("Bcc", message.request.get("emailBcc").map(text_of)),
            ("Reply to", message.request.get("replyTo").map(text_of)),
        ];
        let people = people.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Self {
            subject: message.field("subject").unwrap_or("No subject").to_owned(),
            people: people.filter(|(_, value)| !value.is_empty()).collect(),
        }
    }
}

impl Step {
    fn of(change: &crate::world::StatusChange) -> Self {
        Self { status: change.status.clone(), at: change.at.clone().into(), error: change.error.clone() }
    }
}

/// How good a status is, as the class of a badge.
pub(super) fn tone(status: &str) -> &'static str {
    match status {
        "delivered" | "read" | "completed" | "answered" => "is-good",
        "failed" | "busy" | "no-answer" | "canceled" => "is-bad",
        "pending" | "voicemail" => "is-warn",
        _ => "",
    }
}

/// What else is known of a message: ids, and the fields of its request that have no place of their own.
fn facts(message: &Message) -> Vec<(String, String)> {
    let ids = [
        ("conversation", Some(&message.conversation_id)),
        ("provider", message.conversation_provider_id.as_ref()),
        ("email", message.email_message_id.as_ref()),
        ("thread", message.thread_id.as_ref()),
    ];
    let ids = ids.into_iter().filter_map(|(name, id)| Some((name.to_owned(), id?.clone())));
    let fields = message.request.as_object().into_iter().flatten();
    let fields = fields.filter(|(name, _)| !has_a_place(name));
    ids.chain(fields.map(|(name, value)| (name.clone(), format::start(&text_of(value), FACT)))).collect()
}

/// Whether a field of a request is shown elsewhere.
fn has_a_place(name: &str) -> bool {
    let of_all =
        matches!(name, "type" | "contactId" | "conversationId" | "message" | "attachments" | "direction");
    let of_email =
        matches!(name, "subject" | "html" | "emailFrom" | "emailTo" | "emailCc" | "emailBcc" | "replyTo");
    of_all || of_email || matches!(name, "call" | "status" | "conversationProviderId" | "threadId")
}

/// A value of a request as a person would write it.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(all) => {
            let mut line = String::new();
            for (place, each) in all.iter().enumerate() {
                let comma = if place == 0 { "" } else { ", " };
                // Writing to a text cannot fail.
                let _ = write!(line, "{comma}{}", text_of(each));
            }
            line
        }
        other => other.to_string(),
    }
}
