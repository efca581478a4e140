//! With an admin token: who may see the inspector, and where they are after signing in.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use highlevel_sandbox::Sandbox;
use reqwest::Method;

use super::{Answered, UI, ask, assert_is_safe, get};

const SECRET: &str = "sword;fish=\"a\",%20\\";

async fn locked() -> Sandbox {
    // A token with everything in it that a cookie cannot have.
    Sandbox::builder().admin_token(SECRET).start().await.unwrap()
}

async fn sign_in(sandbox: &Sandbox, token: &str, to: &str) -> Answered {
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
async fn with_an_admin_token_one_signs_in() {
    let sandbox = locked().await;
    for path in ["", "/", "/conversations", "/requests?text=a", "/live", "/nothing", "/sign-in"] {
        let refused = get(&sandbox, &format!("{UI}{path}")).await;
        assert_eq!(refused.status, 401, "{path}");
        assert_is_safe(path, &refused);
        assert!(refused.body.contains("type=\"password\""), "{path}");
        assert!(!refused.body.contains(sandbox.contact_id()), "{path}");
        // What the page looks like is no secret.
        for asset in refused.attributes("href").iter().chain(&refused.attributes("src")) {
            if asset.contains("/assets/") {
                assert_eq!(get(&sandbox, asset).await.status, 200, "{asset}");
            }
        }
    }
    for wrong in ["", " ", "sword", &SECRET.to_uppercase(), &format!("{SECRET}x")] {
        let refused = sign_in(&sandbox, wrong, UI).await;
        assert_eq!(refused.status, 401, "{wrong}");
        assert_eq!(refused.header("set-cookie"), "", "{wrong}");
        let is_said = refused.body.contains("Incorrect admin token.");
        assert_eq!(is_said, !wrong.trim().is_empty(), "{wrong}");
        assert!(!refused.body.contains(SECRET));
    }

    let signed_in = sign_in(&sandbox, SECRET, "/_sandbox/ui/requests?text=a%20b").await;
    assert_eq!(signed_in.status, 303);
    assert_eq!(signed_in.header("location"), "/_sandbox/ui/requests?text=a%20b");
    let (cookie, flags) = signed_in.header("set-cookie").split_once("; ").unwrap();
    assert_eq!(flags, "Path=/_sandbox/ui; HttpOnly; SameSite=Strict");
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
        // It is for the page: nobody else's page, and no form of one, gets further with it.
        for path in ["clock", "snapshot", "events", "uix", "ui/../snapshot", "%75i"] {
            assert_eq!(
                with(Method::GET, &format!("/_sandbox/{path}"), &cookie).await,
                401,
                "{path} {cookie}"
            );
        }
        assert_eq!(with(Method::POST, "/_sandbox/reset", &cookie).await, 401);
    }
    // It is not the token, nor anything that it can be read from, and is worth nothing anywhere else.
    let (_, session) = cookie.split_once('=').unwrap();
    let encoded = [URL_SAFE_NO_PAD.encode(SECRET), STANDARD.encode(SECRET)];
    assert!(session.len() >= 32 && !encoded.iter().any(|token| session.contains(&**token)), "{session}");
    let bearer = format!("Bearer {session}");
    for path in ["/_sandbox/clock", UI] {
        let refused = ask(&sandbox, Method::GET, path, &[("authorization", bearer.as_str())], "").await;
        assert_eq!(refused.status, 401, "{path}");
    }
    let other = locked().await;
    let other_port = other.base_url().rsplit(':').next().unwrap().to_owned();
    let stolen = cookie.replacen(&port, &other_port, 1);
    assert_eq!(ask(&other, Method::GET, UI, &[("cookie", stolen.as_str())], "").await.status, 401);
    let evil = [("cookie", cookie), ("origin", "https://evil.example")];
    assert_eq!(ask(&sandbox, Method::POST, UI, &evil, "").await.status, 403);
    // Who signs in in a second tab is where they want to be.
    let form = form_urlencoded(&[("token", "old"), ("to", "/_sandbox/ui/deliveries")]);
    let again = ask(&sandbox, Method::POST, "/_sandbox/ui/sign-in", &[("cookie", cookie)], &form).await;
    assert_eq!((again.status.as_u16(), again.header("location")), (303, "/_sandbox/ui/deliveries"));
    // A program uses the header here as well.
    let answered = get(&sandbox, "/_sandbox/health").await;
    assert_eq!(answered.status, 200);
}

/// The script puts pages into the one that is open, and a page to sign in is none of these.
#[tokio::test]
async fn a_script_that_may_not_see_a_page_has_the_browser_ask_for_it() {
    let sandbox = locked().await;
    let asked = async |method: Method, headers: &[(&str, &str)]| {
        ask(&sandbox, method, &format!("{UI}/controls"), headers, "").await
    };
    for method in [Method::GET, Method::POST] {
        let refused = asked(method.clone(), &[("hx-request", "true")]).await;
        assert_eq!((refused.status.as_u16(), refused.header("hx-refresh")), (401, "true"), "{method}");
        let refused = asked(method.clone(), &[]).await;
        assert_eq!((refused.status.as_u16(), refused.header("hx-refresh")), (401, ""), "{method}");
        let foreign = asked(method, &[("hx-request", "true"), ("host", "evil.example")]).await;
        assert_eq!((foreign.status.as_u16(), foreign.header("hx-refresh")), (403, ""));
    }
}

#[tokio::test]
async fn after_signing_in_one_is_at_a_page_of_the_inspector() {
    let sandbox = locked().await;
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
    // The form says where one wanted to go, and nothing that it is given is more than text there.
    let asked = get(&sandbox, "/_sandbox/ui/requests?text=%22%3E%3Cscript%3E").await;
    assert!(
        asked.attributes("value").contains("/_sandbox/ui/requests?text=%22%3E%3Cscript%3E"),
        "{}",
        asked.body
    );
    let asked = sign_in(&sandbox, "wrong", "\"><script>alert(1)</script>").await;
    assert!(!asked.body.contains("<script>alert"), "{}", asked.body);
}
