//! Delivery of events: retries, replays, tampering, and the records of attempts. Nothing here sleeps: the sandbox's
//! clock is stopped and moved.

use std::time::Duration;

use chrono::{DateTime, Utc};
use highlevel_sandbox::{
    AttemptCause, DeliveryAttempt, DeliveryOutcome, DeliveryState, Replay, RetrySchedule, SandboxBuilder,
    TamperMode, Trigger, WebhookDelivery,
};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::caller::{SEND, post};
use crate::conformance::{Sandbox, StartChecked};
use crate::target::{Request, Target, TargetResponse};
use crate::webhooks::{TEST_TIMEOUT, payload, verify};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Starts a sandbox whose clock is stopped.
async fn stopped(target: &Target, builder: SandboxBuilder) -> Sandbox {
    let sandbox = builder.webhook_url(&target.url).start_checked().await.unwrap();
    sandbox.set_clock_speed(0.0);
    sandbox
}

async fn send(sandbox: &Sandbox, text: &str) {
    let body =
        json!({"type": "SMS", "contactId": sandbox.contact_id(), "message": text, "status": "pending"});
    assert_eq!(post(sandbox, SEND, &body).await.status, 201);
}

fn seconds_between(earlier: &str, later: &str) -> f64 {
    let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    (time(later) - time(earlier)).as_seconds_f64()
}

fn body_of(request: &Request) -> Value {
    serde_json::from_slice::<Value>(&request.body).unwrap()["body"].clone()
}

#[tokio::test]
async fn failed_deliveries_are_retried_on_schedule() {
    let schedules = [
        (
            RetrySchedule::Documented,
            TargetResponse::Status(500),
            (0..12).map(|n| f64::from(1 << n)).collect::<Vec<_>>(),
        ),
        (RetrySchedule::Documented, TargetResponse::Reset, (0..12).map(|n| f64::from(1 << n)).collect()),
        (RetrySchedule::OnlyOn429, TargetResponse::Status(429), vec![600.0; 6]),
        (RetrySchedule::OnlyOn429, TargetResponse::Status(500), vec![]),
        (RetrySchedule::OnlyOn429, TargetResponse::Reset, vec![]),
        (RetrySchedule::None, TargetResponse::Status(429), vec![]),
    ];
    for (schedule, response, waits) in schedules {
        let target = Target::always(response).await;
        let sandbox = stopped(&target, Sandbox::builder().retry_schedule(schedule.clone())).await;
        send(&sandbox, "again").await;
        sandbox.wait_for_attempts(1, TEST_TIMEOUT).await.unwrap();
        sandbox.advance_clock(DAY);
        let deliveries = sandbox.wait_for_attempts(1 + waits.len(), TEST_TIMEOUT).await.unwrap();

        let delivery = &deliveries[0];
        assert_eq!(delivery.state, DeliveryState::GivenUp, "{schedule:?} {response:?}");
        assert_eq!(delivery.attempts.len(), 1 + waits.len());
        assert_eq!(delivery.next_attempt_at, None);
        let mut due = delivery.created_at.clone();
        for (attempt, wait) in delivery.attempts.iter().zip(waits.iter().map(Some).chain([None])) {
            assert_eq!(*attempt.body, *delivery.body);
            assert_eq!(attempt.cause, AttemptCause::Scheduled);
            match (&attempt.next_attempt_at, wait) {
                (Some(next), Some(wait)) => {
                    let waited = seconds_between(&due, next);
                    // Times are reported in milliseconds.
                    assert!(
                        (wait * 0.9 - 0.002..=wait * 1.1 + 0.002).contains(&waited),
                        "{waited} for {wait}"
                    );
                    due.clone_from(next);
                }
                (next, wait) => assert_eq!((next, wait), (&None, None), "attempt {}", attempt.number),
            }
        }
        let requests = target.requests();
        assert_eq!(requests.len(), 1 + waits.len());
        assert!(requests.iter().all(|request| request == &requests[0]), "the requests differ");
    }
}

#[tokio::test]
async fn retries_follow_the_sandbox_clock_until_a_2xx() {
    let target = Target::start(|number| TargetResponse::Status([500, 429, 404, 204][number])).await;
    let sandbox = stopped(&target, Sandbox::builder()).await;
    send(&sandbox, "again").await;
    for attempts in 1..4_usize {
        let deliveries = sandbox.wait_for_attempts(attempts, TEST_TIMEOUT).await.unwrap();
        assert_eq!(deliveries[0].state, DeliveryState::Pending);
        let next = deliveries[0].next_attempt_at.clone().unwrap();
        let now: DateTime<Utc> = sandbox.now().into();
        let wait = seconds_between(&now.to_rfc3339(), &next);
        assert!(wait > 0.0, "it does not wait for the clock");
        sandbox.advance_clock(Duration::from_secs_f64(wait + 0.001));
    }
    let deliveries = sandbox.wait_for_attempts(4, TEST_TIMEOUT).await.unwrap();
    assert_eq!(deliveries[0].state, DeliveryState::Delivered);
    let statuses: Vec<_> = deliveries[0].attempts.iter().map(|attempt| attempt.status()).collect();
    assert_eq!(statuses, [Some(500), Some(429), Some(404), Some(204)]);
    let starts: Vec<_> = deliveries[0].attempts.iter().map(|attempt| &attempt.started_at).collect();
    assert!(starts.is_sorted() && starts[0] < starts[3], "{starts:?}");
    assert_eq!(target.requests().len(), 4);
}

#[tokio::test]
async fn every_attempt_is_recorded_with_its_response() {
    let target = Target::start(|number| {
        [TargetResponse::Status(503), TargetResponse::Reset, TargetResponse::Never][number.min(2)]
    })
    .await;
    let builder = Sandbox::builder().webhook_timeout(Duration::from_millis(50));
    let sandbox =
        stopped(&target, builder.retry_schedule(RetrySchedule::Custom(vec![Duration::ZERO; 2]))).await;
    send(&sandbox, "again").await;
    let deliveries = sandbox.wait_for_attempts(3, TEST_TIMEOUT).await.unwrap();
    let delivery = &deliveries[0];
    let message = &sandbox.messages()[0];
    assert_eq!(delivery.message_id.as_ref(), Some(&message.id));

    let attempts: Vec<&DeliveryAttempt> = delivery.attempts.iter().map(AsRef::as_ref).collect();
    let DeliveryOutcome::Responded { status: 503, headers, body, .. } = &attempts[0].outcome else {
        panic!("{:?}", attempts[0])
    };
    assert!(headers.contains(&("x-answer".to_owned(), "0".to_owned())), "{headers:?}");
    assert_eq!(body, b"said");
    for (attempt, words) in attempts[1..].iter().zip(["reset", "no response within 0.05 seconds"]) {
        let DeliveryOutcome::Failed { reason, .. } = &attempt.outcome else { panic!("{attempt:?}") };
        assert!(reason.contains(words), "{reason}");
    }
    assert!(attempts[2].latency >= Duration::from_millis(50));
    for (number, (attempt, request)) in (1..).zip(attempts.iter().zip(target.requests())) {
        assert_eq!((attempt.number, attempt.delivery_id), (number, delivery.id));
        assert_eq!(attempt.key_id.as_deref(), Some("ed25519-2"));
        for (name, value) in &attempt.headers {
            assert_eq!(request.header(name), Some(value.as_str()), "{name}");
        }
        assert_eq!(*attempt.body, *request.body);
    }
}

#[tokio::test]
async fn a_hanging_target_does_not_delay_other_targets() {
    const EVENTS: usize = 200;
    let silent = Target::always(TargetResponse::Never).await;
    let healthy = Target::always(TargetResponse::Status(200)).await;
    let sandbox = Sandbox::start().await.unwrap();
    for number in 0..EVENTS {
        for target in [&silent, &healthy] {
            let event = Trigger::new("INSTALL").field("number", number).url(&target.url);
            sandbox.trigger(&event).unwrap();
        }
    }
    let requests = healthy.wait_for(EVENTS).await;
    let number =
        |request: &Request| serde_json::from_slice::<Value>(&request.body).unwrap()["number"].as_u64();
    let order: Vec<_> = requests.iter().map(number).collect();
    assert_eq!(order, (0..200).map(Some).collect::<Vec<_>>());
    assert_eq!(healthy.max_concurrent(), 1, "order is only certain one after the other");
    assert!(sandbox.deliveries().iter().all(|each| each.url == healthy.url || each.attempts.is_empty()));
}

#[tokio::test]
async fn a_hanging_delivery_does_not_delay_the_next_to_the_same_target() {
    let target =
        Target::start(|number| if number == 0 { TargetResponse::Never } else { TargetResponse::Status(200) })
            .await;
    let sandbox = Sandbox::builder().webhook_url(&target.url).start_checked().await.unwrap();
    for text in ["stuck", "second", "third"] {
        send(&sandbox, text).await;
    }
    let deliveries = sandbox.wait_for_deliveries(2, TEST_TIMEOUT).await.unwrap();
    let ended: Vec<bool> = deliveries.iter().map(|delivery| !delivery.attempts.is_empty()).collect();
    assert_eq!(ended, [false, true, true]);
}

#[tokio::test]
async fn resending_repeats_the_event_and_replaying_repeats_the_request() {
    let target = Target::start(|number| TargetResponse::Status(if number == 0 { 500 } else { 200 })).await;
    let sandbox = stopped(&target, Sandbox::builder().retry_schedule(RetrySchedule::None)).await;
    send(&sandbox, "once").await;
    let first = sandbox.wait_for_attempts(1, TEST_TIMEOUT).await.unwrap().remove(0);
    assert_eq!(first.state, DeliveryState::GivenUp);
    let old_key = sandbox.webhook_public_key().to_owned();
    let new_key = sandbox.rotate_webhook_key().unwrap();
    sandbox.advance_clock(DAY);

    sandbox.resend(first.id).unwrap();
    sandbox.wait_for_attempts(2, TEST_TIMEOUT).await.unwrap();
    sandbox.replay(first.id, Replay::new().attempt(1)).unwrap();
    sandbox.wait_for_attempts(3, TEST_TIMEOUT).await.unwrap();
    sandbox.replay(first.id, Replay::new().attempt(1).body("{\"a\":1}")).unwrap();
    sandbox.wait_for_attempts(4, TEST_TIMEOUT).await.unwrap();
    sandbox.replay(first.id, Replay::new().body("{\"a\":1}").signed()).unwrap();
    let delivery = sandbox.wait_for_attempts(5, TEST_TIMEOUT).await.unwrap().remove(0);

    let causes: Vec<_> = delivery.attempts.iter().map(|attempt| attempt.cause).collect();
    let (scheduled, resend, replay) = (AttemptCause::Scheduled, AttemptCause::Resend, AttemptCause::Replay);
    assert_eq!(causes, [scheduled, resend, replay, replay, replay]);
    assert_eq!(delivery.state, DeliveryState::Delivered);
    let requests = target.requests();
    let signature = |request: &Request| request.header("x-ghl-signature").unwrap().to_owned();
    assert_eq!(requests[1].body, requests[0].body, "same webhookId, same timestamp, same bytes");
    assert!(verify(&new_key, &signature(&requests[1]), &requests[1].body), "signed with the key of today");
    assert_eq!(requests[2], requests[0], "not the same request");
    assert!(verify(&old_key, &signature(&requests[2]), &requests[2].body));
    assert_eq!(requests[3].body, b"{\"a\":1}");
    assert_eq!(signature(&requests[3]), signature(&requests[0]));
    assert!(!verify(&old_key, &signature(&requests[3]), &requests[3].body));
    assert!(verify(&new_key, &signature(&requests[4]), &requests[4].body));

    for (result, words) in [
        (sandbox.resend(99), "delivery 99 does not exist"),
        (sandbox.replay(first.id, Replay::new().attempt(9)), "has no attempt 9 that is completed"),
    ] {
        assert!(result.unwrap_err().to_string().contains(words));
    }
}

/// A receiver is configured with the key that the start printed.
#[tokio::test]
async fn a_reset_restores_the_first_signing_key() {
    let target = Target::start(|_| TargetResponse::Status(200)).await;
    let sandbox = stopped(&target, Sandbox::builder()).await;
    let (first_key, first_keys) = (sandbox.webhook_public_key().to_owned(), sandbox.webhook_keys());
    for _ in 0..20 {
        sandbox.rotate_webhook_key().unwrap();
    }
    sandbox.reset().unwrap();
    assert_eq!(sandbox.webhook_keys(), first_keys);
    send(&sandbox, "Hello").await;
    sandbox.wait_for_attempts(1, TEST_TIMEOUT).await.unwrap();
    let request = target.requests().remove(0);
    assert!(verify(&first_key, request.header("x-ghl-signature").unwrap(), &request.body));
}

/// The effect of each mode on a receiver that knows only the published keys.
#[tokio::test]
async fn each_tamper_mode_alters_one_attempt_and_its_retry_is_genuine() {
    for mode in TamperMode::ALL {
        if matches!(mode, TamperMode::Duplicate | TamperMode::Reordered) {
            continue;
        }
        let target =
            Target::start(|number| TargetResponse::Status(if number == 0 { 401 } else { 200 })).await;
        let sandbox = stopped(&target, Sandbox::builder()).await;
        sandbox.tamper_next(mode, 1);
        send(&sandbox, "Hello").await;
        sandbox.wait_for_attempts(1, TEST_TIMEOUT).await.unwrap();
        sandbox.advance_clock(DAY);
        let delivery = sandbox.wait_for_attempts(2, TEST_TIMEOUT).await.unwrap().remove(0);

        let [wrong, genuine] = target.requests().try_into().unwrap();
        let keys = sandbox.webhook_keys();
        let current = keys.iter().find(|key| key.current).unwrap();
        assert_eq!(current.public_key, sandbox.webhook_public_key());
        let by = |request: &Request| -> Vec<String> {
            let Some(signature) = request.header("x-ghl-signature").filter(|value| *value != "N/A") else {
                return vec![];
            };
            let ed25519 = keys.iter().filter(|key| key.algorithm == "Ed25519");
            let signers = ed25519.filter(|key| verify(&key.public_key, signature, &request.body));
            signers.map(|key| key.id.clone()).collect()
        };
        assert_eq!(by(&genuine), [current.id.as_str()], "{mode}");
        assert_eq!(genuine.body, *delivery.body, "{mode}");
        assert_eq!(delivery.attempts[0].tamper_mode, Some(mode));
        assert_eq!(delivery.attempts[1].tamper_mode, None);
        let [one, other] =
            [&wrong, &genuine].map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
        let age = seconds_between(one["timestamp"].as_str().unwrap_or_default(), &delivery.created_at);
        let differ: Vec<&String> = other
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, value)| one[*name] != **value)
            .map(|(name, _)| name)
            .collect();
        match mode {
            TamperMode::WrongKey => assert_eq!((by(&wrong).len(), differ.len()), (0, 0)),
            TamperMode::OldKey => {
                assert_eq!(by(&wrong), ["ed25519-1"]);
                assert!(differ.is_empty());
            }
            TamperMode::Stale | TamperMode::Future => {
                assert_eq!(by(&wrong), [current.id.as_str()]);
                assert_eq!(differ, ["timestamp"]);
                let expected = if mode == TamperMode::Stale { 86400.0 } else { -3600.0 };
                assert!((age - expected).abs() < 0.01, "{age}");
            }
            TamperMode::AlteredByte => {
                assert!(by(&wrong).is_empty());
                assert_eq!(wrong.header("x-ghl-signature"), genuine.header("x-ghl-signature"));
                let bytes = wrong.body.iter().zip(&genuine.body).filter(|(one, other)| one != other).count();
                assert_eq!((bytes, wrong.body.len()), (1, genuine.body.len()));
            }
            TamperMode::MissingHeader => {
                assert_eq!((wrong.header("x-ghl-signature"), wrong.header("x-wh-signature")), (None, None));
            }
            TamperMode::NotAvailable => assert_eq!(wrong.header("x-ghl-signature"), Some("N/A")),
            TamperMode::Rsa => {
                assert_eq!(wrong.header("x-ghl-signature"), None);
                let key = keys.iter().find(|key| key.algorithm == "RSA").unwrap();
                verify_rsa(&key.public_key, wrong.header("x-wh-signature").unwrap(), &wrong.body);
            }
            TamperMode::OtherApp => {
                assert_eq!(by(&wrong), [current.id.as_str()]);
                assert_eq!(differ, ["appId"]);
            }
            other => panic!("there is no row for {other}"),
        }
    }
}

fn verify_rsa(pem: &str, signature: &str, body: &[u8]) {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let spki = STANDARD.decode(base64).unwrap();
    // The DER prefix of an RSAPublicKey of 4096 bits.
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &spki[24..]);
    key.verify(body, &STANDARD.decode(signature).unwrap()).unwrap();
}

#[tokio::test]
async fn a_duplicate_repeats_the_same_request() {
    let target = Target::always(TargetResponse::Status(200)).await;
    let sandbox = stopped(&target, Sandbox::builder()).await;
    sandbox.set_tamper_mode(Some(TamperMode::Duplicate));
    send(&sandbox, "twice").await;
    let requests = target.wait_for(2).await;
    assert_eq!(requests[0], requests[1]);
    sandbox.set_tamper_mode(None);
    send(&sandbox, "once").await;
    let deliveries = sandbox.wait_for_attempts(3, TEST_TIMEOUT).await.unwrap();
    let causes = |delivery: &WebhookDelivery| {
        delivery.attempts.iter().map(|attempt| attempt.cause).collect::<Vec<_>>()
    };
    assert_eq!(causes(&deliveries[0]), [AttemptCause::Scheduled, AttemptCause::Duplicate]);
    assert_eq!(causes(&deliveries[1]), [AttemptCause::Scheduled]);
}

#[tokio::test]
async fn a_reordered_event_follows_the_next_one_or_a_minute() {
    let target = Target::always(TargetResponse::Status(200)).await;
    let sandbox = stopped(&target, Sandbox::builder()).await;
    sandbox.set_tamper_mode(Some(TamperMode::Reordered));
    for text in ["1", "2", "3", "4"] {
        send(&sandbox, text).await;
    }
    let order: Vec<Value> = target.wait_for(4).await.iter().map(body_of).collect();
    assert_eq!(order, ["2", "1", "4", "3"]);
    sandbox.set_tamper_mode(None);
    sandbox.tamper_next(TamperMode::Reordered, 1);
    send(&sandbox, "alone").await;
    sandbox.advance_clock(Duration::from_secs(61));
    let order: Vec<Value> = target.wait_for(5).await.iter().map(body_of).collect();
    assert_eq!(order[4], "alone");
}

#[tokio::test]
async fn a_chosen_delivery_can_be_tampered_with() {
    let target = Target::always(TargetResponse::Status(200)).await;
    let sandbox = stopped(&target, Sandbox::builder()).await;
    for text in ["1", "2"] {
        send(&sandbox, text).await;
    }
    let deliveries = sandbox.wait_for_attempts(2, TEST_TIMEOUT).await.unwrap();
    // The mode of all deliveries does not override the requested one.
    sandbox.tamper_next(TamperMode::Stale, 1);
    sandbox.resend_tampered(deliveries[0].id, TamperMode::NotAvailable).unwrap();
    sandbox.wait_for_attempts(3, TEST_TIMEOUT).await.unwrap();
    let requests = target.requests();
    assert_eq!(requests[2].header("x-ghl-signature"), Some("N/A"));
    assert_eq!(requests[2].body, requests[0].body);
    assert_eq!(sandbox.tamper_config().next, [(TamperMode::Stale, 1)]);
    assert_eq!(payload(&deliveries[1])["body"], "2");
}
