//! The operations around a message: contacts, conversations, and messages that exist. Requests are compared byte for byte,
//! and responses have the shapes that the live API and its documentation show.

mod contacts;
mod conversations;
mod files;
mod invalid;
mod lists;
mod messages;

use std::pin::Pin;

use highlevel::{Client, Delivery, RetryPolicy};
use serde_json::{Value, json};

use crate::server::{Action, Server, json as json_response};

type Call = fn(Client) -> Pin<Box<dyn Future<Output = highlevel::Result<String>> + Send>>;

/// A call, the request that it sends, and the part of the response that it returns.
struct Case {
    name: &'static str,
    call: Call,
    line: &'static str,
    body: Option<Value>,
    response: Value,
    returns: &'static str,
    /// The request is sent again after a connection that broke.
    is_repeated: bool,
}

/// Shortens a closure that calls an operation and shows its result.
macro_rules! call {
    (|$client:ident| $result:expr) => {
        |$client| Box::pin(async move { $result })
    };
}

pub(super) use call;

fn message(id: &str) -> Value {
    json!({ "id": id, "type": 2, "messageType": "TYPE_SMS", "direction": "outbound", "status": "delivered",
        "body": "Your table is ready", "contactId": "c1", "conversationId": "v1", "locationId": "l1",
        "dateAdded": "2026-03-02T09:30:00.000Z", "source": "api", "altId": "a1" })
}

async fn check(cases: Vec<Case>) {
    for case in cases {
        let name = case.name;
        let server = Server::always(Action::Respond(json_response("200 OK", &case.response))).await;
        let client = server.builder().location("l1").build().expect("a client");
        let returned = (case.call)(client).await.unwrap_or_else(|error| panic!("{name}: {error}: {error:?}"));
        assert_eq!(returned, case.returns, "{name}");
        let seen = server.request();
        assert_eq!(seen.line, case.line, "{name}");
        match &case.body {
            Some(body) => assert_eq!(seen.json(), *body, "{name}"),
            None => assert!(seen.body.is_empty(), "{name}"),
        }
        assert_eq!(seen.header("version"), ["2021-04-15"], "{name}");

        // A connection that breaks after the request: the outcome is unknown.
        let server = Server::start(|_| Action::Reset).await;
        let builder = server.builder().location("l1").retry_policy(RetryPolicy::default());
        let error = (case.call)(builder.build().expect("a client")).await.expect_err(name);
        assert_eq!(error.delivery(), Delivery::Unknown, "{name}");
        assert_eq!(error.is_retryable(), case.is_repeated, "{name}");
        assert_eq!(server.requests().len() > 1, case.is_repeated, "{name}");
    }
}
