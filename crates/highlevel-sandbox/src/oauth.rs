//! The OAuth authorization server: the location picker, codes, tokens and install events.
//!
//! Decisions are pure functions in [`authorize`], [`grant`] and [`location_token`]. The [`Registry`] holds the state.

mod app;
pub(crate) mod authorize;
mod company;
mod credential_store;
pub(crate) mod events;
pub(crate) mod form;
pub(crate) mod grant;
pub(crate) mod installed_locations;
pub(crate) mod location_token;
pub(crate) mod page;
pub(crate) mod paths;
pub(crate) mod redact;
pub(crate) mod registry;
mod rejection;
pub(crate) mod requests;
pub(crate) mod resource;
mod settings;
pub(crate) mod token_response;
mod version;

pub use app::SandboxApp;
pub(crate) use paths::{Endpoint, ROUTES, opens_page};
pub(crate) use redact::{form as redacted_form, headers as redacted_headers};
pub(crate) use registry::{Registry, RegistryDocument};
pub(crate) use rejection::Rejection;
pub use requests::TokenRequests;
pub use resource::TokenResource;
pub use settings::InstallEvents;
pub(crate) use settings::Settings;
pub(crate) use version::OAuthVersion;
