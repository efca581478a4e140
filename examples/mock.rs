//! The test of a program that sends messages: its behaviour for each outcome, without a network.
//!
//! ```sh
//! cargo run --example mock
//! ```
//!
//! The checks are in `main`, so that the example can be run. In a program, they are in tests.

use std::error::Error;

use highlevel::testing::{Mock, MockOutcome, message, operation};
use highlevel::{Client, Delivery, Finding, Sms};
use serde_json::json;

/// The state of a message for the program.
#[derive(Debug, PartialEq)]
enum Notified {
    Sent,
    /// Nothing was done. The message can be sent later.
    Later,
    /// A person has to look at the message.
    Review,
}

/// Notifies a contact. This is the function under test.
async fn notify(client: &Client, contact: &str, text: &str) -> Notified {
    let Err(error) = client.messages().send(Sms::to(contact).text(text)).await else {
        return Notified::Sent;
    };
    match error.delivery() {
        Delivery::NotSent => Notified::Later,
        Delivery::Rejected => Notified::Review,
        Delivery::Accepted => Notified::Sent,
        // It may have been sent: look before anything else.
        Delivery::Unknown => match error.find(client).await {
            Ok(Finding::Sent(_)) => Notified::Sent,
            _ => Notified::Review,
        },
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    unknown_outcomes_are_not_resent().await;
    each_outcome_has_a_result().await;
    println!("all outcomes are handled");
    Ok(())
}

async fn unknown_outcomes_are_not_resent() {
    let mock = Mock::new();
    mock.expect(message().to("c1").text("Your table is ready")).respond(MockOutcome::unknown());
    // The program looks for the message, and HighLevel has none.
    mock.expect(operation("search_conversations"))
        .respond(MockOutcome::json(json!({ "conversations": [], "total": 0 })));
    mock.expect(operation("export_messages"))
        .respond(MockOutcome::json(json!({ "messages": [], "total": 0 })));

    let notified = notify(&mock.client(), "c1", "Your table is ready").await;

    assert_eq!(notified, Notified::Review);
    mock.verify();
}

async fn each_outcome_has_a_result() {
    for (outcome, expected) in [
        (MockOutcome::accepted("m1"), Notified::Sent),
        (MockOutcome::not_sent(), Notified::Later),
        (MockOutcome::not_sent().then(MockOutcome::accepted("m1")), Notified::Sent),
        (MockOutcome::rejected(400, "CONVERSATIONS_MSG_CONTACT_NOT_FOUND"), Notified::Review),
        (MockOutcome::unreadable(), Notified::Sent),
    ] {
        let mock = Mock::new();
        mock.expect(message().to("c1")).respond(outcome);
        assert_eq!(notify(&mock.client(), "c1", "Your table is ready").await, expected);
    }
}
