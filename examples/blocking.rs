//! A program without an async runtime: messages are sent from `main` and from threads.
//!
//! `cargo run --example blocking` sends them to a sandbox on this machine. With `HIGHLEVEL_TOKEN` and
//! `HIGHLEVEL_CONTACT_ID` they are sent through the live API, or through the API at `HIGHLEVEL_BASE_URL`.

use std::error::Error;
use std::thread;

use highlevel::{Client, Delivery, Method, Sms, blocking};
use highlevel_examples::Environment;

fn main() -> Result<(), Box<dyn Error>> {
    // A sandbox needs a runtime, as a server in another process has its own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let environment = runtime.block_on(Environment::load())?;
    let (base_url, token) = (environment.base_url(), environment.get("HIGHLEVEL_TOKEN")?);
    let contact = environment.get("HIGHLEVEL_CONTACT_ID")?;

    let client = Client::builder().base_url(base_url).token(token).build_blocking()?;

    let sent = client.messages().send(Sms::to(&contact).text("Your table is ready"))?;
    println!("{} in {}", sent.message_id(), sent.conversation_id());

    from_threads(&client, &contact);

    let missing = client.request(Method::GET, ["contacts", "unknown/../x"]).send();
    println!("rejected before sending: {}", missing.expect_err("an id with a slash"));

    with_the_async_client(client.as_async(), &contact)?;
    Ok(())
}

/// Clones of a client share its connections and limits.
fn from_threads(client: &blocking::Client, contact: &str) {
    thread::scope(|scope| {
        for table in 1..=3 {
            let messages = client.messages();
            scope.spawn(move || match messages.send(Sms::to(contact).text(format!("Table {table}"))) {
                Ok(sent) => println!("{}", sent.message_id()),
                Err(error) if error.delivery() == Delivery::NotSent => println!("send it later: {error}"),
                Err(error) => println!("look before sending it again: {error}"),
            });
        }
    });
}

/// Uses the async client on a runtime of the program. The runtime lives as long as the client, and one of its threads
/// drives it at all times.
fn with_the_async_client(client: &highlevel::Client, contact: &str) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let sent = runtime.block_on(client.messages().send(Sms::to(contact).text("See you at eight")))?;
    println!("{}", sent.message_id());
    Ok(())
}
