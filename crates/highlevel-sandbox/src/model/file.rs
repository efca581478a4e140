//! Files that were uploaded.

use std::fmt::{self, Formatter};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::weight;

/// The maximum size of a file, in bytes.
pub(crate) const MAX_FILE: usize = 5 * 1024 * 1024;
/// The maximum length of a file name, in bytes.
pub(crate) const MAX_FILE_NAME: usize = 255;

/// The content types by the extensions that `HighLevel` documents.
const TYPES: [(&str, &str); 13] = [
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("png", "image/png"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("zip", "application/zip"),
    ("rar", "application/vnd.rar"),
    ("pdf", "application/pdf"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("txt", "text/plain"),
    ("mp3", "audio/mpeg"),
    ("wav", "audio/wav"),
];

/// Returns the extensions of the files that can be uploaded.
pub(crate) fn file_extensions() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|(extension, _)| *extension)
}

/// Returns the content type of a file by the extension of its name. `None` if such a file cannot be uploaded.
pub(crate) fn file_type(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    TYPES.iter().find(|(each, _)| each.eq_ignore_ascii_case(extension)).map(|(_, content_type)| *content_type)
}

/// A file that was uploaded, for use as an attachment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct StoredFile {
    /// The ID, which is a part of the URL.
    pub id: String,
    /// The ID of the location whose token was used.
    #[serde(default = "super::seed::location")]
    pub location_id: String,
    /// The ID of the conversation in the request. The conversation may be deleted since.
    pub conversation_id: String,
    /// The file name.
    pub name: String,
    /// The time of the upload, RFC 3339.
    pub date_added: String,
    content: FileContent,
}

impl StoredFile {
    pub(crate) fn new(
        id: String,
        (location_id, conversation_id): (&str, &str),
        name: String,
        date_added: &str,
        content: Bytes,
    ) -> Self {
        Self {
            id,
            location_id: location_id.to_owned(),
            conversation_id: conversation_id.to_owned(),
            name,
            date_added: date_added.to_owned(),
            content: FileContent(content),
        }
    }

    /// Returns the content.
    pub fn content(&self) -> &[u8] {
        &self.content.0
    }

    /// Returns the content type by the extension of the name. The content type of the request is not used.
    pub fn content_type(&self) -> &'static str {
        // A file without a known type is not stored.
        file_type(&self.name).unwrap_or("application/octet-stream")
    }

    pub(crate) fn bytes(&self) -> Bytes {
        self.content.0.clone()
    }

    /// Returns the memory usage in bytes, including the index entries.
    pub(crate) fn weight(&self) -> usize {
        /// The index entries, and the counts of the `Arc` and of the content.
        const INDEX_ENTRIES: usize = 300;
        let Self { id, location_id, conversation_id, name, date_added, content } = self;
        let texts = [location_id, conversation_id, name, date_added];
        weight::block(size_of::<Self>())
            + INDEX_ENTRIES
            + 2 * weight::text(id)
            + texts.into_iter().map(|text| weight::text(text)).sum::<usize>()
            + weight::block(content.0.len())
    }
}

/// The content of a file. In JSON, it is Base64.
#[derive(Clone, PartialEq, Eq)]
struct FileContent(Bytes);

impl fmt::Debug for FileContent {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes", self.0.len())
    }
}

impl Serialize for FileContent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for FileContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Base64)
    }
}

/// Decodes the content from Base64, without a copy of the text.
struct Base64;

impl Visitor<'_> for Base64 {
    type Value = FileContent;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("the content of a file in Base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<FileContent, E> {
        if text.len() > MAX_FILE.div_ceil(3) * 4 {
            return Err(E::custom(format!("the content of a file exceeds the limit of {MAX_FILE} bytes")));
        }
        STANDARD.decode(text).map(|content| FileContent(content.into())).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_type_of_a_file_follows_from_its_name() {
        let cases = [
            ("menu.pdf", Some("application/pdf")),
            ("a.b.JPG", Some("image/jpeg")),
            (".txt", Some("text/plain")),
            ("page.html", None),
            ("image.svg", None),
            ("pdf", None),
            ("menu.pdf.", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(file_type(name), expected, "{name}");
        }
    }

    #[test]
    fn content_is_base64_in_json_and_has_a_limit() {
        let of = |content: Bytes| {
            StoredFile::new("f".to_owned(), ("l", "c"), "a.txt".to_owned(), "2026-01-31T09:30:00Z", content)
        };
        let file = of(Bytes::from_static(b"\xff\0<html>"));
        let value = json!({
            "id": "f", "locationId": "l", "conversationId": "c", "name": "a.txt", "dateAdded": "2026-01-31T09:30:00Z",
            "content": "/wA8aHRtbD4=",
        });
        assert_eq!(json!(file), value);
        assert_eq!(serde_json::from_value::<StoredFile>(value.clone()).unwrap(), file);
        assert!(!format!("{file:?}").contains("html"));
        let largest = of(vec![0; MAX_FILE].into());
        assert_eq!(serde_json::from_str::<StoredFile>(&json!(largest).to_string()).unwrap(), largest);
        for (content, expected) in [
            (STANDARD.encode(vec![0; MAX_FILE + 3]), "exceeds the limit of 5242880 bytes"),
            ("?".to_owned(), "Invalid"),
        ] {
            let mut wrong = value.clone();
            wrong["content"] = json!(content);
            let error = serde_json::from_value::<StoredFile>(wrong).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
