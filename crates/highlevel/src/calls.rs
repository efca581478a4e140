//! Adds calls that were made outside HighLevel, and reads transcriptions.

use std::time::{Duration, SystemTime};

use highlevel_wire::types::{
    AddMessageResponse, CallDetails, NumberOrText, OutboundCallRequest, OutboundCallType,
    TranscribedSentence, Transcription,
};

use crate::executor::Operation;
use crate::operations::GetTranscription;
use crate::reconcile::sealed::Sealed;
use crate::{
    AltId, CallStatus, Client, ContactId, ConversationId, ConversationProviderId, Error, Fingerprint,
    Fingerprintable, MessageId, Receipt, Result, validate,
};

/// Adds calls to conversations, and reads transcriptions. From [`Client::calls`].
#[derive(Debug, Clone)]
pub struct Calls {
    client: Client,
}

impl Client {
    /// Returns the operations on phone calls: add those that were made elsewhere, and read transcriptions.
    pub fn calls(&self) -> Calls {
        Calls { client: self.clone() }
    }
}

impl Calls {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Adds a call that was made to a contact through a system outside HighLevel.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client, conversation: highlevel::ConversationId) -> highlevel::Result<()> {
    /// use std::time::{Duration, SystemTime};
    /// use highlevel::{CallStatus, OutboundCall};
    ///
    /// let added = client.calls().add_outbound(
    ///     OutboundCall::in_conversation(&conversation, "61d6d1f9cdac7612faf80753")
    ///         .from("+15035550100")
    ///         .to("+15037081210")
    ///         .status(CallStatus::Completed)
    ///         .duration(Duration::from_secs(95))
    ///         .at(SystemTime::now()),
    /// ).await?;
    /// println!("{}", added.message_id());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an [`Error`]; its [`delivery`](Error::delivery) reports whether the call was added.
    pub async fn add_outbound(
        &self,
        call: impl Into<OutboundCallRequest>,
    ) -> Result<Receipt<AddMessageResponse>> {
        let request = call.into();
        validate::outbound_call(&request).map_err(|text| Error::invalid(OutboundCallRequest::NAME, text))?;
        self.client.execute(&request).await
    }
}

impl Calls {
    /// Returns the transcription of a call.
    ///
    /// ```no_run
    /// # async fn example(client: highlevel::Client, call: highlevel::MessageId) -> highlevel::Result<()> {
    /// let transcription = client.calls().transcription(&call).await?;
    /// for sentence in transcription.sentences() {
    ///     println!("{:?}", sentence.transcript);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an [`Error`].
    pub async fn transcription(&self, call: &MessageId) -> Result<Receipt<Transcription>> {
        validate::in_path("message", call).map_err(|text| Error::invalid(GetTranscription::NAME, text))?;
        let location = self.client.required_location(GetTranscription::NAME)?;
        self.client.execute(&GetTranscription { location, message: call.clone() }).await
    }
}

impl Receipt<Transcription> {
    /// Returns the sentences of the call.
    pub fn sentences(&self) -> &[TranscribedSentence] {
        &self.response().0
    }
}

/// Reads numbers that HighLevel writes as numbers or as texts.
pub trait Number {
    /// Returns the number, or `None` if the text is none.
    fn as_f64(&self) -> Option<f64>;
}

impl Number for NumberOrText {
    fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Digits(text) => text.trim().parse().ok(),
        }
    }
}

/// A call that was made to a contact.
#[derive(Debug, Clone)]
#[must_use = "a call is added by `client.calls().add_outbound(…)`"]
pub struct OutboundCall(OutboundCallRequest);

impl OutboundCall {
    /// Creates a call in a conversation, made through a conversation provider of your app.
    pub fn in_conversation(
        conversation: impl Into<ConversationId>,
        provider: impl Into<ConversationProviderId>,
    ) -> Self {
        let mut request = OutboundCallRequest::new(provider, OutboundCallType::Call);
        request.conversation_id = Some(conversation.into());
        Self(request)
    }

    /// Creates a call to a contact. HighLevel finds or creates the conversation.
    pub fn to_contact(contact: impl Into<ContactId>, provider: impl Into<ConversationProviderId>) -> Self {
        let mut request = OutboundCallRequest::new(provider, OutboundCallType::Call);
        request.contact_id = Some(contact.into());
        Self(request)
    }

    /// Sets the phone number of the caller, like `+15037081210`.
    pub fn from(mut self, number: impl Into<String>) -> Self {
        self.details().from = Some(number.into());
        self
    }

    /// Sets the phone number of the called party, like `+15037081210`. HighLevel rejects a call without it, and one whose number
    /// is not one of the contact.
    pub fn to(mut self, number: impl Into<String>) -> Self {
        self.details().to = Some(number.into());
        self
    }

    /// Sets the outcome of the call.
    pub fn status(mut self, status: CallStatus) -> Self {
        set_status(self.details(), status);
        self
    }

    /// Sets the duration of the call, in whole seconds. A single report confirms that HighLevel shows it.
    pub fn duration(mut self, duration: Duration) -> Self {
        set_duration(self.details(), duration);
        self
    }

    /// Sets the time at which the call was made. Accepts `SystemTime`, and the types of date libraries that convert to
    /// it.
    pub fn at(mut self, time: impl Into<SystemTime>) -> Self {
        self.0.date = Some(time.into().into());
        self
    }

    /// Sets the id of the call in your system.
    pub fn alt_id(mut self, id: impl Into<AltId>) -> Self {
        self.0.alt_id = Some(id.into());
        self
    }

    /// Adds the URL of an attachment, for example of the recording.
    pub fn attachment(mut self, url: impl Into<String>) -> Self {
        self.0.attachments.push(url.into());
        self
    }

    fn details(&mut self) -> &mut CallDetails {
        self.0.call.get_or_insert_default()
    }
}

/// Sets the outcome of a call. With a duration, HighLevel reads it from another field.
pub(crate) fn set_status(call: &mut CallDetails, status: CallStatus) {
    if call.call_duration.is_some() {
        call.call_status = Some(status.clone());
    }
    call.status = Some(status);
}

/// Sets the duration of a call, which HighLevel reads together with `callStatus`.
pub(crate) fn set_duration(call: &mut CallDetails, duration: Duration) {
    call.call_duration = Some(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX));
    call.call_status = call.status.clone();
}

impl Fingerprintable for OutboundCall {}

impl Sealed for OutboundCall {
    fn fingerprint_at(&self, attempted: SystemTime) -> Fingerprint {
        self.0.fingerprint_at(attempted)
    }
}

impl From<OutboundCall> for OutboundCallRequest {
    fn from(call: OutboundCall) -> Self {
        call.0
    }
}
