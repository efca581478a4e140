//! A process for the tests in `processes/tokens.rs`: an app whose tokens are in a `FileStore`. It sends messages one after
//! the other, as a program with nothing else to do, and ends.
//!
//! Its arguments are the flavour of the runtime (`current` or `multi`), the directory of the store, the base URL and the
//! number of messages. It prints `ready`, waits for a line on standard input, and prints one word for each message.

use highlevel::Sms;
use highlevel::auth::App;
use highlevel::auth::store::FileStore;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [flavour, directory, base_url, messages] = arguments.as_slice() else {
        return Err("the arguments are a flavour, a directory, a base URL and a number".into());
    };
    let runtime = match flavour.as_str() {
        "current" => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        "multi" => tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?,
        other => return Err(format!("unknown flavour {other}").into()),
    };
    let messages: usize = messages.parse()?;
    println!("ready");
    std::io::stdin().read_line(&mut String::new())?;
    runtime.block_on(async {
        let app = App::builder()
            .client_id("6650-app")
            .client_secret("secret")
            .base_url(base_url)
            .store(FileStore::open(directory)?)
            .build()?;
        let client = app.location("ve9EPM428h8vShlRW1KT");
        for _ in 0..messages {
            match client.messages().send(Sms::to("abc123def456").text("Your table is ready")).await {
                Ok(_) => println!("sent"),
                Err(error) => println!("failed: {error}"),
            }
        }
        Ok(())
    })
}
