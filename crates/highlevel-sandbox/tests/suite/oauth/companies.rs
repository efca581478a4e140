//! The tokens of companies, and the location tokens that they are exchanged for.

use highlevel_sandbox::{Location, TokenResource};
use http::StatusCode;
use http::header::LOCATION;
use reqwest::Method;
use serde_json::{Value, json};

use super::{authorize, location_token, refresh, send, token};
use crate::caller::{bare, execute};
use crate::conformance::Sandbox;

#[tokio::test]
async fn company_tokens_are_exchanged_for_location_tokens() {
    struct Row<'r> {
        tokens: &'r Value,
        company: &'r str,
        location: &'static str,
        status: u16,
        message: &'static str,
    }

    let sandbox = Sandbox::start().await.unwrap();
    sandbox.put_location(Location::new("second")).unwrap();
    sandbox.put_location(Location::new("third")).unwrap();
    sandbox.put_location(Location::new("foreign").company("strangers")).unwrap();
    let code = {
        let choice = [("company", "own"), ("location_id", sandbox.location_id()), ("location_id", "second")];
        let (_, headers, _) = authorize(&sandbox, &choice).await;
        let location = headers[LOCATION].to_str().unwrap().to_owned();
        location.split(['=', '&']).nth(1).unwrap().to_owned()
    };
    let tokens =
        token(&sandbox, &[("grant_type", "authorization_code"), ("code", &code), ("user_type", "Company")])
            .await
            .body;
    assert_eq!(tokens["approvedLocations"], json!([sandbox.location_id(), "second"]));
    assert_eq!((&tokens["userType"], tokens.get("locationId")), (&json!("Company"), None));
    // A company token cannot send messages.
    assert_eq!(send(&sandbox, &tokens).await.status, 401);

    let company = sandbox.company_id();
    let given = location_token(&sandbox, &tokens, company, sandbox.location_id()).await;
    assert_eq!((given.status, &given.body["locationId"]), (StatusCode::OK, &json!(sandbox.location_id())));
    assert_eq!(send(&sandbox, &given.body).await.status, 201);
    // Its refresh token is a separate one.
    let fresh = refresh(&sandbox, &given.body).await;
    assert_eq!((fresh.status, &fresh.body["userType"]), (StatusCode::OK, &json!("Location")));

    sandbox.set_location_active("second", false);
    let narrow =
        sandbox.issue_tokens(&TokenResource::company(company), ["conversations/message.write"]).unwrap();
    let local = sandbox.issue_tokens(&TokenResource::location("third"), ["oauth.write"]).unwrap();
    // The app exists, but the company token does not belong to it.
    sandbox.issue_tokens(&TokenResource::location("foreign"), ["oauth.write"]).unwrap();
    for Row { tokens, company, location, status, message } in [
        Row { tokens: &tokens, company, location: "second", status: 400, message: "Location is not active" },
        Row {
            tokens: &tokens,
            company,
            location: "nowhere",
            status: 400,
            message: "Location does not belong to the company",
        },
        Row {
            tokens: &tokens,
            company,
            location: "foreign",
            status: 400,
            message: "Location does not belong to the company",
        },
        Row {
            tokens: &tokens,
            company: "strangers",
            location: "foreign",
            status: 403,
            message: "The token does not have access to the company strangers",
        },
        Row {
            tokens: &tokens,
            company,
            location: "",
            status: 422,
            message: "locationId should not be empty",
        },
        Row {
            tokens: &narrow,
            company,
            location: "second",
            status: 401,
            message: "The token is not authorized for this scope: oauth.write is required",
        },
        Row {
            tokens: &local,
            company,
            location: "third",
            status: 401,
            message: "The token is not authorized for this scope: it is a sub-account token",
        },
    ] {
        let response = location_token(&sandbox, tokens, company, location).await;
        // A list in 422, and a string otherwise.
        let message_or_first = response.body["message"].get(0).unwrap_or(&response.body["message"]);
        let found = message_or_first.as_str().unwrap();
        assert!(response.status == status && found.starts_with(message), "{location}: {response:?}");
    }
    // `third` now has a separate install.
    assert_eq!(location_token(&sandbox, &tokens, company, "third").await.status, 200);

    let request = bare(&sandbox, Method::POST, "/oauth/locationToken")
        .bearer_auth(tokens["access_token"].as_str().unwrap());
    let without_version = execute(request.form(&[("companyId", company), ("locationId", "third")])).await;
    assert_eq!(without_version.body["message"], "version header was not found.");
    let pit = json!({ "access_token": sandbox.token() });
    assert_eq!(location_token(&sandbox, &pit, company, "third").await.status, 401);
    let counts = sandbox.token_requests_of(&TokenResource::location("second"));
    assert_eq!((counts.location_tokens, counts.location_tokens_refused), (0, 2));
    assert_eq!(sandbox.token_requests_of(&TokenResource::location("third")).location_tokens, 1);
}
