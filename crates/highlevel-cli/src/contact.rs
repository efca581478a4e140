//! `contact`: finds, shows and stores contacts.

use clap::{Args, Subcommand};
use highlevel::wire::types::ContactDetails;
use highlevel::{Contact, ContactId, ContactKey, ContactSearch};
use serde_json::json;

use crate::access::ApiAccessArgs;
use crate::exit::ExitReason;
use crate::failure::CommandError;
use crate::output::Printer;
use crate::text::rows;
use crate::values;

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct ContactArgs {
    #[command(subcommand)]
    command: ContactCommand,
}

#[derive(Debug, Subcommand)]
enum ContactCommand {
    /// Find contacts by phone number, email address or text
    Find(ContactFindArgs),
    /// Show a contact
    Show(ContactShowArgs),
    /// Create a contact, or update the one with the phone number or the email address
    Upsert(ContactUpsertArgs),
}

#[derive(Debug, Args)]
struct ContactFindArgs {
    /// Phone number, for example +15037081210
    #[arg(long, value_name = "NUMBER", value_parser = values::phone, group = "criterion", required = true)]
    phone: Option<String>,
    /// Email address
    #[arg(long, value_name = "ADDRESS", value_parser = values::email, group = "criterion")]
    email: Option<String>,
    /// Text in names, email addresses and phone numbers
    #[arg(long, value_name = "TEXT", value_parser = values::filled, group = "criterion")]
    text: Option<String>,
    /// Number of contacts to show at most
    #[arg(long, value_name = "N", default_value = "20", value_parser = values::limit)]
    limit: u16,
}

#[derive(Debug, Args)]
struct ContactShowArgs {
    /// Contact to show
    #[arg(value_parser = values::filled)]
    id: String,
}

#[derive(Debug, Args)]
struct ContactUpsertArgs {
    /// Phone number, for example +15037081210
    #[arg(long, value_name = "NUMBER", value_parser = values::phone, required_unless_present = "email")]
    phone: Option<String>,
    /// Email address
    #[arg(long, value_name = "ADDRESS", value_parser = values::email)]
    email: Option<String>,
    /// Full name
    #[arg(long, value_name = "NAME", value_parser = values::filled)]
    name: Option<String>,
    /// First name
    #[arg(long, value_name = "NAME", value_parser = values::filled)]
    first_name: Option<String>,
    /// Last name
    #[arg(long, value_name = "NAME", value_parser = values::filled)]
    last_name: Option<String>,
    /// Tag; can be repeated, and all tags together replace those that the contact has
    #[arg(long = "tag", value_name = "TAG", value_parser = values::filled)]
    tags: Vec<String>,
}

impl ContactArgs {
    pub(crate) async fn run(self, access: &ApiAccessArgs, printer: Printer) -> Result<(), CommandError> {
        match self.command {
            ContactCommand::Find(args) => args.run(access, printer).await,
            ContactCommand::Show(args) => args.run(access, printer).await,
            ContactCommand::Upsert(args) => args.run(access, printer).await,
        }
    }
}

impl ContactFindArgs {
    async fn run(self, access: &ApiAccessArgs, printer: Printer) -> Result<(), CommandError> {
        let api = access.open_with_location().await?;
        let key = match (&self.phone, &self.email) {
            (Some(phone), _) => Some(ContactKey::phone(phone)),
            (None, Some(email)) => Some(ContactKey::email(email)),
            (None, None) => None,
        };
        let mut count = 0_u16;
        if let Some(key) = key {
            let found = api.client.contacts().find_duplicate(key).await?;
            if let Some(contact) = found.contact() {
                count = 1;
                printer.result(|| json!(contact), || line(contact))?;
            }
        } else {
            let search = ContactSearch::text(self.text.unwrap_or_default()).page_size(self.limit.min(100));
            let mut found = api.client.contacts().search(search);
            while count < self.limit {
                let Some(contact) = found.next().await else { break };
                let contact = contact?;
                printer.result(|| json!(contact), || line(&contact))?;
                count += 1;
            }
        }
        if count > 0 {
            return Ok(());
        }
        Err(CommandError::new(ExitReason::NotFound, "there is no such contact").with_help(
            "check the number or the text; a new contact can be missing from searches for some seconds",
        ))
    }
}

impl ContactShowArgs {
    async fn run(self, access: &ApiAccessArgs, printer: Printer) -> Result<(), CommandError> {
        let api = access.open(None).await?;
        let found = api.client.contacts().get(&ContactId::from(self.id)).await?;
        Ok(printer.result(|| json!(found.contact()), || details(found.contact()))?)
    }
}

impl ContactUpsertArgs {
    async fn run(self, access: &ApiAccessArgs, printer: Printer) -> Result<(), CommandError> {
        let api = access.open_with_location().await?;
        let mut contact = match (self.phone, self.email) {
            (Some(phone), None) => Contact::phone(phone),
            (None, email) => Contact::email(email.unwrap_or_default()),
            (Some(phone), Some(email)) => Contact::phone(phone).with_email(email),
        };
        if let Some(name) = self.name {
            contact = contact.name(name);
        }
        if let Some(name) = self.first_name {
            contact = contact.first_name(name);
        }
        if let Some(name) = self.last_name {
            contact = contact.last_name(name);
        }
        let contact = self.tags.into_iter().fold(contact, Contact::tag);
        let stored = api.client.contacts().upsert(contact).await?;
        let verb = if stored.is_new() { "created" } else { "updated" };
        let json = || {
            json!({
                "outcome": verb,
                "exitCode": 0,
                "contactId": stored.contact_id(),
                "contact": stored.contact(),
            })
        };
        Ok(printer.result(json, || format!("{verb}\n{}", details(stored.contact())))?)
    }
}

fn name(contact: &ContactDetails) -> String {
    let parts: Vec<&str> =
        [&contact.first_name, &contact.last_name].into_iter().flatten().map(String::as_str).collect();
    let name = contact.name.clone().or_else(|| contact.contact_name.clone());
    name.unwrap_or_else(|| parts.join(" "))
}

fn line(contact: &ContactDetails) -> String {
    let fields = [
        contact.id.to_string(),
        name(contact),
        contact.phone.clone().unwrap_or_default(),
        contact.email.clone().unwrap_or_default(),
    ];
    let fields: Vec<String> = fields.into_iter().filter(|field| !field.is_empty()).collect();
    fields.join("  ").replace('\n', " ")
}

fn details(contact: &ContactDetails) -> String {
    let tags = contact.tags.as_ref().map(|tags| tags.join(", "));
    let dnd = contact.dnd.map(|dnd| if dnd { "on" } else { "off" }.to_owned());
    rows(
        [
            ("contact", Some(contact.id.to_string())),
            ("name", Some(name(contact))),
            ("phone", contact.phone.clone()),
            ("email", contact.email.clone()),
            ("tags", tags),
            ("do not disturb", dnd),
            ("added", contact.date_added.as_ref().map(ToString::to_string)),
        ]
        .into_iter()
        .filter_map(|(label, value)| Some((label, value.filter(|value| !value.is_empty())?))),
    )
}
