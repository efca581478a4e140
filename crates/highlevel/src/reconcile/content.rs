//! The content of a request, as hashes that are compared with the content of an observed message.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Match;

/// A SHA-256 in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Hash(String);

impl Hash {
    fn of(text: &str) -> Self {
        Self(Sha256::digest(text).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")))
    }

    pub(super) fn from_stored(hex: String) -> Self {
        Self(hex)
    }
}

/// A text that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Text {
    /// The text with each run of white space as one space.
    pub(super) exact: Hash,
    /// The letters a reader sees: without markup and white space. `None` in fingerprints of version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) visible: Option<Visible>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Visible {
    hash: Hash,
    characters: usize,
}

impl Text {
    /// Returns `None` for a text of white space only, which is no content.
    pub(super) fn of(text: &str) -> Option<Self> {
        let exact = exact(text)?;
        let visible = visible(text);
        let characters = visible.chars().count();
        let visible = Visible { hash: Hash::of(&visible), characters };
        Some(Self { exact, visible: Some(visible).filter(|visible| visible.characters > 0) })
    }

    fn agrees(&self, observed: &str) -> bool {
        exact(observed).is_some_and(|observed| observed == self.exact)
    }

    /// Returns `true` if a reader sees this text at the start of the observed one. HTML is rewritten on its way, and
    /// signatures and opt-out notices are appended, so this is no contradiction; but it is no proof either.
    fn could_be(&self, observed: &str) -> bool {
        self.visible.as_ref().is_some_and(|ours| {
            let start: String = visible(observed).chars().take(ours.characters).collect();
            Hash::of(&start) == ours.hash
        })
    }
}

/// Compares the texts that were sent (text, HTML) with those that were observed (body, plain text).
pub(super) fn compare_texts(sent: &[Text], observed: &[String], rendered: bool) -> Match {
    let observed = || observed.iter().filter(|text| !text.trim().is_empty());
    if observed().next().is_none() {
        return if sent.is_empty() { Match::Irrelevant } else { Match::Undecided };
    }
    let agrees = |text: &Text| observed().any(|observed| text.agrees(observed));
    let could_be = |text: &Text| observed().any(|observed| text.could_be(observed));
    // The last one is the HTML, if there is any. The text beside it can be the same in many emails.
    if sent.last().is_some_and(agrees) {
        Match::Agrees
    } else if rendered || sent.iter().any(|text| agrees(text) || could_be(text)) {
        Match::Undecided
    } else {
        Match::Contradicts
    }
}

/// Compares subjects, without the prefixes that replies and forwards get.
pub(super) fn compare_subjects(sent: Option<&Hash>, observed: Option<&str>, rendered: bool) -> Match {
    match (sent, observed.and_then(subject)) {
        (None, _) => Match::Irrelevant,
        (Some(_), None) => Match::Undecided,
        (Some(sent), Some(observed)) if *sent == observed => Match::Agrees,
        (Some(_), Some(_)) if rendered => Match::Undecided,
        (Some(_), Some(_)) => Match::Contradicts,
    }
}

pub(super) fn subject(subject: &str) -> Option<Hash> {
    let mut rest = subject.trim();
    while let Some((prefix, subject)) = rest.split_once(':') {
        if !["re", "fw", "fwd"].contains(&prefix.trim().to_ascii_lowercase().as_str()) {
            break;
        }
        rest = subject.trim_start();
    }
    exact(rest)
}

/// Compares the URLs of attachments. The server may store files under other URLs or add them later, so other URLs
/// decide nothing.
pub(super) fn compare_attachments(sent: &[Hash], observed: &[String]) -> Match {
    let observed = attachments(observed);
    match (sent.is_empty(), observed.is_empty()) {
        (true, true) => Match::Irrelevant,
        _ if sent == observed => Match::Agrees,
        _ => Match::Undecided,
    }
}

pub(super) fn attachments(urls: &[String]) -> Vec<Hash> {
    let mut hashes: Vec<Hash> = urls.iter().map(|url| Hash::of(url.trim())).collect();
    hashes.sort();
    hashes
}

/// Compares the copies of an email: `all` are the observed addresses, `first` is the field that has only one of them.
pub(super) fn compare_copies(sent: &BTreeSet<Hash>, all: &[String], first: &[String]) -> Match {
    let (all, first) = (addresses(all), addresses(first));
    if !all.is_empty() {
        return match sent.is_empty() {
            // A location can be set up to add copies.
            true => Match::Undecided,
            false if *sent == all => Match::Agrees,
            false if sent.is_subset(&all) => Match::Undecided,
            false => Match::Contradicts,
        };
    }
    match (sent.is_empty(), first.is_empty()) {
        (true, true) => Match::Irrelevant,
        (true, false) | (false, true) => Match::Undecided,
        (false, false) if *sent == first => Match::Agrees,
        (false, false) if first.is_subset(sent) => Match::Undecided,
        (false, false) => Match::Contradicts,
    }
}

/// Compares the address that an email was sent to.
pub(super) fn compare_recipient(sent: Option<&Hash>, observed: &[String]) -> Match {
    let observed = addresses(observed);
    match sent {
        None => Match::Irrelevant,
        Some(_) if observed.is_empty() => Match::Undecided,
        Some(sent) if observed.contains(sent) => Match::Agrees,
        Some(_) => Match::Contradicts,
    }
}

/// Email addresses in lower case, without the names before them.
pub(super) fn addresses(addresses: &[String]) -> BTreeSet<Hash> {
    addresses.iter().filter_map(|text| address(text)).collect()
}

pub(super) fn address(text: &str) -> Option<Hash> {
    let address = match text.rsplit_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
        None => text,
    };
    let address = address.trim();
    address.contains('@').then(|| Hash::of(&address.to_lowercase()))
}

/// A phone number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Phone {
    digits: Hash,
    /// It has a country code, so that another number is another line.
    international: bool,
}

impl Phone {
    /// Returns `None` for what is no phone number: HighLevel also puts names into these fields.
    pub(super) fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_phone = |letter: char| letter.is_ascii_digit() || " +-.()/".contains(letter);
        let mut digits: String = text.chars().filter(char::is_ascii_digit).collect();
        if digits.len() < 3 || !text.chars().all(is_phone) {
            return None;
        }
        let mut international = text.starts_with('+');
        if let Some(rest) = digits.strip_prefix("00").filter(|_| !international) {
            digits = rest.to_owned();
            international = true;
        }
        Some(Self { digits: Hash::of(&digits), international })
    }
}

/// Compares phone numbers. One without a country code agrees only to the digit, and contradicts nothing.
pub(super) fn compare_numbers(sent: Option<&Phone>, observed: Option<&str>) -> Match {
    match (sent, observed.and_then(Phone::of)) {
        (None, _) => Match::Irrelevant,
        (Some(sent), Some(observed)) if sent.digits == observed.digits => Match::Agrees,
        (Some(sent), Some(observed)) if sent.international && observed.international => Match::Contradicts,
        (Some(_), _) => Match::Undecided,
    }
}

fn exact(text: &str) -> Option<Hash> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| Hash::of(&text))
}

/// The letters a reader sees of a text or of HTML.
fn visible(text: &str) -> String {
    let mut visible = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let (before, tag) = rest.split_at(start);
        visible.push_str(before);
        rest = if let Some(comment) = tag.strip_prefix("<!--") {
            after(comment, "-->")
        } else if tag[1..].starts_with(|letter: char| letter.is_ascii_alphabetic() || "/!".contains(letter)) {
            let hidden = ["style", "script", "title"].into_iter().find(|name| {
                let named = tag.get(1..=name.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(name));
                named && !tag[1 + name.len()..].starts_with(|letter: char| letter.is_ascii_alphanumeric())
            });
            let content = after(tag, ">");
            match hidden {
                Some(name) => after_closing_tag(content, name),
                None => content,
            }
        } else {
            visible.push('<');
            &tag[1..]
        };
    }
    visible.push_str(rest);
    let mut decoded = visible.replace("&nbsp;", " ");
    for (entity, letter) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&apos;", "'")]
    {
        decoded = decoded.replace(entity, letter);
    }
    decoded.replace("&amp;", "&").chars().filter(|letter| !letter.is_whitespace()).collect()
}

fn after_closing_tag<'t>(mut content: &'t str, name: &str) -> &'t str {
    while let Some((_, tag)) = content.split_once("</") {
        if tag.get(..name.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(name)) {
            return after(tag, ">");
        }
        content = tag;
    }
    ""
}

fn after<'t>(text: &'t str, end: &str) -> &'t str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sent: &[&str], observed: &[&str]) -> Match {
        let sent: Vec<Text> = sent.iter().filter_map(|text| Text::of(text)).collect();
        let observed: Vec<String> = observed.iter().map(|&text| text.to_owned()).collect();
        compare_texts(&sent, &observed, false)
    }

    #[test]
    fn texts_are_compared_without_white_space_and_markup() {
        for (sent, observed, expected) in [
            (&["Your table  is\r\nready "] as &[&str], &["Your table is ready"] as &[&str], Match::Agrees),
            (&["OK"], &["ok"], Match::Contradicts),
            (&["OK"], &["KO"], Match::Contradicts),
            (&["OK"], &[" "], Match::Undecided),
            (&["OK"], &[], Match::Undecided),
            (&[], &["OK"], Match::Contradicts),
            (&[" "], &[], Match::Irrelevant),
            (&["a < b"], &["a < b"], Match::Agrees),
            // A notice was appended, or the text is the start of another message.
            (&["OK"], &["OK\n\nReply STOP to unsubscribe"], Match::Undecided),
            (&["OK, see you"], &["OK"], Match::Contradicts),
            // HTML that was wrapped, and the plain text of HTML.
            (&["<p>Thank you!</p>"], &["<div style='x'>\n<p>Thank you!</p></div>"], Match::Undecided),
            (&["<p>Thank&nbsp;you!</p>"], &["Thank you!"], Match::Undecided),
            (&["<style>p { }</style><p>A &lt; B</p>"], &["A < B"], Match::Undecided),
            (&["<p>Thank you!</p>"], &["<p>No, thank you!</p>"], Match::Contradicts),
            (&["plain", "<p>plain</p>"], &["<p>plain</p>"], Match::Agrees),
            // The text beside HTML proves nothing.
            (&["See the HTML", "<p>A</p>"], &["<p>A</p>", "See the HTML"], Match::Agrees),
            (&["See the HTML", "<p>A</p>"], &["<p>B</p>", "See the HTML"], Match::Undecided),
            (&["See the HTML", "<p>A</p>"], &["<p>A, and B</p>", "See the HTML"], Match::Undecided),
            (&["See the HTML", "<p>A</p>"], &["See the HTML"], Match::Undecided),
            (&["<p>sent</p>"], &["<p>other</p>", "other"], Match::Contradicts),
            (&["<p unclosed"], &["<p other"], Match::Contradicts),
        ] {
            assert_eq!(texts(sent, observed), expected, "{sent:?} {observed:?}");
        }
    }

    #[test]
    fn phone_numbers_are_compared_by_their_digits() {
        for (sent, observed, expected) in [
            ("+15037081210", Some("+1 (503) 708-1210"), Match::Agrees),
            ("+15037081210", Some("0015037081210"), Match::Agrees),
            ("+15037081210", Some("15037081210"), Match::Agrees),
            ("+15037081210", Some("+15037081211"), Match::Contradicts),
            ("+15037081210", Some("5037081210"), Match::Undecided),
            ("+15037081210", Some("Nango"), Match::Undecided),
            ("+15037081210", None, Match::Undecided),
        ] {
            assert_eq!(compare_numbers(Phone::of(sent).as_ref(), observed), expected, "{sent} {observed:?}");
        }
    }

    #[test]
    fn addresses_and_subjects_are_compared_without_decoration() {
        let of = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let sent = addresses(&of(&["Ops@example.com"]));
        let copies = |all: &[&str], first: &[&str]| compare_copies(&sent, &of(all), &of(first));
        assert_eq!(copies(&[], &["The Ops <ops@example.com>"]), Match::Agrees);
        assert_eq!(copies(&["ops@example.com", "boss@example.com"], &[]), Match::Undecided);
        assert_eq!(copies(&["boss@example.com"], &["ops@example.com"]), Match::Contradicts);
        assert_eq!(copies(&[], &[]), Match::Undecided);
        let both = addresses(&of(&["ops@example.com", "boss@example.com"]));
        assert_eq!(compare_copies(&both, &[], &of(&["ops@example.com"])), Match::Undecided);
        assert_eq!(compare_copies(&BTreeSet::new(), &[], &[]), Match::Irrelevant);

        let sent = subject("Order confirmed");
        let subjects = |observed| compare_subjects(sent.as_ref(), observed, false);
        assert_eq!(subjects(Some("Re: FWD: Order  confirmed")), Match::Agrees);
        assert_eq!(subjects(Some("Order cancelled")), Match::Contradicts);
        assert_eq!(subjects(None), Match::Undecided);
    }
}
