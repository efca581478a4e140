//! Runs progenitor.

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

/// The component for points in time.
pub const TIMESTAMP: &str = "Timestamp";

/// Runs progenitor over a normalised spec.
///
/// # Errors
///
/// Returns the error or the panic of progenitor. The lint should have reported the problem before, so the message asks for
/// a new rule.
pub fn generate(normalised: &Value, enums: &[OpenEnum]) -> Result<TokenStream, Problem> {
    let spec: OpenAPI = serde_json::from_value(normalised.clone()).map_err(|error| {
        let (pointer, error) = misfit(normalised).unwrap_or_else(|| (String::new(), error.to_string()));
        Problem::new(
            pointer,
            format!("is not OpenAPI 3.0: {error}"),
            "compare it with the OpenAPI 3.0.3 specification",
        )
    })?;
    let mut generator = Generator::new(&settings(enums));
    silently(|| generator.generate_tokens(&spec)).map_err(|error| {
        Problem::new(
            "",
            format!("the generator does not accept it: {error}"),
            "find the construct in the part you changed, write it another way, and add a rule to the lint that names it",
        )
    })
}

/// Returns the settings of the generated client.
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

/// Returns the first part of a spec that is not `OpenAPI`: the parser of the whole spec does not report where it
/// failed.
fn misfit(spec: &Value) -> Option<(String, String)> {
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
        let named = spec.pointer(place)?.as_object()?;
        named.iter().find_map(|(name, value)| {
            let pointer = format!("{place}/{}", escape(name));
            check(value).map(|error| (pointer, error))
        })
    })
}

/// Runs progenitor so that a panic becomes an error and prints nothing.
fn silently<T, E: std::fmt::Display>(run: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    // The panic hook is process-wide. Two runs at once must not restore each other's hook, and panics of other threads are
    // still printed.
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
            // The lines after the first are the debug output of a value.
            Err(format!("it panicked: {}", text.unwrap_or("without a message")))
        }
    }
}
