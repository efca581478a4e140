//! The layers of the crates: dependencies of modules point down only, and there are no circles.
//!
//! To add a crate, add a [`Structure`] and a test that passes it to [`check`].

mod checker;
mod page;
mod resolve;
mod rules;
mod source;

use std::path::Path;

use self::rules::{Circle, Restriction, Structure, violations};
use self::source::read_sources;

/// The structure of the crate `highlevel`.
const HIGHLEVEL: Structure = Structure {
    layers: &[
        &["blocking"],
        // The API: constructors and typed operations.
        &["messages", "calls", "request", "operations"],
        // Apps, their installations and tokens.
        &["auth"],
        &["client"],
        // One operation: attempts until a receipt or an error.
        &["executor"],
        &["connection"],
        &["limit", "retry", "token", "transport", "redact"],
        &["unauthorized", "classify"],
        &["webhook", "validate", "path"],
        &["receipt"],
        &["error"],
        &["delivery", "headers", "lenient", "reconcile"],
        &["channel", "conformance", "guide", "panics", "time", "wire"],
    ],
    restricted: &[Restriction {
        module: "webhook",
        may_use: &["channel", "conformance", "error", "lenient"],
    }],
    circles: &[Circle {
        files: &[
            "auth/token_manager/company.rs",
            "auth/token_manager/mod.rs",
            "auth/token_manager/refresh_task.rs",
            "auth/token_manager/request.rs",
            "auth/token_manager/task_lease.rs",
        ],
        reason: "refreshes are circular: the token of a location may need the token of its company, which has a manager",
    }],
    known_uses: &[],
    known_circles: &[],
};

fn check(krate: &str, structure: &Structure) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates").join(krate).join("src");
    let violations = violations(&read_sources(&folder), structure);
    assert!(violations.is_empty(), "{krate}:\n{}", violations.join("\n"));
}

#[test]
fn highlevel_has_its_layers() {
    check("highlevel", &HIGHLEVEL);
}

/// The structure of the crate `highlevel-sandbox`.
const SANDBOX: Structure = Structure {
    layers: &[
        &["builder"],
        &["sandbox"],
        &["server"],
        &["inspector"],
        &["admin"],
        &["engine"],
        &["api"],
        &["snapshot"],
        &["credentials"],
        &["ledger"],
        &["oauth"],
        &["webhook"],
        &["access", "fault", "persistence", "rate_limit"],
        &["api_error", "clock", "fidelity", "identifiers", "model", "runtime", "traffic"],
        &["operation", "webhook_url"],
        &["spec"],
        &["file_limit", "headers", "json_fields", "json_size", "search_term", "shell", "sync", "weight"],
    ],
    restricted: &[],
    circles: &[],
    known_uses: &[],
    known_circles: &[
        &[
            "admin.rs",
            "admin/clock.rs",
            "admin/deliveries.rs",
            "admin/description.rs",
            "admin/events.rs",
            "admin/faults.rs",
            "admin/health.rs",
            "admin/ledger.rs",
            "admin/limits.rs",
            "admin/model.rs",
            "admin/oauth.rs",
            "admin/settings.rs",
            "admin/state.rs",
            "admin/stream.rs",
        ],
        &["builder.rs", "builder/oauth.rs", "builder/state.rs"],
        &[
            "inspector/answer.rs",
            "inspector/assets.rs",
            "inspector/controls.rs",
            "inspector/controls/clock.rs",
            "inspector/controls/events.rs",
            "inspector/controls/faults.rs",
            "inspector/controls/limits.rs",
            "inspector/controls/summary.rs",
            "inspector/controls/validation.rs",
            "inspector/controls/webhooks.rs",
            "inspector/conversations.rs",
            "inspector/conversations/actions.rs",
            "inspector/deliveries.rs",
            "inspector/live.rs",
            "inspector/mod.rs",
            "inspector/page.rs",
            "inspector/requests.rs",
            "inspector/requests/detail.rs",
            "inspector/sign_in.rs",
        ],
        &["inspector/json.rs", "inspector/json/reader.rs"],
    ],
};

#[test]
fn highlevel_sandbox_has_its_layers() {
    check("highlevel-sandbox", &SANDBOX);
}
