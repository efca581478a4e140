//! The URL at which an app is installed.

use std::collections::HashSet;

use highlevel::ErrorKind;
use highlevel::auth::store::MemoryStore;
use highlevel::auth::{App, CsrfState, Scope};

const LIVE: &str = "https://services.leadconnectorhq.com";

fn app() -> App {
    app_at(LIVE)
}

fn app_at(base_url: &str) -> App {
    App::builder()
        .base_url(base_url)
        .client_id("665c-lx1&a=2")
        .client_secret("s")
        .redirect_uri("https://app.example.com/in stalled?a=1&b=é+ü")
        .store(MemoryStore::new())
        .build()
        .expect("an app")
}

/// The expected URL was written by hand from RFC 3986.
#[test]
fn every_part_is_percent_encoded() {
    let url = app()
        .authorize_url()
        .scope(Scope::CONVERSATIONS_MESSAGE_WRITE)
        .scope("a+b&c")
        .state("x y&z=%20#é")
        .version_id("v 1&")
        .same_window()
        .build()
        .expect("a URL");
    assert_eq!(
        url,
        "https://marketplace.gohighlevel.com/v2/oauth/chooselocation?response_type=code&client_id=665c-lx1%26a%3D2\
         &redirect_uri=https%3A%2F%2Fapp.example.com%2Fin%20stalled%3Fa%3D1%26b%3D%C3%A9%2B%C3%BC\
         &scope=conversations%2Fmessage.write%20a%2Bb%26c&version_id=v%201%26&state=x%20y%26z%3D%2520%23%C3%A9&loginWindowOpenMode=self"
    );
}

#[test]
fn the_host_is_configurable() {
    let with_scopes = |app: App| app.authorize_url().scopes([Scope::OAUTH_WRITE, Scope::from("x")]);
    let builder = || with_scopes(app());
    let at = |base_url: &str| with_scopes(app_at(base_url));
    let rest = "?response_type=code&client_id=665c-lx1%26a%3D2&redirect_uri=https%3A%2F%2Fapp.example.com%2Fin%20stalled\
                %3Fa%3D1%26b%3D%C3%A9%2B%C3%BC&scope=oauth.write%20x";
    for (builder, host) in [
        (builder(), "https://marketplace.gohighlevel.com"),
        (builder().white_label(), "https://marketplace.leadconnectorhq.com"),
        (builder().base_url("http://127.0.0.1:8080/"), "http://127.0.0.1:8080"),
        (builder().base_url("http://127.0.0.1:8080").white_label(), "http://127.0.0.1:8080"),
        // The app uses another API than the live one.
        (at("http://127.0.0.1:4010/"), "http://127.0.0.1:4010"),
        (at("http://127.0.0.1:4010").white_label(), "http://127.0.0.1:4010"),
        (at("http://127.0.0.1:4010/highlevel/"), "http://127.0.0.1:4010/highlevel"),
        (at("http://127.0.0.1:4010").base_url("http://localhost:4010"), "http://localhost:4010"),
        (at("https://services.leadconnectorhq.com/"), "https://marketplace.gohighlevel.com"),
    ] {
        let expected = format!("{host}/v2/oauth/chooselocation{rest}");
        assert_eq!(builder.build().expect("a URL"), expected);
    }
}

#[test]
fn missing_parts_of_the_url_are_named() {
    let without_uri =
        App::builder().base_url(LIVE).client_id("a").client_secret("s").store(MemoryStore::new());
    let without_uri = without_uri.build().expect("an app").authorize_url().scope("x");
    for (builder, text) in [
        (
            without_uri,
            "build: no redirect URI: call `.redirect_uri(…)` when building the app, with one from its settings",
        ),
        (
            app().authorize_url(),
            "build: no scope: add those that the app needs, at least `.scope(Scope::CONVERSATIONS_MESSAGE_WRITE)`",
        ),
        (
            app().authorize_url().scope("x").base_url("marketplace"),
            "build: the base URL for the authorization is invalid; write it like https://marketplace.gohighlevel.com",
        ),
    ] {
        let error = builder.build().expect_err(text);
        assert_eq!((error.to_string().as_str(), error.kind()), (text, ErrorKind::Configuration));
    }
}

#[test]
fn a_state_matches_only_itself_and_is_never_repeated() {
    let states: Vec<_> = (0..1_000).map(|_| CsrfState::random().expect("random numbers")).collect();
    let texts: HashSet<_> = states.iter().map(CsrfState::as_str).collect();
    assert_eq!(texts.len(), states.len());
    for state in &states {
        let text = state.as_str();
        assert_eq!(text.len(), 43);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        assert!(state.matches(text) && CsrfState::from_text(text).matches(text));
        let mut other = text.to_owned().into_bytes();
        other[20] ^= 1;
        let other = String::from_utf8(other).expect("ASCII");
        for wrong in ["", &text[1..], &text[..42], &other, &format!("{text}=")] {
            assert!(!state.matches(wrong), "{wrong}");
        }
        assert!(!format!("{state:?}").contains(text));
    }
    assert!(!CsrfState::from_text("").matches(""), "an empty state must not match");
}
