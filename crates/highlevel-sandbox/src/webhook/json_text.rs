//! Writes JSON as `JSON.stringify` does, because HighLevel's events are written by JavaScript.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// Returns the JSON text of a value. Numbers are those of JavaScript: `1` for `1.0`, and rounded to the nearest `f64`.
pub(crate) fn json_text(value: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    // Writing values to memory cannot fail.
    let _ = value.serialize(&mut Serializer::with_formatter(&mut text, JavaScript));
    text
}

struct JavaScript;

impl Formatter for JavaScript {
    #[allow(clippy::cast_precision_loss, reason = "JavaScript rounds integers to the nearest f64")]
    fn write_u64<W: ?Sized + Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        writer.write_all(number(value as f64).as_bytes())
    }

    #[allow(clippy::cast_precision_loss, reason = "JavaScript rounds integers to the nearest f64")]
    fn write_i64<W: ?Sized + Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        writer.write_all(number(value as f64).as_bytes())
    }

    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(number(value).as_bytes())
    }
}

/// Formats a finite number as `Number.prototype.toString` of ECMAScript does: the shortest digits that identify it, with
/// an exponent from 1e21 and below 1e-6.
fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-6..21).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The expected texts are those of `JSON.stringify` in Node.js 20.
    #[test]
    fn numbers_are_written_as_in_javascript() {
        let cases = [
            (json!(1.0), "1"),
            (json!(-0.0), "0"),
            (json!(-7.0), "-7"),
            (json!(1.5), "1.5"),
            (json!(0.1), "0.1"),
            (json!(1e20), "100000000000000000000"),
            (json!(123_456_789_012_345_680_000.0), "123456789012345680000"),
            (json!(1e21), "1e+21"),
            (json!(-1.5e300), "-1.5e+300"),
            (json!(0.000_001), "0.000001"),
            (json!(0.000_000_1), "1e-7"),
            (json!(1.25e-7), "1.25e-7"),
            (json!(5e-324), "5e-324"),
            (json!(f64::MAX), "1.7976931348623157e+308"),
            (json!(9_007_199_254_740_993_u64), "9007199254740992"),
            (json!(u64::MAX), "18446744073709552000"),
            (json!(i64::MIN), "-9223372036854776000"),
            (json!([1.0, {"a": 2.0}]), "[1,{\"a\":2}]"),
            (json!("1.0 \u{2028} \u{7f} \u{1} é"), "\"1.0 \u{2028} \u{7f} \\u0001 é\""),
        ];
        for (value, text) in cases {
            assert_eq!(String::from_utf8(json_text(&value)).unwrap(), text);
        }
    }
}
