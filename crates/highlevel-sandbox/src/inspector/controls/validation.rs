//! Validation and response settings.

use super::form::number;
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::fidelity::{Quirk, Strictness, SuccessStatus};
use crate::inspector::route::PageRequest;
use crate::sync::lock;

pub(super) struct ValidationSettings {
    pub(super) documented: bool,
    pub(super) ok200: bool,
    /// The name, the description and the state of each quirk.
    pub(super) quirks: Vec<(&'static str, &'static str, bool)>,
    /// The delay of searches in milliseconds, and `true` if they are delayed.
    pub(super) search_lag: (u32, bool),
}

impl ValidationSettings {
    pub(super) fn of(state: &Engine) -> Self {
        let settings = lock(&state.settings).clone();
        Self {
            documented: settings.strictness == Strictness::Documented,
            ok200: settings.success_status == SuccessStatus::Ok200,
            quirks: Quirk::ALL.map(|quirk| (quirk.name(), quirk.description(), settings.has(quirk))).into(),
            search_lag: (settings.search_lag_ms, settings.has(Quirk::SearchIndexLag)),
        }
    }
}

/// Changes the setting in the form, and only that.
pub(super) fn change(state: &Engine, page_request: &PageRequest) -> Result<(), ApiError> {
    if let Some(strictness) = page_request.field("strictness") {
        let strictness: Strictness = strictness.parse().map_err(ApiError::bad_request)?;
        state.change_settings(|settings| settings.strictness = strictness);
    } else if page_request.field("status").is_some() {
        let status: u16 = number(page_request, "status", "Success status")?;
        let status = SuccessStatus::try_from(status).map_err(ApiError::bad_request)?;
        state.change_settings(|settings| settings.success_status = status);
    } else if page_request.has("setting", "search-lag") {
        let milliseconds: u32 = number(page_request, "milliseconds", "Search lag")?;
        state.change_settings(|settings| settings.search_lag_ms = milliseconds);
    } else {
        let quirk: Quirk =
            page_request.field("quirk").unwrap_or_default().parse().map_err(ApiError::bad_request)?;
        let on = page_request.field("on").as_deref() == Some("1");
        state.change_settings(|settings| {
            if on {
                settings.quirks.insert(quirk);
            } else {
                settings.quirks.remove(&quirk);
            }
        });
    }
    Ok(())
}
