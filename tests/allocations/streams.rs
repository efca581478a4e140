//! The memory of uploads and of lists, which is that of a part and of a page.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use highlevel::{Client, Upload};
use highlevel_test_support::Directory;

use crate::ALLOCATOR;
use crate::send::Unlimited;

const MIB: usize = 1024 * 1024;
/// The memory of an upload of any size, in bytes: a buffer of the connection, and a part of the file.
const UPLOAD: usize = 256 * 1024;
/// The number of messages on a page.
const PAGE: usize = 100;
/// The memory of a list of any length, in bytes: the messages of a page.
const LIST: usize = 256 * 1024;
/// The memory that a list of ten times as many messages may need in addition, in bytes.
const LIST_GROWTH: usize = 16 * 1024;

/// Returns the bytes that the process has allocated and not freed.
fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// The largest memory that was sampled.
#[derive(Clone, Default)]
struct Peak(Arc<AtomicUsize>);

impl Peak {
    fn sample(&self) {
        self.0.fetch_max(live(), Ordering::Relaxed);
    }

    /// Samples, and returns the peak above a base.
    fn above(&self, base: usize) -> usize {
        self.sample();
        self.0.swap(0, Ordering::Relaxed).saturating_sub(base)
    }
}

/// Returns a name, a bound and the memory of each operation, in bytes.
pub(crate) async fn all() -> Vec<(&'static str, usize, usize)> {
    let peak = Peak::default();
    let client = Client::builder().token("pit-12345678-1234-1234-1234-123456789012").location("l1");
    let client = client.base_url(start(peak.clone())).rate_limiter(Unlimited).build().expect("a client");

    let directory = Directory::create(std::env::temp_dir(), "highlevel-allocations");
    let path = directory.file("menu.pdf");
    let upload = async |size: usize| {
        std::fs::write(&path, vec![7; size]).expect("a file");
        let base = live();
        let upload = Upload::to_conversation("c1").path(&path);
        let receipt = client.files().upload(upload).await.expect("a receipt");
        assert_eq!(receipt.url("menu.pdf"), Some("https://storage.example/menu.pdf"));
        peak.above(base)
    };
    let list = async |count: usize| {
        let base = live();
        let mut messages = client.messages().list(&format!("c{count}").into());
        let mut taken = 0;
        while let Some(message) = messages.next().await {
            assert_eq!(message.expect("a message").id.as_str(), format!("m{taken}"));
            taken += 1;
            peak.sample();
        }
        assert_eq!(taken, count);
        peak.above(base)
    };
    // Afterwards connections are open and the thread that reads files runs.
    upload(MIB).await;
    list(1_000).await;
    let few = list(1_000).await;
    let many = list(10_000).await;
    vec![
        ("an upload of 5 MiB", UPLOAD, upload(5 * MIB).await),
        ("a list of 1,000 messages", LIST, few),
        ("a list of 10,000 messages", few + LIST_GROWTH, many),
    ]
}

/// Starts a server for uploads, and for lists of as many messages as the conversation is named after. It samples the memory
/// while it reads, and allocates nothing after the first requests. Returns its base URL.
fn start(peak: Peak) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, peak) = (stream.expect("a connection"), peak.clone());
            std::thread::spawn(move || serve(&mut stream, &peak));
        }
    });
    format!("http://localhost:{port}")
}

fn serve(stream: &mut TcpStream, peak: &Peak) {
    stream.set_nodelay(true).expect("an option of the socket");
    let mut buffer = vec![0; 64 * 1024];
    let (mut head, mut body) = (String::with_capacity(1_024), String::with_capacity(MIB));
    let mut response = String::with_capacity(MIB);
    let mut filled = 0;
    loop {
        let end = loop {
            if let Some(end) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            let Ok(read @ 1..) = stream.read(&mut buffer[filled..]) else { return };
            filled += read;
        };
        head.clear();
        head.push_str(std::str::from_utf8(&buffer[..end]).expect("a head in UTF-8"));
        let length = number_after(&head, "content-length: ").unwrap_or(0);
        let mut rest = length - (filled - end).min(length);
        while rest > 0 {
            let Ok(read @ 1..) = stream.read(&mut buffer) else { return };
            rest -= read.min(rest);
            peak.sample();
        }
        filled = 0;
        body.clear();
        if head.starts_with("POST") {
            body.push_str("{\"uploadedFiles\":{\"menu.pdf\":\"https://storage.example/menu.pdf\"}}");
        } else {
            let count = number_after(&head, "/conversations/c").expect("a number of messages");
            let first = number_after(&head, "lastMessageId=m").map_or(0, |last| last + 1);
            write_page(&mut body, first, count);
        }
        response.clear();
        let status = "HTTP/1.1 200 OK\r\ncontent-type: application/json";
        write!(response, "{status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).expect("memory");
        peak.sample();
        if stream.write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}

/// Returns the number after the first occurrence of a text.
fn number_after(head: &str, text: &str) -> Option<usize> {
    let rest = &head[head.find(text)? + text.len()..];
    let end = rest.find(|each: char| !each.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Writes a page of messages with texts of 500 characters.
fn write_page(body: &mut String, first: usize, count: usize) {
    let last = (first + PAGE).min(count) - 1;
    let next = last + 1 < count;
    write!(body, "{{\"messages\":{{\"lastMessageId\":\"m{last}\",\"nextPage\":{next},\"messages\":[")
        .expect("memory");
    for number in first..=last {
        let comma = if number == first { "" } else { "," };
        write!(
            body,
            "{comma}{{\"id\":\"m{number}\",\"type\":2,\"messageType\":\"TYPE_SMS\",\"locationId\":\"l1\",\"contactId\":\"c1\",\
             \"conversationId\":\"c1\",\"dateAdded\":\"2026-01-31T09:30:00.000Z\",\"direction\":\"outbound\",\
             \"status\":\"delivered\",\"body\":\"{:x>500}\"}}",
            ""
        )
        .expect("memory");
    }
    body.push_str("]}}");
}
