//! Progenitor, and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use openapiv3::{OpenAPI, Parameter, PathItem, ReferenceOr, Response, Schema};
use proc_macro2::TokenStream;
use progenitor::{GenerationSettings, Generator, HooksMode, InterfaceStyle, TagStyle, TypeImpl};
use quote::quote;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Problem;
use crate::document::escape;
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
        let (pointer, error) = misfit(normalised).unwrap_or_else(|| (String::new(), error.to_string()));
        Problem::new(
            pointer,
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
        .with_inner_type(quote!(crate::RequestContext))
        .with_map_type("::std::collections::BTreeMap")
        .with_replacement(TIMESTAMP, "crate::Timestamp", implementations());
    for open_enum in enums {
        let name = &open_enum.name;
        settings.with_replacement(name, format!("crate::types::{name}"), implementations());
    }
    settings
}

/// The first part of a description that is not `OpenAPI`: a library that reads all of it does not say where it
/// failed.
fn misfit(description: &Value) -> Option<(String, String)> {
    fn check<T: DeserializeOwned>(value: &Value) -> Option<String> {
        serde_json::from_value::<ReferenceOr<T>>(value.clone()).err().map(|error| error.to_string())
    }
    type Check = fn(&Value) -> Option<String>;
    let places: [(&str, Check); 4] = [
        ("/components/schemas", check::<Schema>),
        ("/components/parameters", check::<Parameter>),
        ("/components/responses", check::<Response>),
        ("/paths", check::<PathItem>),
    ];
    places.iter().find_map(|(place, check)| {
        let named = description.pointer(place)?.as_object()?;
        named.iter().find_map(|(name, value)| {
            let pointer = format!("{place}/{}", escape(name));
            check(value).map(|error| (pointer, error))
        })
    })
}

/// Runs progenitor so that a panic becomes an error and prints nothing.
fn silently<T, E: std::fmt::Display>(run: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    // The hook is one for the whole process: two runs at once must not restore each other's, and other threads
    // may panic meanwhile and be heard.
    static HOOK: Mutex<()> = Mutex::new(());
    let _guard = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let here = std::thread::current().id();
    let hook = Arc::new(std::panic::take_hook());
    let others = Arc::clone(&hook);
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() != here {
            others(panic);
        }
    }));
    let result = catch_unwind(AssertUnwindSafe(run));
    drop(std::panic::take_hook());
    if let Some(hook) = Arc::into_inner(hook) {
        std::panic::set_hook(hook);
    }
    match result {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(payload) => {
            let text = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .and_then(|text| text.lines().next());
            // What follows the first line is the inner form of a value, over many lines.
            Err(format!("it panicked: {}", text.unwrap_or("without a message")))
        }
    }
}
