use highlevel_sandbox::Sandbox;
use reqwest::Method;
use serde_json::{Value, json};

use super::Row;

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
        post("oauth/apps", app).answers(201),
        post("oauth/apps", json!({ "clientId": "", "clientSecret": "secret" })).answers(400),
        post(
            "oauth/apps",
            json!({ "clientId": "a", "clientSecret": "b", "webhookUrl": "https://a.example" }),
        )
        .answers(400),
        Row::get("oauth/apps"),
        Row::get("oauth/settings"),
        Row::new(Method::PUT, "oauth/settings", settings),
        Row::new(Method::PUT, "oauth/settings", json!({ "installEvents": "sometimes" })).answers(400),
        Row::new(Method::PUT, "oauth/settings", json!({})),
        post(
            "oauth/installs",
            json!({ "companyId": sandbox.company_id(), "locations": [sandbox.location_id()] }),
        )
        .answers(204),
        post("oauth/installs", json!({ "clientId": "other-1", "locationId": sandbox.location_id() }))
            .answers(204),
        post("oauth/installs", json!({ "locationId": "nowhere" })).answers(404),
        post("oauth/installs", both.clone()).answers(400),
        Row::get("oauth/installs"),
        post("oauth/tokens", json!({ "locationId": sandbox.location_id(), "scopes": ["a"] })).answers(201),
        post("oauth/revoke", json!({ "token": "{/access_token}" })),
        post("oauth/tokens", json!({ "companyId": sandbox.company_id(), "scopes": [] })).answers(201),
        post("oauth/expire", json!({ "token": "{/refresh_token}" })),
        post("oauth/tokens", json!({ "clientId": "nobody", "locationId": "a", "scopes": [] })).answers(404),
        Row::get("oauth/tokens"),
        post("oauth/expire", company.clone()),
        post("oauth/revoke", location.clone()),
        post("oauth/revoke", json!({})).answers(400),
        post("oauth/revoke", json!({ "token": "a", "locationId": "b" })).answers(400),
        post("oauth/uninstall", company.clone()).answers(204),
        post("oauth/uninstall", company).answers(404),
        Row::get("oauth/requests"),
    ]
}
