//! The inspector with an admin token: signing in, and the redirect after it.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Method;

use super::{Response, UI, ask, assert_is_safe, get};

use crate::conformance::{Sandbox, StartChecked};

const SECRET: &str = "sword;fish=\"a\",%20\\";

async fn with_admin_token() -> Sandbox {
    // A token with all characters that a cookie cannot contain.
    Sandbox::builder().admin_token(SECRET).start_checked().await.unwrap()
}

async fn sign_in(sandbox: &Sandbox, token: &str, to: &str) -> Response {
    let mut form = form_urlencoded(&[("token", token), ("to", to)]);
    form.push_str("&other=1");
    ask(sandbox, Method::POST, "/_sandbox/ui/sign-in", &[], &form).await
}

fn form_urlencoded(fields: &[(&str, &str)]) -> String {
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

#[tokio::test]
async fn signing_in_exchanges_the_admin_token_for_a_session() {
    let sandbox = with_admin_token().await;
    for path in ["", "/", "/conversations", "/requests?text=a", "/live", "/nothing", "/sign-in"] {
        let rejected = get(&sandbox, &format!("{UI}{path}")).await;
        assert_eq!(rejected.status, 401, "{path}");
        assert_is_safe(path, &rejected);
        assert!(rejected.body.contains("type=\"password\""), "{path}");
        assert!(!rejected.body.contains(sandbox.contact_id()), "{path}");
        // Style sheets are public.
        for asset in rejected.attributes("href").iter().chain(&rejected.attributes("src")) {
            if asset.contains("/assets/") {
                assert_eq!(get(&sandbox, asset).await.status, 200, "{asset}");
            }
        }
    }
    for wrong in ["", " ", "sword", &SECRET.to_uppercase(), &format!("{SECRET}x")] {
        let rejected = sign_in(&sandbox, wrong, UI).await;
        assert_eq!(rejected.status, 401, "{wrong}");
        assert_eq!(rejected.header("set-cookie"), "", "{wrong}");
        let is_reported = rejected.body.contains("Incorrect admin token.");
        assert_eq!(is_reported, !wrong.trim().is_empty(), "{wrong}");
        assert!(!rejected.body.contains(SECRET));
    }

    let signed_in = sign_in(&sandbox, SECRET, "/_sandbox/ui/requests?text=a%20b").await;
    assert_eq!(signed_in.status, 303);
    assert_eq!(signed_in.header("location"), "/_sandbox/ui/requests?text=a%20b");
    let (cookie, flags) = signed_in.header("set-cookie").split_once("; ").unwrap();
    let flags: BTreeSet<&str> = flags.split("; ").collect();
    assert_eq!(flags, BTreeSet::from(["Path=/_sandbox/ui", "HttpOnly", "SameSite=Strict"]));
    let port = sandbox.base_url().rsplit(':').next().unwrap().to_owned();
    assert!(cookie.starts_with(&format!("highlevel-sandbox-{port}=")), "{cookie}");

    let with = async |method: Method, path: &str, cookie: &str| {
        ask(&sandbox, method, path, &[("cookie", cookie)], "").await.status.as_u16()
    };
    for (cookie, status) in [
        (cookie.to_owned(), 200),
        (format!("other=1; {cookie}; more=2"), 200),
        (cookie.replacen(&port, "1", 1), 401),
        (cookie.to_lowercase(), 401),
        (format!("{cookie}%3D"), 401),
        (format!("highlevel-sandbox-{port}="), 401),
    ] {
        for path in ["", "/requests", "/controls"] {
            assert_eq!(with(Method::GET, &format!("{UI}{path}"), &cookie).await, status, "{path} {cookie}");
        }
        // The cookie gives no access to pages of other sites or to their forms.
        for path in ["clock", "snapshot", "events", "uix", "ui/../snapshot", "%75i"] {
            assert_eq!(
                with(Method::GET, &format!("/_sandbox/{path}"), &cookie).await,
                401,
                "{path} {cookie}"
            );
        }
        assert_eq!(with(Method::POST, "/_sandbox/reset", &cookie).await, 401);
    }
    // The cookie does not contain the token, and the admin API does not accept it.
    let (_, session) = cookie.split_once('=').unwrap();
    let encoded = [URL_SAFE_NO_PAD.encode(SECRET), STANDARD.encode(SECRET)];
    assert!(session.len() >= 32 && !encoded.iter().any(|token| session.contains(&**token)), "{session}");
    let bearer = format!("Bearer {session}");
    for path in ["/_sandbox/clock", UI] {
        let rejected = ask(&sandbox, Method::GET, path, &[("authorization", bearer.as_str())], "").await;
        assert_eq!(rejected.status, 401, "{path}");
    }
    let other = with_admin_token().await;
    let other_port = other.base_url().rsplit(':').next().unwrap().to_owned();
    let stolen = cookie.replacen(&port, &other_port, 1);
    assert_eq!(ask(&other, Method::GET, UI, &[("cookie", stolen.as_str())], "").await.status, 401);
    let evil = [("cookie", cookie), ("origin", "https://evil.example")];
    assert_eq!(ask(&sandbox, Method::POST, UI, &evil, "").await.status, 403);
    // A sign-in in a second tab redirects to the requested page.
    let form = form_urlencoded(&[("token", "old"), ("to", "/_sandbox/ui/deliveries")]);
    let again = ask(&sandbox, Method::POST, "/_sandbox/ui/sign-in", &[("cookie", cookie)], &form).await;
    assert_eq!((again.status.as_u16(), again.header("location")), (303, "/_sandbox/ui/deliveries"));
    // A program can use the header for the inspector, too.
    let response = get(&sandbox, "/_sandbox/health").await;
    assert_eq!(response.status, 200);
}

/// The script inserts pages into the open one. The sign-in page must be loaded by the browser instead.
#[tokio::test]
async fn a_script_without_a_session_makes_the_browser_load_the_page() {
    let sandbox = with_admin_token().await;
    let asked = async |method: Method, headers: &[(&str, &str)]| {
        ask(&sandbox, method, &format!("{UI}/controls"), headers, "").await
    };
    for method in [Method::GET, Method::POST] {
        let rejected = asked(method.clone(), &[("hx-request", "true")]).await;
        assert_eq!((rejected.status.as_u16(), rejected.header("hx-refresh")), (401, "true"), "{method}");
        let rejected = asked(method.clone(), &[]).await;
        assert_eq!((rejected.status.as_u16(), rejected.header("hx-refresh")), (401, ""), "{method}");
        let foreign = asked(method, &[("hx-request", "true"), ("host", "evil.example")]).await;
        assert_eq!((foreign.status.as_u16(), foreign.header("hx-refresh")), (403, ""));
    }
}

#[tokio::test]
async fn signing_in_redirects_only_to_the_inspector() {
    let sandbox = with_admin_token().await;
    let pages = [
        "/_sandbox/ui",
        "/_sandbox/ui/",
        "/_sandbox/ui/conversations/a%2Fb?text=//evil.example&failures=1",
        "/_sandbox/ui/requests/x",
    ];
    for page in pages {
        assert_eq!(sign_in(&sandbox, SECRET, page).await.header("location"), page);
    }
    let others = [
        "",
        "https://evil.example/",
        "//evil.example/_sandbox/ui",
        "/\\evil.example",
        "\\\\evil.example",
        "/_sandbox/ui@evil.example",
        "/_sandbox/uix",
        "/_sandbox/",
        "/_sandbox/reset",
        "/_sandbox/ui/../reset",
        "/_sandbox/ui/../../evil",
        "/_sandbox/ui/%2e%2E/reset",
        "/_sandbox/ui/conversations/..",
        "/_sandbox/ui/.%2e/..//evil.example",
        "/_sandbox/ui\\..\\reset",
        "/_sandbox/ui/\t/evil",
        "javascript:alert(1)//_sandbox/ui",
        " /_sandbox/ui",
        "/_sandbox/ui/nothing",
        "/_sandbox/ui/live",
        "/_sandbox/ui/sign-in",
        "/_sandbox/ui/assets/inspector.js",
        "/_sandbox/ui\r\nSet-Cookie: a=b",
        "/_sandbox/ui?\r\n\r\n<script>alert(1)</script>",
        "/_sandbox/ui?a\nb",
        "/_sandbox/ui?\u{e9}",
        "/_sandbox/ui#/evil",
    ];
    for to in others {
        let signed_in = sign_in(&sandbox, SECRET, to).await;
        assert_eq!((signed_in.status.as_u16(), signed_in.header("location")), (303, UI), "{to:?}");
        assert_eq!(signed_in.headers.get_all("set-cookie").iter().count(), 1, "{to:?}");
    }
    // The form contains the requested address as escaped text.
    let asked = get(&sandbox, "/_sandbox/ui/requests?text=%22%3E%3Cscript%3E").await;
    assert!(
        asked.attributes("value").contains("/_sandbox/ui/requests?text=%22%3E%3Cscript%3E"),
        "{}",
        asked.body
    );
    let asked = sign_in(&sandbox, "wrong", "\"><script>alert(1)</script>").await;
    assert!(!asked.body.contains("<script>alert"), "{}", asked.body);
}
