//! The overview: settings that differ from their defaults, memory, and the reset.

use super::{clock, limits, webhooks};
use crate::api_error::ApiError;
use crate::engine::ClockChange;
use crate::engine::Engine;
use crate::engine::Part;
use crate::fidelity::{Quirk, Settings, Strictness, SuccessStatus};
use crate::inspector::format::thousands;
use crate::inspector::route::PageRequest;
use crate::sync::lock;
use crate::webhook::RetrySchedule;

pub(super) struct Overview {
    pub(super) items: Vec<Item>,
    /// `true` if nothing differs from the state at startup.
    pub(super) is_default: bool,
    /// The size of all bounded data.
    pub(super) memory: Vec<Memory>,
}

/// The size of one kind of data.
pub(super) struct Memory {
    pub(super) name: String,
    pub(super) text: String,
}

impl Memory {
    fn of((name, part): (&'static str, Part)) -> Self {
        // In integers, because converting to a float may lose precision.
        let mebibytes = |bytes: usize| {
            let tenths = bytes / (1024 * 1024 / 10);
            format!("{}.{}", tenths / 10, tenths % 10)
        };
        let mut text = format!(
            "{} in {} of {} MiB",
            thousands(part.count),
            mebibytes(part.bytes),
            mebibytes(part.max_bytes)
        );
        if part.dropped > 0 {
            text.extend([", ", &thousands(part.dropped), " dropped"]);
        }
        Self { name: sentence_case(name), text }
    }
}

/// Turns a name in camel case into a label: `unauthenticatedRequests` into `Unauthenticated requests`.
fn sentence_case(name: &str) -> String {
    let mut label = String::with_capacity(name.len() + 1);
    for (position, letter) in name.chars().enumerate() {
        match (position, letter.is_ascii_uppercase()) {
            (0, _) => label.push(letter.to_ascii_uppercase()),
            (_, true) => label.extend([' ', letter.to_ascii_lowercase()]),
            (_, false) => label.push(letter),
        }
    }
    label
}

/// A setting that differs from its default.
pub(super) struct Item {
    /// The ID of the card with the setting.
    pub(super) card: &'static str,
    pub(super) text: String,
    /// `true` if the setting has not changed since startup.
    pub(super) since_start: bool,
}

impl Overview {
    pub(super) fn of(state: &Engine) -> Self {
        let mut items = Vec::new();
        let mut is_default = true;
        let mut add = |card: &'static str, unusual: bool, since_start: bool, text: &dyn Fn() -> String| {
            is_default &= since_start;
            if unusual {
                items.push(Item { card, text: text(), since_start });
            }
        };
        let beginning = &state.initial;

        let (ahead, speed) = (state.clock.ahead(), state.clock.speed());
        let moved = !clock::is_system(ahead, speed);
        add("time", moved, !moved, &|| format!("Clock: {}, {}", clock::position(ahead), clock::pace(speed)));

        let faults = state.faults.list();
        let spent = faults.iter().filter(|fault| fault.spent).count();
        add("faults", !faults.is_empty(), faults.is_empty(), &|| match (faults.len(), spent) {
            (1, 0) => "1 active fault".to_owned(),
            (count, 0) => format!("{count} active faults"),
            (1, 1) => "1 finished fault".to_owned(),
            (count, spent) if count == spent => format!("{count} finished faults"),
            (count, spent) => format!(
                "{} active {}, {spent} finished",
                count - spent,
                if count - spent == 1 { "fault" } else { "faults" }
            ),
        });

        let url = state.outbox.url();
        let same_url = url == beginning.webhook_url;
        add("webhooks", url.is_none() || !same_url, same_url, &|| match &url {
            Some(url) => format!("Webhook URL: {url}"),
            None => "No webhook URL set: events are not sent".to_owned(),
        });

        let retries = state.outbox.retries();
        let (documented, same) = (retries == RetrySchedule::Documented, retries == beginning.retry_schedule);
        add("webhooks", !documented || !same, same, &|| {
            format!("Webhook retries: {}", webhooks::schedule_label(&retries).to_lowercase())
        });

        let tampering = state.outbox.tamper_config();
        let standing = tampering.standing;
        add("webhooks", standing.is_some(), standing.is_none(), &|| {
            let mode = standing.map_or("", crate::webhook::TamperMode::description);
            format!("All webhooks are tampered with: {mode}")
        });
        let next: u64 = tampering.next.iter().map(|(_, attempts)| u64::from(*attempts)).sum();
        add("webhooks", next > 0, next == 0, &|| match next {
            1 => "Next webhook attempt is tampered with".to_owned(),
            next => format!("Next {next} webhook attempts are tampered with"),
        });

        let limit = lock(&state.limiter).limits();
        let same = limit == beginning.rate_limit;
        add("limits", limit.is_some() || !same, same, &|| match limit {
            Some(limit) => format!("Rate limit: {}", limits::words(limit)),
            None => "Rate limiting is off".to_owned(),
        });

        let settings = lock(&state.settings).clone();
        let same = settings.strictness == beginning.settings.strictness;
        add("validation", settings.strictness != Strictness::default() || !same, same, &|| {
            format!("Validation: {}", settings.strictness)
        });
        let same = settings.success_status == beginning.settings.success_status;
        add("validation", settings.success_status != SuccessStatus::default() || !same, same, &|| {
            format!("Success status: {}", settings.success_status.code().as_u16())
        });
        for quirk in Quirk::ALL {
            let (on, from_start) = (settings.has(quirk), beginning.settings.has(quirk));
            add("validation", on || from_start, on == from_start, &|| {
                if on { format!("Quirk: {quirk}") } else { format!("Quirk off: {quirk}") }
            });
        }
        let same = settings.search_lag_ms == beginning.settings.search_lag_ms;
        let is_usual = settings.search_lag_ms == Settings::default().search_lag_ms;
        add("validation", !is_usual || !same, same, &|| {
            format!("Search lag: {} ms", thousands(settings.search_lag_ms))
        });
        let memory = state.retained().parts().map(Memory::of).into();
        Self { items, is_default, memory }
    }
}

/// Resets the sandbox, and the clock if selected.
pub(super) fn reset(state: &Engine, page_request: &PageRequest) -> Result<(), ApiError> {
    state.reset()?;
    if page_request.field("clock").is_some() {
        state.change_clock(ClockChange::to_machine()).map_err(ApiError::bad_request)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_camel_case_become_labels() {
        for (name, label) in [("ledger", "Ledger"), ("unauthenticatedRequests", "Unauthenticated requests")] {
            assert_eq!(sentence_case(name), label);
        }
    }
}
