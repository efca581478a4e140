//! A server that reads one whole request, stores its bytes, and responds with given bytes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
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
            requests.push(read(&mut stream).await);
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

/// An address where nothing listens.
pub(crate) async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

/// A request, byte by byte.
#[derive(Debug)]
pub(crate) struct Request {
    /// The request line.
    pub(crate) line: String,
    /// The headers in their order, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// All values of a header.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect()
    }
}

async fn read(stream: &mut TcpStream) -> Request {
    const END: &[u8] = b"\r\n\r\n";
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(END.len()).position(|window| window == END) {
            break end;
        }
        assert_ne!(stream.read_buf(&mut bytes).await.expect("readable"), 0, "the request broke off");
    };
    let text = String::from_utf8(bytes[..head].to_vec()).expect("a head is text");
    let mut lines = text.split("\r\n").map(str::to_owned);
    let line = lines.next().expect("a request line");
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").expect("a name and a value");
            (name.to_ascii_lowercase(), value.to_owned())
        })
        .collect();
    let mut request = Request { line, headers, body: bytes.split_off(head + END.len()) };
    let length = request.header("content-length").first().map_or(0, |value| value.parse().expect("a number"));
    while request.body.len() < length {
        assert_ne!(stream.read_buf(&mut request.body).await.expect("readable"), 0, "the body broke off");
    }
    request
}
