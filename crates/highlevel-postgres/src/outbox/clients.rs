//! The clients that a sender sends with.

use highlevel::auth::App;
use highlevel::{Client, LocationId};

/// Returns the client of a location. Implemented for [`App`], and for functions:
///
/// ```no_run
/// # async fn example(database: highlevel_postgres::Database, client: highlevel::Client) {
/// use highlevel::LocationId;
///
/// let sender = database.outbox().sender(move |_: &LocationId| client.clone()).start();
/// # }
/// ```
///
/// The clients should use the [limiter of the database](crate::Database::limiter): the permit of a message is then the one
/// that was granted with its claim. With another limiter a message needs a permit of each.
pub trait Clients: Send + Sync + 'static {
    /// Returns the client of a location. Called for each attempt, and must not block.
    fn client(&self, location: &LocationId) -> Client;
}

impl Clients for App {
    fn client(&self, location: &LocationId) -> Client {
        self.location(location)
    }
}

impl<F: Fn(&LocationId) -> Client + Send + Sync + 'static> Clients for F {
    fn client(&self, location: &LocationId) -> Client {
        self(location)
    }
}
