//! A keyword for 64-bit integers.
//!
//! The keyword `minimum` cannot express the lower bound: JSON parsers convert smaller integers to floating-point numbers,
//! which round to the bound.

use jsonschema::{Keyword, ValidationError};
use serde_json::Value;

/// The keyword that replaces the `format` in converted schemas.
pub(super) const INT64: &str = "int64";

/// Validates that a number fits into a signed 64-bit integer.
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
        // Values of other types are reported by `type`.
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_in_the_range_are_valid() {
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
