//! Undocumented behaviour of the OAuth endpoints.

use highlevel_sandbox::{Quirk, TokenResource};
use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Value, json};

use super::{
    INVALID, SCOPES, authorize, choose, code, description, exchange, location_token, refresh, send, token,
};
use crate::conformance::Sandbox;

fn enable(sandbox: &Sandbox, quirk: Quirk) {
    sandbox.set_settings(sandbox.settings().quirk(quirk));
}

/// Returns the quirk that determined the last response.
fn last_quirk(sandbox: &Sandbox) -> Option<&'static str> {
    sandbox.requests().last().unwrap().quirk
}

#[tokio::test]
async fn the_page_can_require_a_version_of_the_app() {
    let sandbox = Sandbox::start().await.unwrap();
    let chosen = ("location_id", sandbox.location_id());
    let with_version = [chosen, ("version_id", "665c6bb13d4e5364bdec0e2f")];
    assert_eq!(authorize(&sandbox, &with_version).await.0, 302);
    enable(&sandbox, Quirk::VersionIdRequired);
    let (status, headers, html) = authorize(&sandbox, &[chosen]).await;
    assert_eq!((status, headers.get(LOCATION)), (StatusCode::BAD_REQUEST, None));
    assert!(html.contains("error.noversionid"), "{html}");
    assert_eq!(last_quirk(&sandbox), Some("version-id-required"));
    assert_eq!(authorize(&sandbox, &with_version).await.0, 302);
    // The form of the page contains the version.
    let (_, _, html) = authorize(&sandbox, &with_version[1..]).await;
    let chosen = choose(&sandbox, &html, &format!("location_id={}", sandbox.location_id()), &[]).await;
    assert_eq!(chosen.status(), 303);
}

#[tokio::test]
async fn invalid_refresh_tokens_can_return_401() {
    let sandbox = Sandbox::start().await.unwrap();
    let tokens = exchange(&sandbox, ("location_id", sandbox.location_id())).await;
    let revoked = exchange(&sandbox, ("location_id", sandbox.location_id())).await;
    assert!(sandbox.revoke_token(revoked["refresh_token"].as_str().unwrap()));
    let unknown = json!({ "refresh_token": "unknown" });
    assert_eq!(refresh(&sandbox, &tokens).await.status, 200);
    sandbox.advance_clock(std::time::Duration::from_secs(31));
    for tokens in [&tokens, &revoked, &unknown] {
        assert_eq!(description(&refresh(&sandbox, tokens).await), INVALID);
    }
    enable(&sandbox, Quirk::UsedRefreshToken401);
    for tokens in [&tokens, &revoked, &unknown] {
        assert_eq!(description(&refresh(&sandbox, tokens).await), (401, "Invalid refresh token"));
        assert_eq!(last_quirk(&sandbox), Some("used-refresh-token-401"));
    }
}

#[tokio::test]
async fn location_tokens_can_lack_a_refresh_token() {
    let sandbox = Sandbox::start().await.unwrap();
    let company = TokenResource::company(sandbox.company_id());
    let tokens = sandbox.issue_tokens(&company, ["oauth.write", "conversations/message.write"]).unwrap();
    enable(&sandbox, Quirk::LocationTokenWithoutRefresh);
    let issued = location_token(&sandbox, &tokens, sandbox.company_id(), sandbox.location_id()).await;
    assert_eq!(issued.status, 200);
    for name in ["refresh_token", "refreshTokenId", "refreshToken"] {
        assert_eq!(issued.body.get(name), None, "{}", issued.body);
    }
    assert_eq!(last_quirk(&sandbox), Some("location-token-without-refresh"));
    assert_eq!(send(&sandbox, &issued.body).await.status, 201);
}

#[tokio::test]
async fn an_installation_on_one_location_can_return_tokens_of_its_company() {
    let sandbox = Sandbox::start().await.unwrap();
    enable(&sandbox, Quirk::CompanyTokenForLocation);
    let code = code(&sandbox, ("location_id", sandbox.location_id())).await;
    let fields = [("grant_type", "authorization_code"), ("code", &code), ("user_type", "Location")];
    let tokens = token(&sandbox, &fields).await.body;
    assert_eq!((&tokens["userType"], &tokens["scope"]), (&json!("Company"), &json!(SCOPES)));
    assert_eq!((tokens.get("locationId"), tokens.get("approvedLocations")), (Some(&Value::Null), None));
    assert_eq!(last_quirk(&sandbox), Some("company-token-for-location"));
    assert_eq!(send(&sandbox, &tokens).await.status, 401);
    let issued = location_token(&sandbox, &tokens, sandbox.company_id(), sandbox.location_id()).await.body;
    assert_eq!(send(&sandbox, &issued).await.status, 201);
    assert_eq!(refresh(&sandbox, &tokens).await.body["userType"], "Company");
}
