//! Uploads of files.

use std::fmt::Write;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, Uri};
use serde_json::{Map, Value, json};

use super::super::form::FILES;
use super::{ApiConfig, ErrorResponse, RecordRequest, Reply};
use crate::model::{MAX_FILE_NAME, Model, Record, StoredFile, file_extensions, file_type};

/// The path of all stored files. Each one has its ID and its name after it.
const FILES_PATH: &str = "/uploads/";
/// The path template of a stored file.
pub(crate) const FILE_ROUTE: &str = "/uploads/{id}/{name}";

impl RecordRequest<'_> {
    pub(super) fn upload_files(
        &self,
        config: &ApiConfig,
        headers: &HeaderMap,
    ) -> Result<Reply, ErrorResponse> {
        let conversation = self.conversation(self.text("conversationId").unwrap_or_default())?;
        let uploaded = self.form.into_iter().flat_map(|form| &form.files).filter(|file| file.field == FILES);
        let mut files: Vec<StoredFile> = Vec::new();
        for (number, file) in uploaded.enumerate() {
            if file.name.len() > MAX_FILE_NAME {
                let length = file.name.len();
                return Err(ErrorResponse::bad_request(&format!(
                    "a file name has {length} bytes, more than {MAX_FILE_NAME}"
                )));
            }
            if file_type(&file.name).is_none() {
                let extensions = file_extensions().collect::<Vec<_>>().join(", ");
                return Err(ErrorResponse::unsupported_file(&format!(
                    "the file {:?} has no extension of {extensions}",
                    file.name
                )));
            }
            if files.iter().any(|each| each.name == file.name) {
                return Err(ErrorResponse::bad_request(&format!(
                    "two files are named {:?}, and the response has one URL per name; rename one of them",
                    file.name
                )));
            }
            files.push(StoredFile::new(
                format!("{}{number}", self.generated.message_id),
                (self.location, &conversation.id),
                file.name.clone(),
                &self.generated.now,
                // A copy, because the slice retains the whole form.
                Bytes::copy_from_slice(&file.content),
            ));
        }
        let base_url = base_url(config, headers);
        let urls: Map<String, Value> = files
            .iter()
            .map(|file| (file.name.clone(), format!("{base_url}{}", file_path(file)).into()))
            .collect();
        let reply = Reply::ok(json!({ "uploadedFiles": urls })).created(self.settings);
        Ok(files.into_iter().fold(reply, |reply, file| reply.put(Record::from(file))))
    }
}

/// Returns the configured URL of the sandbox, or the one that the client uses.
fn base_url(config: &ApiConfig, headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let used = || format!("http://{}", host.unwrap_or("localhost"));
    config.base_url.as_ref().map_or_else(used, |url| url.trim_end_matches('/').to_owned())
}

/// Returns the path of a file.
pub(crate) fn file_path(file: &StoredFile) -> String {
    let mut path = format!("{FILES_PATH}{}/", file.id);
    for byte in file.name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            path.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

/// Returns `true` if a URL is that of a stored file, whatever its host.
pub(crate) fn is_of_stored_file(model: &Model, url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    let id = url.path().strip_prefix(FILES_PATH).and_then(|rest| rest.split('/').next());
    id.and_then(|id| model.file(id)).is_some_and(|file| file_path(file) == url.path())
}
