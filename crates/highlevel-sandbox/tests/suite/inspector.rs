//! What is around the views of the inspector: who may see and do what, and what a browser is told to allow.
//!
//! Addresses are not listed here: they are followed from page to page, as a reader does, so that a new one is checked too.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use highlevel_sandbox::{Contact, Fault, FaultRule, Sandbox, SandboxBuilder, Trigger};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, StatusCode, redirect};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::caller::{SEND, bare, post};

const UI: &str = "/_sandbox/ui";
/// Far longer than it takes: it only ends a run in which something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A header and what has to be in it.
type Expected = (&'static str, &'static str);

/// What every answer has.
const ALWAYS: [Expected; 4] = [
    ("x-content-type-options", "nosniff"),
    ("x-dns-prefetch-control", "off"),
    ("cross-origin-resource-policy", "same-origin"),
    ("content-security-policy", "default-src 'none';"),
];
const PAGE: [Expected; 7] = [
    ("cross-origin-opener-policy", "same-origin"),
    ("content-security-policy", "script-src 'self';"),
    ("content-security-policy", "style-src 'self';"),
    ("content-security-policy", "form-action 'self';"),
    ("content-security-policy", "base-uri 'none';"),
    ("content-security-policy", "frame-ancestors 'none'"),
    ("referrer-policy", "same-origin"),
];
/// HTML of somebody else.
const FOREIGN: [Expected; 5] = [
    ("content-security-policy", "form-action 'none';"),
    ("content-security-policy", "base-uri 'none';"),
    ("content-security-policy", "frame-ancestors 'self'"),
    ("content-security-policy", "; sandbox"),
    ("referrer-policy", "no-referrer"),
];

/// What came back.
#[derive(Debug)]
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answered {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What attributes of this name have.
    fn attributes(&self, name: &str) -> BTreeSet<String> {
        let start = format!(" {name}=\"");
        let values = self.body.split(&start).skip(1).filter_map(|rest| rest.split('"').next());
        values.map(|value| value.replace("&amp;", "&").replace("&#38;", "&")).collect()
    }
}

async fn ask(
    sandbox: &Sandbox,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answered {
    crate::caller::client();
    let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
    let request = client.request(method, format!("{}{path}", sandbox.base_url())).body(body.to_owned());
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let endless = headers["content-type"] == "text/event-stream";
    let body = if endless { String::new() } else { response.text().await.unwrap() };
    Answered { status, headers, body }
}

async fn get(sandbox: &Sandbox, path: &str) -> Answered {
    ask(sandbox, Method::GET, path, &[], "").await
}

/// A sandbox in which there is something to see in each view.
async fn lively() -> Sandbox {
    let sandbox = Sandbox::builder().webhook_url("http://127.0.0.1:9").start().await.unwrap();
    sandbox.put_contact(Contact::new("a b/?#%&\"<é>").name("Odd")).unwrap();
    let messages = [
        json!({"type": "SMS", "message": "Hello"}),
        json!({"type": "Email", "subject": "Hi", "html": "<p style=\"color:red\">Hello</p>"}),
        json!({"type": "SMS", "message": 3}),
    ];
    for mut message in messages {
        for contact in [sandbox.contact_id(), "a b/?#%&\"<é>"] {
            message["contactId"] = contact.into();
            message["status"] = "pending".into();
            post(&sandbox, SEND, &message).await;
        }
    }
    sandbox.add_fault(FaultRule::new(Fault::answering(503)).path("/never")).unwrap();
    sandbox.wait_for_deliveries(4, PATIENCE).await.unwrap();
    sandbox
}

/// Every address that a page leads to, and every form that one can send.
async fn walk(sandbox: &Sandbox) -> (Vec<(String, Answered)>, BTreeSet<String>) {
    let (mut seen, mut forms, mut found) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    let mut next: VecDeque<String> = VecDeque::from([UI.to_owned()]);
    while let Some(path) = next.pop_front() {
        if !seen.insert(path.clone()) {
            continue;
        }
        assert!(seen.len() < 1000, "there is no end of addresses: {path}");
        let answered = get(sandbox, &path).await;
        for name in ["href", "src", "data-live-url", "hx-get"] {
            let here = answered.attributes(name).into_iter().filter(|address| address.starts_with(UI));
            next.extend(here.map(|address| address.split('#').next().unwrap().to_owned()));
        }
        for form in answered.body.split("<form").skip(1).filter_map(|rest| rest.split('>').next()) {
            if form.contains("method=\"post\"") {
                let action = form.split(" action=\"").nth(1).and_then(|rest| rest.split('"').next());
                forms.insert(action.unwrap_or_else(|| panic!("{path}: <form{form}>")).replace("&#38;", "&"));
            }
        }
        found.push((path, answered));
    }
    (found, forms)
}

#[track_caller]
fn assert_is_safe(path: &str, answered: &Answered) {
    let policy = answered.header("content-security-policy");
    let own: &[Expected] = if policy.contains("; sandbox") { &FOREIGN } else { &PAGE };
    for (name, words) in ALWAYS.iter().chain(own) {
        assert!(answered.header(name).contains(words), "{path}: {name}: {}", answered.header(name));
    }
    let scripts = policy.split(';').find(|part| part.trim().starts_with("script-src")).unwrap_or_default();
    assert!(
        !scripts.contains("unsafe") && !policy.contains("http:") && !policy.contains('*'),
        "{path}: {policy}"
    );
    let is_asset = path.contains("/assets/") && answered.status == 200;
    let cache = answered.header("cache-control");
    assert_eq!(cache, if is_asset { "public, max-age=31536000, immutable" } else { "no-store" }, "{path}");
}

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do() {
    let sandbox = lively().await;
    let (found, forms) = walk(&sandbox).await;
    for (path, answered) in &found {
        assert_is_safe(path, answered);
        assert_eq!(answered.status, 200, "a link leads to {path}: {}", answered.body);
    }
    let leads_to = |words: &str| found.iter().any(|(path, _)| path.contains(words));
    for words in
        ["/conversations/", "/requests/", "/deliveries/", "/controls", "/assets/inspector.js?", "/live"]
    {
        assert!(leads_to(words), "no link leads to {words}");
    }
    let frames =
        found.iter().filter(|(_, answered)| answered.header("content-security-policy").contains("sandbox"));
    assert!(frames.count() >= 2, "HTML of emails has addresses of its own");

    for path in
        ["/x", "/conversations/nobody", "/requests/0", "/deliveries/x", "/assets/x", "/assets/../mod.rs"]
    {
        let answered = get(&sandbox, &format!("{UI}{path}")).await;
        assert_eq!(answered.status, 404, "{path}");
        assert_is_safe(path, &answered);
        assert!(answered.body.contains("role=\"alert\""), "{path} says what is wrong");
    }
    for path in &forms {
        // Nothing is filled in: it is refused, or it is a button that needs nothing.
        let answered = ask(&sandbox, Method::POST, path, &[], "").await;
        assert_is_safe(path, &answered);
        assert!(
            answered.status.is_redirection() || answered.status.is_client_error(),
            "{path}: {answered:?}"
        );
        if answered.status.is_redirection() {
            assert!(answered.header("location").starts_with(UI), "{path}: {answered:?}");
        }
    }
}

#[tokio::test]
async fn methods_are_answered_as_everywhere() {
    let sandbox = lively().await;
    let (found, forms) = walk(&sandbox).await;
    for (path, answered) in &found {
        let head = ask(&sandbox, Method::HEAD, path, &[], "").await;
        assert_eq!((head.status, head.body.as_str()), (answered.status, ""), "{path}");
        assert_is_safe(path, &head);
        for method in [Method::OPTIONS, Method::PUT, Method::DELETE, Method::from_bytes(b"BREW").unwrap()] {
            let refused = ask(&sandbox, method.clone(), path, &[], "").await;
            assert_eq!(refused.status, 405, "{method} {path}");
            assert!(refused.header("allow").contains("GET, HEAD"), "{path}: {refused:?}");
            assert_is_safe(path, &refused);
        }
    }
    for path in &forms {
        let refused = ask(&sandbox, Method::PUT, path, &[], "").await;
        assert_eq!(refused.status, 405, "{path}");
        assert!(refused.header("allow").contains("POST"), "{path}: {refused:?}");
    }
    // With a slash at the end it is the same page.
    for path in ["", "/conversations", "/requests", "/deliveries", "/controls"] {
        assert_eq!(get(&sandbox, &format!("{UI}{path}/")).await.status, 200, "{path}/");
    }
    // The API has nothing of it, and its paths are not the inspector's.
    let before = sandbox.requests().len();
    assert_eq!(bare(&sandbox, Method::GET, "/_sandbox/uix").send().await.unwrap().status(), 404);
    assert_eq!(sandbox.requests().len(), before);
}

/// Everything that the admin API says, times aside.
async fn everything(sandbox: &Sandbox) -> Vec<Value> {
    let mut all = Vec::new();
    for path in
        ["snapshot", "requests", "deliveries", "faults", "settings", "rate-limit", "webhooks", "clock"]
    {
        let response = bare(sandbox, Method::GET, &format!("/_sandbox/{path}")).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        all.push(response.json().await.unwrap());
    }
    all
}

#[tokio::test]
async fn pages_of_others_change_nothing_and_see_nothing() {
    let sandbox = lively().await;
    sandbox.set_clock_speed(0.0);
    let (_, forms) = walk(&sandbox).await;
    assert!(!forms.is_empty(), "no form can be sent");
    let before = everything(&sandbox).await;
    let host = sandbox.base_url().replace("http://", "");
    let evil: [&[(&str, &str)]; 6] = [
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:1")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        // A name that somebody's DNS server leads here.
        &[("host", "evil.example"), ("origin", "http://evil.example"), ("sec-fetch-site", "same-origin")],
    ];
    let body = "message=x&type=SMS&text=x&advance=3600&speed=2&url=http://127.0.0.1:1&status=failed";
    for path in forms.iter().map(String::as_str).chain([UI, "/_sandbox/ui/sign-in"]) {
        for headers in evil {
            let refused = ask(&sandbox, Method::POST, path, headers, body).await;
            assert_eq!(refused.status, 403, "{path} {headers:?}");
            assert_is_safe(path, &refused);
        }
    }
    assert_eq!(everything(&sandbox).await, before);
    for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""] {
        let refused = ask(&sandbox, Method::GET, UI, &[("host", host)], "").await;
        assert_eq!(refused.status, 403, "{host}");
        assert!(!refused.body.contains("Hello"));
    }
    // The check is of the place from which a form comes, and not of the form.
    let mut changed = 0;
    for path in &forms {
        let own = format!("http://{host}");
        let answered = ask(&sandbox, Method::POST, path, &[("origin", own.as_str())], body).await;
        assert_ne!(answered.status, 403, "{path}");
        changed += usize::from(answered.status == 303);
    }
    assert!(changed > 0, "no form did anything");
    assert_ne!(everything(&sandbox).await, before);
}

#[tokio::test]
async fn what_is_too_long_is_refused_in_words() {
    let sandbox = Sandbox::start().await.unwrap();
    let before = everything(&sandbox).await;
    let long = format!("message={}", "x".repeat(1024 * 1024));
    let path = format!("{UI}/sign-in");
    let refused = ask(&sandbox, Method::POST, &path, &[], &long).await;
    assert_eq!(refused.status, 413);
    assert!(refused.body.contains("a body has at most 1048576 bytes"), "{}", refused.body);
    assert_is_safe(&path, &refused);
    let text = "x".repeat(30_000);
    let answered =
        get(&sandbox, &format!("{UI}/requests?text={text}&rows=99999999999999999999&failures=maybe")).await;
    assert_eq!(answered.status, 200);
    assert_eq!(everything(&sandbox).await[..7], before[..7]);
}

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
        let is_said = refused.body.contains("This is not the admin token");
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
async fn a_payload_can_be_kept_as_it_was_made() {
    let sandbox = Sandbox::builder().webhook_url("http://127.0.0.1:9").start().await.unwrap();
    sandbox.simulate_inbound([("message", "short".into())]).unwrap();
    let long = Trigger::new("INSTALL").field("long", "é\n".repeat(100_000));
    sandbox.trigger(&long).unwrap();
    for delivery in sandbox.deliveries() {
        let path = format!("{UI}/deliveries/{}", delivery.id);
        let page = get(&sandbox, &path).await;
        let is_short = delivery.body.len() < 64 * 1024;
        assert_eq!(page.attributes("data-copies").contains("payload-as-made"), is_short, "{path}");
        assert_eq!(page.attributes("href").contains(&format!("{path}/payload")), !is_short, "{path}");
        let file = get(&sandbox, &format!("{path}/payload")).await;
        assert_eq!(file.body.as_bytes(), &*delivery.body, "{path}");
        assert!(file.header("content-disposition").starts_with("attachment"), "{path}");
    }
    assert_eq!(get(&sandbox, &format!("{UI}/deliveries/99/payload")).await.status, 404);
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

/// A connection on which the stream is read.
async fn follow(sandbox: &Sandbox) -> TcpStream {
    let address = sandbox.base_url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let request = format!("GET {UI}/live HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut stream, "event: connected").await;
    stream
}

async fn read_until(stream: &mut TcpStream, words: &str) -> String {
    let mut text = String::new();
    while !text.contains(words) {
        let mut buffer = [0; 4096];
        let length = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert_ne!(length, 0, "the stream ended after {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    text
}

#[tokio::test]
async fn the_stream_tells_what_kinds_of_things_happen_and_nothing_else() {
    let sandbox = Sandbox::start().await.unwrap();
    let mut stream = follow(&sandbox).await;
    let message =
        json!({"type": "SMS", "contactId": sandbox.contact_id(), "message": "secret", "status": "pending"});
    post(&sandbox, SEND, &message).await;
    let told = read_until(&mut stream, "request").await;
    assert!(!told.contains("secret"), "{told}");
    sandbox.advance_clock(Duration::from_secs(1));
    assert!(read_until(&mut stream, "changed").await.contains("event: happened"));
    // It ends with the sandbox, in order: the last chunk of the body is there.
    sandbox.stop().await;
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn readers_that_leave_give_their_place_back() {
    const PLACES: usize = 4;
    let sandbox = SandboxBuilder::max_connections(Sandbox::builder(), PLACES).start().await.unwrap();
    for _ in 0..10 {
        let mut streams = Vec::new();
        for _ in 0..PLACES {
            // Without a place one would wait here for ever.
            streams.push(tokio::time::timeout(PATIENCE, follow(&sandbox)).await.unwrap());
        }
    }
    assert_eq!(tokio::time::timeout(PATIENCE, get(&sandbox, UI)).await.unwrap().status, 200);
}
