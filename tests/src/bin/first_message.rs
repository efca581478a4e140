//! The first code block of the README, as it stands there.
//!
//! Without `HIGHLEVEL_BASE_URL` in its environment it talks to the live API.

use highlevel::ContactId;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let contact = ContactId::from(std::env::args().nth(1).ok_or("give the id of a contact")?);
    first_message(contact).await
}

#[rustfmt::skip] // word for word, so that a test can find it in the README
async fn first_message(contact: ContactId) -> Result<(), Box<dyn std::error::Error>> {
use highlevel::{Client, Email, Sms};

let client = Client::builder().token(std::env::var("HIGHLEVEL_TOKEN")?).build()?;

let sent = client.messages().send(Sms::to(&contact).text("Your table is ready")).await?;
println!("{} in {}", sent.message_id(), sent.conversation_id());

client.messages().send(
    Email::to(&contact).subject("Order confirmed").html("<p>Thank you!</p>").cc(["ops@example.com"]),
).await?;
Ok(())
}
