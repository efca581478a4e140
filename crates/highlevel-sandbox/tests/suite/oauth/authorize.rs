//! The authorization page.

use highlevel_sandbox::TokenResource;
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use reqwest::Method;

use super::{AUTHORIZE, REDIRECT_URI, SCOPES, authorize, browser, choose};
use crate::caller::{bare, execute};
use crate::conformance::{Sandbox, StartChecked};

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
