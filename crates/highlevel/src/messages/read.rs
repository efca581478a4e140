//! Messages that exist: reads, lists, exports, and changes of them.

use highlevel_wire::types::{
    CancelScheduledResponse, ConversationMessage, EmailDetails, EmailRecipientStatus, MessageResponse,
    ProviderError, SendMessageResponse, SetAttachmentsRequest, UpdateEmailStatusRequest,
    UpdateEmailStatusResponse, UpdateMessageStatusRequest,
};

use super::Messages;
use crate::executor::Operation;
use crate::listing::{Fetch, ListPage, Listing};
use crate::operations::{
    CancelScheduledEmail, CancelScheduledMessage, ExportMessages, GetEmail, GetMessage, ListMessages,
    SetMessageAttachments, UpdateEmailStatus, UpdateMessageStatus,
};
use crate::search::MessageExport;
use crate::{
    ConversationId, EmailMessageId, EmailStatus, Error, MessageId, Receipt, Result, SendStatus, validate,
};

/// The number of messages that are listed per request: the most that HighLevel returns.
const PAGE: i64 = 100;

/// The number of attachments that a message can have.
const MAX_ATTACHMENTS: usize = 5;

impl Messages {
    /// Returns a message, with the `altId` that it was added with.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client, id: highlevel::MessageId) -> highlevel::Result<()> {
    /// let read = client.messages().get(&id).await?;
    /// println!("{:?}: {:?}", read.message().status, read.message().body);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an [`Error`].
    pub async fn get(&self, message: &MessageId) -> Result<Receipt<MessageResponse>> {
        let message = checked(message, GetMessage::NAME)?;
        self.client.execute(&GetMessage { message }).await
    }

    /// Returns one email of a thread, with its body. The message of the thread lists the ids in `meta.email.messageIds`.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`].
    pub async fn get_email(&self, email: &EmailMessageId) -> Result<Receipt<EmailDetails>> {
        let email = checked_email(email, GetEmail::NAME)?;
        self.client.execute(&GetEmail { email }).await
    }

    /// Returns the messages of a conversation, the latest first, page by page. Emails have no body; see
    /// [`get_email`](Self::get_email).
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client, conversation: highlevel::ConversationId) -> highlevel::Result<()> {
    /// let mut messages = client.messages().list(&conversation);
    /// while let Some(message) = messages.next().await {
    ///     let message = message?;
    ///     println!("{:?} {:?}", message.direction, message.body);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn list(&self, conversation: &ConversationId) -> Listing<ConversationMessage> {
        let (messages, conversation) = (self.clone(), conversation.clone());
        Listing::new(move || messages.list_page(conversation, None))
    }

    fn list_page(self, conversation: ConversationId, after: Option<MessageId>) -> Fetch<ConversationMessage> {
        Box::pin(async move {
            validate::in_path("conversation", &conversation)
                .map_err(|text| Error::invalid(ListMessages::NAME, text))?;
            let request = ListMessages {
                conversation: conversation.clone(),
                after: after.clone(),
                limit: Some(PAGE),
                channels: None,
            };
            let page = self.client.execute(&request).await?.into_response().messages;
            let items = page.messages.unwrap_or_default();
            let last = page.last_message_id.or_else(|| items.last().map(|last| last.id.clone()));
            // A page that ends where the previous one ended would be followed by itself.
            let last = last.filter(|last| page.next_page == Some(true) && after.as_ref() != Some(last));
            let next = last.map(|last| Box::new(move || self.list_page(conversation, Some(last))) as _);
            Ok(ListPage { items, next })
        })
    }

    /// Returns the messages of the location that an export selects, page by page.
    ///
    /// A cursor of HighLevel is valid for 2 minutes: take the messages of a page within that time.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client) -> highlevel::Result<()> {
    /// use highlevel::MessageExport;
    ///
    /// let mut exported = client.messages().export(MessageExport::all().with_contact("abc123def456"));
    /// while let Some(message) = exported.next().await {
    ///     println!("{}", message?.id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn export(&self, export: MessageExport) -> Listing<ConversationMessage> {
        let messages = self.clone();
        Listing::new(move || messages.export_page(export, None))
    }

    fn export_page(self, export: MessageExport, cursor: Option<String>) -> Fetch<ConversationMessage> {
        Box::pin(async move {
            let location = match &export.location {
                Some(location) => location.clone(),
                None => self.client.required_location(ExportMessages::NAME)?,
            };
            let request = ExportMessages { location, export: export.clone(), cursor: cursor.clone() };
            let page = self.client.execute(&request).await?.into_response();
            let following = page.next_cursor.filter(|next| !next.is_empty() && cursor.as_ref() != Some(next));
            let next = following.map(|next| Box::new(move || self.export_page(export, Some(next))) as _);
            Ok(ListPage { items: page.messages.unwrap_or_default(), next })
        })
    }

    /// Reports the result of delivering a message through a conversation provider. Only the app that owns the provider may do
    /// so. It can be repeated, and is retried after transient failures.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client, id: highlevel::MessageId) -> highlevel::Result<()> {
    /// use highlevel::Status;
    ///
    /// client.messages().set_status(&id, Status::failed("The number is not in service")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an [`Error`]; see [`Error::is_provider_inaccessible`] for a message of another app, or without a provider.
    pub async fn set_status(
        &self,
        message: &MessageId,
        status: impl Into<UpdateMessageStatusRequest>,
    ) -> Result<Receipt<SendMessageResponse>> {
        let message = checked(message, UpdateMessageStatus::NAME)?;
        let request = status.into();
        let is_explained = request.error.as_ref().is_some_and(|error| !error.message.trim().is_empty());
        if request.status == SendStatus::Failed && !is_explained {
            let text = "HighLevel requires the reason for the status `failed`: use `Status::failed(\"…\")`";
            return Err(Error::invalid(UpdateMessageStatus::NAME, text));
        }
        self.client.execute(&UpdateMessageStatus { message, request }).await
    }

    /// Reports the result of delivering an email through a conversation provider, for each recipient. It can be repeated, and
    /// is retried after transient failures.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client, id: highlevel::EmailMessageId) -> highlevel::Result<()> {
    /// use highlevel::{EmailProgress, EmailStatus};
    ///
    /// let progress = EmailProgress::new(EmailStatus::Delivered)
    ///     .recipient("ada@example.com", EmailStatus::Delivered)
    ///     .failed_recipient("grace@example.com", "Mailbox not found");
    /// client.messages().set_email_status(&id, progress).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an [`Error`].
    pub async fn set_email_status(
        &self,
        email: &EmailMessageId,
        status: impl Into<UpdateEmailStatusRequest>,
    ) -> Result<Receipt<UpdateEmailStatusResponse>> {
        let email = checked_email(email, UpdateEmailStatus::NAME)?;
        self.client.execute(&UpdateEmailStatus { email, request: status.into() }).await
    }

    /// Cancels a scheduled message. It is not repeated if its outcome is unknown: the repetition would report that nothing is
    /// scheduled.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] that is [`Delivery::Rejected`](crate::Delivery::Rejected) if the message could not be cancelled,
    /// also if HighLevel reports that inside a successful response.
    pub async fn cancel(&self, message: &MessageId) -> Result<Receipt<CancelScheduledResponse>> {
        let message = checked(message, CancelScheduledMessage::NAME)?;
        let receipt = self.client.execute(&CancelScheduledMessage { message }).await?;
        cancelled(receipt, CancelScheduledMessage::NAME)
    }

    /// Cancels a scheduled email.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`cancel`](Self::cancel).
    pub async fn cancel_email(&self, email: &EmailMessageId) -> Result<Receipt<CancelScheduledResponse>> {
        let email = checked_email(email, CancelScheduledEmail::NAME)?;
        let receipt = self.client.execute(&CancelScheduledEmail { email }).await?;
        cancelled(receipt, CancelScheduledEmail::NAME)
    }

    /// Replaces the attachments of a message, at most 5 URLs. It can be repeated, and is retried after transient failures.
    ///
    /// A bridge adds the recording of a call this way, as soon as it is ready.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`].
    pub async fn set_attachments(
        &self,
        message: &MessageId,
        urls: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Receipt<()>> {
        let message = checked(message, SetMessageAttachments::NAME)?;
        let urls: Vec<String> = urls.into_iter().map(Into::into).collect();
        let invalid = |text: String| Err(Error::invalid(SetMessageAttachments::NAME, text));
        if urls.len() > MAX_ATTACHMENTS {
            return invalid(format!(
                "{} attachments are more than {MAX_ATTACHMENTS}: send fewer",
                urls.len()
            ));
        }
        if urls.iter().any(|url| url.trim().is_empty()) {
            return invalid("an attachment is empty: set the URL of the file".to_owned());
        }
        let request = SetAttachmentsRequest::new(urls);
        self.client.execute(&SetMessageAttachments { message, request }).await
    }
}

/// The result of delivering a message through a conversation provider.
#[derive(Debug, Clone)]
#[must_use = "a status is reported by `client.messages().set_status(…)`"]
pub struct Status(UpdateMessageStatusRequest);

impl Status {
    /// The message was delivered.
    pub fn delivered() -> Self {
        Self(UpdateMessageStatusRequest::new(SendStatus::Delivered))
    }

    /// The recipient has read the message.
    pub fn read() -> Self {
        Self(UpdateMessageStatusRequest::new(SendStatus::Read))
    }

    /// The message is still being delivered.
    pub fn pending() -> Self {
        Self(UpdateMessageStatusRequest::new(SendStatus::Pending))
    }

    /// The message could not be delivered, for a reason that users see.
    pub fn failed(reason: impl Into<String>) -> Self {
        let mut request = UpdateMessageStatusRequest::new(SendStatus::Failed);
        request.error = Some(ProviderError::new(reason));
        Self(request)
    }

    /// Sets the code of the provider's error.
    pub fn code(mut self, code: impl Into<String>) -> Self {
        if let Some(error) = &mut self.0.error {
            error.code = Some(code.into());
        }
        self
    }
}

impl From<Status> for UpdateMessageStatusRequest {
    fn from(status: Status) -> Self {
        status.0
    }
}

/// The result of delivering an email through a conversation provider.
#[derive(Debug, Clone)]
#[must_use = "a status is reported by `client.messages().set_email_status(…)`"]
pub struct EmailProgress(UpdateEmailStatusRequest);

impl EmailProgress {
    /// Creates the status of an email.
    pub fn new(status: EmailStatus) -> Self {
        Self(UpdateEmailStatusRequest::new(status))
    }

    /// Adds the status of a recipient.
    pub fn recipient(mut self, address: impl Into<String>, status: EmailStatus) -> Self {
        self.0.recipients.push(EmailRecipientStatus::new(address, status));
        self
    }

    /// Adds a recipient that the email could not be delivered to, with the reason.
    pub fn failed_recipient(mut self, address: impl Into<String>, reason: impl Into<String>) -> Self {
        let mut recipient = EmailRecipientStatus::new(address, EmailStatus::Failed);
        recipient.fail_reason = Some(reason.into());
        self.0.recipients.push(recipient);
        self
    }
}

impl From<EmailProgress> for UpdateEmailStatusRequest {
    fn from(progress: EmailProgress) -> Self {
        progress.0
    }
}

impl Receipt<MessageResponse> {
    /// Returns the message.
    pub fn message(&self) -> &ConversationMessage {
        &self.response().message
    }
}

fn checked(message: &MessageId, operation: &'static str) -> Result<MessageId> {
    validate::in_path("message", message).map_err(|text| Error::invalid(operation, text))?;
    Ok(message.clone())
}

fn checked_email(email: &EmailMessageId, operation: &'static str) -> Result<EmailMessageId> {
    validate::in_path("email", email).map_err(|text| Error::invalid(operation, text))?;
    Ok(email.clone())
}

/// Reads the failure inside a successful response.
fn cancelled(
    receipt: Receipt<CancelScheduledResponse>,
    operation: &'static str,
) -> Result<Receipt<CancelScheduledResponse>> {
    match receipt.response().status {
        Some(status) if !(200..300).contains(&status) => {
            let text =
                format!("HighLevel responded with {}, and with {status} in the body", receipt.http_status());
            Err(receipt.into_rejection(operation, text))
        }
        _ => Ok(receipt),
    }
}
