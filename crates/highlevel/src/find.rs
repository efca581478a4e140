//! Finds the message of a request whose outcome is unknown, by reading the conversation back.

use std::time::SystemTime;

use highlevel_wire::types::{ConversationMessage, ExportChannel};
use serde_json::Value;

use crate::search::{ConversationSearch, MessageExport};
use crate::{
    Client, ConversationId, Delivery, EmailMessageId, Error, Fingerprint, Listing, MessageId,
    ObservedMessage, Reconciliation, Result,
};

/// The number of messages that are examined at most.
const MAX_MESSAGES: usize = 1000;

/// The number of messages and emails that are read alone at most.
const MAX_READS: usize = 20;

/// The number of conversations of a contact that are examined at most. A contact usually has one.
const MAX_CONVERSATIONS: usize = 5;

/// The result of reading back. From [`Client::find`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The request was done, and this is its message.
    Sent(MessageId),
    /// No message could be that of the request. One that HighLevel is still processing may appear later.
    NotFound(Examined),
    /// Messages could be that of the request, but none is proven to be; these are their ids. The list is empty if there were
    /// more messages than are examined. A person has to look.
    Ambiguous(Vec<MessageId>),
}

/// The messages that were examined without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Examined {
    /// The conversations. If the search found none with the contact, the messages of the contact were exported as well.
    pub conversations: Vec<ConversationId>,
    /// The number of messages.
    pub messages: usize,
    /// The date of the oldest message that could be that of the request.
    pub since: SystemTime,
    /// The time at which the messages were read. Later ones are not examined.
    pub until: SystemTime,
}

/// The messages that were read back for a request. From [`Client::read_back`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ReadBack {
    /// The JSON of the messages that could be that of the request. Each converts to an [`ObservedMessage`].
    pub messages: Vec<Value>,
    /// The messages that were examined.
    pub examined: Examined,
    /// `false` if there were more messages than are examined: then nothing is proven.
    pub is_complete: bool,
}

impl Client {
    /// Reads back whether the message of a request exists.
    ///
    /// It searches for the conversation of the contact, lists its messages up to 2 minutes before the attempt, and compares them
    /// with the fingerprint, see [`Fingerprint::reconcile`]. The search index lags some seconds behind: if it has no conversation
    /// with the contact, the messages of the contact are exported, so that a message in a new conversation is found. Emails,
    /// and messages with an `altId`, are read individually, because lists lack their content. That takes 2 or 3 requests in
    /// most cases and 40 at most. They count against the rate limits, and need the scopes `conversations.readonly` and
    /// `conversations/message.readonly`.
    ///
    /// Messages of other requests are excluded if they have a receipt. If another request with an unknown outcome could have
    /// created the message as well, the result is [`Finding::Ambiguous`]. This applies to the requests of the clients of one
    /// builder in this process; equal messages that other programs send at the same time cannot be told apart.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client, fingerprint: highlevel::Fingerprint) -> highlevel::Result<()> {
    /// use highlevel::Finding;
    ///
    /// match client.find(&fingerprint).await? {
    ///     Finding::Sent(id) => println!("it was sent: {id}"),
    ///     Finding::NotFound(examined) => println!("not among {} messages until {:?}", examined.messages, examined.until),
    ///     Finding::Ambiguous(ids) => println!("a person has to look: {ids:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] if the messages cannot be read. It reports nothing about the request that is looked for.
    pub async fn find(&self, fingerprint: &Fingerprint) -> Result<Finding> {
        let read = self.read_back(fingerprint).await?;
        let observed: Vec<ObservedMessage> = read.messages.iter().map(ObservedMessage::from).collect();
        // The receipt of another request may still be on its way.
        let others = self.recent().wait_for_others(&observed);
        let is_awaited = tokio::time::timeout(self.call_timeout(), others).await.is_ok();
        Ok(match (self.reconcile(fingerprint, &observed), read.is_complete && is_awaited) {
            (Reconciliation::Sent(id), true) => Finding::Sent(id),
            (Reconciliation::Sent(id), false) => Finding::Ambiguous(vec![id]),
            (Reconciliation::NotFound, true) => Finding::NotFound(read.examined),
            (Reconciliation::NotFound, false) => Finding::Ambiguous(Vec::new()),
            (Reconciliation::Ambiguous(ids), _) => Finding::Ambiguous(ids),
        })
    }

    /// Compares a request with messages, except for those that other requests of this client created. A message that could be
    /// that of another one whose outcome is unknown is not proven.
    fn reconcile(&self, fingerprint: &Fingerprint, observed: &[ObservedMessage]) -> Reconciliation {
        let known = self.recent().with_receipt(observed);
        match fingerprint.reconcile_excluding(observed.iter().cloned(), known) {
            Reconciliation::Sent(id) => {
                let of_message = |message: &&ObservedMessage| message.message_id() == Some(&id);
                let messages: Vec<&ObservedMessage> = observed.iter().filter(of_message).collect();
                if self.recent().may_be_of_another(fingerprint, &messages) {
                    Reconciliation::Ambiguous(vec![id])
                } else {
                    Reconciliation::Sent(id)
                }
            }
            other => other,
        }
    }

    /// Reads back the messages that could be that of a request, without a decision.
    ///
    /// It makes the requests of [`find`](Self::find). Compare the messages by [`Fingerprint::reconcile_excluding`] if the ids of other
    /// messages are known, and other messages may have the same content.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] if the messages cannot be read.
    pub async fn read_back(&self, fingerprint: &Fingerprint) -> Result<ReadBack> {
        ConversationReader::new(self, fingerprint).run().await
    }
}

impl Error {
    /// Reads back whether the message of the failed request exists, see [`Client::find`].
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client) -> highlevel::Result<()> {
    /// use highlevel::{Delivery, Finding, Sms};
    ///
    /// let message = Sms::to("abc123def456").text("Your table is ready");
    /// if let Err(error) = client.messages().send(message).await
    ///     && error.delivery() == Delivery::Unknown
    ///     && let Finding::Sent(id) = error.find(&client).await?
    /// {
    ///     println!("it was sent: {id}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] if the messages cannot be read, or if this error has no [`fingerprint`](Self::fingerprint).
    pub async fn find(&self, client: &Client) -> Result<Finding> {
        let Some(fingerprint) = self.fingerprint() else {
            let text = "the error has no fingerprint: its request creates no message, or was never started";
            return Err(Error::invalid("find", text));
        };
        client.find(fingerprint).await
    }
}

/// Reads back the message of one request.
struct ConversationReader<'a> {
    client: &'a Client,
    fingerprint: &'a Fingerprint,
    examined: Examined,
    reads: usize,
    /// The search found no conversation with the contact. It may be too new for the search index.
    is_unindexed: bool,
    /// A bound was reached, so that messages were not examined.
    is_incomplete: bool,
    found: Vec<Value>,
}

impl<'a> ConversationReader<'a> {
    fn new(client: &'a Client, fingerprint: &'a Fingerprint) -> Self {
        let examined = Examined {
            conversations: Vec::new(),
            messages: 0,
            since: fingerprint.earliest(),
            until: SystemTime::now(),
        };
        Self {
            client,
            fingerprint,
            examined,
            reads: 0,
            is_unindexed: false,
            is_incomplete: false,
            found: Vec::new(),
        }
    }

    async fn run(mut self) -> Result<ReadBack> {
        for conversation in self.conversations().await? {
            let messages = self.client.messages().list(&conversation);
            self.examined.conversations.push(conversation);
            self.examine(messages).await?;
        }
        // The conversation that the request names may be another one than that of the contact.
        if self.examined.conversations.is_empty() || self.is_unindexed && self.found.is_empty() {
            self.examine_export().await?;
        }
        Ok(ReadBack { messages: self.found, examined: self.examined, is_complete: !self.is_incomplete })
    }

    /// Returns the conversations in which the message can be.
    async fn conversations(&mut self) -> Result<Vec<ConversationId>> {
        // The id of a conversation that was merged into another one is stale, so the contact takes precedence.
        let Some(contact) = self.fingerprint.contact_id() else {
            return Ok(self.fingerprint.conversation_id().cloned().into_iter().collect());
        };
        let mut found = self.client.conversations().search(ConversationSearch::with_contact(contact));
        let mut ids: Vec<ConversationId> = Vec::new();
        while let Some(conversation) = found.next().await {
            let conversation = conversation?;
            if ids.len() == MAX_CONVERSATIONS {
                self.is_incomplete = true;
                break;
            }
            // The search is by text on some servers, so that it returns other contacts as well.
            if conversation.contact_id.as_ref().is_none_or(|found| found == contact) {
                ids.push(conversation.id);
            }
        }
        if ids.is_empty() {
            self.is_unindexed = true;
            ids.extend(self.fingerprint.conversation_id().cloned());
        }
        Ok(ids)
    }

    /// Examines the messages of the contact without its conversation, which the search finds only some seconds after it was
    /// created.
    async fn examine_export(&mut self) -> Result<()> {
        let Some(contact) = self.fingerprint.contact_id() else { return Ok(()) };
        let export = MessageExport::all().with_contact(contact).since(self.examined.since).page_size(100);
        let export = if self.fingerprint.is_email() { export.channel(ExportChannel::Email) } else { export };
        let messages = self.client.messages().export(export);
        self.examine(messages).await
    }

    async fn examine(&mut self, mut messages: Listing<ConversationMessage>) -> Result<()> {
        while let Some(message) = messages.next().await {
            let message = message?;
            let date = message.date_added.as_ref().and_then(highlevel_wire::Timestamp::to_system_time);
            if date.is_some_and(|date| date < self.examined.since) {
                return Ok(());
            }
            if self.examined.messages == MAX_MESSAGES {
                self.is_incomplete = true;
                return Ok(());
            }
            self.examined.messages += 1;
            let json = serde_json::to_value(&message).unwrap_or_default();
            if self.fingerprint.may_be(&ObservedMessage::from(&json)) {
                self.examine_candidate(message, json).await?;
            }
        }
        Ok(())
    }

    /// Reads a message that could be that of the request, if the list lacks its content.
    async fn examine_candidate(&mut self, message: ConversationMessage, json: Value) -> Result<()> {
        if self.fingerprint.is_email() && message.body.is_none() {
            let emails = message.meta.and_then(|meta| meta.email).and_then(|email| email.message_ids);
            if let Some(emails) = emails.filter(|emails| !emails.is_empty()) {
                return self.examine_emails(&emails, json).await;
            }
        }
        let lacks_content = self.fingerprint.alt_id().is_some() && message.alt_id.is_none()
            || self.fingerprint.is_email() && message.body.is_none();
        let read = if lacks_content && self.may_read() {
            existing(self.client.messages().get(&message.id).await)?
        } else {
            None
        };
        let read = read.and_then(|read| serde_json::to_value(read.message()).ok());
        self.found.push(read.unwrap_or(json));
        Ok(())
    }

    /// Reads the emails of a thread. One of them may be that of the request.
    async fn examine_emails(&mut self, emails: &[EmailMessageId], thread: Value) -> Result<()> {
        let mut is_complete = true;
        let mut candidates = Vec::new();
        for email in emails {
            let read =
                if self.may_read() { existing(self.client.messages().get_email(email).await)? } else { None };
            let Some(read) = read.and_then(|read| serde_json::to_value(read.response()).ok()) else {
                is_complete = false;
                continue;
            };
            let email = of_thread(&thread, &read);
            if self.fingerprint.may_be(&ObservedMessage::from(&email)) {
                candidates.push(email);
            }
        }
        if !is_complete {
            candidates.push(thread);
        }
        self.found.append(&mut candidates);
        Ok(())
    }

    /// Returns `true` if another message may be read alone.
    fn may_read(&mut self) -> bool {
        if self.reads == MAX_READS {
            self.is_incomplete = true;
            return false;
        }
        self.reads += 1;
        true
    }
}

/// Returns `None` for a message that no longer exists.
fn existing<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.delivery() == Delivery::Rejected && matches!(error.status(), Some(400 | 404)) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Returns an email as a message with the id and the channel of its thread.
fn of_thread(thread: &Value, email: &Value) -> Value {
    let mut message = thread.clone();
    let (Some(fields), Some(email)) = (message.as_object_mut(), email.as_object()) else { return message };
    for (name, value) in email.iter().filter(|(name, _)| !matches!(name.as_str(), "id" | "type")) {
        fields.insert(name.clone(), value.clone());
    }
    // An email that is read alone lists all copies.
    for (list, name) in [("ccList", "cc"), ("bccList", "bcc")] {
        if let Some(all) = email.get(name).filter(|all| all.is_array()) {
            fields.insert(list.to_owned(), all.clone());
        }
    }
    message
}
