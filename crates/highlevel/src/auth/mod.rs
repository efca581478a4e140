//! Apps that are installed on many locations: authorization, tokens, and refreshes.
//!
//! For one location with a private integration token, or with an access token that another program refreshes, use
//! [`Client::builder().token(…)`](crate::ClientBuilder::token) instead.
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
//! // Send the owner's browser to this URL. HighLevel redirects it to the redirect URI with a code.
//! let url = app.authorize_url().scope(Scope::CONVERSATIONS_MESSAGE_WRITE).build()?;
//!
//! let tokens = app.exchange(code).await?;
//! let location = tokens.location_id.ok_or("installed on a company")?;
//! app.location(&location).messages().send(Sms::to("abc123def456").text("Your table is ready")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Refreshes
//!
//! An access token is valid for a day, and a refresh token works once. About four minutes before an access token expires, one
//! call refreshes it before it sends its request. When the token has expired, or HighLevel rejects it, all calls wait for the
//! refresh. All processes that share a [store](store::TokenStore) refresh a token once, and store the new tokens before they
//! use them.
//!
//! # Errors
//!
//! A call that gets no token fails with [`Delivery::NotSent`](crate::Delivery::NotSent). Of its kinds,
//! [`NeedsAuthorization`](crate::ErrorKind::NeedsAuthorization) and [`LocationInactive`](crate::ErrorKind::LocationInactive)
//! require the owner of the location. The others are temporary, or are errors of the network or of the store.

mod app;
mod authorize;
mod builder;
mod exchange;
mod guarded;
#[cfg(feature = "webhook")]
mod install_events;
mod lease;
mod messages;
mod oauth;
mod refresh_policy;
mod shared;
mod state;
pub mod store;
mod task;
mod time;
mod token_error;
mod token_manager;
mod token_response;
mod tokens;

pub use app::{App, Company};
pub use authorize::{AuthorizeUrl, CsrfState, Scope};
pub use builder::AppBuilder;
#[cfg(feature = "webhook")]
pub use install_events::Handled;
pub use tokens::TokenSet;
