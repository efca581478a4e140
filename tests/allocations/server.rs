//! A server on a thread that allocates nothing per request.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// The receipt of the live API, with limits that are never reached.
const RESPONSE: &[u8] = b"HTTP/1.1 201 Created\r\n\
    content-type: application/json; charset=utf-8\r\n\
    content-length: 76\r\n\
    date: Mon, 02 Feb 2026 09:00:00 GMT\r\n\
    x-ratelimit-limit-daily: 4294967295\r\n\
    x-ratelimit-daily-remaining: 4294967295\r\n\
    x-ratelimit-interval-milliseconds: 10\r\n\
    x-ratelimit-max: 4294967295\r\n\
    x-ratelimit-remaining: 4294967295\r\n\
    \r\n\
    {\"conversationId\":\"ABC12h2F6uBrIkfXYazb\",\"messageId\":\"t22c6DQcTDf3MjRhwf77\"}";

/// Starts a server that responds to each request with a receipt. Returns its base URL.
pub(crate) fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("a connection");
            std::thread::spawn(move || serve(stream));
        }
    });
    // A name, like the live address.
    format!("http://localhost:{port}")
}

/// Responds to each request once its body has arrived. A client sends one request at a time on a connection.
fn serve(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("an option of the socket");
    let mut buffer = [0; 4096];
    let mut filled = 0;
    while let Ok(read) = stream.read(&mut buffer[filled..]) {
        if read == 0 {
            return;
        }
        filled += read;
        if is_complete(&buffer[..filled]) {
            filled = 0;
            if stream.write_all(RESPONSE).is_err() {
                return;
            }
        }
    }
}

fn is_complete(request: &[u8]) -> bool {
    let Some(head) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let length = request[..head].split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(15)?;
        let is_length = name.eq_ignore_ascii_case(b"content-length:");
        if is_length { str::from_utf8(value).ok()?.trim().parse().ok() } else { None }
    });
    request.len() >= head + 4 + length.unwrap_or(0)
}
