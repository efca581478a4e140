//! Stands between a process and the sandbox, and knows at which point of a refresh it is.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Far longer than it takes: it only ends a run in which something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A point of a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// The request was sent, and does not reach the server.
    Asked,
    /// The server has answered, so the refresh token is spent; the answer does not reach the process.
    Answered,
    /// The process has the answer.
    Told,
}

/// A proxy. It stops at one point when it is told to, and what has come as far as that goes no further.
pub(super) struct Proxy {
    address: SocketAddr,
    stop_at: Arc<Mutex<Option<Point>>>,
    reached: Receiver<()>,
}

impl Proxy {
    pub(super) async fn start(server: &str) -> Self {
        let server = server.strip_prefix("http://").expect("plain HTTP").parse().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (sender, reached) = channel();
        let stop_at = Arc::new(Mutex::new(None));
        let watch = Watch { stop_at: Arc::clone(&stop_at), sender };
        tokio::spawn(async move {
            while let Ok((process, _)) = listener.accept().await {
                let watch = watch.clone();
                // An error is the end of a process that was killed.
                tokio::spawn(async move { carry(process, server, &watch).await });
            }
        });
        Self { address, stop_at, reached }
    }

    pub(super) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// At which point to stop from now on, if at any.
    pub(super) fn stop_at(&self, point: Option<Point>) {
        *self.stop_at.lock().expect("a lock") = point;
    }

    /// Waits until a process is at the point.
    pub(super) fn wait(&self) {
        self.reached.recv_timeout(PATIENCE).expect("a process asks for tokens");
    }
}

#[derive(Clone)]
struct Watch {
    stop_at: Arc<Mutex<Option<Point>>>,
    sender: Sender<()>,
}

impl Watch {
    /// Whether to stop at a point. It is told once.
    fn stops(&self, point: Point) -> bool {
        let stops = self.stop_at.lock().expect("a lock").take_if(|stop_at| *stop_at == point).is_some();
        if stops {
            self.sender.send(()).expect("a test that waits");
        }
        stops
    }
}

/// Carries requests and answers. A connection has one request at a time, and the headers of each come in one piece.
async fn carry(mut process: TcpStream, server: SocketAddr, watch: &Watch) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut request, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut is_refresh = false;
    loop {
        tokio::select! {
            read = process.read(&mut request) => {
                let piece = &request[..read?];
                if piece.is_empty() {
                    return Ok(());
                }
                if let Some(path) = piece.strip_prefix(b"POST ") {
                    is_refresh = path.starts_with(b"/oauth/token ");
                }
                if is_refresh && watch.stops(Point::Asked) {
                    return until_it_ends(process).await;
                }
                server.write_all(piece).await?;
            }
            read = server.read(&mut answer) => {
                let piece = &answer[..read?];
                if piece.is_empty() || is_refresh && watch.stops(Point::Answered) {
                    return until_it_ends(process).await;
                }
                process.write_all(piece).await?;
                if is_refresh {
                    watch.stops(Point::Told);
                }
            }
        }
    }
}

/// Keeps a connection open until the process closes it, by being killed.
async fn until_it_ends(mut process: TcpStream) -> io::Result<()> {
    while process.read(&mut [0; 1024]).await? > 0 {}
    Ok(())
}
