//! Sends an SMS, and handles each kind of failure.
//!
//! `cargo run --example send_sms` sends it to a sandbox on this machine. With `HIGHLEVEL_TOKEN` and
//! `HIGHLEVEL_CONTACT_ID` it is sent through the live API, or through the API at `HIGHLEVEL_BASE_URL`.

use std::error::Error;

use highlevel::{Client, Delivery, Sms};
use highlevel_examples::Environment;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let environment = Environment::load().await?;
    let contact = environment.get("HIGHLEVEL_CONTACT_ID")?;
    let client = Client::builder()
        .base_url(environment.base_url())
        .token(environment.get("HIGHLEVEL_TOKEN")?)
        .build()?;

    match client.messages().send(Sms::to(&contact).text("Your table is ready")).await {
        Ok(sent) => println!("sent {} in conversation {}", sent.message_id(), sent.conversation_id()),
        Err(error) => {
            let advice = match error.delivery() {
                Delivery::NotSent => "HighLevel received nothing: send it again later",
                Delivery::Rejected => "HighLevel rejected the message: fix it before you send it again",
                Delivery::Unknown => {
                    "it may have been sent: look into the conversation before you send it again"
                }
                Delivery::Accepted => "HighLevel accepted the message: do not send it again",
            };
            println!("{advice}");
            return Err(error.into());
        }
    }
    Ok(())
}
