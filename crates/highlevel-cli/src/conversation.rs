//! `conversation` and `message`: shows conversations and messages.

use clap::{Args, Subcommand};
use highlevel::wire::types::{ConversationFilter, ConversationMessage, ConversationSummary};
use highlevel::{ConversationId, ConversationSearch, MessageId};
use serde_json::json;

use crate::access::ApiAccessArgs;
use crate::exit::ExitReason;
use crate::failure::CommandError;
use crate::output::Printer;
use crate::text::rows;
use crate::values;

/// The longest part of a message in a list, in characters.
const EXCERPT: usize = 80;

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct ConversationArgs {
    #[command(subcommand)]
    command: ConversationCommand,
}

#[derive(Debug, Subcommand)]
enum ConversationCommand {
    /// List conversations, the latest first
    List(ConversationListArgs),
    /// Show a conversation and its latest messages
    Show(ConversationShowArgs),
}

#[derive(Debug, Args)]
struct ConversationListArgs {
    /// List the conversations with a contact only
    #[arg(long, value_name = "ID", value_parser = values::filled)]
    contact: Option<String>,
    /// List conversations with this text, for example a name or a phone number
    #[arg(long, value_name = "TEXT", value_parser = values::filled, conflicts_with = "contact")]
    text: Option<String>,
    /// List conversations with unread messages only
    #[arg(long)]
    unread: bool,
    /// Number of conversations to show at most
    #[arg(long, value_name = "N", default_value = "20", value_parser = values::limit)]
    limit: u16,
}

#[derive(Debug, Args)]
struct ConversationShowArgs {
    /// Conversation to show
    #[arg(value_parser = values::filled)]
    id: String,
    /// Number of messages to show at most
    #[arg(long, value_name = "N", default_value = "20", value_parser = values::limit)]
    limit: u16,
}

impl ConversationArgs {
    pub(crate) async fn run(self, access: &ApiAccessArgs, printer: Printer) -> Result<(), CommandError> {
        match self.command {
            ConversationCommand::List(args) => args.run(access, printer).await,
            ConversationCommand::Show(args) => args.run(access, printer).await,
        }
    }
}

impl ConversationListArgs {
    async fn run(self, access: &ApiAccessArgs, printer: Printer) -> Result<(), CommandError> {
        let api = access.open_with_location().await?;
        let search = match (self.contact, self.text) {
            (Some(contact), _) => ConversationSearch::with_contact(contact),
            (None, Some(text)) => ConversationSearch::text(text),
            (None, None) => ConversationSearch::all(),
        };
        let page = u8::try_from(self.limit).unwrap_or(u8::MAX).min(100);
        let mut search = search.page_size(page);
        if self.unread {
            search = search.status(ConversationFilter::Unread);
        }
        let mut found = api.client.conversations().search(search);
        let mut count = 0;
        while count < self.limit {
            let Some(conversation) = found.next().await else { break };
            let conversation = conversation?;
            printer.result(|| json!(conversation), || summary(&conversation))?;
            count += 1;
        }
        if count > 0 {
            return Ok(());
        }
        Err(CommandError::new(ExitReason::NotFound, "there is no such conversation")
            .with_help("a new conversation can be missing from searches for some seconds"))
    }
}

impl ConversationShowArgs {
    async fn run(self, access: &ApiAccessArgs, printer: Printer) -> Result<(), CommandError> {
        let api = access.open(None).await?;
        let id = ConversationId::from(self.id);
        let conversation = api.client.conversations().get(&id).await?.into_response();
        let mut listed = api.client.messages().list(&id);
        let mut messages = Vec::new();
        while messages.len() < usize::from(self.limit) {
            let Some(message) = listed.next().await else { break };
            messages.push(message?);
        }
        let json = || json!({ "conversation": conversation, "messages": messages });
        let text = || {
            let facts = [
                ("conversation", Some(conversation.id.to_string())),
                ("contact", conversation.contact_id.as_ref().map(ToString::to_string)),
                ("unread", conversation.unread_count.map(|count| count.to_string())),
            ];
            let facts = rows(facts.into_iter().filter_map(|(label, value)| Some((label, value?))));
            // A reader expects the latest message last, where the prompt of the shell is.
            let lines = messages.iter().rev().map(|message| format!("\n{}", line(message)));
            lines.fold(facts, |text, line| text + &line)
        };
        Ok(printer.result(json, text)?)
    }
}

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct MessageShowArgs {
    #[command(subcommand)]
    command: MessageCommand,
}

#[derive(Debug, Subcommand)]
enum MessageCommand {
    /// Show a message
    Show {
        /// Message to show
        #[arg(value_parser = values::filled)]
        id: String,
    },
}

impl MessageShowArgs {
    pub(crate) async fn run(self, access: &ApiAccessArgs, printer: Printer) -> Result<(), CommandError> {
        let MessageCommand::Show { id } = self.command;
        let api = access.open(None).await?;
        let found = api.client.messages().get(&MessageId::from(id)).await?;
        let message = found.message();
        Ok(printer.result(|| json!(message), || details(message))?)
    }
}

fn summary(conversation: &ConversationSummary) -> String {
    let name = conversation.contact_name.as_ref().or(conversation.full_name.as_ref());
    let unread =
        conversation.unread_count.filter(|count| *count > 0).map(|count| format!("({count} unread)"));
    let fields = [
        Some(conversation.id.to_string()),
        name.cloned(),
        unread,
        conversation.last_message_body.as_deref().map(excerpt),
    ];
    let fields: Vec<String> = fields.into_iter().flatten().filter(|field| !field.is_empty()).collect();
    fields.join("  ")
}

fn line(message: &ConversationMessage) -> String {
    let fields = [
        message.date_added.as_ref().map(ToString::to_string),
        message.direction.as_ref().map(ToString::to_string),
        message.message_type.as_ref().map(ToString::to_string),
        message.status.as_ref().map(ToString::to_string),
        Some(message.id.to_string()),
        message.body.as_deref().map(excerpt),
    ];
    let fields: Vec<String> = fields.into_iter().flatten().filter(|field| !field.is_empty()).collect();
    fields.join("  ")
}

fn details(message: &ConversationMessage) -> String {
    let emails = message.meta.as_ref().and_then(|meta| meta.email.as_ref()?.message_ids.as_ref());
    let emails = emails.map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    let facts = [
        ("message", Some(message.id.to_string())),
        ("conversation", message.conversation_id.as_ref().map(ToString::to_string)),
        ("contact", message.contact_id.as_ref().map(ToString::to_string)),
        ("channel", message.message_type.as_ref().map(ToString::to_string)),
        ("direction", message.direction.as_ref().map(ToString::to_string)),
        ("status", message.status.as_ref().map(ToString::to_string)),
        ("added", message.date_added.as_ref().map(ToString::to_string)),
        ("emails", emails),
        ("attachments", message.attachments.as_ref().map(|urls| urls.join(", "))),
        ("text", message.body.clone()),
    ];
    rows(
        facts
            .into_iter()
            .filter_map(|(label, value)| Some((label, value.filter(|value| !value.is_empty())?))),
    )
}

/// Returns the beginning of a text, on one line.
fn excerpt(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
