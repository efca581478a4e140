//! The contact that a message is sent to.

use clap::{ArgGroup, Args};
use highlevel::{Client, Contact, ContactId, ContactKey, Delivery, Error};

use crate::exit::ExitReason;
use crate::failure::CommandError;
use crate::values;

/// The contact: by its id, or by its phone number or email address, which is looked up first.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Recipient")]
#[command(group = ArgGroup::new("recipient").args(["to_contact", "phone", "email"]).required(true))]
#[command(group = ArgGroup::new("lookup").args(["upsert", "search"]).requires("address"))]
#[command(group = ArgGroup::new("address").args(["phone", "email"]))]
pub(crate) struct RecipientArgs {
    /// Contact to send to
    #[arg(long, value_name = "ID", value_parser = values::filled)]
    to_contact: Option<String>,
    /// Send to the contact with this phone number, for example +15037081210; needs --search or --upsert
    #[arg(long, value_name = "NUMBER", value_parser = values::phone, requires = "lookup")]
    phone: Option<String>,
    /// Send to the contact with this email address; needs --search or --upsert
    #[arg(long, value_name = "ADDRESS", value_parser = values::email, requires = "lookup")]
    email: Option<String>,
    /// Send nothing if no contact has the phone number or the email address
    #[arg(long)]
    search: bool,
    /// Create the contact if none has the phone number or the email address
    #[arg(long)]
    upsert: bool,
}

impl RecipientArgs {
    /// Returns `true` if the contact has to be looked up, which needs the location.
    pub(crate) fn needs_lookup(&self) -> bool {
        self.to_contact.is_none()
    }

    /// Returns the id of the contact.
    ///
    /// # Errors
    ///
    /// Whatever the error is, no message was sent.
    pub(crate) async fn resolve(&self, client: &Client) -> Result<ContactId, CommandError> {
        if let Some(id) = &self.to_contact {
            return Ok(id.into());
        }
        let contacts = client.contacts();
        if self.upsert {
            let contact = match (&self.phone, &self.email) {
                (Some(phone), _) => Contact::phone(phone),
                (None, email) => Contact::email(email.clone().unwrap_or_default()),
            };
            let stored = contacts.upsert(contact).await.map_err(|error| not_sent(&error))?;
            return Ok(stored.contact_id().clone());
        }
        let (key, address) = match (&self.phone, &self.email) {
            (Some(phone), _) => (ContactKey::phone(phone), phone.clone()),
            (None, email) => {
                let email = email.clone().unwrap_or_default();
                (ContactKey::email(&email), email)
            }
        };
        let found = contacts.find_duplicate(key).await.map_err(|error| not_sent(&error))?;
        let id = found.contact().map(|contact| contact.id.clone());
        id.ok_or_else(|| {
            CommandError::new(
                ExitReason::NotFound,
                format!("no contact has {address}, so no message was sent"),
            )
            .with_help("create it with `highlevel contact upsert`, or pass --upsert instead of --search")
        })
    }
}

/// Returns the error of a lookup: the message was not sent.
fn not_sent(error: &Error) -> CommandError {
    let failure = CommandError::of(error);
    let reason = match (failure.reason(), error.delivery()) {
        (ExitReason::Usage, _) => ExitReason::Usage,
        (_, Delivery::Rejected) => ExitReason::Rejected,
        _ => ExitReason::NotSent,
    };
    failure.because(reason, "the contact could not be looked up, so no message was sent")
}
