//! A TCP server that records requests byte for byte, and responds with any bytes or misbehaves.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, watch};
use tokio::task::AbortHandle;

use crate::http::{Request, read};

/// The reaction of the server to a request.
#[derive(Clone)]
pub enum Action {
    /// Writes these bytes and waits for the next request on the same connection.
    Respond(Vec<u8>),
    /// Writes these bytes after a pause.
    Late(Duration, Vec<u8>),
    /// Writes these bytes and closes the connection.
    Close(Vec<u8>),
    /// Writes these bytes and keeps the connection open, in silence.
    Stall(Vec<u8>),
    /// Writes these bytes, and then one byte at a time until the client closes the connection.
    Trickle(Vec<u8>),
    /// Resets the connection.
    Reset,
    /// Writes these bytes once the barrier is passed.
    Together(Arc<Barrier>, Vec<u8>),
}

/// Decides how the server reacts to a request.
type Decide = dyn Fn(&Request) -> Action + Send + Sync;

/// A server on this machine. It ends when it is dropped.
pub struct Server {
    port: u16,
    seen: Arc<Seen>,
    task: AbortHandle,
}

struct Seen {
    connections: Mutex<usize>,
    /// The number of open connections, and its maximum.
    open: Mutex<(usize, usize)>,
    requests: Mutex<Vec<Request>>,
    count: watch::Sender<usize>,
}

impl Server {
    /// Starts a server that reads complete requests and calls a function for each.
    pub async fn start(action: impl Fn(&Request) -> Action + Send + Sync + 'static) -> Self {
        Self::on(local().await, action)
    }

    /// Starts the server on an existing listener.
    pub fn on(listener: TcpListener, action: impl Fn(&Request) -> Action + Send + Sync + 'static) -> Self {
        Self::serve(listener, Some(Arc::new(action)))
    }

    /// Starts a server that reacts to all requests in the same way.
    pub async fn always(action: Action) -> Self {
        Self::start(move |_| action.clone()).await
    }

    /// Starts a server that accepts connections and neither reads nor writes.
    pub async fn silent() -> Self {
        Self::serve(local().await, None)
    }

    fn serve(listener: TcpListener, action: Option<Arc<Decide>>) -> Self {
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Seen {
            connections: Mutex::default(),
            open: Mutex::default(),
            requests: Mutex::default(),
            count: watch::Sender::new(0),
        });
        let task = tokio::spawn({
            let seen = seen.clone();
            async move {
                let mut connections = tokio::task::JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    *seen.connections.lock().expect("no panic") += 1;
                    let (seen, action) = (seen.clone(), action.clone());
                    let opened = Opened::new(&seen);
                    connections.spawn(async move {
                        let _opened = opened;
                        match action {
                            Some(action) => connection(stream, &seen, &*action).await,
                            None => hold(stream).await,
                        }
                    });
                }
            }
        });
        Self { port, seen, task: task.abort_handle() }
    }

    /// Returns the address of the server, as a URL without a path.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the requests that arrived so far.
    pub fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().expect("no panic").clone()
    }

    /// Returns the only request that arrived.
    pub fn request(&self) -> Request {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].clone()
    }

    /// Returns the number of connections that were accepted.
    pub fn connections(&self) -> usize {
        *self.seen.connections.lock().expect("no panic")
    }

    /// Returns the most connections that were open at the same time.
    pub fn most_connections(&self) -> usize {
        self.seen.open.lock().expect("no panic").1
    }

    /// Waits until this many requests have arrived.
    pub async fn arrived(&self, requests: usize) {
        let mut count = self.seen.count.subscribe();
        count.wait_for(|count| *count >= requests).await.expect("the server runs");
    }
}

/// Counts a connection while it is open.
struct Opened(Arc<Seen>);

impl Opened {
    fn new(seen: &Arc<Seen>) -> Self {
        let mut open = seen.open.lock().expect("no panic");
        open.0 += 1;
        open.1 = open.1.max(open.0);
        drop(open);
        Self(Arc::clone(seen))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.open.lock().expect("no panic").0 -= 1;
    }
}

/// Starts a server on a separate thread and runtime, for tests whose own runtime may be stopped. It ends with the sender.
pub fn on_thread(
    action: impl Fn(&Request) -> Action + Send + Sync + 'static,
) -> (Server, std::sync::mpsc::Sender<()>) {
    let (ready, server) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        ready.send(runtime.block_on(Server::start(action))).expect("a test");
        let _ = ended.recv();
    });
    (server.recv().expect("a server"), end)
}

async fn local() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port")
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connection(mut stream: TcpStream, seen: &Seen, action: &Decide) {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await {
        let action = action(&request);
        seen.requests.lock().expect("no panic").push(request);
        seen.count.send_modify(|count| *count += 1);
        match action {
            Action::Respond(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Action::Late(pause, bytes) => {
                tokio::time::sleep(pause).await;
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Action::Together(barrier, bytes) => {
                barrier.wait().await;
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Action::Close(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Action::Stall(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return hold(stream).await;
            }
            Action::Trickle(bytes) => {
                let _ = stream.write_all(&bytes).await;
                while stream.write_all(b" ").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                return;
            }
            Action::Reset => {
                stream.set_zero_linger().expect("a socket option");
                return;
            }
        }
    }
}

/// Keeps a connection open until the server ends.
async fn hold(stream: TcpStream) {
    std::future::pending::<()>().await;
    drop(stream);
}

/// Returns an address of this machine on which no server listens.
pub async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    format!("127.0.0.1:{port}")
}
