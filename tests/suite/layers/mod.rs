//! The layers of the crates: dependencies of modules point down only, and there are no circles.
//!
//! To add a crate, add a [`Structure`] and a test that passes it to [`check`].

mod checker;
mod page;
mod resolve;
mod rules;
pub(crate) mod source;

use std::path::Path;

use self::rules::{Circle, Restriction, Structure, violations};
use self::source::read_sources;

/// The structure of the crate `highlevel`.
const HIGHLEVEL: Structure = Structure {
    layers: &[
        &["blocking", "testing"],
        // Reads back whether the message of a request exists.
        &["find"],
        // The API: constructors and typed operations.
        &["messages", "calls", "recording", "contacts", "conversations", "files", "request", "operations"],
        // Apps, their installations and tokens.
        &["auth"],
        &["client"],
        // One operation: attempts until a receipt or an error.
        &["executor"],
        &["connection"],
        &["telemetry"],
        &["limit", "retry", "token", "transport", "redact"],
        &["middleware"],
        &["unauthorized", "classify"],
        &["webhook", "validate", "path"],
        &["receipt", "listing"],
        &["error"],
        &["delivery", "headers", "lenient", "recent", "reconcile"],
        &["channel", "conformance", "guide", "mention", "panics", "phone", "search", "time", "wire"],
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
        &["operation", "unserved", "webhook_url"],
        &["spec"],
        &[
            "file_limit",
            "headers",
            "json_fields",
            "json_size",
            "routing",
            "search_term",
            "shell",
            "similar",
            "sync",
            "weight",
        ],
    ],
    restricted: &[],
    circles: &[],
};

#[test]
fn highlevel_sandbox_has_its_layers() {
    check("highlevel-sandbox", &SANDBOX);
}

/// The structure of the crate `highlevel-codegen`: the steps of the pipeline.
const CODEGEN: Structure = Structure {
    layers: &[
        &["outline"],
        &["finish", "lint"],
        &["generate", "operations"],
        &["normalise", "open_enums"],
        &["parse"],
        &["document"],
        &["problem"],
    ],
    restricted: &[],
    circles: &[],
};

#[test]
fn highlevel_codegen_has_its_layers() {
    check("highlevel-codegen", &CODEGEN);
}

/// The structure of the hand-written part of the crate `highlevel-wire`. The generated part has one module.
const WIRE: Structure = Structure {
    layers: &[
        &["hooks"],
        &["generated"],
        &["request"],
        &["context"],
        &["timestamp"],
        &["download", "open_enum", "rfc3339", "seal", "timer"],
    ],
    restricted: &[],
    circles: &[],
};

#[test]
fn highlevel_wire_has_its_layers() {
    check("highlevel-wire", &WIRE);
}

/// The structure of the crate `highlevel-postgres`.
const POSTGRES: Structure = Structure {
    layers: &[
        &["fence", "inbox"],
        &["outbox"],
        &["deduplicator", "limiter", "maintenance", "schema", "stats", "tokens", "worker"],
        &["database"],
        &["limiter_state"],
        &["limits", "retention", "sealing"],
        &["error", "sync", "text", "time", "tls"],
    ],
    restricted: &[],
    circles: &[],
};

#[test]
fn highlevel_postgres_has_its_layers() {
    check("highlevel-postgres", &POSTGRES);
}

/// The structure of the crate `highlevel-cli`, which is a program without a library.
const CLI: Structure = Structure {
    layers: &[
        &["program"],
        &["send", "find", "contact", "conversation", "status", "webhook", "oauth", "doctor", "generate"],
        &["recipient", "saved"],
        &["access", "server"],
        &["failure", "output"],
        &["exit", "interrupt", "text", "values"],
    ],
    restricted: &[],
    circles: &[],
};

#[test]
fn highlevel_cli_has_its_layers() {
    check("highlevel-cli", &CLI);
}
