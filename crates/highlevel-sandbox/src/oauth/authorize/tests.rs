use super::super::app::SandboxApp;
use super::*;
use crate::model::{LOCATION_ID, Location};

const VALID: &str = "response_type=code&client_id=app-1&redirect_uri=http://127.0.0.1:3000/back&scope=a+b";

const CHOOSES: Policy = Policy { may_choose: true, requires_version_id: false };

fn model() -> Model {
    let mut seed = crate::snapshot::seed();
    seed.locations.push(Location::new("second"));
    seed.locations.push(Location::new("foreign").company("strangers"));
    Model::try_from(seed).unwrap()
}

fn registry() -> Registry {
    let mut registry = Registry::new(SandboxApp::new("app-1", "secret"));
    let registered = SandboxApp::new("app-2", "secret").redirect_uri("https://a.example/x?y=1").scope("a");
    registry.put_app(registered).unwrap();
    registry
}

fn response_to(query: &str, registry: &Registry) -> AuthorizeResponse {
    decide(&Form::parse_query(query).unwrap(), registry, &model(), DateTime::UNIX_EPOCH, "CODE", CHOOSES)
}

#[test]
fn invalid_requests_show_an_error_and_do_not_redirect() {
    let without = |field: &str| -> String {
        VALID.split('&').filter(|pair| !pair.starts_with(field)).collect::<Vec<_>>().join("&")
    };
    let with =
        |field: &str, value: &str| format!("{}&{field}={value}&location_id={LOCATION_ID}", without(field));
    let second = "response_type=code&client_id=app-2&scope=a&location_id=second&redirect_uri=";
    for (query, message) in [
        (without("response_type"), "response_type is missing"),
        (with("response_type", "token"), "response_type is token, but must be code"),
        (without("client_id"), "client_id is missing"),
        (with("client_id", "unknown"), "no app has the client_id unknown"),
        (without("redirect_uri"), "redirect_uri is missing"),
        (with("redirect_uri", "/back"), "does not start with http:// or https://"),
        (with("redirect_uri", "javascript:alert(1)"), "is invalid"),
        (with("redirect_uri", "ftp://a.example/"), "does not start with http:// or https://"),
        (with("redirect_uri", "http://a.example/%23b"), "it has a fragment"),
        (with("redirect_uri", "http://a@b.example/"), "it contains user information"),
        (with("redirect_uri", "http://a.example/%0d%0aSet-Cookie:x"), "is invalid"),
        (with("redirect_uri", "https://evil.example/x"), "is on another machine"),
        (with("redirect_uri", "http://127.0.0.1.evil.example/x"), "is on another machine"),
        (with("redirect_uri", "http://10.0.0.1/x"), "register it with --redirect-uri http://10.0.0.1/x"),
        (without("scope"), "scope is missing"),
        (with("loginWindowOpenMode", "popup"), "loginWindowOpenMode is popup"),
        (format!("{VALID}&state=1&state=2"), "state appears more than once"),
        (with("location_id", "nowhere"), "more than one location_id requires a company"),
        (format!("{VALID}&location_id=nowhere"), "location nowhere does not exist"),
        (format!("{VALID}&company=nowhere"), "company nowhere does not exist"),
        (format!("{VALID}&company=own&location_id=foreign"), "location foreign does not belong to company"),
        (
            format!("{second}https://a.example/x"),
            "is not registered with the app; use https://a.example/x?y=1",
        ),
        (format!("{second}https://a.example/x?y=1&scope=a"), "scope appears more than once"),
        (
            "response_type=code&client_id=app-2&scope=a+c&redirect_uri=https://a.example/x?y=1".to_owned(),
            "the scope c is not registered with the app",
        ),
        (
            format!("{VALID}&company=own&install_to_future_locations=yes"),
            "install_to_future_locations is yes, but must be true or false",
        ),
    ] {
        match response_to(&query, &registry()) {
            AuthorizeResponse::Error(found) => assert!(found.contains(message), "{query}: {found}"),
            other => panic!("{query}: {other:?}"),
        }
    }
}

#[test]
fn a_choice_redirects_with_a_code() {
    let own = |locations: &[&str]| {
        Choice::company(COMPANY_ID, locations.iter().map(|id| (*id).to_owned()).collect())
    };
    let location = |id: &str, company: &str| Choice::location(id, company);
    let second =
        "response_type=code&client_id=app-2&scope=a&redirect_uri=https%3A%2F%2Fa.example%2Fx%3Fy%3D1";
    let back = "http://127.0.0.1:3000/back";
    for (query, target, choice) in [
        (format!("{VALID}&location_id=second"), format!("{back}?code=CODE"), location("second", COMPANY_ID)),
        (
            format!("{VALID}&location_id=foreign&state=a%26b+c&loginWindowOpenMode=self"),
            format!("{back}?code=CODE&state=a%26b+c"),
            location("foreign", "strangers"),
        ),
        (format!("{VALID}&company=own"), format!("{back}?code=CODE"), own(&[LOCATION_ID, "second"])),
        (
            format!("{VALID}&company=own&install_to_future_locations=true"),
            format!("{back}?code=CODE"),
            own(&[LOCATION_ID, "second"]).with_future_locations(true),
        ),
        (
            format!("{VALID}&location_id=second&install_to_future_locations=true&version_id=v"),
            format!("{back}?code=CODE"),
            location("second", COMPANY_ID),
        ),
        (
            format!("{VALID}&company={COMPANY_ID}&location_id=second"),
            format!("{back}?code=CODE"),
            own(&["second"]),
        ),
        (
            format!("{second}&location_id=second&state=s"),
            "https://a.example/x?y=1&code=CODE&state=s".to_owned(),
            location("second", COMPANY_ID),
        ),
    ] {
        match response_to(&query, &registry()) {
            AuthorizeResponse::Redirect { location, code } => {
                assert_eq!((location, code.choice), (target, choice), "{query}");
                assert_eq!(code.expires_at, DateTime::UNIX_EPOCH + TimeDelta::seconds(600));
                assert!(!code.used);
            }
            other => panic!("{query}: {other:?}"),
        }
    }
}

#[test]
fn a_request_without_a_choice_shows_the_page_or_uses_the_settings() {
    let mut registry = registry();
    assert_eq!(response_to(VALID, &registry), AuthorizeResponse::ShowPage);
    registry.settings_mut().choose_on_authorize = Some(TokenResource::location("second"));
    let chosen = |query: &str| match response_to(query, &registry) {
        AuthorizeResponse::Redirect { code, .. } => code.choice.resource,
        other => panic!("{query}: {other:?}"),
    };
    assert_eq!(chosen(VALID), TokenResource::location("second"));
    // The choice of the request takes precedence.
    assert_eq!(chosen(&format!("{VALID}&company=own")), TokenResource::company(COMPANY_ID));
}

#[test]
fn a_setting_includes_future_locations_and_a_request_overrides_it() {
    let mut registry = registry();
    registry.settings_mut().install_to_future_locations = true;
    for (query, expected) in [
        ("&company=own", true),
        ("&company=own&install_to_future_locations=false", false),
        ("&location_id=second", false),
    ] {
        let AuthorizeResponse::Redirect { code, .. } = response_to(&format!("{VALID}{query}"), &registry)
        else {
            panic!("{query}");
        };
        assert_eq!(code.choice.install_to_future_locations, expected, "{query}");
    }
}

#[test]
fn a_policy_requires_a_version_of_the_app() {
    let policy = Policy { requires_version_id: true, ..CHOOSES };
    for (version, expected) in
        [("", Some(NO_VERSION_ID)), ("&version_id=", Some(NO_VERSION_ID)), ("&version_id=v", None)]
    {
        let query = Form::parse_query(&format!("{VALID}&location_id=second{version}")).unwrap();
        let response = decide(&query, &registry(), &model(), DateTime::UNIX_EPOCH, "CODE", policy);
        match (&response, expected) {
            (AuthorizeResponse::Error(found), Some(expected)) => assert_eq!(found, expected, "{version}"),
            (AuthorizeResponse::Redirect { .. }, None) => {}
            _ => panic!("{version}: {response:?}"),
        }
    }
}

#[test]
fn a_request_that_may_not_choose_only_shows_the_page() {
    let mut registry = registry();
    registry.settings_mut().choose_on_authorize = Some(TokenResource::location("second"));
    for query in [VALID.to_owned(), format!("{VALID}&location_id=second"), format!("{VALID}&company=own")] {
        let response = decide(
            &Form::parse_query(&query).unwrap(),
            &registry,
            &model(),
            DateTime::UNIX_EPOCH,
            "CODE",
            Policy::default(),
        );
        assert_eq!(response, AuthorizeResponse::ShowPage, "{query}");
    }
}

#[test]
fn without_registered_uris_loopback_uris_are_accepted() {
    for uri in [
        "http://localhost:3000/back",
        "https://127.0.0.1/back",
        "http://[::1]:3000/",
        "http://app.localhost/",
    ] {
        let query =
            format!("response_type=code&client_id=app-1&scope=a&location_id=second&redirect_uri={uri}");
        assert!(matches!(response_to(&query, &registry()), AuthorizeResponse::Redirect { .. }), "{uri}");
    }
}

/// A number of scopes, and how many of them are taken from the request.
struct ScopesRow {
    count: usize,
    are_distinct: bool,
    taken: usize,
    is_accepted: bool,
}

/// A step is one scope that is taken from the request.
#[test]
fn the_cost_of_scopes_is_linear_and_ends_at_the_limit() {
    for ScopesRow { count, are_distinct, taken, is_accepted } in [
        ScopesRow { count: 500_000, are_distinct: false, taken: 500_000, is_accepted: true },
        ScopesRow { count: MAX_SCOPES, are_distinct: true, taken: MAX_SCOPES, is_accepted: true },
        ScopesRow { count: MAX_SCOPES + 1, are_distinct: true, taken: MAX_SCOPES + 1, is_accepted: false },
        ScopesRow { count: 100_000, are_distinct: true, taken: MAX_SCOPES + 1, is_accepted: false },
    ] {
        let scope = |number: usize| format!("scope{}", if are_distinct { number } else { 0 });
        let scopes: Vec<String> = (0..count).map(scope).collect();
        let mut steps = 0;
        let found = distinct_scopes(scopes.iter().map(String::as_str).inspect(|_| steps += 1));
        assert_eq!((steps, found.is_ok()), (taken, is_accepted), "{count} scopes");
        assert!(found.is_err() || found.is_ok_and(|found| found.len() <= MAX_SCOPES), "{count} scopes");
    }
}
