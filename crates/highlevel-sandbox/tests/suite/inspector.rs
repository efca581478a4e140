//! Access to the inspector, and the security headers of its pages.
//!
//! The tests follow links from page to page, so that new addresses are checked too.

mod contacts;
mod sign_in;
mod stream;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use highlevel_sandbox::{Contact, Fault, FaultRule, Trigger};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::caller::{SEND, bare, client_without_redirects, post};
use crate::conformance::{Sandbox, StartChecked};

const UI: &str = "/_sandbox/ui";
/// Ends a run in which something is broken.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A header and a part of its value.
type Expected = (&'static str, &'static str);

/// The headers of every response.
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
/// HTML from outside.
const FOREIGN: [Expected; 5] = [
    ("content-security-policy", "form-action 'none';"),
    ("content-security-policy", "base-uri 'none';"),
    ("content-security-policy", "frame-ancestors 'self'"),
    ("content-security-policy", "; sandbox"),
    ("referrer-policy", "no-referrer"),
];

/// The response.
#[derive(Debug)]
struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Response {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns the values of all attributes of this name.
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
) -> Response {
    let client = client_without_redirects();
    let request = client.request(method, format!("{}{path}", sandbox.base_url())).body(body.to_owned());
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let endless = headers["content-type"] == "text/event-stream";
    let body = if endless { String::new() } else { response.text().await.unwrap() };
    Response { status, headers, body }
}

async fn get(sandbox: &Sandbox, path: &str) -> Response {
    ask(sandbox, Method::GET, path, &[], "").await
}

/// Starts a sandbox with content for each view.
async fn with_content() -> Sandbox {
    let sandbox = Sandbox::builder().webhook_url("http://127.0.0.1:9").start_checked().await.unwrap();
    sandbox
        .put_contact(Contact::new("a b/?#%&\"<é>").name("Odd").phone("+15035550141").email("odd@example.com"))
        .unwrap();
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
    sandbox.add_fault(FaultRule::new(Fault::status(503)).path("/never")).unwrap();
    sandbox.wait_for_deliveries(4, TEST_TIMEOUT).await.unwrap();
    sandbox
}

/// Returns every address that a page links to, and every form.
async fn walk(sandbox: &Sandbox) -> (Vec<(String, Response)>, BTreeSet<String>) {
    let (mut seen, mut forms, mut found) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    let mut next: VecDeque<String> = VecDeque::from([UI.to_owned()]);
    while let Some(path) = next.pop_front() {
        if !seen.insert(path.clone()) {
            continue;
        }
        assert!(seen.len() < 1000, "there is no end of addresses: {path}");
        let response = get(sandbox, &path).await;
        for name in ["href", "src", "data-live-url", "hx-get"] {
            let here = response.attributes(name).into_iter().filter(|address| address.starts_with(UI));
            next.extend(here.map(|address| address.split('#').next().unwrap().to_owned()));
        }
        for form in response.body.split("<form").skip(1).filter_map(|rest| rest.split('>').next()) {
            if form.contains("method=\"post\"") {
                let action = form.split(" action=\"").nth(1).and_then(|rest| rest.split('"').next());
                forms.insert(action.unwrap_or_else(|| panic!("{path}: <form{form}>")).replace("&#38;", "&"));
            }
        }
        found.push((path, response));
    }
    (found, forms)
}

#[track_caller]
fn assert_is_safe(path: &str, response: &Response) {
    let policy = response.header("content-security-policy");
    let own: &[Expected] = if policy.contains("; sandbox") { &FOREIGN } else { &PAGE };
    for (name, words) in ALWAYS.iter().chain(own) {
        assert!(response.header(name).contains(words), "{path}: {name}: {}", response.header(name));
    }
    let scripts = policy.split(';').find(|part| part.trim().starts_with("script-src")).unwrap_or_default();
    assert!(
        !scripts.contains("unsafe") && !policy.contains("http:") && !policy.contains('*'),
        "{path}: {policy}"
    );
    let is_asset = path.contains("/assets/") && response.status == 200;
    let cache = response.header("cache-control");
    assert_eq!(cache, if is_asset { "public, max-age=31536000, immutable" } else { "no-store" }, "{path}");
}

#[tokio::test]
async fn every_page_has_security_headers() {
    let sandbox = with_content().await;
    let (found, forms) = walk(&sandbox).await;
    for (path, response) in &found {
        assert_is_safe(path, response);
        assert_eq!(response.status, 200, "a link leads to {path}: {}", response.body);
    }
    let links_to = |words: &str| found.iter().any(|(path, _)| path.contains(words));
    for words in [
        "/conversations/",
        "/contacts/",
        "/requests/",
        "/deliveries/",
        "/messages/",
        "/connect",
        "/controls",
        "/assets/inspector.js?",
        "/live",
    ] {
        assert!(links_to(words), "no link leads to {words}");
    }
    let frames =
        found.iter().filter(|(_, response)| response.header("content-security-policy").contains("sandbox"));
    assert!(frames.count() >= 2, "HTML of emails has addresses of its own");

    for path in [
        "/x",
        "/conversations/unknown",
        "/contacts/unknown",
        "/messages/unknown",
        "/requests/0",
        "/deliveries/x",
        "/assets/x",
        "/assets/../mod.rs",
    ] {
        let response = get(&sandbox, &format!("{UI}{path}")).await;
        assert_eq!(response.status, 404, "{path}");
        assert_is_safe(path, &response);
        assert!(response.body.contains("role=\"alert\""), "{path} shows an error");
    }
    for path in &forms {
        // An empty form is rejected, unless it is a button without fields.
        let response = ask(&sandbox, Method::POST, path, &[], "").await;
        assert_is_safe(path, &response);
        assert!(
            response.status.is_redirection() || response.status.is_client_error(),
            "{path}: {response:?}"
        );
        if response.status.is_redirection() {
            assert!(response.header("location").starts_with(UI), "{path}: {response:?}");
        }
    }
}

#[tokio::test]
async fn unsupported_methods_are_rejected_with_allow() {
    let sandbox = with_content().await;
    let (found, forms) = walk(&sandbox).await;
    for (path, response) in &found {
        let head = ask(&sandbox, Method::HEAD, path, &[], "").await;
        assert_eq!((head.status, head.body.as_str()), (response.status, ""), "{path}");
        assert_is_safe(path, &head);
        for method in [Method::OPTIONS, Method::PUT, Method::DELETE, Method::from_bytes(b"BREW").unwrap()] {
            let rejected = ask(&sandbox, method.clone(), path, &[], "").await;
            assert_eq!(rejected.status, 405, "{method} {path}");
            assert!(rejected.header("allow").contains("GET, HEAD"), "{path}: {rejected:?}");
            assert_is_safe(path, &rejected);
        }
    }
    for path in &forms {
        let rejected = ask(&sandbox, Method::PUT, path, &[], "").await;
        assert_eq!(rejected.status, 405, "{path}");
        assert!(rejected.header("allow").contains("POST"), "{path}: {rejected:?}");
    }
    // A trailing slash leads to the same page.
    for path in ["", "/conversations", "/requests", "/deliveries", "/controls"] {
        assert_eq!(get(&sandbox, &format!("{UI}{path}/")).await.status, 200, "{path}/");
    }
    // The ledger has none of it, and paths of the API are not the inspector's.
    let before = sandbox.requests().len();
    assert_eq!(bare(&sandbox, Method::GET, "/_sandbox/uix").send().await.unwrap().status(), 404);
    assert_eq!(sandbox.requests().len(), before);
}

/// Returns everything that the admin API shows, except for times.
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
async fn pages_of_other_sites_change_and_read_nothing() {
    let sandbox = with_content().await;
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
        // A name that a foreign DNS server resolves to this machine.
        &[("host", "evil.example"), ("origin", "http://evil.example"), ("sec-fetch-site", "same-origin")],
    ];
    let body = "message=x&type=SMS&text=x&advanceMs=3600&speed=2&url=http://127.0.0.1:1&status=failed";
    for path in forms.iter().map(String::as_str).chain([UI, "/_sandbox/ui/sign-in"]) {
        for headers in evil {
            let rejected = ask(&sandbox, Method::POST, path, headers, body).await;
            assert_eq!(rejected.status, 403, "{path} {headers:?}");
            assert_is_safe(path, &rejected);
        }
    }
    assert_eq!(everything(&sandbox).await, before);
    for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""] {
        let rejected = ask(&sandbox, Method::GET, UI, &[("host", host)], "").await;
        assert_eq!(rejected.status, 403, "{host}");
        assert!(!rejected.body.contains("Hello"));
    }
    // The check concerns the origin of a form, not its content.
    let mut changed = 0;
    for path in &forms {
        let own = format!("http://{host}");
        let response = ask(&sandbox, Method::POST, path, &[("origin", own.as_str())], body).await;
        assert_ne!(response.status, 403, "{path}");
        changed += usize::from(response.status == 303);
    }
    assert!(changed > 0, "no form did anything");
    assert_ne!(everything(&sandbox).await, before);
}

#[tokio::test]
async fn an_input_that_is_too_long_is_rejected_with_a_message() {
    let sandbox = Sandbox::start().await.unwrap();
    let before = everything(&sandbox).await;
    let long = format!("message={}", "x".repeat(1024 * 1024));
    let path = format!("{UI}/sign-in");
    let rejected = ask(&sandbox, Method::POST, &path, &[], &long).await;
    assert_eq!(rejected.status, 413);
    assert!(rejected.body.contains("a body has at most 1048576 bytes"), "{}", rejected.body);
    assert_is_safe(&path, &rejected);
    let text = "x".repeat(12_000);
    let response =
        get(&sandbox, &format!("{UI}/requests?text={text}&rows=99999999999999999999&failures=maybe")).await;
    assert_eq!(response.status, 200);
    assert_eq!(everything(&sandbox).await[..7], before[..7]);
}

#[tokio::test]
async fn search_filters_the_lists() {
    let sandbox = with_content().await;
    for view in ["conversations", "requests", "deliveries"] {
        for (field, value) in
            [("channel", "Fax"), ("channel", "sms"), ("status", "overdue"), ("status", "2xx")]
        {
            let page = get(&sandbox, &format!("{UI}/{view}?{field}={value}")).await;
            let chosen = format!(r#"<option value="{value}" selected>{value}</option>"#);
            assert_eq!(page.body.matches(&chosen).count(), 1, "{view}: {field}={value}");
        }
    }
}

#[tokio::test]
async fn a_payload_can_be_downloaded_unchanged() {
    let sandbox = Sandbox::builder().webhook_url("http://127.0.0.1:9").start_checked().await.unwrap();
    sandbox.simulate_inbound([("message", "short".into())]).unwrap();
    let long = Trigger::new("INSTALL").field("long", "é\n".repeat(100_000));
    sandbox.trigger(&long).unwrap();
    for delivery in sandbox.deliveries() {
        let path = format!("{UI}/deliveries/{}", delivery.id);
        let page = get(&sandbox, &path).await;
        let is_short = delivery.body.len() < 64 * 1024;
        assert_eq!(page.attributes("data-copies").contains("payload-raw"), is_short, "{path}");
        assert_eq!(page.attributes("href").contains(&format!("{path}/payload")), !is_short, "{path}");
        let file = get(&sandbox, &format!("{path}/payload")).await;
        assert_eq!(file.body.as_bytes(), &*delivery.body, "{path}");
        assert!(file.header("content-disposition").starts_with("attachment"), "{path}");
    }
    assert_eq!(get(&sandbox, &format!("{UI}/deliveries/99/payload")).await.status, 404);
}

/// A browser at the printed base URL gets the inspector; a program gets HighLevel's response.
#[tokio::test]
async fn a_browser_at_the_base_url_is_redirected_to_the_inspector() {
    struct Row {
        method: Method,
        path: &'static str,
        accept: &'static str,
        status: u16,
        location: &'static str,
    }

    let sandbox = Sandbox::start().await.unwrap();
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for Row { method, path, accept, status, location } in [
        Row { method: Method::GET, path: "/", accept: browser, status: 303, location: UI },
        Row { method: Method::GET, path: "/", accept: "text/html", status: 303, location: UI },
        Row { method: Method::GET, path: "/", accept: "*/*", status: 404, location: "" },
        Row { method: Method::GET, path: "/", accept: "application/json", status: 404, location: "" },
        Row { method: Method::POST, path: "/", accept: browser, status: 404, location: "" },
        Row { method: Method::GET, path: "/conversations", accept: browser, status: 404, location: "" },
    ] {
        let response = ask(&sandbox, method.clone(), path, &[("accept", accept)], "").await;
        let case = format!("{method} {path} {accept}");
        assert_eq!((response.status.as_u16(), response.header("location")), (status, location), "{case}");
    }
}
