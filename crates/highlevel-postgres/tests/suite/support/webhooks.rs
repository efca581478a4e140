//! A webhook server that stores message events as evidence.

use std::time::SystemTime;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use highlevel::webhook::{PublicKey, Receiver};
use highlevel_postgres::Outbox;
use highlevel_sandbox::Sandbox;

/// Lets the sandbox send its events to the outbox.
pub(crate) async fn connect(sandbox: &Sandbox, outbox: Outbox) {
    async fn observe(
        State((receiver, outbox)): State<(Receiver, Outbox)>,
        headers: HeaderMap,
        body: Bytes,
    ) -> StatusCode {
        let Ok(event) = receiver.verify(&headers, body, SystemTime::now()) else {
            return StatusCode::BAD_REQUEST;
        };
        match outbox.observe(&event).await {
            Ok(()) => StatusCode::OK,
            Err(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }
    let key = PublicKey::from_base64("sandbox", sandbox.webhook_public_key()).expect("a key");
    let receiver = Receiver::builder().app_id(sandbox.app_id()).key(key).build();
    let routes = axum::Router::new().route("/", post(observe)).with_state((receiver, outbox));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    sandbox.set_webhook_url(format!("http://{address}/")).expect("a URL");
}
