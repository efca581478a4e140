//! Parses forms with files (`multipart/form-data`).

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use multer::Multipart;
use serde_json::{Map, Value, json};

use crate::model::MAX_FILE;
use crate::spec::Violation;

/// The maximum number of files of a request.
const MAX_FILES: usize = 5;
/// The maximum number of parts of a form.
const MAX_PARTS: usize = 32;
/// The maximum size of a field that is no file, in bytes.
const MAX_FIELD: usize = 4 * 1024;
/// The maximum size of a form, in bytes. Boundaries, headers and fields need the part beyond the files.
pub(crate) const MAX_FORM: usize = MAX_FILES * MAX_FILE + 64 * 1024;

/// The field of the files.
pub(super) const FILES: &str = "fileAttachment";
/// The documented fields.
const FIELDS: [&str; 4] = ["conversationId", "contactId", "locationId", FILES];

/// The reason to reject a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FormError {
    /// It is malformed or exceeds a limit of the form, with the text for the client.
    Malformed(String),
    FileTooLarge {
        name: String,
        bytes: usize,
    },
}

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
    /// Returns an error if the form is malformed or exceeds a limit.
    pub(crate) fn parse(headers: &HeaderMap, body: Bytes) -> Result<Self, FormError> {
        let content_type = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let boundary = content_type.as_deref().and_then(|found| multer::parse_boundary(found).ok());
        let Some(boundary) = boundary else {
            let found = content_type.map_or_else(|| "missing".to_owned(), |found| format!("`{found}`"));
            return Err(FormError::Malformed(format!(
                "the Content-Type header is {found}, but must be `multipart/form-data` with a boundary"
            )));
        };
        // The whole body is available, so the parser never waits.
        let parsed = Self::read(body, boundary).now_or_never();
        parsed.unwrap_or_else(|| Err(FormError::Malformed("the form is incomplete".to_owned())))
    }

    async fn read(body: Bytes, boundary: String) -> Result<Self, FormError> {
        let malformed = |error: multer::Error| {
            FormError::Malformed(format!("the form cannot be read: {}", described(&error)))
        };
        let body = stream::once(std::future::ready(Ok::<_, std::convert::Infallible>(body)));
        let mut parts = Multipart::new(body, boundary);
        let (mut form, mut count) = (Self::default(), 0);
        while let Some(mut part) = parts.next_field().await.map_err(malformed)? {
            count += 1;
            if count > MAX_PARTS {
                return Err(FormError::Malformed(format!(
                    "the form has more than {MAX_PARTS} parts; send at most {MAX_FILES} files"
                )));
            }
            let field = part.name().unwrap_or_default().to_owned();
            let file_name = part.file_name().map(base_name);
            // The content is one chunk, because the whole body is available.
            let content = part.chunk().await.map_err(malformed)?.unwrap_or_default();
            match file_name {
                Some(name) if content.len() > MAX_FILE => {
                    return Err(FormError::FileTooLarge { name, bytes: content.len() });
                }
                Some(_) if form.files.len() == MAX_FILES => {
                    return Err(FormError::Malformed(format!(
                        "the form has more than {MAX_FILES} files; upload the others in another request"
                    )));
                }
                Some(name) => form.files.push(FormFile { field, name, content }),
                None if content.len() > MAX_FIELD => {
                    return Err(FormError::Malformed(format!(
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

/// Returns the fields of a form as an object: texts, and the names of files.
pub(super) fn form_fields(form: &Form) -> Value {
    let mut fields = Map::new();
    for (name, value) in &form.fields {
        fields.entry(name.clone()).or_insert_with(|| json!(value));
    }
    for file in &form.files {
        if let Some(names) = fields.entry(file.field.clone()).or_insert_with(|| json!([])).as_array_mut() {
            names.push(json!(file.name));
        }
    }
    fields.into()
}

/// Returns the pointers of the fields that the documentation does not have.
pub(super) fn unknown_form_fields(fields: &Value) -> Vec<String> {
    let names = fields.as_object().into_iter().flat_map(Map::keys);
    let unknown = names.filter(|name| !FIELDS.contains(&name.as_str()));
    unknown.map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1"))).collect()
}

/// Returns the violations of the documented form.
pub(super) fn form_violations(fields: &Value) -> Vec<Violation> {
    let is_empty = |name: &str| match &fields[name] {
        // A file without a file name is a text.
        Value::String(text) => name == FILES || text.is_empty(),
        Value::Array(files) => name != FILES || files.is_empty(),
        _ => true,
    };
    let missing = ["conversationId", FILES].into_iter().filter(|name| is_empty(name));
    let missing = missing.map(|name| {
        let problem = match name {
            FILES => "is required, but the form has no file with this field name",
            _ => "is required, but it is missing",
        };
        Violation::new(&format!("/{name}"), "required", problem)
    });
    missing.collect()
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
