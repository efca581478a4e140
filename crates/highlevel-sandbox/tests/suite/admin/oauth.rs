use reqwest::Method;
use serde_json::{Value, json};

use super::Row;

use crate::conformance::Sandbox;

fn post(path: &'static str, body: Value) -> Row {
    Row::new(Method::POST, path, body)
}

pub(super) fn rows(sandbox: &Sandbox) -> Vec<Row> {
    let location = json!({ "locationId": sandbox.location_id() });
    let company = json!({ "companyId": sandbox.company_id() });
    let both = json!({ "locationId": "a", "companyId": "b" });
    let app = json!({
        "clientId": "other-1", "clientSecret": "secret", "redirectUris": ["http://127.0.0.1:3000/back"],
        "scopes": ["oauth.write"], "webhookUrl": "http://127.0.0.1:9/hooks",
    });
    let settings = json!({
        "camelCase": false, "chooseOnAuthorize": location, "installEvents": "onExchange", "installEventDelayMs": 5,
        "inactiveLocations": ["somewhere"],
    });
    vec![
        Row::get("oauth/apps"),
        post("oauth/apps", app).expects(201),
        post("oauth/apps", json!({ "clientId": "", "clientSecret": "secret" })).expects(400),
        post(
            "oauth/apps",
            json!({ "clientId": "a", "clientSecret": "b", "webhookUrl": "https://a.example" }),
        )
        .expects(400),
        Row::get("oauth/apps"),
        Row::get("oauth/settings"),
        Row::new(Method::PUT, "oauth/settings", settings),
        Row::new(Method::PUT, "oauth/settings", json!({ "installEvents": "sometimes" })).expects(400),
        Row::new(Method::PUT, "oauth/settings", json!({})),
        post(
            "oauth/installs",
            json!({ "companyId": sandbox.company_id(), "locations": [sandbox.location_id()] }),
        )
        .expects(204),
        post("oauth/installs", json!({ "clientId": "other-1", "locationId": sandbox.location_id() }))
            .expects(204),
        post("oauth/installs", json!({ "locationId": "nowhere" })).expects(404),
        post("oauth/installs", both.clone()).expects(400),
        Row::get("oauth/installs"),
        post("oauth/tokens", json!({ "locationId": sandbox.location_id(), "scopes": ["a"] })).expects(201),
        post("oauth/revoke", json!({ "token": "{/access_token}" })),
        post("oauth/tokens", json!({ "companyId": sandbox.company_id(), "scopes": [] })).expects(201),
        post("oauth/expire", json!({ "token": "{/refresh_token}" })),
        post("oauth/tokens", json!({ "clientId": "unknown", "locationId": "a", "scopes": [] })).expects(404),
        Row::get("oauth/tokens"),
        post("oauth/expire", company.clone()),
        post("oauth/revoke", location.clone()),
        post("oauth/revoke", json!({})).expects(400),
        post("oauth/revoke", json!({ "token": "a", "locationId": "b" })).expects(400),
        post("oauth/uninstall", company.clone()).expects(204),
        post("oauth/uninstall", company).expects(404),
        Row::get("oauth/requests"),
    ]
}
