use reqwest::Method;
use serde_json::json;

use super::Row;

use crate::conformance::Sandbox;

pub(super) fn rows(_sandbox: &Sandbox) -> Vec<Row> {
    let post = |rule| Row::new(Method::POST, "faults", Some(rule)).expects(201);
    vec![
        Row::get("faults/catalogue"),
        post(json!({ "fault": "reset", "stage": "after", "operation": "sendMessage" })),
        post(json!({
            "fault": {
                "name": "cut-body", "latencyMs": 5, "status": 503, "headers": { "retry-after": "2" }, "body": "later",
                "send": { "bytes": 20 }, "trickle": { "bytes": 4, "everyMs": 1 }, "then": "reset",
            },
            "method": "POST", "path": "/conversations/messages/{messageId}", "location": "somewhere",
            "schedule": { "random": { "probability": 0.5, "seed": 7 } },
        })),
        post(
            json!({ "sequence": ["unavailable", "none", { "raw": "?", "send": "head" }], "schedule": { "nth": 3 } }),
        ),
        post(json!({ "fault": { "bodyBytes": 100 }, "schedule": "always" })),
        post(json!({ "fault": "close", "stage": "connect", "schedule": { "first": 0 } })),
        Row::new(Method::POST, "faults", Some(json!({ "fault": "rest" }))).expects(400),
        Row::get("faults"),
        Row::new(Method::DELETE, "faults/{/faults/0/id}", None).expects(204),
        Row::new(Method::DELETE, "faults/99", None).expects(404),
        Row::new(Method::DELETE, "faults", None).expects(204),
        Row::get("faults"),
    ]
}
