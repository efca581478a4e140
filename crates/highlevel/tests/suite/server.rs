//! The raw server of the tests, with clients of it.

use std::ops::Deref;
use std::sync::mpsc::Sender;

use highlevel::{Client, ClientBuilder, RetryPolicy};
use highlevel_test_support as support;
pub(crate) use highlevel_test_support::{Action, Request, json, nowhere, response};
use tokio::net::TcpListener;

/// The token of every client in these tests.
pub(crate) const TOKEN: &str = "pit-5ec2e700-0000-4000-8000-5ec2e75ec2e7";

/// A server on this machine. It ends when it is dropped.
pub(crate) struct Server(support::Server);

impl Server {
    /// Starts a server that reads complete requests and calls a function for each.
    pub(crate) async fn start(action: impl Fn(&Request) -> Action + Send + Sync + 'static) -> Self {
        Self(support::Server::start(action).await)
    }

    /// Starts the server on an existing listener.
    pub(crate) fn on(
        listener: TcpListener,
        action: impl Fn(&Request) -> Action + Send + Sync + 'static,
    ) -> Self {
        Self(support::Server::on(listener, action))
    }

    /// Starts a server that reacts to all requests in the same way.
    pub(crate) async fn always(action: Action) -> Self {
        Self(support::Server::always(action).await)
    }

    /// Starts a server that accepts connections and neither reads nor writes.
    pub(crate) async fn silent() -> Self {
        Self(support::Server::silent().await)
    }

    /// Starts building a client of this server. Retries are off, so that a call is one request.
    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder().token(TOKEN).base_url(self.url()).retry_policy(RetryPolicy::none())
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().expect("a client")
    }
}

impl Deref for Server {
    type Target = support::Server;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Starts a server on a separate thread and runtime, for tests whose own runtime may be stopped. It ends with the sender.
pub(crate) fn serve(action: impl Fn(&Request) -> Action + Send + Sync + 'static) -> (Server, Sender<()>) {
    let (server, end) = support::on_thread(action);
    (Server(server), end)
}

/// Returns the response to a message that was accepted.
pub(crate) fn receipt() -> Vec<u8> {
    json(
        "201 Created",
        &serde_json::json!({ "conversationId": "ABC12h2F6uBrIkfXYazb", "messageId": "t22c6DQcTDf3MjRhwf77" }),
    )
}
