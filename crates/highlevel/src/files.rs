//! Files to attach to messages.

use std::path::PathBuf;

use bytes::Bytes;
use highlevel_wire::ResponseValue;
use highlevel_wire::multipart::{Form, Part};
use highlevel_wire::types::UploadFilesResponse;
use tokio::fs::File;

use crate::executor::Operation;
use crate::{Client, ContactId, ConversationId, Error, LocationId, Receipt, Result, lenient};

/// The number of files that HighLevel stores per request.
const MAX_FILES: usize = 5;

/// The size of a file that HighLevel stores: 5 MB.
const MAX_SIZE: u64 = 5 * 1024 * 1024;

/// Uploads files. From [`Client::files`].
#[derive(Debug, Clone)]
pub struct Files {
    client: Client,
}

impl Client {
    /// Returns the operations on files: upload them before a message refers to them.
    pub fn files(&self) -> Files {
        Files { client: self.clone() }
    }
}

impl Files {
    /// Uploads files, and returns a URL for each, for use as an attachment.
    ///
    /// The files are streamed: only a part of each is in memory. They are not uploaded again if the outcome is unknown.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client, conversation: highlevel::ConversationId) -> highlevel::Result<()> {
    /// use highlevel::{Sms, Upload};
    ///
    /// let upload = Upload::to_conversation(&conversation).contact("abc123def456").path("menu.pdf");
    /// let uploaded = client.files().upload(upload).await?;
    /// let message = uploaded.urls().fold(Sms::to("abc123def456").text("Our menu"), Sms::attachment);
    /// client.messages().send(message).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an [`Error`]. More than 5 files, two files of the same name, a file of more than 5 MB and one that cannot be
    /// read are rejected before anything is sent.
    pub async fn upload(&self, upload: Upload) -> Result<Receipt<UploadFilesResponse>> {
        let invalid = |text: String| Error::invalid(UploadFiles::NAME, text);
        upload.check_names().map_err(invalid)?;
        let mut files = Vec::with_capacity(upload.files.len());
        for file in upload.files {
            let size = file.size().await.map_err(invalid)?;
            if size > MAX_SIZE {
                let text = format!(
                    "the file `{}` has {size} bytes, and HighLevel stores at most {MAX_SIZE}: make it smaller, or send a link",
                    file.name.escape_debug()
                );
                return Err(invalid(text));
            }
            files.push((file, size));
        }
        let location = match upload.location {
            Some(location) => location,
            None => self.client.required_location(UploadFiles::NAME)?,
        };
        let request =
            UploadFiles { conversation: upload.conversation, contact: upload.contact, location, files };
        self.client.execute(&request).await
    }
}

/// Files for a conversation.
#[derive(Debug, Clone)]
#[must_use = "files are uploaded by `client.files().upload(…)`"]
pub struct Upload {
    conversation: ConversationId,
    contact: Option<ContactId>,
    location: Option<LocationId>,
    files: Vec<UploadFile>,
}

/// A file to upload.
#[derive(Debug, Clone)]
struct UploadFile {
    name: String,
    content_type: Option<String>,
    source: UploadContent,
}

/// The content of a file.
#[derive(Debug, Clone)]
enum UploadContent {
    Bytes(Bytes),
    Path(PathBuf),
}

impl Upload {
    /// Creates an upload without files for a conversation.
    pub fn to_conversation(conversation: impl Into<ConversationId>) -> Self {
        Self { conversation: conversation.into(), contact: None, location: None, files: Vec::new() }
    }

    /// Sets the contact of the conversation.
    pub fn contact(mut self, contact: impl Into<ContactId>) -> Self {
        self.contact = Some(contact.into());
        self
    }

    /// Sets the location. Defaults to that of the client.
    pub fn location(mut self, location: impl Into<LocationId>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// Adds a file on this machine. It is opened when it is sent, and streamed.
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.files.push(UploadFile { name, content_type: None, source: UploadContent::Path(path) });
        self
    }

    /// Adds a file that is in memory.
    pub fn bytes(mut self, name: impl Into<String>, content: impl Into<Bytes>) -> Self {
        let source = UploadContent::Bytes(content.into());
        self.files.push(UploadFile { name: name.into(), content_type: None, source });
        self
    }

    /// Sets the content type of the file that was added last. Defaults to that of the extension of its name.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        if let Some(file) = self.files.last_mut() {
            file.content_type = Some(content_type.into());
        }
        self
    }

    fn check_names(&self) -> Result<(), String> {
        if self.files.is_empty() {
            return Err("the upload has no file: add `.path(…)` or `.bytes(…)`".to_owned());
        }
        if self.files.len() > MAX_FILES {
            return Err(format!(
                "the upload has {} files, and HighLevel stores at most {MAX_FILES}: upload the others separately",
                self.files.len()
            ));
        }
        for (number, file) in self.files.iter().enumerate() {
            if file.name.trim().is_empty() || file.name.contains(char::is_control) {
                return Err(format!(
                    "the file name `{}` is empty or contains a control character: give it a name",
                    file.name.escape_debug()
                ));
            }
            if self.files[..number].iter().any(|other| other.name == file.name) {
                return Err(format!(
                    "two files are named `{}`, and HighLevel returns one URL per name: rename one of them",
                    file.name.escape_debug()
                ));
            }
        }
        Ok(())
    }
}

impl UploadFile {
    /// Returns the size in bytes.
    async fn size(&self) -> Result<u64, String> {
        match &self.source {
            UploadContent::Bytes(content) => Ok(content.len() as u64),
            UploadContent::Path(path) => match tokio::fs::metadata(path).await {
                Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
                Ok(_) => Err(format!("`{}` is not a file", path.display())),
                Err(error) => Err(format!("`{}` cannot be read: {error}", path.display())),
            },
        }
    }

    /// Returns the part of the form. The file is opened for each attempt.
    async fn part(&self, size: u64) -> Result<Part, String> {
        let part = match &self.source {
            UploadContent::Bytes(content) => Part::stream_with_length(content.clone(), size),
            UploadContent::Path(path) => match File::open(path).await {
                Ok(file) => Part::stream_with_length(file, size),
                Err(error) => return Err(format!("`{}` cannot be read: {error}", path.display())),
            },
        };
        let content_type = self.content_type.as_deref().unwrap_or_else(|| content_type(&self.name));
        part.file_name(self.name.clone()).mime_str(content_type).map_err(|error| error.to_string())
    }
}

/// Returns the content type for the extension of a name, for the extensions that HighLevel's documentation lists.
fn content_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("png") => "image/png",
        Some("mp4") => "video/mp4",
        Some("mpeg") => "video/mpeg",
        Some("zip") => "application/zip",
        Some("rar") => "application/vnd.rar",
        Some("pdf") => "application/pdf",
        Some("doc") => "application/msword",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Some("txt") => "text/plain",
        Some("mp3") => "audio/mpeg",
        Some("wav") => "audio/wav",
        _ => "application/octet-stream",
    }
}

/// The request with the files and their sizes.
struct UploadFiles {
    conversation: ConversationId,
    contact: Option<ContactId>,
    location: LocationId,
    files: Vec<(UploadFile, u64)>,
}

impl Operation for UploadFiles {
    type Response = UploadFilesResponse;

    const NAME: &'static str = "upload_files";

    fn is_receipt(response: &UploadFilesResponse) -> bool {
        response.uploaded_files.as_ref().is_some_and(|files| !files.is_empty())
    }

    fn read(body: &[u8]) -> serde_json::Result<UploadFilesResponse> {
        lenient::read_body(body)
    }

    async fn send(
        &self,
        wire: &highlevel_wire::Client,
    ) -> std::result::Result<ResponseValue<UploadFilesResponse>, highlevel_wire::Error<()>> {
        let mut form = Form::new()
            .text("conversationId", self.conversation.to_string())
            .text("locationId", self.location.to_string());
        if let Some(contact) = &self.contact {
            form = form.text("contactId", contact.to_string());
        }
        for (file, size) in &self.files {
            let part = file.part(*size).await.map_err(highlevel_wire::Error::InvalidRequest)?;
            form = form.part("fileAttachment", part);
        }
        wire.multipart("/conversations/messages/upload", form).await
    }
}

impl Receipt<UploadFilesResponse> {
    /// Returns the URL of a file, by its name.
    pub fn url(&self, name: &str) -> Option<&str> {
        self.response().uploaded_files.as_ref()?.get(name)?.as_str()
    }

    /// Returns the URLs of all files, in the order of their names.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.response().uploaded_files.iter().flat_map(|files| files.values()).filter_map(|url| url.as_str())
    }
}
