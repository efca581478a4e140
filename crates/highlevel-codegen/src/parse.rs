//! YAML text to a JSON value.

use serde_json::Value;

use crate::Problem;

/// Parses the text of a description. Anchors and aliases are resolved.
///
/// # Errors
///
/// Text that is not YAML, two equal keys in one mapping, and a document that is not a mapping; the message has
/// line and column.
pub fn parse(yaml: &str) -> Result<Value, Problem> {
    let document: Value = serde_saphyr::from_str(yaml).map_err(|error| {
        // The parser adds an excerpt and a remark for programmers; the place and the reason are enough to find it.
        let text = error.without_snippet().to_string();
        let text = text.lines().next().unwrap_or_default();
        let text = text.replace(", set DuplicateKeyPolicy in Options if acceptable", "");
        Problem::new(
            "",
            format!("cannot be read as YAML: {}", text.trim_start_matches("error: ")),
            "correct the text at the line and column named",
        )
    })?;
    if document.is_object() {
        Ok(document)
    } else {
        Err(Problem::new(
            "",
            "is not a mapping",
            "start the file with `openapi: 3.0.3`, `info:` and `paths:`",
        ))
    }
}
