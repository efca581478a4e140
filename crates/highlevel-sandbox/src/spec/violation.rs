//! What is wrong with a value, in words for people.

use std::borrow::Cow;
use std::collections::HashSet;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

/// How much is kept of a pointer, and of what is wrong there, in bytes. Only names and values of a request can be longer.
pub(super) const MAX_POINTER: usize = 300;
const MAX_PROBLEM: usize = 2_000;
/// How many of the reasons are named why no branch of a choice fits.
const MAX_WAYS: usize = 10;

/// One fault of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The JSON pointer of the fault. Of a missing field: where it should be.
    pub pointer: String,
    /// The keyword of the schema that is not met, for example `required` or `enum`.
    pub keyword: String,
    /// Which field, what was found, and what is allowed.
    pub message: String,
}

impl Violation {
    /// A fault at `pointer`. `problem` continues a sentence that starts with the name of the field.
    pub(crate) fn new(pointer: &str, keyword: &str, problem: &str) -> Self {
        let pointer = &*shortened(pointer, MAX_POINTER);
        let place = if pointer.is_empty() { "the top" } else { pointer };
        Self {
            pointer: pointer.to_owned(),
            keyword: keyword.to_owned(),
            message: format!("{} {} (at {place})", field_name(pointer), shortened(problem, MAX_PROBLEM)),
        }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

/// The faults that a validator found, in the order of their pointers, each value blamed once for its type.
pub(super) fn from_errors<'a>(errors: impl Iterator<Item = ValidationError<'a>>) -> Vec<Violation> {
    let mut violations: Vec<Violation> = errors.map(|error| from_error(&error)).collect();
    let mistyped: HashSet<String> = violations
        .iter()
        .filter(|violation| violation.keyword == "type")
        .map(|violation| violation.pointer.clone())
        .collect();
    // A number in the place of an enumerated string is not "one of" either: saying so twice helps nobody.
    violations.retain(|violation| violation.keyword == "type" || !mistyped.contains(&violation.pointer));
    violations.sort_by(|one, other| one.pointer.cmp(&other.pointer));
    violations
}

/// A text, or its beginning if it is longer than `max` bytes.
pub(crate) fn shortened(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        text.into()
    } else {
        let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        format!("{}…", &text[..end]).into()
    }
}

/// A name as one segment of a JSON pointer.
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn from_error(error: &ValidationError<'_>) -> Violation {
    let pointer = error.instance_path().as_str();
    let found = describe(error.instance());
    let keyword = error.kind().keyword();
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            Violation::new(&format!("{pointer}/{}", escape(name)), keyword, "is required, but it is missing")
        }
        ValidationErrorKind::Type { kind } => {
            Violation::new(pointer, keyword, &format!("must be {}, found {found}", type_words(kind)))
        }
        ValidationErrorKind::Enum { options } => {
            let allowed: Vec<&str> =
                options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let problem = format!(
                "must be one of {}; found {found}{}",
                allowed.join(", "),
                suggestion(error.instance(), &allowed)
            );
            Violation::new(pointer, keyword, &problem)
        }
        ValidationErrorKind::Format { format } => {
            Violation::new(pointer, keyword, &format!("must be {}; found {found}", format_words(format)))
        }
        ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context } => {
            let ways = context.iter().flatten().map(|error| way(error, pointer));
            let ways: Vec<String> = ways.take(MAX_WAYS).collect();
            Violation::new(pointer, keyword, &format!("must be {}; found {found}", ways.join(" or ")))
        }
        // The text of these quotes the value, however long it is.
        _ => Violation::new(
            pointer,
            keyword,
            &format!("is not valid: {}", error.masked_with(quoted(error.instance()))),
        ),
    }
}

/// What one branch of a choice at `pointer` asks for.
fn way(error: &ValidationError<'_>, pointer: &str) -> String {
    match error.kind() {
        ValidationErrorKind::Type { kind } if error.instance_path().as_str() == pointer => type_words(kind),
        ValidationErrorKind::Type { kind } => format!("a list whose every entry is {}", type_words(kind)),
        _ => error.masked_with(quoted(error.instance())).to_string(),
    }
}

/// `/call/status` as `call.status`, `/emailCc/0` as `emailCc[0]`, the empty pointer as `the body`.
fn field_name(pointer: &str) -> String {
    let mut name = String::new();
    for segment in pointer.split('/').skip(1) {
        if is_index(segment) {
            name.extend(["[", segment, "]"]);
        } else {
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&segment.replace("~1", "/").replace("~0", "~"));
        }
    }
    if name.is_empty() { "the body".to_owned() } else { name }
}

fn is_index(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit())
}

/// A value as JSON, long ones described.
fn quoted(value: &Value) -> String {
    if value.is_number() { value.to_string() } else { describe(value) }
}

/// A value as it was found, long ones cut.
fn describe(value: &Value) -> String {
    const LONGEST: usize = 60;
    match value {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.chars().nth(LONGEST).is_some() => {
            format!("\"{}…\"", text.chars().take(LONGEST).collect::<String>())
        }
        Value::Number(number) => format!("the number {number}"),
        other => other.to_string(),
    }
}

fn type_words(kind: &TypeKind) -> String {
    let words = |name: String| match name.as_str() {
        "null" => name,
        "array" | "object" | "integer" => format!("an {name}"),
        _ => format!("a {name}"),
    };
    match kind {
        TypeKind::Single(single) => words(single.to_string()),
        TypeKind::Multiple(several) => {
            several.iter().map(|each| words(each.to_string())).collect::<Vec<_>>().join(" or ")
        }
    }
}

fn format_words(format: &str) -> String {
    match format {
        "date-time" => "a date and time like 2024-07-29T15:51:28.071Z (RFC 3339)".to_owned(),
        "date" => "a date like 2024-07-29".to_owned(),
        other => format!("of the format {other}"),
    }
}

/// The allowed value that differs only in the case of its letters or in its separators.
fn suggestion(found: &Value, allowed: &[&str]) -> String {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['_', '-', ' '], "");
    let near = found.as_str().and_then(|found| allowed.iter().find(|each| plain(each) == plain(found)));
    near.map(|each| format!(", did you mean {each}?")).unwrap_or_default()
}
