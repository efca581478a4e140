use reqwest::Method;
use serde_json::json;

use super::Row;

use crate::conformance::Sandbox;

pub(super) fn rows(_sandbox: &Sandbox) -> Vec<Row> {
    vec![
        Row::get("clock"),
        Row::new(Method::PATCH, "clock", json!({"now": "2026-01-31T09:30:00Z", "speed": 0})),
        Row::new(Method::PATCH, "clock", json!({"advanceMs": 1000})),
        Row::new(Method::PATCH, "clock", json!({"speed": -1})).expects(400),
        Row::new(Method::PATCH, "clock", json!({"now": "1969-12-31T23:59:59Z"})).expects(400),
        Row::new(Method::PATCH, "clock", json!({"now": "1969-12-31T23:59:59Z", "advanceMs": 5000}))
            .expects(400),
        Row::new(Method::PATCH, "clock", json!({"now": "9999-12-31T23:59:59Z", "advanceMs": 1000}))
            .expects(400),
        Row::new(Method::PATCH, "clock", json!({"speed": 1, "time": 1})).expects(400),
    ]
}
