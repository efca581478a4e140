//! The stream that makes an open page reload its content.

use std::time::Duration;

use highlevel_sandbox::SandboxBuilder;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{TEST_TIMEOUT, UI, get};
use crate::caller::{SEND, post};
use crate::conformance::{Sandbox, StartChecked};

/// A connection that reads the stream.
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
        let length = tokio::time::timeout(TEST_TIMEOUT, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert_ne!(length, 0, "the stream ended after {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    text
}

#[tokio::test]
async fn the_page_stream_sends_kinds_of_changes_only() {
    let sandbox = Sandbox::start().await.unwrap();
    let mut stream = follow(&sandbox).await;
    let message =
        json!({"type": "SMS", "contactId": sandbox.contact_id(), "message": "secret", "status": "pending"});
    post(&sandbox, SEND, &message).await;
    let published = read_until(&mut stream, "request").await;
    assert!(!published.contains("secret"), "{published}");
    sandbox.advance_clock(Duration::from_secs(1));
    assert!(read_until(&mut stream, "changed").await.contains("event: happened"));
    // It ends with the sandbox, properly: the last chunk of the body is received.
    sandbox.stop().await;
    let mut rest = Vec::new();
    tokio::time::timeout(TEST_TIMEOUT, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn disconnected_readers_free_their_slot() {
    const MAX_READERS: usize = 4;
    let sandbox =
        SandboxBuilder::max_connections(Sandbox::builder(), MAX_READERS).start_checked().await.unwrap();
    for _ in 0..10 {
        let mut streams = Vec::new();
        for _ in 0..MAX_READERS {
            // Without a free slot this would not return.
            streams.push(tokio::time::timeout(TEST_TIMEOUT, follow(&sandbox)).await.unwrap());
        }
    }
    assert_eq!(tokio::time::timeout(TEST_TIMEOUT, get(&sandbox, UI)).await.unwrap().status, 200);
}
