//! Valid configurations of a client, and the errors of invalid ones.

use std::process::Command;

use highlevel::auth::App;
use highlevel::auth::store::MemoryStore;
use highlevel::{ApiVersion, Client, ClientBuilder, Delivery, ErrorKind};

use crate::server::TOKEN;

const LIVE: &str = "https://services.leadconnectorhq.com";

fn assert_rejected(name: &str, builder: ClientBuilder, text: &str) {
    let error = builder.build().expect_err(name);
    assert_eq!(error.to_string(), format!("build: {text}"), "{name}");
    assert_eq!(error.kind(), ErrorKind::Configuration, "{name}");
    assert_eq!(error.delivery(), Delivery::NotSent, "{name}");
    assert_eq!((error.operation(), error.attempts(), error.status()), ("build", 0, None), "{name}");
    assert!(error.body().is_empty() && error.messages().is_empty() && error.header("date").is_none());
}

#[test]
fn invalid_tokens_are_rejected_with_a_fix() {
    let text = "no token: call `.token(…)` with a private integration token of the location, or an OAuth access token";
    assert_rejected("missing", Client::builder().base_url(LIVE), text);

    let empty = "the token is empty: is the variable or the file that holds it set?";
    let edges = "the token begins or ends with white space, perhaps the line break of a file: trim it";
    let bearer = "the token begins with `Bearer`, which is added for you: give the token alone";
    let quoted =
        "the token begins with a quotation mark, perhaps from a file of variables: give the token alone";
    let invalid_character =
        "the token contains a space, a control character or a character outside ASCII: copy it again";
    let rows = [
        ("", empty),
        (" ", empty),
        ("\n", empty),
        ("pit-1\n", edges),
        ("pit-1\r\n", edges),
        (" pit-1", edges),
        ("Bearer pit-1", bearer),
        ("bearer pit-1", bearer),
        ("\"pit-1\"", quoted),
        ("'pit-1'", quoted),
        ("pit-1\npit-2", invalid_character),
        ("pit-1\r\nX-Evil: 1", invalid_character),
        ("pit-1 pit-2", invalid_character),
        ("pit-\u{0}1", invalid_character),
        ("pit-\u{7f}1", invalid_character),
        ("pit-…", invalid_character),
        ("pit-é", invalid_character),
    ];
    for (token, text) in rows {
        assert_rejected(token, Client::builder().token(token).base_url(LIVE), text);
    }
    for token in [TOKEN, "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.4-_~+/==", "bearertoken", "a"] {
        Client::builder().token(token).base_url(LIVE).build().expect(token);
    }
}

#[test]
fn invalid_base_urls_are_rejected_with_a_fix() {
    let url = "is not a URL: write it like https://services.leadconnectorhq.com";
    let scheme = "is not an http or https address: write it like https://services.leadconnectorhq.com";
    let person = "contains a user name or a password: leave them out";
    let query = "has a query or a fragment: end it after the host or the path";
    let plain = "would send the token unencrypted to another machine: use https, or call `.allow_plain_http()` if the \
                 network between is yours";
    // The address, how it is shown, and what is wrong with it.
    let rows = [
        ("", "", url),
        ("services.leadconnectorhq.com", "services.leadconnectorhq.com", url),
        ("/conversations", "/conversations", url),
        ("https://", "https://", url),
        ("https://host:port", "https://host:port", url),
        ("https://[::1", "https://[::1", url),
        ("https://a b", "https://a b", url),
        ("ht\u{1b}tp://a", "ht\\u{1b}tp://a", url),
        ("localhost:8080", "localhost:8080", scheme),
        ("ftp://example.com", "ftp://example.com", scheme),
        ("file:///etc/passwd", "file:///etc/passwd", scheme),
        ("mailto:a", "mailto:a", scheme),
        ("https://me@example.com", "https://…@example.com", person),
        ("https://me:hunter2@example.com", "https://…@example.com", person),
        ("https://:hunter2@example.com/a", "https://…@example.com/a", person),
        ("http://me:hunter2@127.0.0.1:1", "http://…@127.0.0.1:1", person),
        ("https://me:hunter2@example.com:port", "https://…@example.com:port", url),
        ("https://me:hun#hunter2@example.com", "https://…@example.com", url),
        ("https://me:1?hunter2@example.com", "https://…@example.com", query),
        ("me:hunter2@example.com", "…@example.com", scheme),
        ("https://example.com?key=hunter2", "https://example.com?…", query),
        ("https://example.com/a?key=hunter2", "https://example.com/a?…", query),
        ("https://example.com/#hunter2", "https://example.com/#…", query),
        ("https://example.com?", "https://example.com?…", query),
        ("http://services.leadconnectorhq.com", "http://services.leadconnectorhq.com", plain),
        ("http://10.0.0.1", "http://10.0.0.1", plain),
        ("http://localhost.example.com", "http://localhost.example.com", plain),
        ("http://127.0.0.1.example.com", "http://127.0.0.1.example.com", plain),
        ("http://[::2]", "http://[::2]", plain),
        ("http://0.0.0.0", "http://0.0.0.0", plain),
    ];
    for (address, shown, text) in rows {
        let builder = Client::builder().token(TOKEN).base_url(address);
        let debug = format!("{builder:?}");
        assert!(!debug.contains("hunter2"), "{debug}");
        let error = builder.clone().build().expect_err(address);
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        assert_rejected(address, builder, &format!("the base URL `{shown}` {text}"));
    }

    let rows = [
        ("https://services.leadconnectorhq.com", LIVE),
        ("https://services.leadconnectorhq.com/", LIVE),
        ("https://services.leadconnectorhq.com///", LIVE),
        ("HTTPS://Services.LeadConnectorHQ.com:443", LIVE),
        (" https://services.leadconnectorhq.com\n", LIVE),
        ("https://example.com/a/b/", "https://example.com/a/b"),
        ("https://example.com/@team", "https://example.com/@team"),
        ("http://localhost", "http://localhost"),
        ("http://LOCALHOST:8080/", "http://localhost:8080"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.8.9.1", "http://127.8.9.1"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ];
    for (address, shown) in rows {
        let client = Client::builder().token(TOKEN).base_url(address).build().expect(address);
        assert_eq!(client.base_url(), shown);
        assert_eq!(format!("{client:?}"), format!("Client {{ base_url: {shown:?}, .. }}"));
    }
    let allowed = Client::builder().token(TOKEN).base_url("http://10.0.0.1/").allow_plain_http();
    assert_eq!(allowed.build().expect("allowed").base_url(), "http://10.0.0.1");
}

#[test]
fn invalid_header_values_are_rejected_with_a_fix() {
    let builder = || Client::builder().token(TOKEN).base_url(LIVE);
    let invalid_character = "contains a character that a header cannot carry: remove it";
    assert_rejected(
        "agent",
        builder().user_agent("a\nb"),
        &format!("the user agent `a\\nb` {invalid_character}"),
    );
    assert_rejected(
        "agent",
        builder().user_agent("a\u{0}"),
        &format!("the user agent `a\\0` {invalid_character}"),
    );
    assert_rejected(
        "agent",
        builder().user_agent("a\u{7f}"),
        &format!("the user agent `a\\u{{7f}}` {invalid_character}"),
    );
    assert_rejected(
        "agent",
        builder().user_agent(" "),
        "the user agent is empty: leave it out for the default",
    );
    let version = ApiVersion::from("2021\r\n-04-15");
    assert_rejected(
        "version",
        builder().version(version),
        &format!("the API version `2021\\r\\n-04-15` {invalid_character}"),
    );
    let version = ApiVersion::from("");
    assert_rejected(
        "version",
        builder().version(version),
        "the API version is empty: leave it out for the default",
    );
}

/// A process cannot change its own environment safely, so this test runs itself in a separate process for each
/// row.
#[test]
fn the_base_url_defaults_to_the_environment_variable() {
    const ROLE: &str = "HIGHLEVEL_TEST_ENVIRONMENT";
    const VARIABLE: &str = "HIGHLEVEL_BASE_URL";
    if let Ok(given) = std::env::var(ROLE) {
        let mut builder = Client::builder().token(TOKEN);
        if !given.is_empty() {
            builder = builder.base_url(&given);
        }
        let mut app = App::builder().client_id("a").client_secret("s").store(MemoryStore::new());
        if !given.is_empty() {
            app = app.base_url(&given);
        }
        match builder.build() {
            Ok(client) => {
                let app = app.redirect_uri("https://app.example.com").build().expect("an app");
                let authorize = app.authorize_url().scope("x").build().expect("a URL");
                let host = authorize.split("/v2/").next().unwrap_or_default();
                println!("<{} {host}>", client.base_url());
            }
            Err(error) => println!("<{error}>"),
        }
        return;
    }
    let run = |given: &str, variable: Option<&std::ffi::OsStr>| {
        let mut command = Command::new(std::env::current_exe().expect("this test"));
        command
            .args(["--exact", "builder::the_base_url_defaults_to_the_environment_variable", "--nocapture"])
            .env(ROLE, given);
        command.env_remove(VARIABLE);
        command.envs(variable.map(|value| (VARIABLE, value)));
        let output = command.output().expect("this test, again");
        let text = String::from_utf8(output.stdout).expect("text");
        let shown = text.split_once('<').and_then(|(_, rest)| rest.split_once(">\n")).map(|(shown, _)| shown);
        shown.unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    let rows = [
        ("", None, "https://services.leadconnectorhq.com https://marketplace.gohighlevel.com"),
        ("", Some("http://127.0.0.1:8080/"), "http://127.0.0.1:8080 http://127.0.0.1:8080"),
        ("http://localhost:1", Some("http://127.0.0.1:8080"), "http://localhost:1 http://localhost:1"),
        ("http://localhost:1", Some(""), "http://localhost:1 http://localhost:1"),
        (
            "",
            Some(""),
            "build: the variable HIGHLEVEL_BASE_URL is empty: give it an address, or unset it to use the live API",
        ),
        (
            "",
            Some("127.0.0.1"),
            "build: the base URL `127.0.0.1` is not a URL: write it like https://services.leadconnectorhq.com",
        ),
    ];
    for (given, variable, expected) in rows {
        assert_eq!(run(given, variable.map(AsRef::as_ref)), expected, "{given:?} {variable:?}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(
            run("", Some(std::ffi::OsStr::from_bytes(b"http://\xff"))),
            "build: the variable HIGHLEVEL_BASE_URL is not Unicode text: give it an address, or unset it to use the \
             live API"
        );
    }
}

#[test]
fn a_shared_limiter_needs_a_location() {
    let limiter = highlevel::LocalRateLimiter::new();
    let builder = || Client::builder().token(TOKEN).base_url(LIVE).rate_limiter(limiter.clone());
    assert_rejected(
        "without a location",
        builder(),
        "a rate limiter without a location would count the requests of all its clients as those of one location: add \
         `.location(..)` with the id of the token's location",
    );
    builder().location("l1C08ntBrFjLS0elLIYU").build().expect("a client with a location");
}
