//! The OAuth endpoints of version `v3`.

use highlevel_sandbox::{Location, TokenResource};
use http::StatusCode;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{code, send};
use crate::caller::{Response, bare, execute};
use crate::conformance::Sandbox;

fn request(sandbox: &Sandbox, method: Method, path: &str) -> RequestBuilder {
    bare(sandbox, method, path).header("Version", "v3")
}

/// Sends a token request with the names of the version, as a form or as JSON.
async fn token(sandbox: &Sandbox, as_json: bool, fields: &[(&str, &str)]) -> Response {
    let (id, secret) = (sandbox.client_id(), sandbox.client_secret());
    let fields = [&[("clientId", id.as_str()), ("clientSecret", secret.as_str())], fields].concat();
    let request = request(sandbox, Method::POST, "/oauth/token");
    if as_json {
        let body: serde_json::Map<String, Value> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        return execute(request.json(&body)).await;
    }
    execute(request.form(&fields)).await
}

fn names(body: &Value) -> Vec<&str> {
    body.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn codes_are_exchanged_and_tokens_refreshed_with_the_names_of_the_version() {
    for as_json in [false, true] {
        let sandbox = Sandbox::start().await.unwrap();
        let code = code(&sandbox, ("location_id", sandbox.location_id())).await;
        let fields = [("grantType", "authorization_code"), ("code", &code), ("userType", "Location")];
        let tokens = token(&sandbox, as_json, &fields).await;
        assert_eq!(tokens.status, 200, "{}", tokens.body);
        let expected = [
            "accessToken",
            "companyId",
            "expiresIn",
            "isBulkInstallation",
            "locationId",
            "planId",
            "refreshToken",
            "refreshTokenId",
            "scope",
            "tokenType",
            "traceId",
            "userId",
            "userType",
        ];
        assert_eq!(names(&tokens.body), expected);
        let refresh_token = tokens.body["refreshToken"].as_str().unwrap();
        let fields = [("grantType", "refresh_token"), ("refreshToken", refresh_token)];
        let fresh = token(&sandbox, as_json, &fields).await;
        assert_eq!((fresh.status, names(&fresh.body)), (StatusCode::OK, expected.to_vec()));
        let tokens = json!({ "access_token": fresh.body["accessToken"] });
        assert_eq!(send(&sandbox, &tokens).await.status, 201);

        let recorded = format!("{:?}", sandbox.requests());
        for secret in [&sandbox.client_secret(), &code, refresh_token] {
            assert!(!recorded.contains(secret), "{recorded}");
        }
        let bodies: Vec<Vec<u8>> = sandbox.requests().into_iter().map(|request| request.body).collect();
        let bodies: Vec<String> =
            bodies.into_iter().map(|body| String::from_utf8_lossy(&body).into_owned()).collect();
        assert!(bodies.iter().any(|body| body.contains("grantType")), "{bodies:?}");
        for secret in [sandbox.client_secret().as_str(), &code, refresh_token] {
            assert!(!bodies.iter().any(|body| body.contains(secret)), "{bodies:?}");
        }
    }
}

/// The fields of a token request, and the expected status and message.
struct Row {
    fields: &'static [(&'static str, &'static str)],
    status: u16,
    message: Value,
}

#[tokio::test]
async fn errors_have_the_format_of_the_api_and_the_names_of_the_version() {
    let sandbox = Sandbox::start().await.unwrap();
    let not_empty = json!(["grantType must be a valid enum value", "grantType should not be empty"]);
    for Row { fields, status, message } in [
        Row { fields: &[], status: 422, message: not_empty },
        Row { fields: &[("grantType", "x")], status: 400, message: json!("Invalid parameter: grantType") },
        Row {
            fields: &[("grantType", "refresh_token")],
            status: 400,
            message: json!("Missing parameter: refreshToken"),
        },
        Row {
            fields: &[("grantType", "refresh_token"), ("refreshToken", "x")],
            status: 400,
            message: json!("Invalid grant: refresh token is invalid"),
        },
        Row {
            fields: &[("grantType", "authorization_code"), ("code", "x")],
            status: 401,
            message: json!("Authorization code not found"),
        },
    ] {
        for as_json in [false, true] {
            let response = token(&sandbox, as_json, fields).await;
            let found = (response.status.as_u16(), &response.body["message"], &response.body["statusCode"]);
            assert_eq!(found, (status, &message, &json!(status)), "{fields:?}");
        }
    }
}

#[tokio::test]
async fn the_paths_of_the_version_are_served() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.put_location(Location::new("second").name("Second")).unwrap();
    let company = TokenResource::company(sandbox.company_id());
    let tokens = sandbox.issue_tokens(&company, ["oauth.write", "oauth.readonly"]).unwrap();
    let bearer = tokens["access_token"].as_str().unwrap();
    let ids = json!({ "companyId": sandbox.company_id(), "locationId": "second" });
    for as_json in [false, true] {
        let request = request(&sandbox, Method::POST, "/oauth/location-token").bearer_auth(bearer);
        let request = if as_json { request.json(&ids) } else { request.form(&ids) };
        let response = execute(request).await;
        assert_eq!((response.status, &response.body["locationId"]), (StatusCode::OK, &json!("second")));
        assert!(response.body["accessToken"].is_string() && response.body["refreshToken"].is_string());
    }
    let query = [("companyId", sandbox.company_id()), ("appId", sandbox.app_id()), ("pageSize", "1")];
    let listed = |token: &str| {
        let request = request(&sandbox, Method::GET, "/oauth/installed-locations").bearer_auth(bearer);
        execute(request.query(&query).query(&[("pageToken", token)]))
    };
    let first = listed("").await;
    assert_eq!(
        (first.status, &first.body["items"][0]["_id"]),
        (StatusCode::OK, &json!(sandbox.location_id()))
    );
    let second = listed(first.body["pagination"]["nextPageToken"].as_str().unwrap()).await;
    assert_eq!(second.body["items"][0]["name"], "Second");
    assert_eq!(second.body["pagination"]["hasNextPage"], false);
}

#[tokio::test]
async fn a_path_of_another_version_is_rejected() {
    let sandbox = Sandbox::start().await.unwrap();
    for (method, path, version, reason) in [
        (Method::GET, "/oauth/installedLocations?companyId=a", "v3", "removed"),
        (Method::POST, "/oauth/locationToken", "v3", "removed"),
        (Method::GET, "/oauth/installed-locations", "2021-07-28", "added"),
        (Method::POST, "/oauth/location-token", "2021-07-28", "added"),
    ] {
        let response = execute(bare(&sandbox, method, path).header("Version", version)).await;
        let message = response.body["message"].as_str().unwrap();
        let expected =
            format!("Endpoint {path} not available in API version {version}. This endpoint was {reason}");
        assert!(response.status == 400 && message.starts_with(&expected), "{path}: {response:?}");
    }
    // Without a version, the token is checked first.
    let response = execute(bare(&sandbox, Method::POST, "/oauth/location-token")).await;
    assert_eq!(response.status, 401);
}

#[tokio::test]
async fn installed_locations_require_a_company_token_and_a_version() {
    let sandbox = Sandbox::start().await.unwrap();
    let company = TokenResource::company(sandbox.company_id());
    let tokens = sandbox.issue_tokens(&company, ["oauth.readonly"]).unwrap();
    let bearer = tokens["access_token"].as_str().unwrap();
    let query = [("companyId", sandbox.company_id()), ("appId", sandbox.app_id())];
    let get = |bearer: &str| {
        bare(&sandbox, Method::GET, "/oauth/installedLocations").query(&query).bearer_auth(bearer)
    };
    let listed = execute(get(bearer).header("Version", "2021-07-28")).await;
    assert_eq!((listed.status, &listed.body["count"]), (StatusCode::OK, &json!(1)));
    assert_eq!(listed.body["locations"][0]["isInstalled"], true);
    assert_eq!(execute(get(bearer)).await.body["message"], "version header was not found.");
    for other in [sandbox.token(), "unknown"] {
        assert_eq!(execute(get(other).header("Version", "2021-07-28")).await.status, 401);
    }
}
