//! The refusals of the live API that depend on the contact, the provider or the content.

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};

use super::ErrorResponse;
use super::records::is_of_stored_file;
use crate::fidelity::{Refusal, Settings};
use crate::model::{Contact, DndChannel, MessageDirection, Model, StoredMessage, is_email, is_phone};
use crate::operation::Operation;

/// The time after the last message of a contact in which it can be sent messages, on the channels with such a window.
const CHAT_WINDOW: TimeDelta = TimeDelta::hours(24);
/// The host names, and their parent domains, of the recordings that HighLevel stores.
const STORAGE_HOSTS: [&str; 4] =
    ["storage.googleapis.com", "leadconnectorhq.com", "msgsndr.com", "gohighlevel.com"];

/// A request to be checked.
pub(super) struct Candidate<'a> {
    pub(super) operation: Operation,
    pub(super) body: &'a Value,
    /// RFC 3339.
    pub(super) now: &'a str,
}

impl<'a> Candidate<'a> {
    fn text(&self, field: &str) -> Option<&'a str> {
        self.body.get(field)?.as_str()
    }

    fn channel(&self) -> &'a str {
        self.text("type").unwrap_or_default()
    }

    /// Returns `true` if a string field has more than white space.
    fn has_text(&self, field: &str) -> bool {
        self.text(field).is_some_and(|text| !text.trim().is_empty())
    }

    fn has_attachments(&self) -> bool {
        let attachments = self.body.get("attachments").and_then(Value::as_array);
        attachments.into_iter().flatten().filter_map(Value::as_str).any(|url| !url.trim().is_empty())
    }

    /// Returns `true` if the message has content. An email to send needs HTML if it has a text.
    fn has_content(&self) -> bool {
        let is_sent = self.operation == Operation::SendMessage;
        let has_other = is_sent
            && (self.has_text("templateId")
                || self.body.get("whatsapp").is_some_and(Value::is_object)
                || self.body.get("forward").is_some_and(Value::is_object));
        if self.has_text("html") || has_other {
            return true;
        }
        let needs_html = is_sent && is_email(self.channel());
        if self.has_text("message") { !needs_html } else { self.has_attachments() }
    }

    /// Returns a number of the call, reduced to its digits.
    fn number(&self, end: &str) -> Option<String> {
        let number = digits(self.body.pointer(&format!("/call/{end}"))?.as_str()?);
        (!number.is_empty()).then_some(number)
    }
}

/// Checks the content of a request, and the contact that it is for.
pub(super) fn check(
    settings: &Settings,
    model: &Model,
    contact: &Contact,
    candidate: &Candidate<'_>,
) -> Result<(), ErrorResponse> {
    let refuse = |refusal: Refusal, is_violated: bool, value: &str| {
        if is_violated && settings.refuses(refusal) {
            return Err(ErrorResponse::refused(refusal, value));
        }
        Ok(())
    };
    let channel = candidate.channel();
    if is_phone(channel) {
        if !is_with(contact, candidate) && settings.refuses(Refusal::InvalidPhone) {
            let note = addresses(contact, "phone numbers", contact.phones());
            return Err(ErrorResponse::refused(Refusal::InvalidPhone, "").note(note));
        }
        return refuse(Refusal::RecordingUrl, has_foreign_recording(model, candidate), "");
    }
    refuse(Refusal::NoContent, !candidate.has_content(), "")?;
    if candidate.operation != Operation::SendMessage || channel == "InternalComment" {
        return Ok(());
    }
    refuse(Refusal::NoPhone, matches!(channel, "SMS" | "WhatsApp") && contact.phones().next().is_none(), "")?;
    if is_email(channel) {
        let to = candidate.text("emailTo");
        let address = to.or_else(|| contact.emails().next());
        refuse(Refusal::NoEmail, contact.emails().next().is_none(), "")?;
        let is_of_contact = |to: &str| contact.emails().any(|email| email.to_lowercase() == to);
        if to.is_some_and(|to| !is_of_contact(to)) && settings.refuses(Refusal::InvalidEmailTo) {
            let note = addresses(contact, "email addresses", contact.emails());
            return Err(ErrorResponse::refused(Refusal::InvalidEmailTo, "").note(note));
        }
        refuse(Refusal::InvalidEmail, address.is_some_and(|address| !is_deliverable(address)), "")?;
    }
    if let Some((refusal, name)) = do_not_disturb(contact, channel) {
        refuse(refusal, true, name)?;
    }
    refuse(Refusal::Unsubscribed, is_email(channel) && contact.unsubscribed, "")?;
    if let Some(name) = name_of_chat(channel)
        && !has_open_window(model, contact, candidate)
        && settings.refuses(Refusal::ChatNoLongerActive)
    {
        let refused = ErrorResponse::refused(Refusal::ChatNoLongerActive, name);
        return Err(refused.with("arguments", json!({ "channel": name })));
    }
    Ok(())
}

/// Checks for refusals about the body alone.
pub(super) fn check_body(settings: &Settings, candidate: &Candidate<'_>) -> Result<(), ErrorResponse> {
    let is_empty_list = |list: &Value| list.as_array().is_some_and(Vec::is_empty);
    if candidate.operation == Operation::AddInboundMessage
        && candidate.body.get("attachments").is_some_and(is_empty_list)
        && settings.refuses(Refusal::EmptyAttachments)
    {
        return Err(ErrorResponse::refused(Refusal::EmptyAttachments, ""));
    }
    if candidate.operation == Operation::UpdateMessageStatus
        && candidate.text("status") == Some("failed")
        && candidate.body.get("error").is_none()
        && settings.refuses(Refusal::FailedWithoutError)
    {
        return Err(ErrorResponse::refused(Refusal::FailedWithoutError, ""));
    }
    Ok(())
}

/// Returns the explanation with the addresses of a contact.
fn addresses<'a>(contact: &Contact, kind: &str, found: impl Iterator<Item = &'a str>) -> String {
    let found: Vec<&str> = found.collect();
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    format!("{kind} of the contact {}: {found}", contact.id)
}

/// Returns `true` if a call is with the contact.
fn is_with(contact: &Contact, candidate: &Candidate<'_>) -> bool {
    let is_of_contact = |number: &String| contact.phones().any(|phone| digits(phone) == *number);
    let (from, to) = (candidate.number("from"), candidate.number("to"));
    if candidate.operation == Operation::AddInboundMessage && candidate.text("direction") != Some("outbound")
    {
        // The contact is the caller. No report has an inbound call without numbers.
        return (from.is_none() && to.is_none()) || from.iter().chain(&to).any(is_of_contact);
    }
    to.as_ref().is_some_and(is_of_contact)
}

fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

fn has_foreign_recording(model: &Model, candidate: &Candidate<'_>) -> bool {
    let attachments = candidate.body.get("attachments").and_then(Value::as_array);
    attachments
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .any(|url| !is_stored(url) && !is_of_stored_file(model, url))
}

/// Returns `true` if a URL is one of HighLevel's storage.
fn is_stored(url: &str) -> bool {
    let Some(host) = url.parse::<http::Uri>().ok().and_then(|url| url.host().map(str::to_owned)) else {
        return false;
    };
    STORAGE_HOSTS.iter().any(|domain| {
        host == *domain || host.strip_suffix(domain).is_some_and(|subdomain| subdomain.ends_with('.'))
    })
}

/// Returns `true` for an address with a local part and a domain that may exist.
fn is_deliverable(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let labels: Vec<&str> = domain.split('.').collect();
    let is_label =
        |label: &&str| !label.is_empty() && label.chars().all(|each| each.is_alphanumeric() || each == '-');
    !local.is_empty()
        && !local.contains(|each: char| each.is_whitespace() || each == '@')
        && labels.len() > 1
        && labels.iter().all(is_label)
        && labels.last().is_none_or(|last| !last.eq_ignore_ascii_case("invalid"))
}

/// Returns the refusal of a message on a channel with do-not-disturb, with the name of the channel.
fn do_not_disturb(contact: &Contact, channel: &str) -> Option<(Refusal, &'static str)> {
    let (dnd, refusal, name) = match channel {
        "SMS" => (DndChannel::Sms, Refusal::DndSms, "SMS"),
        "Email" => (DndChannel::Email, Refusal::DndEmail, "Email"),
        "WhatsApp" => (DndChannel::WhatsApp, Refusal::DndOther, "WhatsApp"),
        "FB" => (DndChannel::Facebook, Refusal::DndOther, "Facebook"),
        "GMB" => (DndChannel::Gmb, Refusal::DndOther, "GMB"),
        _ => (DndChannel::All, Refusal::DndOther, "all channels"),
    };
    contact.has_do_not_disturb(dnd).then_some((refusal, name))
}

/// Returns the name of a channel whose messages have to follow one of the contact.
fn name_of_chat(channel: &str) -> Option<&'static str> {
    match channel {
        "FB" => Some("Facebook"),
        "IG" => Some("Instagram"),
        _ => None,
    }
}

fn has_open_window(model: &Model, contact: &Contact, candidate: &Candidate<'_>) -> bool {
    let time = |text: &str| DateTime::parse_from_rfc3339(text).ok();
    let Some(now) = time(candidate.now) else { return true };
    let channel = candidate.channel();
    let is_of_contact = |message: &StoredMessage| {
        message.direction == MessageDirection::Inbound && message.channel == channel
    };
    let inbound = model.messages_with(&contact.id).rev().filter(|message| is_of_contact(message));
    let times = inbound.filter_map(|message| time(&message.date_added));
    times.into_iter().any(|received| now - received <= CHAT_WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_a_local_part_and_a_domain() {
        let cases = [
            ("ada@example.com", true),
            ("ada+1@mail.example.co.uk", true),
            ("jürgen@bücher.example", true),
            ("ada", false),
            ("@example.com", false),
            ("ada@localhost", false),
            ("ada@example..com", false),
            ("a da@example.com", false),
            ("ada@exa mple.com", false),
            ("ada@mail.invalid", false),
            ("ada@mail.INVALID", false),
        ];
        for (address, expected) in cases {
            assert_eq!(is_deliverable(address), expected, "{address}");
        }
    }

    #[test]
    fn recordings_are_stored_on_known_hosts() {
        let cases = [
            ("https://storage.googleapis.com/msgsndr/a.mp3", true),
            ("https://services.leadconnectorhq.com/a.mp3", true),
            ("https://cdn.msgsndr.com/a.mp3", true),
            ("https://evilmsgsndr.com/a.mp3", false),
            ("https://cdn.example.com/a.mp3", false),
            ("a.mp3", false),
        ];
        for (url, expected) in cases {
            assert_eq!(is_stored(url), expected, "{url}");
        }
    }
}
