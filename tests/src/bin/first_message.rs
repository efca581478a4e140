//! The first program of the README.
//!
//! Without `HIGHLEVEL_BASE_URL` in its environment it uses the live API.

use highlevel::{Client, Email, Sms};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::builder().token(std::env::var("HIGHLEVEL_TOKEN")?).build()?;
    let contact = std::env::var("HIGHLEVEL_CONTACT_ID")?;

    let sent = client.messages().send(Sms::to(&contact).text("Your table is ready")).await?;
    println!("{} in {}", sent.message_id(), sent.conversation_id());

    let email = Email::to(&contact).subject("Order confirmed").html("<p>Thank you!</p>");
    client.messages().send(email.cc(["ops@example.com"])).await?;
    Ok(())
}
