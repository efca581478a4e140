//! The layers of the crates: dependencies of modules point down only, and there are no circles.
//!
//! To add a crate, add a [`Structure`] and a test that passes it to [`check`].

mod checker;
mod resolve;
mod rules;
mod source;

use std::path::Path;

use self::rules::{Restriction, Structure, violations};
use self::source::read_sources;

/// The structure of the crate `highlevel`.
const HIGHLEVEL: Structure = Structure {
    layers: &[
        &["blocking"],
        &["messages", "calls", "request"],
        &["auth"],
        &["client"],
        &["call"],
        &["connection"],
        &["limit", "retry", "token", "transport", "address", "redact", "check", "path"],
        &["classify", "unauthorized"],
        &["webhook"],
        &["receipt", "error", "delivery", "reconcile", "lenient", "conformance"],
        &["wire"],
    ],
    restricted: &[Restriction {
        module: "webhook",
        may_use: &["error", "delivery", "lenient", "conformance"],
    }],
    circles: &[],
    known_uses: &[
        ("call", "client"),
        ("client", "calls"),
        ("client", "messages"),
        ("connection", "call"),
        ("error", "call"),
        ("error", "limit"),
        ("receipt", "limit"),
        ("token", "auth"),
        ("token", "client"),
    ],
    known_circles: &[
        &[
            "address.rs",
            "auth/lease.rs",
            "auth/oauth.rs",
            "auth/shared.rs",
            "auth/state.rs",
            "auth/time.rs",
            "auth/token_error.rs",
            "auth/token_manager/company.rs",
            "auth/token_manager/mod.rs",
            "auth/token_manager/refresh_task.rs",
            "auth/token_manager/request.rs",
            "auth/token_manager/task_lease.rs",
            "call.rs",
            "call/answer.rs",
            "call/retry_after.rs",
            "calls.rs",
            "classify.rs",
            "client.rs",
            "connection.rs",
            "error.rs",
            "messages/mod.rs",
            "receipt.rs",
            "retry/policy.rs",
            "token.rs",
            "transport.rs",
            "transport/connect.rs",
            "transport/shared.rs",
            "transport/tls.rs",
        ],
        &[
            "auth/store/file/directory.rs",
            "auth/store/file/error.rs",
            "auth/store/file/lock.rs",
            "auth/store/file/mod.rs",
        ],
        &["limit/conformance/checks.rs", "limit/conformance/context.rs", "limit/conformance/mod.rs"],
        &["limit/mod.rs", "limit/permit.rs"],
    ],
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
