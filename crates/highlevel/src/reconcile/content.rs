//! The content of a request, as hashes.

use std::collections::BTreeSet;

use highlevel_wire::types::{CallDetails, InboundMessageRequest, OutboundCallRequest, SendMessageRequest};
use serde::{Deserialize, Serialize};

use super::address::{self, Phone};
use super::hash::Hash;
use super::matching::Match;
use super::text::{self, Text};

/// The content of a request. Addresses and phone numbers are part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RequestContent {
    /// The text and the HTML, in this order, as far as the request has them.
    pub(super) texts: Vec<Text>,
    /// HighLevel fills in a template or values, so that the stored text is not the one that was sent.
    pub(super) rendered: bool,
    pub(super) subject: Option<Hash>,
    pub(super) attachments: Vec<Hash>,
    pub(super) email_to: Option<Hash>,
    pub(super) cc: BTreeSet<Hash>,
    pub(super) bcc: BTreeSet<Hash>,
    pub(super) from_number: Option<Phone>,
    pub(super) to_number: Option<Phone>,
}

impl RequestContent {
    pub(super) fn of_message(request: &SendMessageRequest) -> Self {
        let parts = [&request.message, &request.html, &request.subject];
        // HighLevel fills in values like {{contact.first_name}}.
        let has_values = parts.into_iter().flatten().any(|text| text.contains("{{"));
        let media = request.whatsapp.iter().filter_map(|content| Some(&content.media.as_ref()?.url));
        Self {
            texts: texts([request.message.as_deref(), request.html.as_deref()]),
            rendered: has_values
                || request.template_id.is_some()
                || request.forward.is_some()
                || !request.mentions.is_empty(),
            subject: request.subject.as_deref().and_then(text::subject),
            attachments: attachments(request.attachments.iter().chain(media)),
            email_to: request.email_to.as_deref().and_then(address::address),
            cc: address::addresses(&request.email_cc),
            bcc: address::addresses(&request.email_bcc),
            from_number: request.from_number.as_deref().and_then(Phone::of),
            to_number: request.to_number.as_deref().and_then(Phone::of),
        }
    }

    pub(super) fn of_inbound(request: &InboundMessageRequest) -> Self {
        let parts = [request.message.as_deref(), request.html.as_deref()];
        Self {
            texts: texts(parts),
            rendered: parts.into_iter().flatten().any(|text| text.contains("{{")),
            subject: request.subject.as_deref().and_then(text::subject),
            attachments: attachments(&request.attachments),
            email_to: request.email_to.as_deref().and_then(address::address),
            cc: address::addresses(&request.email_cc),
            bcc: address::addresses(&request.email_bcc),
            ..Self::of_numbers(request.call.as_ref())
        }
    }

    pub(super) fn of_call(request: &OutboundCallRequest) -> Self {
        Self { attachments: attachments(&request.attachments), ..Self::of_numbers(request.call.as_ref()) }
    }

    fn of_numbers(call: Option<&CallDetails>) -> Self {
        let number = |number: Option<&String>| number.and_then(|number| Phone::of(number));
        Self {
            from_number: number(call.and_then(|call| call.from.as_ref())),
            to_number: number(call.and_then(|call| call.to.as_ref())),
            ..Self::default()
        }
    }
}

fn texts(parts: [Option<&str>; 2]) -> Vec<Text> {
    parts.into_iter().flatten().filter_map(Text::of).collect()
}

/// Compares the URLs of attachments. The server may store files under other URLs or add them later, so different URLs
/// prove nothing.
pub(super) fn compare_attachments(sent: &[Hash], observed: &[String]) -> Match {
    let observed = attachments(observed);
    match (sent.is_empty(), observed.is_empty()) {
        (true, true) => Match::Irrelevant,
        _ if sent == observed => Match::Agrees,
        _ => Match::Undecided,
    }
}

fn attachments<'a>(urls: impl IntoIterator<Item = &'a String>) -> Vec<Hash> {
    let mut hashes: Vec<Hash> = urls.into_iter().map(|url| Hash::of(url.trim())).collect();
    hashes.sort();
    hashes
}
