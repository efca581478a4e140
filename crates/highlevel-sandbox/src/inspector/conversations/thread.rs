//! The open conversation and its messages.

use super::budget::{self, Budget, Excerpt, Listed};
use super::labels::{self, AttachmentLabel};
use super::list::{Avatar, Search};
use crate::inspector::filter::Filter;
use crate::inspector::format::{self, Time};
use crate::model::{
    Contact, Message, MessageDirection, Model, StatusChange, is_email, is_phone, next_statuses,
};

/// The maximum length of a detail and of its name, in characters.
const FACT: usize = 200;
const NAME: usize = 60;
/// The maximum length of a subject, an address or a failure reason, in characters.
const LINE: usize = 300;
/// The maximum number of attachments, details and statuses per message.
const MOST: usize = 20;

/// The conversation that is open.
pub(super) struct Thread {
    pub(super) name: String,
    pub(super) avatar: Avatar,
    /// The ID of the contact.
    pub(super) contact: String,
    /// The ID of the contact as a path segment.
    pub(super) segment: String,
    pub(super) location: String,
    pub(super) phone: Option<String>,
    pub(super) email: Option<String>,
    pub(super) bubbles: Vec<Bubble>,
    /// The number of matching messages older than those shown.
    pub(super) earlier: usize,
    /// The number of messages hidden by the filter.
    pub(super) hidden: usize,
}

/// A message of the conversation.
pub(super) struct Bubble {
    pub(super) id: String,
    /// The ID as a path segment.
    pub(super) segment: String,
    /// The day, if it differs from that of the previous message.
    pub(super) day: Option<String>,
    /// `true` if the previous message has the same day and direction.
    pub(super) follows: bool,
    pub(super) was_sent: bool,
    pub(super) channel: String,
    pub(super) at: Time,
    pub(super) text: Option<Excerpt>,
    pub(super) call: Option<Call>,
    pub(super) email: Option<Email>,
    /// `true` if the message has an HTML body.
    pub(super) has_html: bool,
    pub(super) attachments: Listed<AttachmentLabel>,
    pub(super) status: String,
    /// The CSS class of the status badge.
    pub(super) tone: &'static str,
    /// The failure reason, if given.
    pub(super) reason: Option<String>,
    /// The newest statuses, oldest first.
    pub(super) history: Listed<Step>,
    pub(super) facts: Listed<(String, String)>,
    /// The statuses that may follow, if the status can be changed.
    pub(super) next: Vec<&'static str>,
}

/// The details of a call or a voicemail.
pub(super) struct Call {
    pub(super) title: String,
    pub(super) outcome: String,
    pub(super) tone: &'static str,
    pub(super) duration: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
}

/// The details of an email.
pub(super) struct Email {
    pub(super) subject: String,
    /// Senders and recipients.
    pub(super) people: Vec<(&'static str, String)>,
}

/// An entry of the status history.
pub(super) struct Step {
    pub(super) status: String,
    pub(super) at: Time,
    pub(super) error: Option<String>,
}

/// Returns the newest matching messages of a contact, oldest first.
pub(super) fn thread(model: &Model, filter: &Filter, contact: &Contact) -> Thread {
    let search = Search::new(filter);
    let is_wanted = search.is_about(contact);
    let most = filter.rows;
    let messages = model.messages_with(&contact.id).rev();
    let (mut shown, mut earlier, mut hidden) = (Vec::new(), 0, 0);
    if search.is_for_all(is_wanted) {
        shown.extend(messages.take(most));
        earlier = model.count_with(&contact.id) - shown.len();
    } else {
        messages.for_each(|message| {
            if !search.fits(is_wanted, message) {
                hidden += 1;
            } else if shown.len() < most {
                shown.push(message);
            } else {
                earlier += 1;
            }
        });
    }
    // The newest messages get the largest share of the budget.
    let mut budget = Budget::new();
    let shown: Vec<Message> = shown.into_iter().map(|message| message.parsed()).collect();
    let before = shown.iter().skip(1).map(Some).chain([None]);
    let mut bubbles: Vec<Bubble> = shown
        .iter()
        .zip(before)
        .map(|(message, before)| Bubble::of(message, before, contact, &mut budget))
        .collect();
    bubbles.reverse();
    let detail = |value: &Option<String>| value.as_ref().map(|text| format::start(text, FACT));
    Thread {
        name: format::start(labels::name(contact), labels::NAME),
        avatar: Avatar::of(contact),
        contact: contact.id.clone(),
        segment: labels::segment(&contact.id),
        location: contact.location_id.clone(),
        phone: detail(&contact.phone),
        email: detail(&contact.email),
        bubbles,
        earlier,
        hidden,
    }
}

impl Thread {
    /// Returns `true` if older messages exist but the maximum number is already shown.
    pub(super) fn is_longest(&self, filter: &Filter) -> bool {
        self.earlier > 0 && filter.longer().is_none()
    }
}

impl Bubble {
    fn of(message: &Message, before: Option<&Message>, contact: &Contact, budget: &mut Budget) -> Self {
        let at = Time::from(message.date_added.clone());
        let is_new_day = before.is_none_or(|before| Time(before.date_added.clone()).day() != at.day());
        let (has_html, email) = (message.field("html").is_some(), is_email(&message.channel));
        // The status of a call changes in both directions; an inbound message has already arrived.
        let moves = message.direction == MessageDirection::Outbound || is_phone(&message.channel);
        let text = message.text().filter(|text| !text.is_empty()).map(|text| budget.text(text));
        let reason = message.history.last().and_then(|last| last.error.as_deref());
        let mut history = budget.list(message.history.iter().rev(), MOST, Step::of);
        history.shown.reverse();
        Self {
            id: message.id.clone(),
            segment: labels::segment(&message.id),
            day: is_new_day.then(|| at.day().to_owned()),
            follows: !is_new_day && before.is_some_and(|before| before.direction == message.direction),
            was_sent: message.direction == MessageDirection::Outbound,
            channel: message.channel.clone(),
            at,
            text,
            call: is_phone(&message.channel).then(|| Call::of(message, budget)),
            email: email.then(|| Email::of(message, contact, budget)),
            has_html,
            attachments: budget.list(labels::attachments(message), MOST, attachment),
            status: message.status.clone(),
            tone: tone(&message.status),
            reason: reason.map(|reason| budget.line(reason, LINE)),
            history,
            facts: facts(message, budget),
            next: if moves { next_statuses(message) } else { Vec::new() },
        }
    }
}

impl Bubble {
    /// Returns `true` if only the business sees the message.
    pub(super) fn is_internal(&self) -> bool {
        self.channel == "InternalComment"
    }

    /// Returns `true` if the outcome of the call already shows the status.
    pub(super) fn repeats_status(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.outcome == self.status)
    }
}

impl Call {
    fn of(message: &Message, budget: &mut Budget) -> Self {
        let mut end = |name: &str| Some(budget.line(message.request.pointer(name)?.as_str()?, NAME));
        let outcome = labels::outcome(message).to_owned();
        Self {
            title: labels::call_title(message),
            tone: tone(message.call_status.as_deref().unwrap_or(&message.status)),
            outcome,
            duration: labels::call_seconds(message).map(labels::duration),
            from: end("/call/from"),
            to: end("/call/to"),
        }
    }
}

impl Email {
    fn of(message: &Message, contact: &Contact, budget: &mut Budget) -> Self {
        let sent = message.direction == MessageDirection::Outbound;
        let (own_from, own_to) = match contact.email.as_deref() {
            Some(address) if sent => (None, Some(address)),
            other => (other.filter(|_| !sent), None),
        };
        let named = |name: &str| Some(budget::value(message.request.get(name)?, LINE));
        let address = |name: &str, own: Option<&str>| {
            message.field(name).or(own).map(|address| format::start(address, LINE))
        };
        let people = [
            ("From", address("emailFrom", own_from)),
            ("To", address("emailTo", own_to)),
            ("Cc", named("emailCc")),
            ("Bcc", named("emailBcc")),
            ("Reply to", named("replyTo")),
        ];
        let people = people.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let people = people.filter(|(_, value)| !value.is_empty());
        Self {
            subject: budget.line(message.field("subject").unwrap_or("No subject"), LINE),
            people: people.map(|(name, value)| (name, budget.line(&value, LINE))).collect(),
        }
    }
}

impl Step {
    fn of(budget: &mut Budget, change: &StatusChange) -> Self {
        Self {
            status: budget.line(&change.status, NAME),
            at: change.at.clone().into(),
            error: change.error.as_deref().map(|error| budget.line(error, LINE)),
        }
    }
}

fn attachment(budget: &mut Budget, address: &str) -> AttachmentLabel {
    let attachment = AttachmentLabel::of(address);
    budget.spend(attachment.link.as_deref().unwrap_or_default());
    budget.spend(&attachment.name);
    attachment
}

/// Returns the CSS class of a status badge.
pub(in crate::inspector) fn tone(status: &str) -> &'static str {
    match status {
        "delivered" | "read" | "completed" | "answered" => "is-good",
        "failed" => "is-bad",
        "pending" | "scheduled" | "voicemail" | "busy" | "no-answer" => "is-warn",
        _ => "",
    }
}

/// Returns further details of a message: IDs, and the fields of its request that are not shown elsewhere.
fn facts(message: &Message, budget: &mut Budget) -> Listed<(String, String)> {
    let ids = [
        ("Conversation", Some(&message.conversation_id)),
        ("Provider", message.conversation_provider_id.as_ref()),
        ("Email", message.email_message_id.as_ref()),
        ("Thread", message.thread_id.as_ref()),
    ];
    let ids = ids.into_iter().filter_map(|(name, id)| Some((name, format::start(id?, FACT))));
    let fields = message.request.as_object().into_iter().flatten();
    let fields = fields.filter(|(name, _)| !has_a_place(name));
    let all = ids.chain(fields.map(|(name, value)| (name.as_str(), budget::value(value, FACT))));
    budget.list(all, MOST, |budget, (name, value)| (budget.line(name, NAME), budget.line(&value, FACT)))
}

/// Returns `true` if a field of a request is shown elsewhere.
fn has_a_place(name: &str) -> bool {
    let of_all =
        matches!(name, "type" | "contactId" | "conversationId" | "message" | "attachments" | "direction");
    let of_email =
        matches!(name, "subject" | "html" | "emailFrom" | "emailTo" | "emailCc" | "emailBcc" | "replyTo");
    of_all || of_email || matches!(name, "call" | "status" | "conversationProviderId" | "threadId")
}
