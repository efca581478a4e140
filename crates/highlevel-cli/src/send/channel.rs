//! The channels, with the options of each.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use highlevel::wire::types::SendMessageRequest;
use highlevel::{
    ContactId, Custom, Email, Facebook, Instagram, InternalComment, LiveChat, Rcs, Sms, TikTok, Timestamp,
    WhatsApp,
};

use super::content::{self, SendContent};
use crate::failure::CommandError;
use crate::recipient::RecipientArgs;
use crate::values;

#[derive(Debug, Subcommand)]
pub(super) enum SendChannel {
    /// Send a text message
    Sms(PhoneMessageArgs),
    /// Send an email
    ///
    /// TEXT is sent as the plain text and, escaped, as the HTML of the email. HighLevel sends no email without HTML.
    Email(EmailArgs),
    /// Send a WhatsApp message
    ///
    /// HighLevel delivers files only as media, one per message, by their URLs from its upload endpoint.
    #[command(name = "whatsapp")]
    WhatsApp(WhatsAppArgs),
    /// Send an RCS message
    Rcs(PhoneMessageArgs),
    /// Send an Instagram direct message
    Instagram(ChatArgs),
    /// Send a Facebook message
    Facebook(ChatArgs),
    /// Send a TikTok message
    #[command(name = "tiktok")]
    TikTok(ChatArgs),
    /// Send a message in the live chat of a web page
    LiveChat(ChatArgs),
    /// Send a message over the custom channel of an app
    Custom(CustomArgs),
    /// Add a comment that users of the location see, and the contact does not
    Comment(CommentArgs),
}

/// The options of all channels.
#[derive(Debug, Args)]
#[command(next_help_heading = "Message")]
pub(super) struct MessageArgs {
    /// Text of the message; - or no text reads it from standard input, and -- precedes a text that starts with a hyphen
    text: Option<String>,
    /// User in whose name the message is sent
    #[arg(long, value_name = "ID", value_parser = values::filled)]
    user: Option<String>,
    #[command(flatten)]
    recipient: RecipientArgs,
}

/// The options of channels that deliver attachments.
#[derive(Debug, Args)]
#[command(next_help_heading = "Message")]
pub(super) struct AttachmentArgs {
    /// URL of a file to attach; can be repeated
    #[arg(long = "attachment", value_name = "URL", value_parser = values::filled)]
    attachments: Vec<String>,
}

/// The options of channels that reach the contact.
#[derive(Debug, Args)]
#[command(next_help_heading = "Message")]
pub(super) struct OutgoingArgs {
    /// Template that provides the content
    #[arg(long, value_name = "ID", value_parser = values::filled)]
    template: Option<String>,
    /// Message that this one replies to
    #[arg(long, value_name = "ID", value_parser = values::filled)]
    reply_to: Option<String>,
    /// Schedule the message for this time, for example 2026-12-24T18:00:00+01:00 [default: at once]
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    at: Option<SystemTime>,
}

/// The options of channels that use phone numbers.
#[derive(Debug, Args)]
#[command(next_help_heading = "Message")]
pub(super) struct NumberArgs {
    /// Phone number to send from
    #[arg(long, value_name = "NUMBER", value_parser = values::phone)]
    from_number: Option<String>,
    /// Phone number to send to [default: that of the contact]
    #[arg(long, value_name = "NUMBER", value_parser = values::phone)]
    to_number: Option<String>,
}

/// The option of channels for which a location can have several conversation providers.
#[derive(Debug, Args)]
#[command(next_help_heading = "Message")]
pub(super) struct ProviderArgs {
    /// Conversation provider to send through [default: that of the location]
    #[arg(long, value_name = "ID", value_parser = values::filled)]
    provider: Option<String>,
}

/// The options of channels that can be emails.
#[derive(Debug, Args)]
#[command(next_help_heading = "Email")]
pub(super) struct EmailFieldArgs {
    /// Subject line
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// File that contains the HTML; - reads it from standard input
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Address to send from
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// Address to send to, which has to be one of the contact [default: the primary one]
    #[arg(long, value_name = "ADDRESS", value_parser = values::email)]
    to_address: Option<String>,
    /// Address that receives a copy; can be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = values::email)]
    cc: Vec<String>,
    /// Address that receives a blind copy; can be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = values::email)]
    bcc: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct PhoneMessageArgs {
    #[command(flatten)]
    message: MessageArgs,
    #[command(flatten)]
    attachments: AttachmentArgs,
    #[command(flatten)]
    outgoing: OutgoingArgs,
    #[command(flatten)]
    numbers: NumberArgs,
    #[command(flatten)]
    provider: ProviderArgs,
}

#[derive(Debug, Args)]
pub(super) struct EmailArgs {
    #[command(flatten)]
    message: MessageArgs,
    #[command(flatten)]
    attachments: AttachmentArgs,
    #[command(flatten)]
    outgoing: OutgoingArgs,
    #[command(flatten)]
    email: EmailFieldArgs,
}

#[derive(Debug, Args)]
pub(super) struct WhatsAppArgs {
    #[command(flatten)]
    message: MessageArgs,
    #[command(flatten)]
    media: MediaArgs,
    #[command(flatten)]
    outgoing: OutgoingArgs,
    #[command(flatten)]
    numbers: NumberArgs,
    #[command(flatten)]
    provider: ProviderArgs,
}

/// The file of a WhatsApp message.
#[derive(Debug, Args)]
#[command(next_help_heading = "Message")]
pub(super) struct MediaArgs {
    /// URL of an image
    #[arg(long, value_name = "URL", group = "media", value_parser = values::filled)]
    image: Option<String>,
    /// URL of a video
    #[arg(long, value_name = "URL", group = "media", value_parser = values::filled)]
    video: Option<String>,
    /// URL of a sound
    #[arg(long, value_name = "URL", group = "media", value_parser = values::filled)]
    audio: Option<String>,
    /// URL of any other file; needs --document-name
    #[arg(long, value_name = "URL", group = "media", value_parser = values::filled, requires = "document_name")]
    document: Option<String>,
    /// Name of the document that the contact sees
    #[arg(long, value_name = "NAME", value_parser = values::filled, requires = "document")]
    document_name: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ChatArgs {
    #[command(flatten)]
    message: MessageArgs,
    #[command(flatten)]
    attachments: AttachmentArgs,
    #[command(flatten)]
    outgoing: OutgoingArgs,
}

#[derive(Debug, Args)]
pub(super) struct CustomArgs {
    #[command(flatten)]
    message: MessageArgs,
    /// Conversation provider that is the channel
    #[arg(long, value_name = "ID", value_parser = values::filled, help_heading = "Message")]
    provider: String,
    #[command(flatten)]
    attachments: AttachmentArgs,
    #[command(flatten)]
    outgoing: OutgoingArgs,
    #[command(flatten)]
    numbers: NumberArgs,
    #[command(flatten)]
    email: EmailFieldArgs,
}

#[derive(Debug, Args)]
pub(super) struct CommentArgs {
    #[command(flatten)]
    message: MessageArgs,
    #[command(flatten)]
    attachments: AttachmentArgs,
    /// User to mention, who is notified, and the name to show; can be repeated
    #[arg(long = "mention", value_name = "ID=NAME", value_parser = mention, help_heading = "Message")]
    mentions: Vec<(String, String)>,
}

/// Parses the user to mention, and the name that is shown.
fn mention(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((id, name)) if !id.is_empty() && !name.trim().is_empty() => Ok((id.to_owned(), name.to_owned())),
        _ => Err("expected ID=NAME, for example user-1=Ada".to_owned()),
    }
}

impl SendChannel {
    pub(super) fn recipient(&self) -> &RecipientArgs {
        &self.message().recipient
    }

    fn message(&self) -> &MessageArgs {
        match self {
            Self::Sms(args) | Self::Rcs(args) => &args.message,
            Self::Email(args) => &args.message,
            Self::WhatsApp(args) => &args.message,
            Self::Instagram(args) | Self::Facebook(args) | Self::TikTok(args) | Self::LiveChat(args) => {
                &args.message
            }
            Self::Custom(args) => &args.message,
            Self::Comment(args) => &args.message,
        }
    }

    /// Reads the texts of the message.
    pub(super) fn read_content(&self) -> Result<SendContent, CommandError> {
        let has_other = match self {
            Self::Sms(args) | Self::Rcs(args) => {
                args.attachments.is_some() || args.outgoing.template.is_some()
            }
            Self::Email(args) => {
                args.attachments.is_some() || args.outgoing.template.is_some() || args.email.html.is_some()
            }
            Self::WhatsApp(args) => args.media.is_some() || args.outgoing.template.is_some(),
            Self::Instagram(args) | Self::Facebook(args) | Self::TikTok(args) | Self::LiveChat(args) => {
                args.attachments.is_some() || args.outgoing.template.is_some()
            }
            Self::Custom(args) => {
                args.attachments.is_some() || args.outgoing.template.is_some() || args.email.html.is_some()
            }
            Self::Comment(args) => args.attachments.is_some() || !args.mentions.is_empty(),
        };
        let html = match self {
            Self::Email(EmailArgs { email, .. }) | Self::Custom(CustomArgs { email, .. }) => {
                email.html.as_ref()
            }
            _ => None,
        };
        let text = self.message().text.as_deref();
        if html.is_some_and(|path| path.as_os_str() == "-") && text == Some("-") {
            return Err(CommandError::usage(
                "both the text and the HTML are to be read from standard input",
                "pass one of them as an argument or in a file",
            ));
        }
        Ok(SendContent {
            text: content::read_text(text, has_other)?,
            html: html.map(|path| content::read_html(path)).transpose()?,
        })
    }

    /// Creates the request.
    pub(super) fn request(&self, contact: &ContactId, content: SendContent) -> SendMessageRequest {
        let SendContent { text, html } = content;
        let mut request: SendMessageRequest = match self {
            Self::Sms(_) => Sms::to(contact).into(),
            Self::Email(_) => match (&text, &html) {
                (Some(text), None) => Email::to(contact).text_as_html(text).into(),
                _ => Email::to(contact).into(),
            },
            Self::WhatsApp(args) => args.media.add_to(WhatsApp::to(contact)).into(),
            Self::Rcs(_) => Rcs::to(contact).into(),
            Self::Instagram(_) => Instagram::to(contact).into(),
            Self::Facebook(_) => Facebook::to(contact).into(),
            Self::TikTok(_) => TikTok::to(contact).into(),
            Self::LiveChat(_) => LiveChat::to(contact).into(),
            Self::Custom(args) => Custom::to(contact, &args.provider).into(),
            Self::Comment(args) => {
                let comment = InternalComment::about(contact).text(text.clone().unwrap_or_default());
                args.mentions.iter().fold(comment, |comment, (id, name)| comment.mention(id, name)).into()
            }
        };
        if !matches!(self, Self::Comment(_)) {
            request.message = text;
        }
        if let Some(html) = html {
            request.html = Some(html);
        }
        request.user_id = self.message().user.as_ref().map(Into::into);
        match self {
            Self::Sms(args) | Self::Rcs(args) => {
                args.attachments.set(&mut request);
                args.outgoing.set(&mut request);
                args.numbers.set(&mut request);
                args.provider.set(&mut request);
            }
            Self::Email(args) => {
                args.attachments.set(&mut request);
                args.outgoing.set(&mut request);
                args.email.set(&mut request);
            }
            Self::WhatsApp(args) => {
                args.outgoing.set(&mut request);
                args.numbers.set(&mut request);
                args.provider.set(&mut request);
            }
            Self::Instagram(args) | Self::Facebook(args) | Self::TikTok(args) | Self::LiveChat(args) => {
                args.attachments.set(&mut request);
                args.outgoing.set(&mut request);
            }
            Self::Custom(args) => {
                args.attachments.set(&mut request);
                args.outgoing.set(&mut request);
                args.numbers.set(&mut request);
                args.email.set(&mut request);
            }
            Self::Comment(args) => args.attachments.set(&mut request),
        }
        request
    }
}

impl AttachmentArgs {
    fn is_some(&self) -> bool {
        !self.attachments.is_empty()
    }

    fn set(&self, request: &mut SendMessageRequest) {
        request.attachments.clone_from(&self.attachments);
    }
}

impl OutgoingArgs {
    fn set(&self, request: &mut SendMessageRequest) {
        request.template_id = self.template.as_ref().map(Into::into);
        request.reply_message_id = self.reply_to.as_ref().map(Into::into);
        request.scheduled_timestamp = self.at.map(unix_seconds);
    }
}

impl NumberArgs {
    fn set(&self, request: &mut SendMessageRequest) {
        request.from_number.clone_from(&self.from_number);
        request.to_number.clone_from(&self.to_number);
    }
}

impl ProviderArgs {
    fn set(&self, request: &mut SendMessageRequest) {
        request.conversation_provider_id = self.provider.as_ref().map(Into::into);
    }
}

impl EmailFieldArgs {
    fn set(&self, request: &mut SendMessageRequest) {
        request.subject.clone_from(&self.subject);
        request.email_from.clone_from(&self.from);
        // HighLevel stores addresses in lower case, and compares them letter by letter.
        request.email_to = self.to_address.as_ref().map(|address| address.to_lowercase());
        request.email_cc.clone_from(&self.cc);
        request.email_bcc.clone_from(&self.bcc);
    }
}

impl MediaArgs {
    fn is_some(&self) -> bool {
        [&self.image, &self.video, &self.audio, &self.document].into_iter().any(Option::is_some)
    }

    fn add_to(&self, message: WhatsApp) -> WhatsApp {
        match (self, &self.document_name) {
            (Self { image: Some(url), .. }, _) => message.image(url),
            (Self { video: Some(url), .. }, _) => message.video(url),
            (Self { audio: Some(url), .. }, _) => message.audio(url),
            (Self { document: Some(url), .. }, Some(name)) => message.document(url, name),
            _ => message,
        }
    }
}

/// Returns the whole seconds since 1970; 0 for earlier times.
fn unix_seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Returns the time of a schedule as text.
pub(super) fn schedule(request: &SendMessageRequest) -> Option<String> {
    let seconds = u64::try_from(request.scheduled_timestamp?).ok()?;
    let time = SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds))?;
    Some(Timestamp::from(time).to_string())
}
