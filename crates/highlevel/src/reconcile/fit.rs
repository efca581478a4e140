//! Compares a request with a message in all properties.

use std::time::SystemTime;

use super::fingerprint::Fingerprint;
use super::matching::{Match, compare};
use super::observed::ObservedMessage;
use super::{address, channel, content, text};

/// The result of comparing a request with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// The message is not that of the request.
    Excluded,
    /// The message may be that of the request.
    Possible,
    /// Every property that the request named is equal.
    Proven,
    /// The `altId` is equal, which no other message has.
    Exact,
}

impl Fingerprint {
    /// Returns `true` if the message could be that of the request.
    pub(crate) fn may_be(&self, message: &ObservedMessage) -> bool {
        self.fit(message) != Fit::Excluded
    }

    /// Returns `true` if a message of this request could be that of another request as well.
    pub(crate) fn has_rival(&self, other: &Self, message: &ObservedMessage) -> bool {
        let fit = other.fit(message);
        // The `altId` of a message names its request.
        fit == Fit::Exact || (fit != Fit::Excluded && self.fit(message) != Fit::Exact)
    }

    /// Returns `true` for the fingerprint of an email.
    pub(crate) fn is_email(&self) -> bool {
        channel::is_email(&self.channel)
    }

    /// Returns the earliest date that the message can have.
    pub(crate) fn earliest(&self) -> SystemTime {
        self.dated.earliest(self.attempted)
    }

    /// Compares this request with a message.
    pub(super) fn fit(&self, message: &ObservedMessage) -> Fit {
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
        let time = self.dated.compare(self.attempted, message.time);
        let attachments = match content::compare_attachments(&sent.attachments, &message.attachments) {
            // The recording of a call is added when it is ready.
            _ if is_call && sent.attachments.is_empty() => Match::Irrelevant,
            attachments => attachments,
        };
        let to_number =
            address::compare_numbers(sent.to_number.as_ref(), message.to.first().map(String::as_str));
        let from_number = match address::compare_numbers(sent.from_number.as_ref(), message.from.as_deref()) {
            // A location sends from its default number instead of one that it does not have.
            Match::Contradicts if !is_call => Match::Undecided,
            from_number => from_number,
        };
        let bcc = if sent.bcc.is_empty() {
            // A location can be set up to add blind copies.
            Match::Irrelevant
        } else {
            address::compare_copies(&sent.bcc, &message.bcc_list, &message.bcc)
        };
        let details = [
            text,
            attachments,
            to_number,
            from_number,
            text::compare_subjects(sent.subject.as_ref(), message.subject.as_deref(), sent.rendered),
            address::compare_recipient(sent.email_to.as_ref(), &message.to),
            address::compare_copies(&sent.cc, &message.cc_list, &message.cc),
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
        text::compare_texts(&self.content.texts, &message.texts, self.content.rendered)
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
}

/// A message that HighLevel created by itself can have the text of a request.
fn compare_source(observed: Option<&str>) -> Match {
    match observed {
        Some("workflow" | "bulk_actions" | "campaign") => Match::Undecided,
        _ => Match::Irrelevant,
    }
}
