//! Parses YAML text into a JSON value.

use serde_json::Value;

use crate::Problem;

/// Parses the text of a spec. Anchors and aliases are resolved.
///
/// # Errors
///
/// Returns a problem if the text is not YAML, a mapping has a key twice, or the document is not a mapping. The message has
/// line and column.
pub fn parse(yaml: &str) -> Result<Value, Problem> {
    let document: Value = serde_saphyr::from_str(yaml).map_err(|error| {
        // Drop the excerpt and the remark for programmers: line, column and reason are sufficient.
        let text = error.without_snippet().to_string();
        let text = text.lines().next().unwrap_or_default();
        let text = text.replace(", set DuplicateKeyPolicy in Options if acceptable", "");
        Problem::new(
            "",
            format!("cannot be read as YAML: {}", text.trim_start_matches("error: ")),
            "correct the text at this line and column",
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
