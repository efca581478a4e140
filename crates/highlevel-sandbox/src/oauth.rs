//! The part of OAuth that `HighLevel` plays: choosing a location, codes, tokens, and the events of installing.
//!
//! What is decided is decided by functions of values: [`authorize`], [`grant`] and [`location_token`]. What is known is
//! in the [`Registry`].

mod answer;
mod app;
mod authorize;
mod events;
mod form;
mod grant;
mod install;
mod location_token;
mod page;
mod redact;
mod registry;
mod requests;
mod resource;
mod serve;
mod settings;
mod shelf;

pub use app::SandboxApp;
pub(crate) use install::{checked, give_tokens, install, put_app, uninstall};
pub(crate) use redact::{form as redacted_form, headers as redacted_headers};
pub(crate) use registry::{Registry, RegistryDocument};
pub use requests::TokenRequests;
pub use resource::TokenResource;
pub(crate) use serve::{Reply, answer, is_authenticated, is_page, plain, serves};
pub use settings::InstallEvents;
pub(crate) use settings::Settings;
