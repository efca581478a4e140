//! Texts and subjects: compared without white space, and without the markup of HTML.

use serde::{Deserialize, Serialize};

use super::hash::Hash;
use super::matching::Match;

/// A text that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Text {
    /// The text with each run of white space as one space.
    pub(super) exact: Hash,
    /// The letters that a reader sees: without markup and white space. `None` in fingerprints of version 1.
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
    /// Returns `None` for a text of white space only.
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
    /// signatures and opt-out notices are appended, so this neither contradicts nor proves.
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
    // The last text is the HTML, if there is any. The plain text can be the same in many emails.
    if sent.last().is_some_and(agrees) {
        Match::Agrees
    } else if rendered || sent.iter().any(|text| agrees(text) || could_be(text)) {
        Match::Undecided
    } else {
        Match::Contradicts
    }
}

/// Compares subjects, without the prefixes of replies and forwards.
pub(super) fn compare_subjects(sent: Option<&Hash>, observed: Option<&str>, rendered: bool) -> Match {
    match (sent, observed.and_then(subject)) {
        (None, _) => Match::Irrelevant,
        (Some(_), None) => Match::Undecided,
        (Some(sent), Some(observed)) if *sent == observed => Match::Agrees,
        (Some(_), Some(_)) if rendered => Match::Undecided,
        (Some(_), Some(_)) => Match::Contradicts,
    }
}

/// Returns the hash of a subject without the prefixes of replies and forwards.
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

fn exact(text: &str) -> Option<Hash> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| Hash::of(&text))
}

/// Returns the letters that a reader sees of a text or of HTML, without white space.
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
            // A text that was sent with HTML proves nothing.
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
    fn subjects_are_compared_without_reply_and_forward_prefixes() {
        let sent = subject("Order confirmed");
        let subjects = |observed| compare_subjects(sent.as_ref(), observed, false);
        assert_eq!(subjects(Some("Re: FWD: Order  confirmed")), Match::Agrees);
        assert_eq!(subjects(Some("Order cancelled")), Match::Contradicts);
        assert_eq!(subjects(None), Match::Undecided);
    }
}
