//! Email addresses and phone numbers: compared without names, case and punctuation.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::hash::Hash;
use super::matching::Match;

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

/// Returns the hashes of email addresses in lower case, without the names before them.
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
    /// The number has a country code, so that a different number is a different line.
    international: bool,
}

impl Phone {
    /// Returns `None` if the text is not a phone number: HighLevel also puts names into these fields.
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

/// Compares phone numbers. A number without a country code agrees if all digits are equal, and never
/// contradicts.
pub(super) fn compare_numbers(sent: Option<&Phone>, observed: Option<&str>) -> Match {
    match (sent, observed.and_then(Phone::of)) {
        (None, _) => Match::Irrelevant,
        (Some(sent), Some(observed)) if sent.digits == observed.digits => Match::Agrees,
        (Some(sent), Some(observed)) if sent.international && observed.international => Match::Contradicts,
        (Some(_), _) => Match::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn addresses_are_compared_without_names_and_case() {
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
    }
}
