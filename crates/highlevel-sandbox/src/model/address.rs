//! Normalization of phone numbers and email addresses.

/// Returns a phone number in E.164 format. A number without a country code is one of the United States, the country of the
/// sandbox's locations. `None` if it is not a phone number.
pub(crate) fn phone(text: &str) -> Option<String> {
    let text = text.trim();
    let (is_international, rest) = match text.strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let is_separator = |each: char| each.is_whitespace() || matches!(each, '-' | '.' | '(' | ')' | '/');
    let digits: String = rest.chars().filter(|each| !is_separator(*each)).collect();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = match (is_international, digits.len()) {
        (false, 10) => format!("1{digits}"),
        (false, 11) if digits.starts_with('1') => digits,
        (false, _) => digits.strip_prefix("00")?.to_owned(),
        (true, _) => digits,
    };
    // E.164 has at most 15 digits. No country code starts with 0.
    ((7..=15).contains(&digits.len()) && !digits.starts_with('0')).then(|| format!("+{digits}"))
}

/// Returns an email address in lower case. `None` if it is not an email address.
pub(crate) fn email(text: &str) -> Option<String> {
    /// The maximum length of an address, in bytes, by RFC 5321.
    const MAX: usize = 254;
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@')?;
    let is_valid = |part: &str| {
        !part.is_empty()
            && !part.chars().any(|each| each.is_whitespace() || each.is_control() || "@,;<>".contains(each))
    };
    let has_labels = domain.contains('.') && domain.split('.').all(|label| !label.is_empty());
    (text.len() <= MAX && is_valid(local) && is_valid(domain) && has_labels).then(|| text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_numbers_are_normalized() {
        let cases = [
            ("+15037081210", Some("+15037081210")),
            ("+1 (503) 708-1210", Some("+15037081210")),
            ("(503) 708-1210", Some("+15037081210")),
            ("503.708.1210", Some("+15037081210")),
            ("1 503 708 1210", Some("+15037081210")),
            ("  5037081210 ", Some("+15037081210")),
            ("+49 30/123456", Some("+4930123456")),
            ("0049 30 123456", Some("+4930123456")),
            ("+178655689546", Some("+178655689546")),
            ("", None),
            ("+", None),
            ("abc", None),
            ("+1503708121x", None),
            ("++15037081210", None),
            ("12345", None),
            ("+123456", None),
            ("+0123456789", None),
            ("+1234567890123456", None),
            ("00", None),
        ];
        for (text, expected) in cases {
            assert_eq!(phone(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn email_addresses_are_normalized() {
        let cases = [
            ("Ada@Example.COM", Some("ada@example.com")),
            (" ada+tag@example.co.uk ", Some("ada+tag@example.co.uk")),
            ("ÄDA@example.com", Some("äda@example.com")),
            ("", None),
            ("ada", None),
            ("ada@", None),
            ("@example.com", None),
            ("ada@example", None),
            ("ada@.com", None),
            ("ada@example..com", None),
            ("a b@example.com", None),
            ("a@b@example.com", None),
            ("a,b@example.com", None),
            ("Ada <ada@example.com>", None),
        ];
        for (text, expected) in cases {
            assert_eq!(email(text).as_deref(), expected, "{text}");
        }
        assert_eq!(email(&format!("{}@example.com", "a".repeat(300))), None);
    }
}
