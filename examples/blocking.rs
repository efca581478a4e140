//! A program without an async runtime: messages are sent from `main` and from threads.
//!
//! Run it with `cargo run --example blocking`: it needs nothing but this machine.

use std::error::Error;
use std::thread;

use highlevel::{Client, Delivery, Method, Sms, blocking};
use highlevel_sandbox::Sandbox;

fn main() -> Result<(), Box<dyn Error>> {
    let sandbox = LocalSandbox::start()?;
    let (base_url, token, contact) = sandbox.credentials();

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

/// The async client on a runtime of the program: it lives as long as the client, and one of its threads is always there to drive it.
fn with_the_async_client(client: &highlevel::Client, contact: &str) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let sent = runtime.block_on(client.messages().send(Sms::to(contact).text("See you at eight")))?;
    println!("{}", sent.message_id());
    Ok(())
}

/// A sandbox on a separate runtime, as a server is in another process.
struct LocalSandbox {
    sandbox: Sandbox,
    _runtime: tokio::runtime::Runtime,
}

impl LocalSandbox {
    fn start() -> Result<Self, Box<dyn Error>> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let sandbox = runtime.block_on(Sandbox::start())?;
        Ok(Self { sandbox, _runtime: runtime })
    }

    fn credentials(&self) -> (String, String, String) {
        let sandbox = &self.sandbox;
        (sandbox.base_url(), sandbox.token().to_owned(), sandbox.contact_id().to_owned())
    }
}
