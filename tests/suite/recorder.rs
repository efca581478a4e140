//! A server that records the bytes of requests and responds with receipts. It parses no more of HTTP than the end of a
//! request.

use std::sync::{Arc, Mutex};

use highlevel_test_support::{parse, response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A response that every operation can read.
const RECEIPT: &str = r#"{"success":true,"conversationId":"v","messageId":"m","id":"m","contact":{"id":"c"},
    "conversation":{"id":"v"},"note":{"id":"n"},"tags":[],"contacts":[],"conversations":[],"messages":[],"total":0,
    "uploadedFiles":{"menu.txt":"https://storage.com/menu.txt"},"transcript":"Hello"}"#;

/// A running recorder. It stops with the runtime of the test.
pub(crate) struct Recorder {
    pub(crate) base_url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base_url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let recorded = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&recorded)));
            }
        });
        Self { base_url, requests }
    }

    /// Returns the requests since the last call, unchanged.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().expect("not poisoned"))
    }
}

async fn serve(mut stream: TcpStream, recorded: Arc<Mutex<Vec<String>>>) {
    let mut bytes = Vec::new();
    while stream.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
        while let Some((_, length)) = parse(&bytes) {
            let request: Vec<u8> = bytes.drain(..length).collect();
            recorded.lock().expect("not poisoned").push(String::from_utf8(request).expect("UTF-8"));
            if stream.write_all(&response("201 Created", "", RECEIPT)).await.is_err() {
                return;
            }
        }
    }
}
