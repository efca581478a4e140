use super::Row;

use crate::conformance::Sandbox;

pub(super) fn rows(_sandbox: &Sandbox) -> Vec<Row> {
    vec![Row::get("health"), Row::get(""), Row::get("openapi.json")]
}
