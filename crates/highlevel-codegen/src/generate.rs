//! Progenitor, and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use openapiv3::OpenAPI;
use proc_macro2::TokenStream;
use progenitor::{GenerationSettings, Generator, HooksMode, InterfaceStyle, TagStyle, TypeImpl};
use quote::quote;
use serde_json::Value;

use crate::Problem;
use crate::open_enums::OpenEnum;

/// The component that stands for a point in time.
pub const TIMESTAMP: &str = "Timestamp";

/// Runs progenitor over a normalised description.
///
/// # Errors
///
/// What progenitor reports, and what it panics about: the lint should have named it before, so the message asks for
/// a new rule.
pub fn generate(normalised: &Value, enums: &[OpenEnum]) -> Result<TokenStream, Problem> {
    let description: OpenAPI = serde_json::from_value(normalised.clone()).map_err(|error| {
        Problem::new(
            "",
            format!("is not OpenAPI 3.0: {error}"),
            "compare it with the OpenAPI 3.0.3 specification",
        )
    })?;
    let mut generator = Generator::new(&settings(enums));
    silently(|| generator.generate_tokens(&description)).map_err(|error| {
        Problem::new(
            "",
            format!("the generator does not take it: {error}"),
            "find the construct in the part you changed, write it another way, and add a rule to the lint that names it",
        )
    })
}

/// The one place that says how the client is generated.
fn settings(enums: &[OpenEnum]) -> GenerationSettings {
    // The generated code may rely on these implementations; `open_enum!` and `Timestamp` provide them.
    let implementations = || [TypeImpl::Display, TypeImpl::FromStr].into_iter();
    let mut settings = GenerationSettings::new();
    settings
        .with_interface(InterfaceStyle::Positional)
        .with_tag(TagStyle::Merged)
        .with_hooks(HooksMode::Expected)
        .with_inner_type(quote!(crate::Exchange))
        .with_map_type("::std::collections::BTreeMap")
        .with_replacement(TIMESTAMP, "crate::Timestamp", implementations());
    for open_enum in enums {
        let name = &open_enum.name;
        settings.with_replacement(name, format!("crate::types::{name}"), implementations());
    }
    settings
}

/// Runs progenitor so that a panic becomes an error and prints nothing.
fn silently<T, E: std::fmt::Display>(run: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    // The hook is one for the whole process: two runs at once must not restore each other's.
    static HOOK: Mutex<()> = Mutex::new(());
    let _guard = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(run));
    std::panic::set_hook(hook);
    match result {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(payload) => {
            let text = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied());
            Err(format!("it panicked: {}", text.unwrap_or("without a message")))
        }
    }
}
