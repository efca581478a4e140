//! Fields of the forms.

use std::str::FromStr;

use crate::api_error::ApiError;
use crate::inspector::route::PageRequest;

/// An option of a selection field.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) chosen: bool,
}

impl Choice {
    pub(super) fn new(value: impl Into<String>, label: impl Into<String>, chosen: bool) -> Self {
        Self { value: value.into(), label: label.into(), chosen }
    }
}

/// Parses the number in a form field.
pub(super) fn number<T: FromStr>(page_request: &PageRequest, field: &str, name: &str) -> Result<T, ApiError> {
    let text =
        page_request.field(field).ok_or_else(|| ApiError::bad_request(format!("{name} is required")))?;
    text.trim()
        .parse()
        .map_err(|_| ApiError::bad_request(format!("{name}: \"{}\" is not a valid number", text.trim())))
}
