use super::super::app::SandboxApp;
use super::*;
use crate::model::{LOCATION_ID, Location};

const GOOD: &str = "response_type=code&client_id=app-1&redirect_uri=http://127.0.0.1:3000/back&scope=a+b";

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

fn decide_on(query: &str, registry: &Registry) -> Answer {
    decide(&Form::of_query(query).unwrap(), registry, &model(), DateTime::UNIX_EPOCH, "CODE", true)
}

#[test]
fn what_is_wrong_is_said_and_not_redirected() {
    let without = |field: &str| -> String {
        GOOD.split('&').filter(|pair| !pair.starts_with(field)).collect::<Vec<_>>().join("&")
    };
    let with =
        |field: &str, value: &str| format!("{}&{field}={value}&location_id={LOCATION_ID}", without(field));
    let second = "response_type=code&client_id=app-2&scope=a&location_id=second&redirect_uri=";
    for (query, words) in [
        (without("response_type"), "response_type is missing"),
        (with("response_type", "token"), "response_type is token, and has to be code"),
        (without("client_id"), "client_id is missing"),
        (with("client_id", "nobody"), "there is no app with the client_id nobody"),
        (without("redirect_uri"), "redirect_uri is missing"),
        (with("redirect_uri", "/back"), "does not begin with http:// or https://"),
        (with("redirect_uri", "javascript:alert(1)"), "cannot be used"),
        (with("redirect_uri", "ftp://a.example/"), "does not begin with http:// or https://"),
        (with("redirect_uri", "http://a.example/%23b"), "it has a fragment"),
        (with("redirect_uri", "http://a@b.example/"), "it has a user in it"),
        (with("redirect_uri", "http://a.example/%0d%0aSet-Cookie:x"), "cannot be used"),
        (with("redirect_uri", "https://evil.example/x"), "is on another machine"),
        (with("redirect_uri", "http://127.0.0.1.evil.example/x"), "is on another machine"),
        (with("redirect_uri", "http://10.0.0.1/x"), "register it with --redirect-uri http://10.0.0.1/x"),
        (without("scope"), "scope is missing"),
        (with("loginWindowOpenMode", "popup"), "loginWindowOpenMode is popup"),
        (format!("{GOOD}&state=1&state=2"), "state is there twice"),
        (with("location_id", "nowhere"), "more than one location_id needs a company"),
        (format!("{GOOD}&location_id=nowhere"), "there is no location nowhere"),
        (format!("{GOOD}&company=nowhere"), "there is no company nowhere"),
        (format!("{GOOD}&company=own&location_id=foreign"), "foreign is not a location of the company"),
        (
            format!("{second}https://a.example/x"),
            "is not registered with the app; https://a.example/x?y=1 is",
        ),
        (format!("{second}https://a.example/x?y=1&scope=a"), "scope is there twice"),
        (
            "response_type=code&client_id=app-2&scope=a+c&redirect_uri=https://a.example/x?y=1".to_owned(),
            "the scope c is not registered with the app",
        ),
    ] {
        match decide_on(&query, &registry()) {
            Answer::Wrong(found) => assert!(found.contains(words), "{query}: {found}"),
            other => panic!("{query}: {other:?}"),
        }
    }
}

#[test]
fn a_choice_leads_back_with_a_code() {
    let own = |locations: &[&str]| Choice {
        resource: TokenResource::company(COMPANY_ID),
        company_id: COMPANY_ID.to_owned(),
        locations: locations.iter().map(|id| (*id).to_owned()).collect(),
    };
    let location = |id: &str, company: &str| Choice {
        resource: TokenResource::location(id),
        company_id: company.to_owned(),
        locations: Vec::new(),
    };
    let second =
        "response_type=code&client_id=app-2&scope=a&redirect_uri=https%3A%2F%2Fa.example%2Fx%3Fy%3D1";
    let back = "http://127.0.0.1:3000/back";
    for (query, target, choice) in [
        (format!("{GOOD}&location_id=second"), format!("{back}?code=CODE"), location("second", COMPANY_ID)),
        (
            format!("{GOOD}&location_id=foreign&state=a%26b+c&loginWindowOpenMode=self"),
            format!("{back}?code=CODE&state=a%26b+c"),
            location("foreign", "strangers"),
        ),
        (format!("{GOOD}&company=own"), format!("{back}?code=CODE"), own(&[LOCATION_ID, "second"])),
        (
            format!("{GOOD}&company={COMPANY_ID}&location_id=second"),
            format!("{back}?code=CODE"),
            own(&["second"]),
        ),
        (
            format!("{second}&location_id=second&state=s"),
            "https://a.example/x?y=1&code=CODE&state=s".to_owned(),
            location("second", COMPANY_ID),
        ),
    ] {
        match decide_on(&query, &registry()) {
            Answer::Redirect { location, code } => {
                assert_eq!((location, code.choice), (target, choice), "{query}");
                assert_eq!(code.expires_at, DateTime::UNIX_EPOCH + TimeDelta::seconds(600));
                assert!(!code.used);
            }
            other => panic!("{query}: {other:?}"),
        }
    }
}

#[test]
fn without_a_choice_it_is_asked_unless_it_is_set() {
    let mut registry = registry();
    assert_eq!(decide_on(GOOD, &registry), Answer::Ask);
    registry.settings_mut().choose_on_authorize = Some(TokenResource::location("second"));
    let chosen = |query: &str| match decide_on(query, &registry) {
        Answer::Redirect { code, .. } => code.choice.resource,
        other => panic!("{query}: {other:?}"),
    };
    assert_eq!(chosen(GOOD), TokenResource::location("second"));
    // What the person chooses comes first.
    assert_eq!(chosen(&format!("{GOOD}&company=own")), TokenResource::company(COMPANY_ID));
}

#[test]
fn a_request_that_may_not_choose_only_shows_the_page() {
    let mut registry = registry();
    registry.settings_mut().choose_on_authorize = Some(TokenResource::location("second"));
    for query in [GOOD.to_owned(), format!("{GOOD}&location_id=second"), format!("{GOOD}&company=own")] {
        let answer = decide(
            &Form::of_query(&query).unwrap(),
            &registry,
            &model(),
            DateTime::UNIX_EPOCH,
            "CODE",
            false,
        );
        assert_eq!(answer, Answer::Ask, "{query}");
    }
}

#[test]
fn without_registered_uris_the_code_stays_on_this_machine() {
    for uri in [
        "http://localhost:3000/back",
        "https://127.0.0.1/back",
        "http://[::1]:3000/",
        "http://app.localhost/",
    ] {
        let query =
            format!("response_type=code&client_id=app-1&scope=a&location_id=second&redirect_uri={uri}");
        assert!(matches!(decide_on(&query, &registry()), Answer::Redirect { .. }), "{uri}");
    }
}
