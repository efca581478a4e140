//! Apps that are installed on many locations: authorisation, tokens, and their renewal.
//!
//! One location with a private integration token, or with an access token that something else renews, needs none of
//! this: [`Client::builder().token(…)`](crate::ClientBuilder::token) is for that.
//!
//! ```no_run
//! # async fn example(code: String) -> Result<(), Box<dyn std::error::Error>> {
//! use highlevel::Sms;
//! use highlevel::auth::{App, Scope, store::MemoryStore};
//!
//! let app = App::builder()
//!     .client_id(std::env::var("HIGHLEVEL_CLIENT_ID")?)
//!     .client_secret(std::env::var("HIGHLEVEL_CLIENT_SECRET")?)
//!     .redirect_uri("https://app.example.com/installed")
//!     .store(MemoryStore::new())
//!     .build()?;
//!
//! // The browser of the owner goes there, and comes back to the redirect URI with a code.
//! let address = app.authorize_url().scope(Scope::CONVERSATIONS_MESSAGE_WRITE).build()?;
//!
//! let tokens = app.exchange(code).await?;
//! let location = tokens.location_id.ok_or("installed on a company")?;
//! app.location(&location).messages().send(Sms::to("abc123def456").text("Your table is ready")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How tokens stay fresh
//!
//! Access tokens live a day, and refresh tokens work once. About four minutes before an access token expires, one call
//! refreshes it before it sends; when it has expired, or HighLevel rejects it, all calls wait for the refresh. However many
//! calls there are, in this process and in all others that share its [store](store::TokenStore), there is one refresh, and
//! the new tokens are stored before they are used.
//!
//! # What can go wrong
//!
//! A call that gets no token ends with [`Delivery::NotSent`](crate::Delivery::NotSent), and its kind says what to do:
//! [`NeedsAuthorization`](crate::ErrorKind::NeedsAuthorization) is for the owner of the location,
//! [`LocationInactive`](crate::ErrorKind::LocationInactive) too, and whatever else there is passes by itself or is a
//! fault of the network or of the store.

mod app;
mod authorize;
mod guarded;
mod install;
mod oauth;
mod persistence;
mod refresh_policy;
mod refresh_task;
pub mod store;
mod task;
mod token_error;
mod token_manager;
mod token_response;
mod tokens;

pub use app::{App, AppBuilder, Company};
pub use authorize::{AuthorizeUrl, CsrfState, Scope};
pub use install::Handled;
pub(crate) use token_manager::TokenManager;
pub use tokens::TokenSet;
