//! OAuth over HTTP, as an app uses it.

mod installs;

use std::time::Duration;

use highlevel_sandbox::{Fault, FaultRule, FaultSchedule, FaultStage, Location, TokenResource};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::{Response, SEND, bare, client_without_redirects, execute};
use crate::conformance::{Sandbox, StartChecked};

const REDIRECT_URI: &str = "http://127.0.0.1:9/back";
const SCOPES: &str = "conversations/message.write oauth.write";
const AUTHORIZE: &str = "/v2/oauth/chooselocation";
const MINUTE: Duration = Duration::from_secs(60);

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

/// The official JavaScript SDK opens the path without a version.
#[tokio::test]
async fn both_paths_of_the_authorization_page_are_served() {
    let sandbox = Sandbox::start().await.unwrap();
    let (client_id, location) = (sandbox.client_id(), sandbox.location_id());
    for path in [AUTHORIZE, "/oauth/chooselocation"] {
        let url = format!("{}{path}", sandbox.base_url());
        let fields = [
            ("response_type", "code"),
            ("client_id", client_id.as_str()),
            ("redirect_uri", REDIRECT_URI),
            ("scope", SCOPES),
        ];
        let open = || browser().get(&url).query(&fields);
        let page = open().send().await.unwrap();
        assert_eq!(page.status(), 200, "{path}");
        let html = page.text().await.unwrap();
        assert!(html.contains(&format!("<form method=\"post\" action=\"{path}\">")), "{path}: {html}");
        let chosen = open().query(&[("location_id", location)]).send().await.unwrap();
        assert_eq!(chosen.status(), 302, "{path}");
        // An image on a page of another site.
        let foreign = open().header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "no-cors");
        assert_eq!(foreign.send().await.unwrap().status(), 403, "{path}");
        let forged = browser().post(&url).form(&[("choice", format!("location_id={location}"))]);
        assert_eq!(forged.send().await.unwrap().status(), 400, "{path}");
    }
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

/// A missing type of grant is rejected in the format of the API, all other errors in that of OAuth.
#[tokio::test]
async fn a_missing_grant_type_is_a_validation_error() {
    let sandbox = Sandbox::start().await.unwrap();
    for fields in [&[("grant_type", "")][..], &[]] {
        let response = token(&sandbox, fields).await;
        assert_eq!(response.status, 422);
        let messages = ["grant_type must be a valid enum value", "grant_type should not be empty"];
        assert_eq!(response.body["message"], json!(messages));
        assert_eq!(
            (&response.body["statusCode"], &response.body["error"]),
            (&json!(422), &json!("Unprocessable Entity"))
        );
        assert!(response.body["traceId"].is_string() && response.body.get("error_description").is_none());
    }
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

const INVALID: (u16, &str) = (400, "Invalid grant: refresh token is invalid");

#[tokio::test]
async fn authorization_token_call_and_refresh_work_together() {
    let sandbox = Sandbox::start().await.unwrap();
    let own = TokenResource::location(sandbox.location_id());
    let tokens = exchange(&sandbox, ("location_id", sandbox.location_id())).await;
    assert_eq!((&tokens["userType"], &tokens["scope"]), (&json!("Location"), &json!(SCOPES)));
    assert_eq!(
        (&tokens["locationId"], &tokens["companyId"]),
        (&json!(own.id()), &json!(sandbox.company_id()))
    );
    assert_eq!(send(&sandbox, &tokens).await.status, 201);

    // A day later.
    sandbox.advance_clock(Duration::from_secs(86_399));
    assert_eq!(send(&sandbox, &tokens).await.status, 201);
    sandbox.advance_clock(Duration::from_secs(1));
    assert_eq!(send(&sandbox, &tokens).await.status, 401);

    sandbox.set_clock_speed(0.0);
    let fresh = refresh(&sandbox, &tokens).await;
    assert_eq!(fresh.status, 200);
    assert_eq!(fresh.headers[CACHE_CONTROL], "no-store");
    assert_ne!(fresh.body["access_token"], tokens["access_token"]);
    assert_ne!(fresh.body["refresh_token"], tokens["refresh_token"]);
    assert_eq!(send(&sandbox, &fresh.body).await.status, 201);

    // Repeating the refresh returns the same tokens for a while.
    sandbox.advance_clock(Duration::from_millis(29_999));
    assert_eq!(refresh(&sandbox, &tokens).await.body, fresh.body);
    sandbox.advance_clock(Duration::from_millis(1));
    assert_eq!(description(&refresh(&sandbox, &tokens).await), INVALID);
    assert_eq!(refresh(&sandbox, &fresh.body).await.status, 200);

    let counts = sandbox.token_requests_of(&own);
    let found = (counts.codes_exchanged, counts.rotated, counts.repeated, counts.refused, counts.refreshes());
    assert_eq!(found, (1, 2, 1, 1, 4));
    assert_eq!(sandbox.token_requests().len(), 1);
}

#[tokio::test]
async fn the_choice_page_contains_no_scripts() {
    let sandbox = Sandbox::start().await.unwrap();
    let (status, headers, html) = authorize(&sandbox, &[]).await;
    assert_eq!(status, 200);
    let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'nonce-"), "{policy}");
    assert!(policy.contains("base-uri 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(headers[CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(headers["x-content-type-options"], "nosniff");

    // The button of the location redirects to the app.
    let choice = format!("location_id={}", sandbox.location_id());
    assert!(html.contains(&format!("<button name=\"choice\" value=\"{choice}\">")), "{html}");
    let response = choose(&sandbox, &html, &choice, &[]).await;
    assert_eq!(response.status(), 303);
    let location = response.headers()[LOCATION].to_str().unwrap();
    assert!(location.starts_with(REDIRECT_URI) && location.ends_with("&state=a%26b+c"), "{location}");

    let (status, headers, html) = authorize(&sandbox, &[("loginWindowOpenMode", "<b>")]).await;
    assert_eq!((status, headers.get(LOCATION)), (StatusCode::BAD_REQUEST, None));
    assert!(html.contains("loginWindowOpenMode is &lt;b&gt;"), "{html}");
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

/// Returns the number of installations.
async fn installs(sandbox: &Sandbox) -> usize {
    let installs = execute(bare(sandbox, Method::GET, "/_sandbox/oauth/installs")).await.body;
    installs["installs"].as_array().unwrap_or_else(|| panic!("{installs}")).len()
}

/// A request to choose a location, and its expected result.
struct Row {
    name: &'static str,
    headers: &'static [(&'static str, &'static str)],
    navigates: bool,
    status: u16,
}

#[tokio::test]
async fn a_page_of_another_site_cannot_choose_a_location() {
    let sandbox = Sandbox::start().await.unwrap();
    let chosen = ("location_id", sandbox.location_id());
    let (_, _, html) = authorize(&sandbox, &[]).await;
    let before = installs(&sandbox).await;
    let navigation = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let url = format!("{}{AUTHORIZE}", sandbox.base_url());
    let client_id = sandbox.client_id();
    let fields = [
        ("response_type", "code"),
        ("client_id", client_id.as_str()),
        ("redirect_uri", REDIRECT_URI),
        ("scope", SCOPES),
        chosen,
    ];
    for row in [
        Row {
            name: "an image",
            headers: &[("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "image")],
            navigates: false,
            status: 403,
        },
        Row {
            name: "a frame",
            headers: &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-dest", "iframe"),
                ("sec-fetch-mode", "navigate"),
            ],
            navigates: false,
            status: 403,
        },
        Row { name: "a link", headers: &[("sec-fetch-site", "cross-site")], navigates: true, status: 200 },
        Row {
            name: "an old browser",
            headers: &[("user-agent", "Mozilla/5.0")],
            navigates: false,
            status: 200,
        },
    ] {
        let request = browser().get(&url).query(&fields);
        let request =
            row.headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = navigation
            .iter()
            .filter(|_| row.navigates)
            .fold(request, |request, (name, value)| request.header(*name, *value));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), row.status, "{}", row.name);
        assert!(response.headers().get(LOCATION).is_none(), "{}", row.name);
        assert_eq!(installs(&sandbox).await, before, "{}", row.name);
    }
    // A form of another site, with and without the form token, which it cannot know.
    let choice = format!("location_id={}", sandbox.location_id());
    let response = choose(&sandbox, &html, &choice, &[("origin", "http://evil.example")]).await;
    assert_eq!(response.status(), 403);
    let forged = html.replace("name=\"choice_token\" value=\"", "name=\"choice_token\" value=\"x");
    assert_eq!(choose(&sandbox, &forged, &choice, &[]).await.status(), 400);
    assert_eq!(installs(&sandbox).await, before);
    // An app on this machine redirects its user to the page: the configured choice applies without a click.
    let request = browser().get(&url).query(&fields).header("sec-fetch-site", "same-site");
    let request = navigation.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    assert_eq!(request.send().await.unwrap().status(), 302);
    assert_eq!(installs(&sandbox).await, before + 1);
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
async fn the_location_can_be_chosen_in_advance() {
    let sandbox = Sandbox::builder()
        .redirect_uri(REDIRECT_URI)
        .client_secret("chosen")
        .app_id("mine")
        .start_checked()
        .await
        .unwrap();
    assert_eq!((sandbox.client_id().as_str(), sandbox.client_secret().as_str()), ("mine-sandbox0", "chosen"));
    sandbox.choose_on_authorize(TokenResource::company(sandbox.company_id()));
    let (status, headers, _) = authorize(&sandbox, &[]).await;
    assert!(status == 302 && headers[LOCATION].to_str().unwrap().starts_with(REDIRECT_URI));
    sandbox.choose_on_authorize(None);
    assert_eq!(authorize(&sandbox, &[]).await.0, 200);
    let (status, headers, _) = authorize(&sandbox, &[("redirect_uri", "http://evil.example/")]).await;
    assert_eq!((status, headers.get(LOCATION)), (StatusCode::BAD_REQUEST, None));
}

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
        let found = response.body["message"].as_str().unwrap();
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

#[tokio::test]
async fn tokens_have_the_requested_scopes() {
    let sandbox = Sandbox::start().await.unwrap();
    let own = TokenResource::location(sandbox.location_id());
    let without = sandbox.issue_tokens(&own, ["contacts.readonly"]).unwrap();
    let response = send(&sandbox, &without).await;
    assert_eq!((response.status, sandbox.messages().len()), (StatusCode::UNAUTHORIZED, 0));
    let words = response.body["message"].as_str().unwrap();
    assert!(words.contains("conversations/message.write"), "{words}");
    let with = sandbox.issue_tokens(&own, ["contacts.readonly", "conversations/message.write"]).unwrap();
    assert_eq!(send(&sandbox, &with).await.status, 201);
    // A refresh adds no scopes.
    let fresh = refresh(&sandbox, &without).await.body;
    assert_eq!(
        (&fresh["scope"], send(&sandbox, &fresh).await.status),
        (&json!("contacts.readonly"), StatusCode::UNAUTHORIZED)
    );
}

#[tokio::test]
async fn revoked_and_expired_tokens_are_rejected() {
    let sandbox = Sandbox::start().await.unwrap();
    let own = TokenResource::location(sandbox.location_id());
    let give = || sandbox.issue_tokens(&own, ["conversations/message.write"]).unwrap();
    let text = |tokens: &Value, name: &str| tokens[name].as_str().unwrap().to_owned();

    let tokens = give();
    assert!(sandbox.revoke_token(&text(&tokens, "access_token")));
    assert!(!sandbox.revoke_token(&text(&tokens, "access_token")));
    assert_eq!(send(&sandbox, &tokens).await.body["message"], "Invalid token: access token is invalid");
    assert_eq!(refresh(&sandbox, &tokens).await.status, 200);

    let tokens = give();
    assert!(sandbox.revoke_token(&text(&tokens, "refresh_token")));
    assert_eq!(send(&sandbox, &tokens).await.status, 201);
    assert_eq!(description(&refresh(&sandbox, &tokens).await), INVALID);

    let tokens = give();
    assert!(sandbox.expire_token(&text(&tokens, "access_token")));
    assert!(!sandbox.expire_token("unknown"));
    assert_eq!(send(&sandbox, &tokens).await.body["message"], "Invalid token: access token is expired");
    assert!(sandbox.expire_token(&text(&tokens, "refresh_token")));
    assert_eq!(description(&refresh(&sandbox, &tokens).await), INVALID);

    let (one, other) = (give(), give());
    assert!(sandbox.expire_access_tokens(&own) >= 2);
    assert_eq!([send(&sandbox, &one).await.status, send(&sandbox, &other).await.status], [401, 401]);
    assert!(sandbox.revoke_tokens(&own) >= 4);
    assert_eq!(description(&refresh(&sandbox, &one).await), INVALID);
    assert_eq!(sandbox.revoke_tokens(&own), 0);
}

#[tokio::test]
async fn refreshing_for_an_inactive_location_does_not_spend_the_token() {
    let sandbox = Sandbox::start().await.unwrap();
    let own = TokenResource::location(sandbox.location_id());
    let tokens = sandbox.issue_tokens(&own, [SCOPES]).unwrap();
    sandbox.set_location_active(own.id(), false);
    for _ in 0..2 {
        assert_eq!(description(&refresh(&sandbox, &tokens).await), (400, "Location is not active"));
    }
    sandbox.set_location_active(own.id(), true);
    assert_eq!(refresh(&sandbox, &tokens).await.status, 200);
}

#[tokio::test]
async fn token_requests_must_be_forms() {
    let sandbox = Sandbox::start().await.unwrap();
    let body = json!({"client_id": sandbox.client_id(), "client_secret": sandbox.client_secret()});
    let response = execute(bare(&sandbox, Method::POST, "/oauth/token").json(&body)).await;
    let words = "Invalid request: content must be application/x-www-form-urlencoded; the Content-Type is `application/json`";
    assert_eq!(description(&response), (400, words));
    assert_eq!(response.body["error"], "invalid_request");
    let response = execute(bare(&sandbox, Method::GET, "/oauth/token")).await;
    assert_eq!(
        (response.status, &response.body["message"]),
        (StatusCode::NOT_FOUND, &json!("Cannot GET /oauth/token"))
    );
    let wrong = [("grant_type", "refresh_token"), ("client_secret", "wrong"), ("refresh_token", "x")];
    let id = sandbox.client_id();
    let request = bare(&sandbox, Method::POST, "/oauth/token")
        .form(&[&[("client_id", id.as_str())], &wrong[..]].concat());
    let response = execute(request).await;
    assert_eq!(description(&response), (401, "Invalid client credentials!"));
}

#[tokio::test]
async fn token_responses_can_use_camel_case() {
    let sandbox = Sandbox::start().await.unwrap();
    let own = TokenResource::location(sandbox.location_id());
    let tokens = sandbox.issue_tokens(&own, [SCOPES]).unwrap();
    sandbox.use_camel_case_tokens(true);
    let fresh = refresh(&sandbox, &tokens).await.body;
    for name in ["accessToken", "tokenType", "expiresIn", "refreshToken", "refreshTokenId", "userType"] {
        assert!(fresh.get(name).is_some(), "{name}: {fresh}");
    }
    assert!(fresh.get("access_token").is_none());
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
async fn a_refresh_with_a_lost_response_can_be_repeated() {
    let sandbox = Sandbox::start().await.unwrap();
    let own = TokenResource::location(sandbox.location_id());
    let tokens = sandbox.issue_tokens(&own, ["conversations/message.write"]).unwrap();
    let (id, secret) = (sandbox.client_id(), sandbox.client_secret());
    let fields = [
        ("client_id", id.as_str()),
        ("client_secret", secret.as_str()),
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    for (stage, rotated) in [(FaultStage::Before, 0), (FaultStage::After, 1)] {
        let rule =
            FaultRule::new(Fault::RESET).stage(stage).path("/oauth/token").schedule(FaultSchedule::First(1));
        sandbox.add_fault(rule).unwrap();
        bare(&sandbox, Method::POST, "/oauth/token").form(&fields).send().await.unwrap_err();
        assert_eq!(sandbox.token_requests_of(&own).rotated, rotated, "{stage:?}");
    }
    let repeated = refresh(&sandbox, &tokens).await;
    assert_eq!(send(&sandbox, &repeated.body).await.status, 201);
    let counts = sandbox.token_requests_of(&own);
    assert_eq!((counts.rotated, counts.repeated, counts.refused), (1, 1, 0));
    let fault = |request: &highlevel_sandbox::RecordedRequest| request.fault.clone();
    let faults: Vec<_> = sandbox.requests().iter().map(fault).collect();
    assert_eq!(faults, [Some("reset".to_owned()), Some("reset".to_owned()), None, None]);
}

#[tokio::test]
async fn of_concurrent_refreshes_one_rotates_the_token() {
    let sandbox = Sandbox::start().await.unwrap();
    let own = TokenResource::location(sandbox.location_id());
    let tokens = sandbox.issue_tokens(&own, ["conversations/message.write"]).unwrap();
    let (id, secret) = (sandbox.client_id(), sandbox.client_secret());
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let fields = [
            ("client_id", id.clone()),
            ("client_secret", secret.clone()),
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", tokens["refresh_token"].as_str().unwrap().to_owned()),
        ];
        waiting.spawn(execute(bare(&sandbox, Method::POST, "/oauth/token").form(&fields)));
    }
    let responses = waiting.join_all().await;
    assert!(responses.iter().all(|response| response.status == 200 && response.body == responses[0].body));
    let counts = sandbox.token_requests_of(&own);
    assert_eq!((counts.rotated, counts.repeated, counts.refused), (1, 29, 0));
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

#[tokio::test]
async fn rate_limits_do_not_count_token_requests() {
    let sandbox = Sandbox::builder()
        .rate_limit(highlevel_sandbox::RateLimit::documented().burst(1).interval(MINUTE))
        .start_checked()
        .await
        .unwrap();
    let own = TokenResource::location(sandbox.location_id());
    let mut tokens = sandbox.issue_tokens(&own, ["conversations/message.write"]).unwrap();
    for _ in 0..5 {
        let response = refresh(&sandbox, &tokens).await;
        assert!(response.headers.get("x-ratelimit-remaining").is_none());
        tokens = response.body;
    }
    assert_eq!(send(&sandbox, &tokens).await.status, 201);
    assert_eq!(send(&sandbox, &tokens).await.status, 429);
}
