//! Integers of 64 bits.
//!
//! A bound cannot tell what is just below the least of them: a parser reads it as a fraction, and rounds it to the least.

use jsonschema::{Keyword, ValidationError};
use serde_json::Value;

/// The keyword that asks for one. No document has it: it stands for the `format`.
pub(super) const INT64: &str = "int64";

/// A number has to fit into 64 bits with a sign.
pub(super) struct Int64;

impl<'i> Keyword<'i> for Int64 {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if fits(instance) { Ok(()) } else { Err(ValidationError::custom("it does not fit into 64 bits")) }
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        fits(instance)
    }
}

fn fits(value: &Value) -> bool {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    match value.as_number() {
        Some(number) if number.is_f64() => number.as_f64().is_none_or(|number| number.abs() < TWO_TO_63),
        Some(number) => number.is_i64(),
        // That it is no number says `type`.
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_told_from_what_is_beyond() {
        let cases = [
            ("-9223372036854775808", true),
            ("-9223372036854775809", false),
            ("9223372036854775807", true),
            ("9223372036854775808", false),
            ("1e300", false),
            ("1669287863.0", true),
            ("\"a\"", true),
        ];
        for (text, expected) in cases {
            assert_eq!(fits(&serde_json::from_str(text).unwrap()), expected, "{text}");
        }
    }
}
