//! HighLevel's conversations API as it is on the wire: generated types and operations.
//!
//! Everything under [`types`] and all operations of [`Client`] are generated from the `OpenAPI` spec of the workspace. A build
//! of the workspace runs the generator (feature `generate`). All other builds compile its committed output,
//! `src/generated.rs`, and no generator. The hand-written parts support the generated code:
//!
//! - [`RequestContext`]: the settings and observations of one request. It decides nothing but whether the
//!   request may still be written.
//! - [`Timestamp`]: a point in time that keeps the text it came as.
//! - the conversions of open enums, which keep values that this version does not know.
//!
//! Without the feature `client`, which is on by default, the crate has the types only, and compiles for `wasm32-unknown-unknown`.
//!
//! There is no policy in this crate: no retries, no limits, no evaluation of responses. They are in the crate
//! `highlevel`.

#[cfg(feature = "client")]
mod context;
#[cfg(feature = "client")]
mod download;
#[cfg(feature = "client")]
mod hooks;
mod open_enum;
#[cfg(feature = "client")]
mod request;
mod rfc3339;
#[cfg(feature = "client")]
mod seal;
#[cfg(feature = "client")]
mod timer;
mod timestamp;

#[cfg(feature = "client")]
pub use context::{
    End, ExchangeFuture, Gate, HttpExchange, MayBegin, RawResponse, RequestContext, RequestSettings,
    RequestTrace,
};
#[cfg(feature = "client")]
pub use download::Download;
pub use generated::types;
#[cfg(feature = "client")]
pub use generated::{Client, route};
#[cfg(feature = "client")]
pub use progenitor_client::{ClientInfo, Error, ResponseValue};
#[cfg(feature = "client")]
pub use request::BaseUrl;
#[cfg(feature = "client")]
pub use reqwest::multipart;
#[cfg(feature = "client")]
pub use timer::GRACE;
pub use timestamp::{InvalidTimestamp, Timestamp};

#[allow(
    clippy::all,
    clippy::pedantic,
    rustdoc::bare_urls,
    rustdoc::broken_intra_doc_links,
    rustdoc::invalid_html_tags,
    unreachable_pub,
    reason = "generated: style is progenitor's, and its texts are the description's"
)]
mod generated {
    #[cfg(feature = "generate")]
    include!(concat!(env!("OUT_DIR"), "/generated.rs"));
    #[cfg(not(feature = "generate"))]
    include!("generated.rs");
}
