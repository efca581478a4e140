//! A server that reads one whole request, stores its bytes, and responds with given bytes.

pub(crate) use highlevel_test_support::Request;
use highlevel_test_support::read;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The reaction of the server to a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Writes these bytes and closes the connection.
    Close(Vec<u8>),
    /// Writes these bytes and waits until the client goes.
    Hold(Vec<u8>),
}

/// Starts a server for as many connections as there are replies. Returns its address, and the requests it receives.
pub(crate) async fn serve(replies: Vec<Reply>) -> (String, JoinHandle<Vec<Request>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let task = tokio::spawn(async move {
        let mut requests = Vec::new();
        for reply in replies {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            requests.push(read(&mut stream, &mut Vec::new()).await.expect("a whole request"));
            let (Reply::Close(bytes) | Reply::Hold(bytes)) = &reply;
            // A client that has read enough may be gone already.
            let _ = stream.write_all(bytes).await;
            if matches!(reply, Reply::Hold(_)) {
                let _ = stream.read(&mut [0; 1]).await;
            }
        }
        requests
    });
    (address, task)
}

/// Returns the URL of an address where no server listens.
pub(crate) async fn nowhere() -> String {
    format!("http://{}", highlevel_test_support::nowhere().await)
}
