//! The table of refusals, in the order in which a request is checked for them.

use super::quirk::Quirk;
use super::refusal::Refusal;
use crate::operation::Operation;

const ALL: &[Operation] = &Operation::ALL;
const SEND: &[Operation] = &[Operation::SendMessage];
const INBOUND: &[Operation] = &[Operation::AddInboundMessage];
const CALLS: &[Operation] = &[Operation::AddInboundMessage, Operation::AddOutboundCall];
const MESSAGES: &[Operation] =
    &[Operation::SendMessage, Operation::AddInboundMessage, Operation::AddOutboundCall];
const RECORDINGS: &[Operation] = &[Operation::GetRecording, Operation::GetTranscription];
const STATUS: &[Operation] = &[Operation::UpdateMessageStatus];
const PROVIDERS: &[Operation] = &[
    Operation::SendMessage,
    Operation::AddInboundMessage,
    Operation::AddOutboundCall,
    Operation::UpdateMessageStatus,
];

/// A row of the table of refusals.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) refusal: Refusal,
    pub(super) name: &'static str,
    pub(super) operations: &'static [Operation],
    pub(super) status: u16,
    pub(super) code: Option<&'static str>,
    /// The text of the response, with a placeholder for the value that the refusal is about.
    pub(super) message: &'static str,
    /// The entries after the text, if the text is in a list.
    pub(super) more_messages: Option<&'static [&'static str]>,
    pub(super) has_own_text: bool,
    pub(super) condition: &'static str,
    pub(super) source: &'static str,
    /// The quirk that enables the refusal, which is otherwise disabled.
    pub(super) quirk: Option<Quirk>,
}

/// Creates a row of a refusal with a known text, without a code.
const fn row(
    refusal: Refusal,
    name: &'static str,
    operations: &'static [Operation],
    status: u16,
    message: &'static str,
    condition: &'static str,
    source: &'static str,
) -> Row {
    Row {
        refusal,
        name,
        operations,
        status,
        code: None,
        message,
        more_messages: None,
        has_own_text: false,
        condition,
        source,
        quirk: None,
    }
}

impl Row {
    const fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Marks the text as the sandbox's own, because no report contains it.
    const fn own_text(mut self) -> Self {
        self.has_own_text = true;
        self
    }

    /// Puts the text into a list, as the validator of the live API does, with these entries after it.
    const fn list(mut self, more: &'static [&'static str]) -> Self {
        self.more_messages = Some(more);
        self
    }

    const fn only_with(mut self, quirk: Quirk) -> Self {
        self.quirk = Some(quirk);
        self
    }
}

pub(super) const TABLE: &[Row] = &[
    row(
        Refusal::CompanyPrivateIntegration,
        "company-private-integration",
        ALL,
        401,
        "Token's user type mismatch!",
        "the token is one of a private integration of a company",
        "[live 1]",
    ),
    row(
        Refusal::CompanyToken,
        "company-token",
        ALL,
        401,
        "This authClass type is not allowed to access this scope. Please verify your IAM configuration if this is not the case.",
        "the token belongs to a company",
        "[live 6]",
    ),
    row(
        Refusal::MissingVersion,
        "missing-version",
        ALL,
        401,
        "version header was not found.",
        "the `Version` header is missing",
        "[live 2]",
    ),
    row(
        Refusal::UnknownVersion401,
        "unknown-version-401",
        ALL,
        401,
        "version header is invalid",
        "the `Version` header has an unknown value",
        "[conflict] until mid-2026",
    )
    .only_with(Quirk::UnknownVersion401),
    row(
        Refusal::UnknownVersion,
        "unknown-version",
        ALL,
        400,
        "Invalid API version segment '{version}' at position 0",
        "the `Version` header has an unknown value",
        "[conflict] since mid-2026",
    ),
    row(
        Refusal::OtherLocation,
        "other-location",
        ALL,
        403,
        "The token does not have access to this location.",
        "the request names another location than that of the token, or a contact, conversation or message of another location",
        "[live 2]",
    ),
    row(
        Refusal::EmptyAttachments,
        "empty-attachments",
        INBOUND,
        422,
        "attachments must contain at least 1 elements",
        "`attachments` is an empty array",
        "[one] in 2024",
    )
    .list(&["attachments must be an array"])
    .only_with(Quirk::EmptyAttachments422),
    row(
        Refusal::MissingContact,
        "missing-contact",
        SEND,
        404,
        "Contact id not given",
        "`contactId` is missing, whatever else names the contact",
        "[live 4]",
    ),
    row(
        Refusal::UnknownContact,
        "unknown-contact",
        MESSAGES,
        400,
        "Contact not found for id:{id}",
        "the contact does not exist in the location: it was deleted or merged",
        "[live 10]",
    )
    .code("CONVERSATIONS_CONTACT_NOT_FOUND"),
    row(
        Refusal::CallWithoutProvider,
        "call-without-provider",
        CALLS,
        400,
        "No conversationProviderId passed in body",
        "a call has no `conversationProviderId`",
        "[live 2]",
    ),
    row(
        Refusal::CustomWithoutProvider,
        "custom-without-provider",
        INBOUND,
        400,
        "conversationProviderId is required",
        "a message of the type `Custom` has no `conversationProviderId`, or an empty one",
        "[live 2]",
    ),
    row(
        Refusal::PrivateIntegrationProvider,
        "private-integration-provider",
        PROVIDERS,
        401,
        "You don't have access to the conversationProvider with id: {id}",
        "the token is one of a private integration, which owns no provider",
        "[live 5]; disabled, so that the first message needs no app",
    )
    .code("CONVERSATIONS_MSG_PROVIDER_NO_ACCESS")
    .only_with(Quirk::PrivateIntegration401),
    row(
        Refusal::ForeignProvider,
        "foreign-provider",
        PROVIDERS,
        401,
        "You don't have access to the conversationProvider with id: {id}",
        "the provider belongs to another app than the token, or does not exist in the location",
        "[live 5]",
    )
    .code("CONVERSATIONS_MSG_PROVIDER_NO_ACCESS"),
    row(
        Refusal::ProviderMismatch,
        "provider-mismatch",
        CALLS,
        400,
        "Incorrect conversationProviderId/type",
        "the type does not fit the kind of the provider: `custom-sms` adds `Custom` and no `SMS`, calls need `call`",
        "[live 7]",
    )
    .code("CONVERSATIONS_MSG_CONVERSATION_PROVIDER_MISMATCH"),
    row(
        Refusal::NoContent,
        "no-content",
        &[Operation::SendMessage, Operation::AddInboundMessage],
        422,
        "There is no message or attachments for this message. Skip sending.",
        "there is no text besides white space and no attachment; an `Email` to send has a text and no `html`",
        "[live 5]",
    )
    .code("CONVERSATIONS_MSG_NO_CONTENT"),
    row(
        Refusal::NoPhone,
        "no-phone",
        SEND,
        422,
        "No phone number found for the contact",
        "`SMS` or `WhatsApp` to a contact without a phone number",
        "[live 4]",
    )
    .own_text()
    .code("CONVERSATIONS_MSG_NO_PHONE"),
    row(
        Refusal::NoEmail,
        "no-email",
        SEND,
        400,
        "No email address found for the contact",
        "`Email` to a contact without an email address",
        "[live 2]",
    )
    .own_text()
    .code("CONVERSATIONS_MSG_NO_EMAIL"),
    row(
        Refusal::InvalidEmailTo,
        "invalid-email-to",
        SEND,
        400,
        "Cannot send message as emailTo is not under contact's primary or additional emails",
        "`emailTo` is not, letter by letter, an address of the contact, which are stored in lower case",
        "[live 3]",
    )
    .code("CONVERSATIONS_MSG_INVALID_EMAILTO"),
    row(
        Refusal::InvalidEmail,
        "invalid-email",
        SEND,
        400,
        "Unable to send e-mail, contact's e-mail is invalid",
        "the address is malformed, or undeliverable: in the sandbox, one in the domain `.invalid`",
        "[live 2]",
    )
    .code("CONVERSATIONS_MSG_INVALID_EMAIL"),
    row(
        Refusal::DndSms,
        "dnd-sms",
        SEND,
        400,
        "Cannot send message as DND is active for SMS.",
        "do-not-disturb is active for `SMS`",
        "[live 2]",
    )
    .code("CONVERSATIONS_MSG_DND_ACTIVE_SMS"),
    row(
        Refusal::DndEmail,
        "dnd-email",
        SEND,
        400,
        "Cannot send message as DND is active for Email.",
        "do-not-disturb is active for `Email`",
        "[live 2]",
    )
    .own_text()
    .code("CONVERSATIONS_MSG_DND_ACTIVE_EMAIL"),
    row(
        Refusal::DndOther,
        "dnd-other",
        SEND,
        400,
        "Cannot send message as DND is active for {channel}.",
        "do-not-disturb is active for another channel, or for all",
        "by analogy with SMS; the code is unknown",
    )
    .own_text(),
    row(
        Refusal::Unsubscribed,
        "unsubscribed",
        SEND,
        400,
        "Cannot send message as the contact has unsubscribed from emails.",
        "`Email` to a contact that has unsubscribed",
        "[live 1]",
    )
    .own_text()
    .code("CONVERSATIONS_MSG_UNSUBSCRIBED"),
    row(
        Refusal::ChatNoLongerActive,
        "chat-no-longer-active",
        SEND,
        400,
        "Can't send {channel} message as the last inbound message was earlier than 24 hours ago and there is no {channel} comment.",
        "`FB` or `IG` without an inbound message of the contact on that channel in the last 24 hours of sandbox time; \
         `arguments` has the `channel`",
        "[live 2]",
    )
    .code("CONVERSATIONS_MSG_CHAT_NO_LONGER_ACTIVE"),
    row(
        Refusal::InvalidPhone,
        "invalid-phone",
        CALLS,
        400,
        "The phone number of the call is not one of the contact",
        "`call.to` of an outbound call is missing or not a number of the contact; neither number of an inbound call is one",
        "[live 1]",
    )
    .own_text()
    .code("CONVERSATIONS_MSG_INVALID_PHONE"),
    row(
        Refusal::RecordingUrl,
        "recording-url",
        CALLS,
        422,
        "Invalid recording URL",
        "an attachment of a call is not stored at HighLevel",
        "[one]",
    )
    .only_with(Quirk::RecordingUrl422),
    row(
        Refusal::FailedWithoutError,
        "failed-without-error",
        STATUS,
        422,
        "error must be an object",
        "the status is `failed`, and `error` is missing",
        "[live 2]",
    )
    .list(&[]),
    row(
        Refusal::UnknownMessage,
        "unknown-message",
        STATUS,
        401,
        "No message found for the id: {id} passed in params",
        "the message is an email or does not exist",
        "[live 2]",
    ),
    row(
        Refusal::MessageWithoutProvider,
        "message-without-provider",
        STATUS,
        403,
        "No conversation provider found for this message",
        "the message was sent without a conversation provider",
        "[live 3]",
    )
    .code("CONVERSATIONS_MSG_PROVIDER_NOT_FOUND"),
    row(
        Refusal::RecordingNotFound,
        "recording-not-found",
        RECORDINGS,
        400,
        "No recording found for this message.",
        "the message is no call that was completed or reached a voicemail",
        "[live 1] for recordings, by analogy for transcriptions",
    )
    .own_text()
    .code("CONVERSATIONS_MSG_RECORDING_NOT_FOUND"),
];
