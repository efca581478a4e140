//! Phone numbers in E.164 format.

use std::fmt;
use std::str::FromStr;

/// A phone number in E.164 format: `+`, country code and number, without separators.
///
/// Two numbers are equal if they are the same line. Spaces, hyphens, dots, slashes and parentheses are ignored. A number without
/// a country code is rejected: the country would be a guess.
///
/// ```
/// use highlevel::PhoneNumber;
///
/// let number: PhoneNumber = "+1 (503) 708-1210".parse()?;
/// assert_eq!(number.as_str(), "+15037081210");
/// assert!("(503) 708-1210".parse::<PhoneNumber>().is_err());
/// # Ok::<(), highlevel::InvalidPhoneNumber>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber(String);

/// A text that is not a phone number in E.164 format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPhoneNumber {
    text: String,
    reason: &'static str,
}

/// The number of digits that E.164 allows. The shortest numbers with a country code have 7.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

impl PhoneNumber {
    /// Returns the number, for example `+15037081210`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PhoneNumber {
    type Err = InvalidPhoneNumber;

    fn from_str(text: &str) -> Result<Self, InvalidPhoneNumber> {
        let invalid = |reason| Err(InvalidPhoneNumber { text: text.chars().take(40).collect(), reason });
        let Some(rest) = text.trim().strip_prefix('+') else {
            return invalid("has no country code: start it with `+` and the country code, like +15037081210");
        };
        let digits: String = rest.chars().filter(|letter| !" -./()\u{a0}".contains(*letter)).collect();
        if !digits.chars().all(|letter| letter.is_ascii_digit()) {
            return invalid("contains a character that is no digit: remove it, and keep extensions separate");
        }
        if digits.starts_with('0') {
            return invalid("starts with a zero, and no country code does: write the country code after `+`");
        }
        if !DIGITS.contains(&digits.len()) {
            return invalid("has to have 7 to 15 digits, country code included");
        }
        Ok(Self(format!("+{digits}")))
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InvalidPhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the phone number `{}` {}", self.text.escape_debug(), self.reason)
    }
}

impl std::error::Error for InvalidPhoneNumber {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_e164() {
        struct Case {
            text: &'static str,
            number: Option<&'static str>,
        }
        for Case { text, number } in [
            Case { text: "+15037081210", number: Some("+15037081210") },
            Case { text: " +1 (503) 708-1210\n", number: Some("+15037081210") },
            Case { text: "+49 30/901820", number: Some("+4930901820") },
            Case { text: "+44.20.7946.0018", number: Some("+442079460018") },
            Case { text: "5037081210", number: None },
            Case { text: "0015037081210", number: None },
            Case { text: "+05037081210", number: None },
            Case { text: "+1503", number: None },
            Case { text: "+1234567890123456", number: None },
            Case { text: "+1503708121x", number: None },
            Case { text: "+15037081210 ext. 5", number: None },
            Case { text: "++15037081210", number: None },
            Case { text: "+", number: None },
            Case { text: "", number: None },
            Case { text: "ada@example.com", number: None },
        ] {
            let parsed = text.parse::<PhoneNumber>();
            assert_eq!(parsed.as_ref().ok().map(PhoneNumber::as_str), number, "{text}");
        }
    }
}
