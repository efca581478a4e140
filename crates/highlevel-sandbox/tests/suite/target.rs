//! A webhook target that answers as its script says, on a plain socket, and keeps the bytes that came.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::webhooks::PATIENCE;

/// What is done about a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Status(u16),
    /// The connection is reset.
    Reset,
    /// Nothing ever comes.
    Never,
}

pub(crate) struct Target {
    pub(crate) url: String,
    requests: watch::Receiver<Vec<Request>>,
    most_at_once: Arc<AtomicUsize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The request line and the headers, as they came.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Target {
    /// The script is asked with the number of the request, 0 for the first.
    pub(crate) async fn start(script: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks", listener.local_addr().unwrap());
        let (sender, requests) = watch::channel(Vec::new());
        let (sender, script) = (Arc::new(sender), Arc::new(script));
        let most_at_once = Arc::new(AtomicUsize::new(0));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&most_at_once));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, script) = (Arc::clone(&sender), Arc::clone(&script));
                let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                tokio::spawn(async move { converse(stream, &sender, &*script, (&now, &most)).await });
            }
        });
        Self { url, requests, most_at_once }
    }

    pub(crate) async fn always(answer: Answer) -> Self {
        Self::start(move |_| answer).await
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }

    /// How many requests have been under way at the same time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }

    /// Waits until so many requests have come.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Request> {
        let mut requests = self.requests.clone();
        let enough = requests.wait_for(|requests| requests.len() >= count);
        tokio::time::timeout(PATIENCE, enough).await.expect("they come").unwrap().clone()
    }
}

async fn converse(
    mut stream: TcpStream,
    sender: &watch::Sender<Vec<Request>>,
    script: &(impl Fn(usize) -> Answer + Sync),
    (now, most): (&AtomicUsize, &AtomicUsize),
) {
    while let Some(request) = receive(&mut stream).await {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let mut number = 0;
        sender.send_modify(|requests| {
            number = requests.len();
            requests.push(request);
        });
        match script(number) {
            Answer::Status(status) => {
                let answer = format!(
                    "HTTP/1.1 {status} Scripted\r\nX-Answer: {number}\r\nContent-Length: 4\r\n\r\nsaid"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            Answer::Reset => {
                #[allow(deprecated, reason = "to lose the data is what a reset is for")]
                stream.set_linger(Some(Duration::ZERO)).unwrap();
                return;
            }
            Answer::Never => std::future::pending().await,
        }
        now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The next request of a connection.
async fn receive(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let mut request = Request { head, body: bytes[end + 4..].to_vec() };
            let length: usize = request.header("content-length").unwrap().parse().unwrap();
            let missing = length - request.body.len();
            let mut rest = vec![0; missing];
            stream.read_exact(&mut rest).await.ok()?;
            request.body.extend(rest);
            return Some(request);
        }
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.ok()?;
        if read == 0 {
            return None;
        }
        bytes.extend_from_slice(&buffer[..read]);
    }
}
