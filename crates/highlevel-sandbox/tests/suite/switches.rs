//! Every change of a setting of a running sandbox is published, by whichever API it is made: otherwise an open page
//! would be outdated.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use highlevel_sandbox::{
    Contact, Entries, Entry, Fault, FaultRule, FaultSchedule, FaultStage, RateLimit, Replay, RetrySchedule,
    Settings, TamperMode, Trigger,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::bare;
use crate::conformance::{Sandbox, StartChecked};

/// Ends a run in which something is broken.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// An action on a sandbox.
type Action = fn(&Sandbox);

/// Returns the names of the changes published since the last call. Changing a contact marks the end.
async fn published(sandbox: &Sandbox, entries: &mut Entries) -> Vec<&'static str> {
    sandbox.put_contact(Contact::new("mark")).unwrap();
    let mut names = Vec::new();
    loop {
        match tokio::time::timeout(TEST_TIMEOUT, entries.next()).await.expect("the mark") {
            Entry::Changed("contact") => return names,
            Entry::Changed(name) => names.push(name),
            _ => {}
        }
    }
}

#[tokio::test]
async fn every_change_by_the_typed_api_is_published() {
    type SettingChange = fn(&Sandbox);
    let cases: [(Option<&str>, SettingChange); 17] = [
        (Some("clock"), |it| it.set_clock(std::time::UNIX_EPOCH)),
        (Some("clock"), |it| it.advance_clock(Duration::from_secs(1))),
        (Some("clock"), |it| it.set_clock_speed(0.0)),
        (Some("faults"), |it| assert_eq!(it.add_fault(Fault::RESET).unwrap(), 1)),
        (Some("faults"), |it| assert!(it.remove_fault(1))),
        (None, |it| assert!(!it.remove_fault(1))),
        (None, |it| assert!(it.add_fault(FaultRule::sequence([])).is_err())),
        (Some("faults"), |it| it.clear_faults()),
        (Some("rate-limit"), |it| it.set_rate_limit(RateLimit::documented()).unwrap()),
        (Some("rate-limit"), |it| it.use_rate_limit(5)),
        (Some("settings"), |it| it.set_settings(Settings::default())),
        (Some("webhooks"), |it| it.set_webhook_url("http://127.0.0.1:9/").unwrap()),
        (Some("webhooks"), |it| it.set_retry_schedule(RetrySchedule::None)),
        (Some("webhooks"), |it| it.set_tamper_mode(Some(TamperMode::Stale))),
        (Some("webhooks"), |it| it.tamper_next(TamperMode::Stale, 1)),
        (Some("webhooks"), |it| drop(it.rotate_webhook_key().unwrap())),
        (Some("state"), |it| it.reset().unwrap()),
    ];
    let sandbox = Sandbox::start().await.unwrap();
    let mut entries = sandbox.follow();
    for (number, (expected, switch)) in cases.into_iter().enumerate() {
        switch(&sandbox);
        assert_eq!(published(&sandbox, &mut entries).await, Vec::from_iter(expected), "case {number}");
    }
}

#[tokio::test]
async fn every_change_by_the_admin_api_is_published() {
    struct Row<'r> {
        method: &'r Method,
        path: &'static str,
        body: Value,
        event: Option<&'static str>,
    }

    let fault = json!({ "fault": "reset" });
    let (patch, post, put, delete) = (Method::PATCH, Method::POST, Method::PUT, Method::DELETE);
    let cases = [
        Row {
            method: &patch,
            path: "clock",
            body: json!({ "now": "2026-01-31T09:30:00Z", "speed": 0, "advanceMs": 5 }),
            event: Some("clock"),
        },
        Row { method: &patch, path: "clock", body: json!({ "speed": -1 }), event: None },
        Row { method: &post, path: "faults", body: fault.clone(), event: Some("faults") },
        Row { method: &delete, path: "faults/1", body: Value::Null, event: Some("faults") },
        Row { method: &delete, path: "faults/1", body: Value::Null, event: None },
        Row { method: &post, path: "faults", body: json!({}), event: None },
        Row { method: &delete, path: "faults", body: Value::Null, event: Some("faults") },
        Row { method: &put, path: "rate-limit", body: json!({ "burst": 5 }), event: Some("rate-limit") },
        Row {
            method: &post,
            path: "rate-limit/use",
            body: json!({ "requests": 1 }),
            event: Some("rate-limit"),
        },
        Row {
            method: &patch,
            path: "settings",
            body: json!({ "successStatus": 200 }),
            event: Some("settings"),
        },
        Row {
            method: &patch,
            path: "webhooks",
            body: json!({ "url": "http://127.0.0.1:9/" }),
            event: Some("webhooks"),
        },
        Row {
            method: &patch,
            path: "webhooks",
            body: json!({ "url": "ftp://127.0.0.1/", "retries": "none" }),
            event: None,
        },
        Row {
            method: &put,
            path: "webhooks/tamper",
            body: json!({ "mode": "stale" }),
            event: Some("webhooks"),
        },
        Row { method: &delete, path: "webhooks/tamper", body: Value::Null, event: Some("webhooks") },
        Row { method: &post, path: "webhooks/keys", body: Value::Null, event: Some("webhooks") },
    ];
    let sandbox = Sandbox::start().await.unwrap();
    let mut entries = sandbox.follow();
    for Row { method, path, body, event: expected } in cases {
        let request = bare(&sandbox, method.clone(), &format!("/_sandbox/{path}"));
        let request = if body.is_null() { request } else { request.json(&body) };
        let response = request.send().await.unwrap().status();
        assert_eq!(response.is_success(), expected.is_some(), "{method} {path}: {response}");
        let names = published(&sandbox, &mut entries).await;
        assert_eq!(names, Vec::from_iter(expected), "{method} {path} {body}");
    }
    // Rejected forms changed nothing.
    let settings = bare(&sandbox, Method::GET, "/_sandbox/webhooks").send().await.unwrap();
    let settings: Value = settings.json().await.unwrap();
    assert_eq!(settings, json!({ "url": "http://127.0.0.1:9/", "retries": "documented" }));
}

/// Values that the schemas of the admin API reject reach the functions through the forms of the inspector.
#[tokio::test]
async fn invalid_forms_of_the_inspector_change_nothing() {
    let limits = "window=sliding&interval=10000&daily=200000&burst=";
    let cases = [
        ("limits", format!("{limits}18446744073709551615"), Some("maximum of 1,000,000")),
        ("limits", format!("{limits}1000001"), Some("maximum of 1,000,000")),
        ("limits", format!("{limits}1000000"), None),
        ("limits/use", "requests=5000000000".to_owned(), None),
        ("clock", "now=-0001-01-01T00:00".to_owned(), Some("accepts the years 1970 to 9999 only")),
        ("clock", "now=1969-12-31T23:59:59".to_owned(), Some("accepts the years 1970 to 9999 only")),
        ("clock", "now=%2B10000-01-01T00:00".to_owned(), Some("accepts the years 1970 to 9999 only")),
        ("clock", "now=1970-01-01T00:00".to_owned(), None),
        ("clock", "now=9999-12-31T23:59:59".to_owned(), None),
        ("webhooks/retries", "retries=custom&delays=1e10".to_owned(), Some("exceeds ten years")),
        ("webhooks/retries", format!("retries=custom&delays={}", "1,".repeat(101)), Some("101 delays")),
        ("webhooks/retries", format!("retries=custom&delays={}", "1,".repeat(100)), None),
    ];
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.set_clock_speed(0.0);
    for (form, body, rejected) in cases {
        let request = bare(&sandbox, Method::POST, &format!("/_sandbox/ui/controls/{form}"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let response = request.body(body.clone()).send().await.unwrap();
        let is_rejected = response.status() == 400;
        let text = response.text().await.unwrap();
        assert_eq!(is_rejected, rejected.is_some(), "{form} {body}: {text}");
        assert!(text.contains(rejected.unwrap_or_default()), "{form} {body}: {text}");
        // A message is stored at any time.
        sandbox.simulate_inbound([]).unwrap();
    }
    sandbox.set_clock_speed(1e6);
    sandbox.advance_clock(Duration::from_secs(1));
    sandbox.simulate_inbound([]).unwrap();
    assert_eq!(sandbox.now(), std::time::UNIX_EPOCH + Duration::from_millis(253_402_300_799_999));
}

/// The end of an attempt is published as a delivery. Without an event at its start, an open page would not show it.
#[tokio::test]
async fn the_start_of_an_attempt_is_published() {
    let sandbox = Sandbox::builder().webhook_url("http://127.0.0.1:9/").start_checked().await.unwrap();
    sandbox.set_clock_speed(0.0);
    sandbox.set_retry_schedule(RetrySchedule::Custom(vec![Duration::from_secs(10)]));
    let mut entries = sandbox.follow();
    published(&sandbox, &mut entries).await;
    // A sent message has no further event besides its entry.
    let message = sandbox.simulate_inbound([]).unwrap();
    sandbox.wait_for_attempts(1, TEST_TIMEOUT).await.unwrap();
    assert_eq!(published(&sandbox, &mut entries).await, Vec::<&str>::new());

    let cases: [(bool, Action); 6] = [
        (true, |it| drop(it.trigger(&Trigger::new("INSTALL")).unwrap())),
        (false, |it| assert!(it.trigger(&Trigger::new("Install")).is_err())),
        (true, |it| it.resend(1).unwrap()),
        (true, |it| it.resend_tampered(1, TamperMode::Stale).unwrap()),
        (true, |it| it.replay(1, Replay::new()).unwrap()),
        (false, |it| assert!(it.resend(99).is_err())),
    ];
    for (number, (is_told, act)) in cases.into_iter().enumerate() {
        act(&sandbox);
        let expected = if is_told { vec!["deliveries"] } else { vec![] };
        assert_eq!(published(&sandbox, &mut entries).await, expected, "case {number}");
    }
    for (path, body, is_told) in [
        ("events/trigger", json!({ "event": "INSTALL" }), true),
        ("deliveries/1/resend", json!({}), true),
        ("deliveries/1/replay", json!({}), true),
        ("deliveries/99/replay", json!({}), false),
        ("simulate/status", json!({ "messageId": message.id, "status": "read" }), true),
        // It is set already, and the event is sent all the same.
        ("simulate/status", json!({ "messageId": message.id, "status": "read" }), true),
    ] {
        let request = bare(&sandbox, Method::POST, &format!("/_sandbox/{path}")).json(&body);
        assert_eq!(request.send().await.unwrap().status().is_success(), is_told, "{path}");
        let expected = if is_told { vec!["deliveries"] } else { vec![] };
        assert_eq!(published(&sandbox, &mut entries).await, expected, "{path}");
    }

    let sandbox = Sandbox::builder().webhook_url("http://127.0.0.1:9/").start_checked().await.unwrap();
    sandbox.set_clock_speed(0.0);
    sandbox.set_retry_schedule(RetrySchedule::Custom(vec![Duration::from_secs(10)]));
    sandbox.simulate_inbound([]).unwrap();
    sandbox.wait_for_attempts(1, TEST_TIMEOUT).await.unwrap();
    let mut entries = sandbox.follow();
    published(&sandbox, &mut entries).await;
    sandbox.advance_clock(Duration::from_secs(10));
    sandbox.wait_for_attempts(2, TEST_TIMEOUT).await.unwrap();
    // Both, each once. The attempt starts as soon as the clock is moved, possibly before that change is published.
    let mut names = published(&sandbox, &mut entries).await;
    names.sort_unstable();
    assert_eq!(names, ["clock", "deliveries"]);
}

/// No other event shows it: the connection has no request.
#[tokio::test]
async fn a_triggered_connection_fault_is_published_with_its_exhaustion() {
    let sandbox = Sandbox::start().await.unwrap();
    let rule = FaultRule::new(Fault::CLOSE).stage(FaultStage::Connect).schedule(FaultSchedule::First(1));
    sandbox.add_fault(rule).unwrap();
    assert!(!sandbox.faults()[0].spent);
    let mut entries = sandbox.follow();
    published(&sandbox, &mut entries).await;

    let mut stream = TcpStream::connect(sandbox.base_url().trim_start_matches("http://")).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the connection was to be closed");
    assert_eq!(published(&sandbox, &mut entries).await, ["faults"]);
    let fault = &sandbox.faults()[0];
    assert_eq!((fault.seen, fault.hits, fault.spent), (1, 1, true));
}

#[tokio::test]
async fn a_rule_is_exhausted_when_it_cannot_trigger_again() {
    let rule = || FaultRule::new(Fault::UNAVAILABLE);
    let cases = [
        (rule(), [false, false, false, false]),
        (rule().schedule(FaultSchedule::First(2)), [false, false, true, true]),
        (rule().schedule(FaultSchedule::First(0)), [true, true, true, true]),
        (rule().schedule(FaultSchedule::Nth(2)), [false, false, true, true]),
        (rule().schedule(FaultSchedule::EveryNth(1)), [false, false, false, false]),
        (FaultRule::sequence([Fault::NONE, Fault::UNAVAILABLE]), [false, false, true, true]),
        (
            FaultRule::sequence([Fault::UNAVAILABLE]).schedule(FaultSchedule::EveryNth(2)),
            [false, false, true, true],
        ),
    ];
    for (rule, expected) in cases {
        let sandbox = Sandbox::start().await.unwrap();
        sandbox.add_fault(rule.clone()).unwrap();
        let mut spent = vec![sandbox.faults()[0].spent];
        for _ in 0..3 {
            bare(&sandbox, Method::GET, "/").bearer_auth(sandbox.token()).send().await.unwrap();
            spent.push(sandbox.faults()[0].spent);
        }
        assert_eq!(spent, expected, "{rule:?}");
    }
}
