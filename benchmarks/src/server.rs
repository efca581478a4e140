//! A server on one thread that responds to all requests with the same receipt, and the process that it runs in.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The message id of every receipt.
pub const MESSAGE_ID: &str = "t22c6DQcTDf3MjRhwf77";

/// A server in a separate process, which ends when this value is dropped.
pub struct Server {
    process: Child,
    pub base_url: String,
}

impl Server {
    /// Starts the program `server` in the folder of this program.
    pub fn start() -> Self {
        let program = std::env::current_exe().expect("this program").with_file_name("server");
        let mut process = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be run: {error}", program.display()));
        let mut address = String::new();
        let output = process.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut address).expect("its address");
        // A name, like the live address. Numeric addresses cost all clients more to parse.
        let port = address.trim().rsplit(':').next().expect("a port");
        Self { process, base_url: format!("http://localhost:{port}") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // If this fails, the process ends when its input closes.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Prints the address, and serves until the input of the process closes.
pub async fn run() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    let response: &'static [u8] = response().leak();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio::spawn(serve(stream, response));
    }
}

/// Returns the response of the live API, with limits that are never reached.
fn response() -> Vec<u8> {
    let body = format!(r#"{{"conversationId":"ABC12h2F6uBrIkfXYazb","messageId":"{MESSAGE_ID}"}}"#);
    let length = body.len();
    format!(
        "HTTP/1.1 201 Created\r\n\
         content-type: application/json; charset=utf-8\r\n\
         content-length: {length}\r\n\
         date: Mon, 02 Feb 2026 09:00:00 GMT\r\n\
         x-ratelimit-limit-daily: 4294967295\r\n\
         x-ratelimit-daily-remaining: 4294967295\r\n\
         x-ratelimit-interval-milliseconds: 10\r\n\
         x-ratelimit-max: 4294967295\r\n\
         x-ratelimit-remaining: 4294967295\r\n\
         \r\n\
         {body}"
    )
    .into_bytes()
}

/// Responds to each request once its body has arrived, until the connection closes.
async fn serve(mut stream: TcpStream, response: &[u8]) {
    let _ = stream.set_nodelay(true);
    let mut buffer = vec![0; 16 * 1024];
    let mut filled = 0;
    loop {
        while let Some(length) = request(&buffer[..filled]) {
            buffer.copy_within(length..filled, 0);
            filled -= length;
            if stream.write_all(response).await.is_err() {
                return;
            }
        }
        match stream.read(&mut buffer[filled..]).await {
            Ok(read) if read > 0 => filled += read,
            _ => return,
        }
    }
}

/// Returns the length of the first request in the bytes. `None` if it is incomplete.
fn request(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let body = bytes[..head]
        .split(|byte| *byte == b'\n')
        .find_map(|line| {
            let (name, value) = line.split_at_checked(15)?;
            name.eq_ignore_ascii_case(b"content-length:").then_some(value)
        })
        .and_then(|value| str::from_utf8(value).ok()?.trim().parse().ok())
        .unwrap_or(0);
    (bytes.len() >= head + body).then_some(head + body)
}
