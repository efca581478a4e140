//! Validation and response settings.

use std::collections::BTreeSet;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::response::Output;
use super::route::{Input, Route};
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::fidelity::{Quirk, Refusal, Rule, Strictness, SuccessStatus};
use crate::operation::Operation;
use crate::sync::lock;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "settings", handler: |state, _| Ok(show(state)) },
    Route { method: Method::PATCH, path: "settings", handler: |state, input| change(state, input) },
    Route { method: Method::GET, path: "settings/catalogue", handler: |_, _| Ok(catalogue()) },
];

/// A partial update of the settings.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SettingsPatch {
    strictness: Option<Strictness>,
    success_status: Option<SuccessStatus>,
    /// All quirks to enable.
    quirks: Option<BTreeSet<Quirk>>,
    /// All refusals to disable.
    disabled_refusals: Option<BTreeSet<Refusal>>,
    search_lag_ms: Option<u32>,
}

fn show(state: &Engine) -> Output {
    Output::ok(json!(*lock(&state.settings)))
}

fn change(state: &Engine, input: &Input<'_>) -> Result<Output, ApiError> {
    let SettingsPatch { strictness, success_status, quirks, disabled_refusals, search_lag_ms } =
        input.json()?;
    state.change_settings(|settings| {
        settings.strictness = strictness.unwrap_or(settings.strictness);
        settings.success_status = success_status.unwrap_or(settings.success_status);
        settings.search_lag_ms = search_lag_ms.unwrap_or(settings.search_lag_ms);
        if let Some(quirks) = quirks {
            settings.quirks = quirks;
        }
        if let Some(refusals) = disabled_refusals {
            settings.disabled_refusals = refusals;
        }
    });
    Ok(show(state))
}

/// Lists the rules, the quirks and the refusals.
fn catalogue() -> Output {
    let rules: Vec<Value> = Rule::all()
        .iter()
        .map(|rule| {
            json!({
                "name": rule.name,
                "operations": ids(rule.operations),
                "field": rule.field,
                "documented": rule.documented,
                "lenient": rule.lenient,
                "source": rule.source,
            })
        })
        .collect();
    let quirks: Vec<Value> =
        Quirk::ALL.map(|quirk| json!({"name": quirk.name(), "description": quirk.description()})).into();
    let refusals: Vec<Value> = Refusal::all()
        .map(|refusal| {
            json!({
                "name": refusal.name(),
                "operations": ids(refusal.operations()),
                "status": refusal.status(),
                "canonicalCode": refusal.code(),
                "message": refusal.message(),
                "moreMessages": refusal.more_messages(),
                "condition": refusal.condition(),
                "source": refusal.source(),
                "quirk": refusal.quirk(),
            })
        })
        .collect();
    Output::ok(json!({"rules": rules, "quirks": quirks, "refusals": refusals}))
}

fn ids(operations: &[Operation]) -> Vec<&'static str> {
    operations.iter().map(|operation| operation.id()).collect()
}
