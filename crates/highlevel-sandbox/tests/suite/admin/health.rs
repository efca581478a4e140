use highlevel_sandbox::Sandbox;

use super::Row;

pub(super) fn rows(_sandbox: &Sandbox) -> Vec<Row> {
    vec![Row::get("health"), Row::get(""), Row::get("openapi.json")]
}
