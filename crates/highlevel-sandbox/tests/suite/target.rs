//! A webhook target on a plain socket that responds by a script and stores the received bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use highlevel_test_support::read;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::webhooks::TEST_TIMEOUT;

/// The response to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TargetResponse {
    Status(u16),
    /// Resets the connection.
    Reset,
    /// Never responds.
    Never,
}

pub(crate) struct Target {
    pub(crate) url: String,
    requests: watch::Receiver<Vec<Request>>,
    max_concurrent: Arc<AtomicUsize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The request line and the headers as received.
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
    /// The script gets the number of the request, 0 for the first.
    pub(crate) async fn start(script: impl Fn(usize) -> TargetResponse + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks", listener.local_addr().unwrap());
        let (sender, requests) = watch::channel(Vec::new());
        let (sender, script) = (Arc::new(sender), Arc::new(script));
        let max_concurrent = Arc::new(AtomicUsize::new(0));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&max_concurrent));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, script) = (Arc::clone(&sender), Arc::clone(&script));
                let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                tokio::spawn(async move { serve_connection(stream, &sender, &*script, (&now, &most)).await });
            }
        });
        Self { url, requests, max_concurrent }
    }

    pub(crate) async fn always(response: TargetResponse) -> Self {
        Self::start(move |_| response).await
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }

    /// Returns the largest number of requests in progress at once.
    pub(crate) fn max_concurrent(&self) -> usize {
        self.max_concurrent.load(Ordering::SeqCst)
    }

    /// Waits until this number of requests has been received.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Request> {
        let mut requests = self.requests.clone();
        let enough = requests.wait_for(|requests| requests.len() >= count);
        tokio::time::timeout(TEST_TIMEOUT, enough).await.expect("they come").unwrap().clone()
    }
}

async fn serve_connection(
    mut stream: TcpStream,
    sender: &watch::Sender<Vec<Request>>,
    script: &(impl Fn(usize) -> TargetResponse + Sync),
    (now, most): (&AtomicUsize, &AtomicUsize),
) {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await {
        let request = Request { head: request.head, body: request.body };
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let mut number = 0;
        sender.send_modify(|requests| {
            number = requests.len();
            requests.push(request);
        });
        match script(number) {
            TargetResponse::Status(status) => {
                let response = format!(
                    "HTTP/1.1 {status} Scripted\r\nX-Answer: {number}\r\nContent-Length: 4\r\n\r\nsaid"
                );
                stream.write_all(response.as_bytes()).await.unwrap();
            }
            TargetResponse::Reset => {
                #[allow(deprecated, reason = "to lose the data is what a reset is for")]
                stream.set_linger(Some(Duration::ZERO)).unwrap();
                return;
            }
            TargetResponse::Never => std::future::pending().await,
        }
        now.fetch_sub(1, Ordering::SeqCst);
    }
}
