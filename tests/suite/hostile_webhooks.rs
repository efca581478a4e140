//! Tampered, duplicated and reordered deliveries of the sandbox to a server with the SDK's receiver. Each event is handled
//! once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use highlevel::webhook::axum::{Webhook, WebhookLayer};
use highlevel::webhook::{Event, PublicKey, Receiver, ReceiverBuilder, RsaPublicKey, WebhookErrorKind};
use highlevel::{Client, Sms};
use highlevel_sandbox::{
    DeliveryAttempt, DeliveryOutcome, DeliveryState, RetrySchedule, Sandbox, TamperMode, WebhookDelivery,
};

/// Ends a test that would otherwise wait forever. It is never reached in a run that succeeds.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// An app with the SDK's layer, and the sandbox that delivers to it. Both use the sandbox's clock, which is stopped.
struct Scene {
    sandbox: Arc<Sandbox>,
    handled: Arc<AtomicUsize>,
}

impl Scene {
    /// Starts both. The handler fails this many times before it succeeds.
    async fn new(
        schedule: RetrySchedule,
        failures: usize,
        choose: impl FnOnce(&Sandbox, ReceiverBuilder) -> Receiver,
    ) -> Self {
        let sandbox = Sandbox::builder().retry_schedule(schedule).start().await.expect("a sandbox");
        let sandbox = Arc::new(sandbox);
        sandbox.set_clock_speed(0.0);
        let key = PublicKey::from_base64("sandbox", sandbox.webhook_public_key()).expect("a key");
        let receiver = choose(&sandbox, Receiver::builder().app_id(sandbox.app_id()).key(key));
        let (calls, handled) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let (counter, calls, clock) = (Arc::clone(&handled), Arc::new(calls), Arc::clone(&sandbox));
        let handle = async move |Webhook(_): Webhook<Event>| {
            if calls.fetch_add(1, Ordering::SeqCst) < failures {
                return StatusCode::INTERNAL_SERVER_ERROR;
            }
            counter.fetch_add(1, Ordering::SeqCst);
            StatusCode::OK
        };
        let layer = WebhookLayer::with_clock(receiver, move || clock.now());
        let app = Router::new().route("/", post(handle)).layer(layer);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        sandbox.set_webhook_url(url).expect("a URL");
        Self { sandbox, handled }
    }

    async fn send(&self, text: &str) {
        let client = Client::builder().base_url(self.sandbox.base_url()).token(self.sandbox.token());
        let client = client.build().expect("a client");
        client.messages().send(Sms::to(self.sandbox.contact_id()).text(text)).await.expect("a receipt");
    }

    async fn attempts(&self, count: usize) -> Vec<WebhookDelivery> {
        self.sandbox.wait_for_attempts(count, TEST_TIMEOUT).await.expect("the attempts end")
    }

    fn handled(&self) -> usize {
        self.handled.load(Ordering::SeqCst)
    }
}

/// Returns status and body of the response to an attempt.
fn response(attempt: &DeliveryAttempt) -> (u16, String) {
    match &attempt.outcome {
        DeliveryOutcome::Responded { status, body, .. } => {
            (*status, String::from_utf8_lossy(body).into_owned())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn tampered_deliveries_are_rejected_and_their_genuine_retries_are_handled_once() {
    let table = [
        (TamperMode::WrongKey, 401, "signature invalid"),
        (TamperMode::OldKey, 401, "signature invalid"),
        (TamperMode::AlteredByte, 401, "signature invalid"),
        (TamperMode::MissingHeader, 401, WebhookErrorKind::SignatureMissing.public_message()),
        (TamperMode::NotAvailable, 401, "signature invalid"),
        (TamperMode::Rsa, 401, WebhookErrorKind::SignatureMissing.public_message()),
        (TamperMode::OtherApp, 403, "for another app"),
        (TamperMode::Stale, 400, "too old"),
        (TamperMode::Future, 429, "timestamp in the future"),
    ];
    for (mode, status, words) in table {
        let scene = Scene::new(RetrySchedule::Documented, 0, |_, receiver| receiver.build()).await;
        scene.sandbox.tamper_next(mode, 1);
        scene.send("Hello").await;
        let refused = scene.attempts(1).await.remove(0);
        let (found, text) = response(&refused.attempts[0]);
        assert_eq!(found, status, "{mode}: {text}");
        assert_eq!(text, words, "{mode}");
        assert_eq!((scene.handled(), refused.state), (0, DeliveryState::Pending), "{mode}");

        // The first retry is due after about a second.
        scene.sandbox.advance_clock(Duration::from_secs(2));
        let delivery = scene.attempts(2).await.remove(0);
        assert_eq!(
            (delivery.state, delivery.attempts[1].status()),
            (DeliveryState::Delivered, Some(200)),
            "{mode}"
        );
        for resends in 1..3 {
            scene.sandbox.resend(delivery.id).expect("a resend");
            let resent = scene.attempts(2 + resends).await.remove(0);
            assert_eq!(resent.last().map(response).expect("an attempt").0, 200, "{mode}");
        }
        assert_eq!(scene.handled(), 1, "{mode}");
    }
}

#[tokio::test]
async fn duplicated_and_reordered_deliveries_are_handled_once_each() {
    let scene = Scene::new(RetrySchedule::Documented, 0, |_, receiver| receiver.build()).await;
    scene.sandbox.tamper_next(TamperMode::Duplicate, 1);
    scene.sandbox.tamper_next(TamperMode::Reordered, 1);
    for text in ["twice", "late", "early"] {
        scene.send(text).await;
    }
    let deliveries = scene.attempts(4).await;
    assert!(deliveries.iter().all(|delivery| delivery.state == DeliveryState::Delivered), "{deliveries:?}");
    let (status, text) = response(&deliveries[0].attempts[1]);
    assert_eq!(status, 200);
    assert_eq!(text, "already handled");
    assert_eq!(scene.handled(), 3);
}

#[tokio::test]
async fn an_event_is_redelivered_until_its_handler_succeeds() {
    for schedule in [RetrySchedule::Documented, RetrySchedule::OnlyOn429] {
        let scene = Scene::new(schedule, 3, |_, receiver| receiver.build()).await;
        scene.send("Hello").await;
        scene.attempts(1).await;
        // Three retries are due within half an hour by either schedule.
        scene.sandbox.advance_clock(Duration::from_secs(40 * 60));
        let delivery = scene.attempts(4).await.remove(0);
        let statuses: Vec<_> = delivery.attempts.iter().map(|attempt| attempt.status()).collect();
        assert_eq!(statuses, [Some(429), Some(429), Some(429), Some(200)]);
        assert_eq!((delivery.state, delivery.next_attempt_at), (DeliveryState::Delivered, None));
        assert_eq!(scene.handled(), 1);
    }
}

#[tokio::test]
async fn a_rotated_key_and_the_older_header_are_accepted_if_configured() {
    let scene = Scene::new(RetrySchedule::None, 0, |sandbox, receiver| {
        let keys = sandbox.webhook_keys();
        let of = |algorithm: &str| {
            keys.iter().find(|key| key.algorithm == algorithm).expect("a key").public_key.clone()
        };
        let old = PublicKey::from_base64("old", &of("Ed25519")).expect("a key");
        let rsa = RsaPublicKey::from_pem("rsa", &of("RSA")).expect("a key");
        receiver.key(old).accept_rsa_until(rsa, SystemTime::now() + Duration::from_secs(3600)).build()
    })
    .await;
    for mode in [TamperMode::OldKey, TamperMode::Rsa] {
        scene.sandbox.tamper_next(mode, 1);
        scene.send("Hello").await;
    }
    let deliveries = scene.attempts(2).await;
    assert!(deliveries.iter().all(|delivery| delivery.status() == Some(200)), "{deliveries:?}");
    assert_eq!(scene.handled(), 2);
}
