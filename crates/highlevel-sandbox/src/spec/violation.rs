//! Violations of a schema, with readable messages.

use std::borrow::Cow;
use std::collections::HashSet;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

/// The maximum length of a pointer, in bytes. Longer pointers, which contain names from the request, are truncated.
pub(super) const MAX_POINTER: usize = 300;
/// The maximum length of a problem, in bytes. Longer ones, which contain values from the request, are truncated.
const MAX_PROBLEM: usize = 2_000;
/// The maximum number of branches of `oneOf` or `anyOf` that a message lists.
const MAX_BRANCHES: usize = 10;

/// A violation of a schema or a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The JSON pointer of the invalid or missing field.
    pub pointer: String,
    /// The violated keyword of the schema, for example `required` or `enum`.
    pub keyword: String,
    /// A message with the field, the value found, and the allowed values.
    pub message: String,
}

impl Violation {
    /// Creates a violation. `problem` continues a sentence that starts with the name of the field.
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

/// Returns the violations that a validator found, ordered by pointer.
pub(super) fn from_errors<'a>(errors: impl Iterator<Item = ValidationError<'a>>) -> Vec<Violation> {
    let mut violations: Vec<Violation> = errors.map(|error| from_error(&error)).collect();
    let mistyped: HashSet<String> = violations
        .iter()
        .filter(|violation| violation.keyword == "type")
        .map(|violation| violation.pointer.clone())
        .collect();
    // A value of the wrong type also violates `enum` and other keywords. Only the type is reported.
    violations.retain(|violation| violation.keyword == "type" || !mistyped.contains(&violation.pointer));
    violations.sort_by(|one, other| one.pointer.cmp(&other.pointer));
    violations
}

/// Truncates a text to `max` bytes and appends an ellipsis if it is longer.
pub(crate) fn shortened(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        text.into()
    } else {
        let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        format!("{}…", &text[..end]).into()
    }
}

/// Escapes a name for use as a segment of a JSON pointer.
pub(super) fn escape(name: &str) -> Cow<'_, str> {
    if name.contains(['~', '/']) { name.replace('~', "~0").replace('/', "~1").into() } else { name.into() }
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
            Violation::new(pointer, keyword, &format!("must be {}, found {found}", type_text(kind)))
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
            Violation::new(pointer, keyword, &format!("must be {}; found {found}", format_text(format)))
        }
        ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context } => {
            let branches = context.iter().flatten().map(|error| branch(error, pointer));
            let branches: Vec<String> = branches.take(MAX_BRANCHES).collect();
            Violation::new(pointer, keyword, &format!("must be {}; found {found}", branches.join(" or ")))
        }
        // By default, these messages quote the whole value.
        _ => Violation::new(
            pointer,
            keyword,
            &format!("is not valid: {}", error.masked_with(quoted(error.instance()))),
        ),
    }
}

/// Describes the requirement of a branch of `oneOf` or `anyOf` at `pointer`.
fn branch(error: &ValidationError<'_>, pointer: &str) -> String {
    match error.kind() {
        ValidationErrorKind::Type { kind } if error.instance_path().as_str() == pointer => type_text(kind),
        ValidationErrorKind::Type { kind } => format!("a list whose every entry is {}", type_text(kind)),
        _ => error.masked_with(quoted(error.instance())).to_string(),
    }
}

/// Converts a pointer to a field name, for example `/call/status` to `call.status`, `/emailCc/0` to `emailCc[0]`, and the
/// empty pointer to `the body`.
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

/// Returns a number as JSON, and describes other values.
fn quoted(value: &Value) -> String {
    if value.is_number() { value.to_string() } else { describe(value) }
}

/// Describes a value. Long strings are truncated.
fn describe(value: &Value) -> String {
    const MAX_LENGTH: usize = 60;
    match value {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.chars().nth(MAX_LENGTH).is_some() => {
            format!("\"{}…\"", text.chars().take(MAX_LENGTH).collect::<String>())
        }
        Value::Number(number) => format!("the number {number}"),
        other => other.to_string(),
    }
}

fn type_text(kind: &TypeKind) -> String {
    let with_article = |name: String| match name.as_str() {
        "null" => name,
        "array" | "object" | "integer" => format!("an {name}"),
        _ => format!("a {name}"),
    };
    match kind {
        TypeKind::Single(single) => with_article(single.to_string()),
        TypeKind::Multiple(several) => {
            several.iter().map(|each| with_article(each.to_string())).collect::<Vec<_>>().join(" or ")
        }
    }
}

fn format_text(format: &str) -> String {
    match format {
        "date-time" => "a date and time like 2024-07-29T15:51:28.071Z (RFC 3339)".to_owned(),
        "date" => "a date like 2024-07-29".to_owned(),
        other => format!("of the format {other}"),
    }
}

/// Suggests the allowed value that differs from the found one only in case or separators.
fn suggestion(found: &Value, allowed: &[&str]) -> String {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['_', '-', ' '], "");
    let near = found.as_str().and_then(|found| allowed.iter().find(|each| plain(each) == plain(found)));
    near.map(|each| format!(", did you mean {each}?")).unwrap_or_default()
}
