//! Conversations of a location, each with one contact.

use highlevel_wire::types::{
    ConversationDetails, ConversationResponse, ConversationSummary, CreateConversationRequest, TypingRequest,
    TypingResponse, UpdateConversationRequest, WrittenConversation,
};

use crate::executor::Operation;
use crate::listing::{Fetch, ListPage, Listing};
use crate::operations::{
    CreateConversation, GetConversation, SearchConversations, SetTyping, UpdateConversation,
};
use crate::search::ConversationSearch;
use crate::{Client, ContactId, ConversationId, Error, Receipt, Result, VisitorId, validate};

/// Finds, creates and updates conversations. From [`Client::conversations`].
#[derive(Debug, Clone)]
pub struct Conversations {
    client: Client,
}

impl Client {
    /// Returns the operations on conversations.
    ///
    /// They require the location of the client, see [`ClientBuilder::location`](crate::ClientBuilder::location).
    pub fn conversations(&self) -> Conversations {
        Conversations { client: self.clone() }
    }
}

impl Conversations {
    /// Returns the conversations that a search finds, page by page.
    ///
    /// The index lags: a conversation is missing for some seconds after it was created.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client) -> highlevel::Result<()> {
    /// use highlevel::ConversationSearch;
    ///
    /// let mut found = client.conversations().search(ConversationSearch::with_contact("abc123def456"));
    /// while let Some(conversation) = found.next().await {
    ///     println!("{}", conversation?.id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn search(&self, search: ConversationSearch) -> Listing<ConversationSummary> {
        let conversations = self.clone();
        Listing::new(move || conversations.search_page(search))
    }

    fn search_page(self, mut search: ConversationSearch) -> Fetch<ConversationSummary> {
        /// The number of conversations on a page if the request does not set it.
        const DEFAULT: i64 = 20;

        Box::pin(async move {
            let location = match &search.location {
                Some(location) => location.clone(),
                None => self.client.required_location(SearchConversations::NAME)?,
            };
            let receipt =
                self.client.execute(&SearchConversations { location, search: search.clone() }).await?;
            let items = receipt.into_response().conversations.unwrap_or_default();
            let is_full =
                i64::try_from(items.len()).is_ok_and(|count| count >= search.limit.unwrap_or(DEFAULT));
            let position = items.last().and_then(|last| last.sort.as_ref()?.first()?.as_i64());
            let position = position.filter(|position| is_full && Some(*position) != search.after);
            let next = position.map(|position| {
                search.after = Some(position);
                Box::new(move || self.search_page(search)) as _
            });
            Ok(ListPage { items, next })
        })
    }

    /// Returns a conversation.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`].
    pub async fn get(&self, conversation: &ConversationId) -> Result<Receipt<ConversationDetails>> {
        let conversation = checked(conversation, GetConversation::NAME)?;
        self.client.execute(&GetConversation { conversation }).await
    }

    /// Creates the conversation with a contact. It is not repeated if its outcome is unknown.
    ///
    /// Sending or adding a message creates the conversation as well.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`]; HighLevel rejects a second conversation with a contact with 400.
    pub async fn create(&self, contact: &ContactId) -> Result<Receipt<ConversationResponse>> {
        let location = self.client.required_location(CreateConversation::NAME)?;
        let request = CreateConversationRequest::new(contact, location);
        self.client.execute(&CreateConversation { request }).await
    }

    /// Marks a conversation as read, or sets the number of its unread messages.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`].
    pub async fn set_unread(
        &self,
        conversation: &ConversationId,
        messages: u32,
    ) -> Result<Receipt<ConversationResponse>> {
        self.update(conversation, |request| request.unread_count = Some(i64::from(messages))).await
    }

    /// Stars a conversation, or removes its star.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`].
    pub async fn set_starred(
        &self,
        conversation: &ConversationId,
        is_starred: bool,
    ) -> Result<Receipt<ConversationResponse>> {
        self.update(conversation, |request| request.starred = Some(is_starred)).await
    }

    async fn update(
        &self,
        conversation: &ConversationId,
        change: impl FnOnce(&mut UpdateConversationRequest),
    ) -> Result<Receipt<ConversationResponse>> {
        let conversation = checked(conversation, UpdateConversation::NAME)?;
        let location = self.client.required_location(UpdateConversation::NAME)?;
        let mut request = UpdateConversationRequest::new(location);
        change(&mut request);
        self.client.execute(&UpdateConversation { conversation, request }).await
    }

    /// Shows or hides the typing indicator in the live chat of a visitor.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`].
    pub async fn set_typing(
        &self,
        conversation: &ConversationId,
        visitor: &VisitorId,
        is_typing: bool,
    ) -> Result<Receipt<TypingResponse>> {
        let location = self.client.required_location(SetTyping::NAME)?;
        // The field is a text.
        let request = TypingRequest::new(conversation, is_typing.to_string(), location, visitor);
        self.client.execute(&SetTyping { request }).await
    }
}

fn checked(conversation: &ConversationId, operation: &'static str) -> Result<ConversationId> {
    validate::in_path("conversation", conversation).map_err(|text| Error::invalid(operation, text))?;
    Ok(conversation.clone())
}

impl Receipt<ConversationResponse> {
    /// Returns the conversation.
    pub fn conversation(&self) -> &WrittenConversation {
        &self.response().conversation
    }

    /// Returns the id of the conversation.
    pub fn conversation_id(&self) -> &ConversationId {
        &self.conversation().id
    }
}
