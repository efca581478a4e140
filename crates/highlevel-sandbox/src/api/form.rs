//! Parses forms with files (`multipart/form-data`).

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use multer::Multipart;

use super::ErrorResponse;
use crate::model::MAX_FILE;

/// The maximum number of files of a request.
const MAX_FILES: usize = 5;
/// The maximum number of parts of a form.
const MAX_PARTS: usize = 32;
/// The maximum size of a field that is no file, in bytes.
const MAX_FIELD: usize = 4 * 1024;
/// The maximum size of a form, in bytes. Boundaries, headers and fields need the part beyond the files.
pub(crate) const MAX_FORM: usize = MAX_FILES * MAX_FILE + 64 * 1024;

/// A form.
#[derive(Debug, Default)]
pub(crate) struct Form {
    /// The fields that are no files, with their names.
    pub(super) fields: Vec<(String, String)>,
    pub(super) files: Vec<FormFile>,
}

/// A file of a form.
#[derive(Debug)]
pub(super) struct FormFile {
    /// The name of the field.
    pub(super) field: String,
    /// The file name, without folders.
    pub(super) name: String,
    /// A part of the memory of the whole form.
    pub(super) content: Bytes,
}

impl Form {
    /// Parses a form whose body has arrived. The parser copies the body once, and the headers of each part.
    ///
    /// # Errors
    ///
    /// Returns the response to a form that is malformed or exceeds a limit.
    pub(crate) fn parse(headers: &HeaderMap, body: Bytes) -> Result<Self, ErrorResponse> {
        let content_type = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let boundary = content_type.as_deref().and_then(|found| multer::parse_boundary(found).ok());
        let Some(boundary) = boundary else {
            let found = content_type.map_or_else(|| "missing".to_owned(), |found| format!("`{found}`"));
            return Err(ErrorResponse::bad_request(&format!(
                "the Content-Type header is {found}, but must be `multipart/form-data` with a boundary"
            )));
        };
        // The whole body is available, so the parser never waits.
        let parsed = Self::read(body, boundary).now_or_never();
        parsed.unwrap_or_else(|| Err(ErrorResponse::bad_request("the form is incomplete")))
    }

    async fn read(body: Bytes, boundary: String) -> Result<Self, ErrorResponse> {
        let malformed = |error: multer::Error| {
            ErrorResponse::bad_request(&format!("the form cannot be read: {}", described(&error)))
        };
        let body = stream::once(std::future::ready(Ok::<_, std::convert::Infallible>(body)));
        let mut parts = Multipart::new(body, boundary);
        let (mut form, mut count) = (Self::default(), 0);
        while let Some(mut part) = parts.next_field().await.map_err(malformed)? {
            count += 1;
            if count > MAX_PARTS {
                return Err(ErrorResponse::bad_request(&format!(
                    "the form has more than {MAX_PARTS} parts; send at most {MAX_FILES} files"
                )));
            }
            let field = part.name().unwrap_or_default().to_owned();
            let file_name = part.file_name().map(base_name);
            // The content is one chunk, because the whole body is available.
            let content = part.chunk().await.map_err(malformed)?.unwrap_or_default();
            match file_name {
                Some(name) if content.len() > MAX_FILE => {
                    return Err(ErrorResponse::file_too_large(&name, content.len()));
                }
                Some(_) if form.files.len() == MAX_FILES => {
                    return Err(ErrorResponse::bad_request(&format!(
                        "the form has more than {MAX_FILES} files; upload the others in another request"
                    )));
                }
                Some(name) => form.files.push(FormFile { field, name, content }),
                None if content.len() > MAX_FIELD => {
                    return Err(ErrorResponse::bad_request(&format!(
                        "the field `{field}` has {} bytes, more than {MAX_FIELD}; a file needs a file name",
                        content.len()
                    )));
                }
                None => form.fields.push((field, String::from_utf8_lossy(&content).into_owned())),
            }
        }
        Ok(form)
    }
}

/// Returns the name of a file without folders and control characters.
fn base_name(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    name.chars().filter(|each| !each.is_control()).collect::<String>().trim().to_owned()
}

/// Returns a description of an error without the content of the request.
fn described(error: &multer::Error) -> &'static str {
    match error {
        multer::Error::IncompleteFieldData { .. } => "a part has no end; is the boundary missing?",
        multer::Error::ReadHeaderFailed(_)
        | multer::Error::DecodeHeaderName { .. }
        | multer::Error::DecodeHeaderValue { .. } => "the headers of a part are malformed",
        multer::Error::DecodeContentType(_) => "the Content-Type of a part is malformed",
        _ => "it does not end with the boundary in the Content-Type header",
    }
}
