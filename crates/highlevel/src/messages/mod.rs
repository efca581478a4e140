//! Sends messages, and adds messages that arrived elsewhere.

mod comment;
mod fields;
mod html;
pub mod inbound;
mod read;
mod send;

pub use comment::InternalComment;
pub use inbound::{Addressed, Inbound, Unaddressed};
pub use read::{EmailProgress, Status};
pub use send::{Custom, Email, Facebook, Instagram, LiveChat, Rcs, Sms, TikTok, WhatsApp};

use highlevel_wire::types::{
    AddMessageResponse, InboundMessageRequest, SendMessageRequest, SendMessageResponse,
};

use crate::executor::Operation;
use crate::{Client, Error, Receipt, Result, validate};

/// Sends messages, adds messages that arrived elsewhere, and reads messages. From [`Client::messages`].
#[derive(Debug, Clone)]
pub struct Messages {
    client: Client,
}

impl Client {
    /// Returns the operations on messages: send them, add those that arrived elsewhere, read and change them.
    pub fn messages(&self) -> Messages {
        Messages { client: self.clone() }
    }
}

impl Messages {
    /// Sends a message to a contact.
    ///
    /// Accepts the types of the channels ([`Sms`], [`Email`], [`WhatsApp`], …), and a [`SendMessageRequest`] with any
    /// fields.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client) -> highlevel::Result<()> {
    /// use highlevel::Sms;
    ///
    /// let sent = client.messages().send(Sms::to("abc123def456").text("Your table is ready")).await?;
    /// println!("{} in {}", sent.message_id(), sent.conversation_id());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an [`Error`]; its [`delivery`](Error::delivery) reports whether the message was sent. A request without
    /// content or contact is rejected before anything is sent.
    pub async fn send(&self, message: impl Into<SendMessageRequest>) -> Result<Receipt<SendMessageResponse>> {
        let request = message.into();
        validate::send(&request).map_err(|text| Error::invalid(SendMessageRequest::NAME, text))?;
        self.client.execute(&request).await
    }

    /// Adds a message that a contact sent through a system outside HighLevel.
    ///
    /// Accepts an [`Inbound`], and an [`InboundMessageRequest`] with any fields.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client) -> highlevel::Result<()> {
    /// use highlevel::Inbound;
    ///
    /// let message = Inbound::sms("61d6d1f9cdac7612faf80753").from_contact("abc123def456").text("See you at eight");
    /// let added = client.messages().add_inbound(message).await?;
    /// println!("{} in {}", added.message_id(), added.conversation_id());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of [`send`](Self::send).
    pub async fn add_inbound(
        &self,
        message: impl Into<InboundMessageRequest>,
    ) -> Result<Receipt<AddMessageResponse>> {
        let request = message.into();
        validate::inbound(&request).map_err(|text| Error::invalid(InboundMessageRequest::NAME, text))?;
        self.client.execute(&request).await
    }
}
