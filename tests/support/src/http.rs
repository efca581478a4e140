//! HTTP/1.1 requests and responses as bytes.

use tokio::io::{AsyncRead, AsyncReadExt};

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The request line and the headers, without the empty line after them.
    pub head: String,
    /// `POST /path HTTP/1.1`
    pub line: String,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body, whose length is that of `content-length`.
    pub body: Vec<u8>,
}

impl Request {
    /// Returns all values of a header. The name is in lower case.
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// Returns the body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// Returns the first request in the bytes and its length, if it is complete.
pub fn parse(bytes: &[u8]) -> Option<(Request, usize)> {
    const END: &[u8] = b"\r\n\r\n";
    let end = bytes.windows(END.len()).position(|window| window == END)?;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head in UTF-8");
    let mut lines = head.split("\r\n");
    let line = lines.next().expect("a first line").to_owned();
    let headers: Vec<_> = lines
        .map(|line| line.split_once(": ").expect("a name and a value"))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().expect("a number"));
    let start = end + END.len();
    let body = bytes.get(start..start + length)?.to_vec();
    Some((Request { head: head.to_owned(), line, headers, body }, start + length))
}

/// Reads one complete request, and leaves further bytes in the buffer. Returns `None` at the end of the connection.
pub async fn read(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Option<Request> {
    loop {
        if let Some((request, length)) = parse(buffer) {
            buffer.drain(..length);
            return Some(request);
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// Returns a response with a status and reason, further headers (each line with its end), and a body with its length.
pub fn response(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    [format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n").as_bytes(), body].concat()
}

/// Returns a response in JSON.
pub fn json(status: &str, body: &serde_json::Value) -> Vec<u8> {
    response(status, "content-type: application/json; charset=utf-8\r\n", body.to_string())
}
