//! A proxy between a process and the sandbox, which stops a refresh at a point.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::process::TEST_TIMEOUT;

/// A point of a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// The process has sent the request; it does not reach the server.
    Sent,
    /// The server has responded, so the refresh token is used; the response does not reach the process.
    Responded,
    /// The process has received the response.
    Received,
}

/// A proxy. At the point that is set, it forwards nothing more on the connection.
pub(crate) struct Proxy {
    address: SocketAddr,
    stop_at: Arc<Mutex<Option<Point>>>,
    reached: Receiver<()>,
}

impl Proxy {
    pub(crate) async fn start(server: &str) -> Self {
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
                tokio::spawn(async move { forward(process, server, &watch).await });
            }
        });
        Self { address, stop_at, reached }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the point to stop at.
    pub(crate) fn stop_at(&self, point: Option<Point>) {
        *self.stop_at.lock().expect("a lock") = point;
    }

    /// Waits until a process is at the point.
    pub(crate) fn wait(&self) {
        self.reached.recv_timeout(TEST_TIMEOUT).expect("a process asks for tokens");
    }
}

#[derive(Clone)]
struct Watch {
    stop_at: Arc<Mutex<Option<Point>>>,
    sender: Sender<()>,
}

impl Watch {
    /// Returns `true` if the point to stop at is reached. Each point is reached once.
    fn stops(&self, point: Point) -> bool {
        let stops = self.stop_at.lock().expect("a lock").take_if(|stop_at| *stop_at == point).is_some();
        if stops {
            self.sender.send(()).expect("a test that waits");
        }
        stops
    }
}

/// Forwards requests and responses. A connection has one request at a time, and the headers of each arrive in one piece.
async fn forward(mut process: TcpStream, server: SocketAddr, watch: &Watch) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut request, mut response) = (vec![0; 1 << 16], vec![0; 1 << 16]);
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
                if is_refresh && watch.stops(Point::Sent) {
                    return until_it_ends(process).await;
                }
                server.write_all(piece).await?;
            }
            read = server.read(&mut response) => {
                let piece = &response[..read?];
                if piece.is_empty() || is_refresh && watch.stops(Point::Responded) {
                    return until_it_ends(process).await;
                }
                process.write_all(piece).await?;
                if is_refresh {
                    watch.stops(Point::Received);
                }
            }
        }
    }
}

/// Keeps a connection open until the process is killed.
async fn until_it_ends(mut process: TcpStream) -> io::Result<()> {
    while process.read(&mut [0; 1024]).await? > 0 {}
    Ok(())
}
