//! The connection of a request for tokens.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use highlevel::auth::App;
use highlevel::auth::store::MemoryStore;
use tokio::sync::{Barrier, oneshot};

use super::mock::{MockHighLevel, TokenReply, send, wait_until};
use crate::server::{Action, json as json_response, receipt, response};

/// Reads one request with a body of a known length.
fn read_request(connection: &mut TcpStream) {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = connection.read(&mut buffer).expect("a request");
        assert_ne!(read, 0, "the client closed the connection");
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if body.len() >= length.and_then(|length| length.parse().ok()).unwrap_or_default() {
            return;
        }
    }
}

/// The only connection is in use when the request is made, and the server closes it after its response, while the thread of
/// the runtime is blocked. The request must not be written to the closed connection: nothing could show whether HighLevel
/// has processed it.
#[tokio::test]
async fn a_token_request_checks_its_connection_after_it_has_waited_for_a_slot() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (message_arrived, is_message_there) = oneshot::channel();
    let (respond, may_respond) = oneshot::channel::<()>();
    let server = thread::spawn(move || {
        let tokens = json_response(
            "200 OK",
            &serde_json::json!({ "access_token": "a", "refresh_token": "r", "expires_in": 86_399, "locationId": "loc1" }),
        );
        let (mut connection, _) = listener.accept().expect("a connection");
        read_request(&mut connection);
        connection.write_all(&tokens).expect("tokens");
        read_request(&mut connection);
        message_arrived.send(()).expect("the test waits");
        may_respond.blocking_recv().expect("the test responds");
        connection.write_all(&receipt()).expect("a receipt");
        thread::sleep(Duration::from_millis(20));
        drop(connection);
        let (mut connection, _) = listener.accept().expect("a connection");
        read_request(&mut connection);
        connection.write_all(&tokens).expect("tokens");
    });
    // Each reading is half a minute later: a request that may have been processed is not retried.
    let now = Mutex::new(SystemTime::now());
    let clock = move || {
        let mut now = now.lock().expect("no panic");
        *now += Duration::from_secs(31);
        *now
    };
    let app = App::builder().client_id("a-b").client_secret("s").store(MemoryStore::new()).clock(clock);
    let app = app.base_url(url).max_connections(1).build().expect("an app");
    app.exchange(MockHighLevel::code("loc1")).await.expect("tokens");

    let message = tokio::spawn({
        let client = app.location("loc1");
        async move {
            send(&client).await.expect("a receipt");
            thread::sleep(Duration::from_millis(60));
        }
    });
    is_message_there.await.expect("a message");
    let exchange = tokio::spawn(async move { app.exchange(MockHighLevel::code("loc1")).await });
    // Until the exchange waits for the connection.
    tokio::time::sleep(Duration::from_millis(20)).await;
    respond.send(()).expect("the server waits");
    message.await.expect("no panic");
    exchange.await.expect("no panic").expect("tokens");
    server.join().expect("no panic");
}

/// The response to a refresh is lost while a message waits for the only connection, and the message then takes long. HighLevel
/// repeats its response for 30 seconds only, so the refresh is repeated meanwhile.
#[tokio::test]
async fn a_refresh_whose_response_was_lost_does_not_wait_for_messages() {
    let highlevel = MockHighLevel::new().await;
    let app = highlevel.builder().max_connections(1).build().expect("an app");
    for location in ["expired", "valid"] {
        app.exchange(MockHighLevel::code(location)).await.expect("tokens");
    }
    highlevel.expire();
    app.exchange(MockHighLevel::code("valid")).await.expect("tokens");
    let (lost, received) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let unavailable = response("503 Service Unavailable", "", "");
    highlevel.token_replies([TokenReply::Instead(Action::Together(Arc::clone(&lost), unavailable))]);
    highlevel.send_replies([Action::Together(Arc::clone(&received), receipt())]);

    let refreshing = tokio::spawn({
        let client = app.location("expired");
        async move { send(&client).await }
    });
    wait_until(async || highlevel.refreshes() == 1).await;
    let message = tokio::spawn({
        let client = app.location("valid");
        async move { send(&client).await }
    });
    // The runtime has one thread: the message waits for the connection now.
    tokio::task::yield_now().await;
    lost.wait().await;
    wait_until(async || highlevel.sends() == 1).await;
    wait_until(async || highlevel.refreshes() == 2).await;
    received.wait().await;
    message.await.expect("no panic").expect("a receipt");
    refreshing.await.expect("no panic").expect("a receipt");
    assert_eq!((highlevel.refreshes(), highlevel.sends()), (2, 2));
}
