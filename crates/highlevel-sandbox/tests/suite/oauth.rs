//! OAuth over HTTP, as an app uses it.

mod authorize;
mod companies;
mod future_locations;
mod installs;
mod quirks;
mod tokens;
mod v3;

use std::time::Duration;

use highlevel_sandbox::{Fault, FaultRule, FaultSchedule, TokenResource};
use http::StatusCode;
use http::header::LOCATION;
use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::{Response, SEND, bare, client_without_redirects, execute};
use crate::conformance::Sandbox;

const REDIRECT_URI: &str = "http://127.0.0.1:9/back";
const SCOPES: &str = "conversations/message.write oauth.write";
const AUTHORIZE: &str = "/v2/oauth/chooselocation";
const MINUTE: Duration = Duration::from_secs(60);
const INVALID: (u16, &str) = (400, "Invalid grant: refresh token is invalid");

/// Returns a browser that follows no redirects.
fn browser() -> reqwest::Client {
    client_without_redirects()
}

/// Requests authorization.
async fn authorize(
    sandbox: &Sandbox,
    more: &[(&str, &str)],
) -> (StatusCode, reqwest::header::HeaderMap, String) {
    let client_id = sandbox.client_id();
    let fields = [
        ("response_type", "code"),
        ("client_id", client_id.as_str()),
        ("redirect_uri", REDIRECT_URI),
        ("scope", SCOPES),
        ("state", "a&b c"),
    ];
    let request = browser().get(format!("{}{AUTHORIZE}", sandbox.base_url())).query(&fields).query(more);
    let response = request.send().await.unwrap();
    (response.status(), response.headers().clone(), response.text().await.unwrap())
}

/// Sends the form of the page with a choice, as a browser does.
async fn choose(sandbox: &Sandbox, html: &str, choice: &str, headers: &[(&str, &str)]) -> reqwest::Response {
    let unescaped = |text: &str| text.replace("&amp;", "&").replace("&#39;", "'");
    let mut fields: Vec<(String, String)> = html
        .split("<input type=\"hidden\" name=\"")
        .skip(1)
        .map(|field| {
            let (name, rest) = field.split_once("\" value=\"").unwrap();
            (unescaped(name), unescaped(rest.split_once('"').unwrap().0))
        })
        .collect();
    fields.push(("choice".to_owned(), choice.to_owned()));
    let request = browser().post(format!("{}{AUTHORIZE}", sandbox.base_url())).form(&fields);
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap()
}

/// Returns a code for a choice.
async fn code(sandbox: &Sandbox, choice: (&str, &str)) -> String {
    let (status, headers, _) = authorize(sandbox, &[choice]).await;
    assert_eq!(status, 302);
    let location = headers[LOCATION].to_str().unwrap();
    let rest = location.strip_prefix("http://127.0.0.1:9/back?code=").unwrap();
    rest.strip_suffix("&state=a%26b+c").unwrap().to_owned()
}

async fn token(sandbox: &Sandbox, fields: &[(&str, &str)]) -> Response {
    let (id, secret) = (sandbox.client_id(), sandbox.client_secret());
    let own = [("client_id", id.as_str()), ("client_secret", secret.as_str())];
    execute(bare(sandbox, Method::POST, "/oauth/token").form(&[&own, fields].concat())).await
}

async fn exchange(sandbox: &Sandbox, choice: (&str, &str)) -> Value {
    let code = code(sandbox, choice).await;
    let fields = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", REDIRECT_URI)];
    let response = token(sandbox, &fields).await;
    assert_eq!(response.status, 200, "{}", response.body);
    response.body
}

async fn refresh(sandbox: &Sandbox, tokens: &Value) -> Response {
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    token(sandbox, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
}

async fn location_token(sandbox: &Sandbox, tokens: &Value, company: &str, location: &str) -> Response {
    let request = bare(sandbox, Method::POST, "/oauth/locationToken")
        .bearer_auth(tokens["access_token"].as_str().unwrap())
        .header("Version", "2021-07-28")
        .form(&[("companyId", company), ("locationId", location)]);
    execute(request).await
}

/// Sends a message with an access token.
async fn send(sandbox: &Sandbox, tokens: &Value) -> Response {
    let body =
        json!({"type": "SMS", "contactId": sandbox.contact_id(), "status": "pending", "message": "Hello"});
    let request = bare(sandbox, Method::POST, SEND)
        .bearer_auth(tokens["access_token"].as_str().unwrap())
        .header("Version", "2021-04-15")
        .json(&body);
    execute(request).await
}

fn description(response: &Response) -> (u16, &str) {
    (response.status.as_u16(), response.body["error_description"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn removed_endpoints_are_rejected_as_live() {
    let sandbox = Sandbox::start().await.unwrap();
    for method in [Method::POST, Method::GET] {
        let response = execute(bare(&sandbox, method, "/oauth/reconnect")).await;
        let expected =
            json!({ "statusCode": 400, "message": "API endpoint has been removed", "error": "Bad Request" });
        assert_eq!((response.status, response.body), (StatusCode::BAD_REQUEST, expected));
    }
}

#[tokio::test]
async fn requests_of_other_sites_trigger_no_fault_and_are_not_recorded() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.add_fault(FaultRule::new(Fault::INTERNAL_ERROR).schedule(FaultSchedule::Nth(1))).unwrap();
    for path in [SEND, "/oauth/token", "/oauth/locationToken", "/anything"] {
        for headers in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "http://evil.example")],
            &[("origin", "null")],
        ] {
            let request = bare(&sandbox, Method::POST, path).body("{}");
            let request =
                headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            assert_eq!(request.send().await.unwrap().status(), 403, "{path} {headers:?}");
        }
    }
    assert_eq!(sandbox.requests().len(), 0);
    assert_eq!(sandbox.faults()[0].hits, 0);
}

#[tokio::test]
async fn the_ledger_contains_no_secrets() {
    let sandbox = Sandbox::start().await.unwrap();
    let code = code(&sandbox, ("location_id", sandbox.location_id())).await;
    let tokens = token(&sandbox, &[("grant_type", "authorization_code"), ("code", &code)]).await.body;
    refresh(&sandbox, &tokens).await;
    sandbox.use_camel_case_tokens(true);
    let company =
        sandbox.issue_tokens(&TokenResource::company(sandbox.company_id()), ["oauth.write"]).unwrap();
    let company = json!({ "access_token": company["accessToken"] });
    location_token(&sandbox, &company, sandbox.company_id(), sandbox.location_id()).await;
    let secret = sandbox.client_secret();
    execute(bare(&sandbox, Method::POST, "/oauth/token").json(&json!({ "client_secret": secret }))).await;

    let requests = sandbox.requests();
    let paths: Vec<&str> = requests.iter().map(|request| request.path.split('?').next().unwrap()).collect();
    assert_eq!(paths, [AUTHORIZE, "/oauth/token", "/oauth/token", "/oauth/locationToken", "/oauth/token"]);
    let all = format!("{requests:?}")
        + &requests.iter().fold(String::new(), |all, request| {
            all + &String::from_utf8_lossy(&request.body) + &String::from_utf8_lossy(&request.response)
        });
    assert!(all.contains("redacted") && all.contains("grant_type=refresh_token"));
    assert!(!all.contains(&secret) && !all.contains(&code), "{all}");
    // Every token starts with its kind.
    assert!(!all.contains("access-") && !all.contains("refresh-"), "{all}");
}

#[tokio::test]
async fn snapshots_contain_tokens_and_a_reset_removes_them() {
    let sandbox = Sandbox::start().await.unwrap();
    let own = TokenResource::location(sandbox.location_id());
    let tokens = sandbox.issue_tokens(&own, ["conversations/message.write"]).unwrap();
    sandbox.set_location_active("elsewhere", false);
    let kept = sandbox.snapshot();
    let fresh = refresh(&sandbox, &tokens).await.body;
    assert_eq!(send(&sandbox, &fresh).await.status, 201);

    // The snapshot restores the tokens before the refresh.
    sandbox.restore(kept.clone()).unwrap();
    assert_eq!(send(&sandbox, &fresh).await.status, 401);
    assert_eq!(send(&sandbox, &tokens).await.status, 201);
    assert_eq!(sandbox.token_requests_of(&own).rotated, 0);

    let other = Sandbox::start().await.unwrap();
    other.restore(serde_json::from_value(json!(kept)).unwrap()).unwrap();
    assert_eq!(other.client_secret(), sandbox.client_secret());
    assert_eq!(refresh(&other, &tokens).await.status, 200);

    sandbox.reset().unwrap();
    assert_eq!(description(&refresh(&sandbox, &tokens).await), INVALID);
    assert_eq!(sandbox.token_requests_of(&own).refreshes(), 0);
}
