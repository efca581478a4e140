//! A server that parses no more of HTTP than the end of a request. It counts requests and fails on command.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use highlevel_test_support::parse;
pub(super) use highlevel_test_support::response;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::TEST_TIMEOUT;
use super::tls::{self, Certificate};

/// Returns the action for the nth request, counted from 0.
pub(super) type Script = fn(usize) -> Action;

/// The reaction of the server to a request.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// Writes these bytes.
    Respond(Vec<u8>),
    /// Writes these bytes and closes its side of the connection.
    Close(Vec<u8>),
    /// Reads this number of bytes of the next request, which is longer, and resets the connection.
    ResetAfter(usize),
    /// Resets the connection.
    Reset,
}

/// The beginning of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    /// No TLS.
    Plain,
    /// TLS with a certificate.
    Tls(Certificate),
    /// A response in plain text to the TLS client hello.
    PlainForTls,
    /// No response to the TLS client hello.
    Silent,
}

/// A complete request.
#[derive(Clone, Debug)]
pub(super) struct Delivered {
    /// Identifies the request: the text of a message, or the conversation of a call.
    pub(super) key: String,
    /// `true` if the status of the response was 401 or 429, which prove that it was not done.
    pub(super) rejected: bool,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// Occupies the port without listening, so that connections are refused once the listener is closed.
    _port: TcpSocket,
    state: Arc<State>,
    accepting: Option<JoinHandle<TcpListener>>,
}

struct State {
    script: watch::Sender<Option<Script>>,
    handshake: Mutex<Handshake>,
    delivered: Mutex<Vec<Delivered>>,
    /// Requests that the script responded to.
    scripted: AtomicUsize,
    /// Connections, and bytes read from them, since the last reset.
    connections: AtomicUsize,
    bytes: AtomicUsize,
    /// Complete requests.
    count: watch::Sender<usize>,
    /// Open connections.
    open: watch::Sender<usize>,
    close_idle: watch::Sender<()>,
    stop: watch::Sender<bool>,
}

impl Server {
    pub(super) fn start(handshake: Handshake) -> Self {
        let listening = socket(0);
        let address = listening.local_addr().expect("an address");
        let port = socket(address.port());
        let listener = listening.listen(64).expect("a listener");
        let state = Arc::new(State {
            script: watch::Sender::new(None),
            handshake: Mutex::new(handshake),
            delivered: Mutex::default(),
            scripted: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            count: watch::Sender::new(0),
            open: watch::Sender::new(0),
            close_idle: watch::Sender::new(()),
            stop: watch::Sender::new(false),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, _port: port, state, accepting: Some(accepting) }
    }

    /// Responds to further requests by the script. Until then, the server responds with receipts.
    pub(super) fn follow(&self, script: Script) {
        self.state.script.send_replace(Some(script));
    }

    /// Sets the handshake of further connections.
    pub(super) fn set_handshake(&self, handshake: Handshake) {
        *self.state.handshake.lock().expect("not poisoned") = handshake;
    }

    /// Resets the counts of connections and bytes.
    pub(super) fn reset_counts(&self) {
        self.state.connections.store(0, Ordering::SeqCst);
        self.state.bytes.store(0, Ordering::SeqCst);
    }

    /// Closes the idle connections, and waits until the client has closed them too.
    ///
    /// The command is repeated: the client may have started a connection that it no longer needs, which arrives late
    /// and stays in its pool.
    pub(super) async fn close_idle(&self) {
        let repeated = async {
            loop {
                self.state.close_idle.send_replace(());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            () = repeated => {}
            () = self.wait_for_close() => {}
        }
    }

    /// Starts to close the idle connections.
    pub(super) fn start_to_close_idle(&self) {
        self.state.close_idle.send_replace(());
    }

    /// Stops listening. The port stays occupied, and connections are refused.
    pub(super) async fn refuse(&mut self) {
        self.state.stop.send_replace(true);
        let accepting = self.accepting.take().expect("a listening server");
        drop(accepting.await.expect("no panic"));
    }

    /// Waits until no connection is open.
    pub(super) async fn wait_for_close(&self) {
        wait_for(&self.state.open, |open| open == 0).await;
    }

    /// Waits until the server has read this number of complete requests in total.
    pub(super) async fn wait_for_requests(&self, requests: usize) {
        wait_for(&self.state.count, |count| count >= requests).await;
    }

    /// Returns the complete requests with this key.
    pub(super) fn deliveries(&self, key: &str) -> Vec<Delivered> {
        let delivered = self.state.delivered.lock().expect("not poisoned");
        delivered.iter().filter(|delivered| delivered.key == key).cloned().collect()
    }

    /// Returns the number of connections since the last reset.
    pub(super) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Returns the number of bytes that were read since the last reset, without those of TLS.
    pub(super) fn bytes(&self) -> usize {
        self.state.bytes.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

async fn wait_for(sender: &watch::Sender<usize>, reached: impl Fn(usize) -> bool) {
    let mut receiver = sender.subscribe();
    let wait = receiver.wait_for(|value| reached(*value));
    tokio::time::timeout(TEST_TIMEOUT, wait).await.expect("the state is reached").expect("the sender exists");
}

/// Opens a socket on the loopback interface that shares its port with a second one.
fn socket(port: u16) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseport(true).expect("a socket option");
    socket.bind((Ipv4Addr::LOCALHOST, port).into()).expect("a free port");
    socket
}

async fn accept(listener: TcpListener, state: Arc<State>) -> TcpListener {
    let mut stop = state.stop.subscribe();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.expect("a connection").0,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        state.open.send_modify(|open| *open += 1);
        state.connections.fetch_add(1, Ordering::SeqCst);
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            serve(stream, &state).await;
            state.open.send_modify(|open| *open -= 1);
        });
    }
    listener
}

async fn serve(mut stream: TcpStream, state: &State) {
    let handshake = *state.handshake.lock().expect("not poisoned");
    match handshake {
        Handshake::Plain => {
            if serve_connection(&mut stream, state).await.is_reset() {
                stream.set_zero_linger().expect("a socket option");
            }
        }
        Handshake::Tls(certificate) => {
            // The client may reject the certificate.
            if let Ok(mut stream) = tls::acceptor(certificate).accept(stream).await {
                serve_connection(&mut stream, state).await;
            }
        }
        Handshake::PlainForTls => {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(&response("400 Bad Request", "", "speak HTTP")).await;
            let _ = stream.shutdown().await;
            drain(&mut stream).await;
        }
        Handshake::Silent => drain(&mut stream).await,
    }
}

/// Reads until the client closes the connection.
async fn drain(stream: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}

/// The end of a connection.
enum Ended {
    Closed,
    Reset,
}

impl Ended {
    fn is_reset(&self) -> bool {
        matches!(self, Self::Reset)
    }
}

/// Reads requests until the client closes the connection, also after the server has closed its side: a request that
/// arrives late was sent all the same.
async fn serve_connection(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), state: &State) -> Ended {
    let (mut close_idle, mut script) = (state.close_idle.subscribe(), state.script.subscribe());
    let mut buffer = Vec::new();
    let mut is_open = true;
    loop {
        let current = *script.borrow_and_update();
        let next_action = || match current {
            Some(script) => script(state.scripted.load(Ordering::SeqCst)),
            None => Action::Respond(receipt()),
        };
        let limit = match next_action() {
            Action::ResetAfter(bytes) if buffer.len() >= bytes => return Ended::Reset,
            Action::ResetAfter(bytes) => bytes - buffer.len(),
            _ => usize::MAX,
        };
        let mut limited = (&mut *stream).take(limit as u64);
        let count = tokio::select! {
            biased;
            _ = script.changed() => continue,
            _ = close_idle.changed(), if is_open && buffer.is_empty() => {
                is_open = false;
                let _ = stream.shutdown().await;
                continue;
            }
            read = limited.read_buf(&mut buffer) => match read {
                Ok(0) | Err(_) => return Ended::Closed,
                Ok(count) => count,
            },
        };
        state.bytes.fetch_add(count, Ordering::SeqCst);
        while let Some((length, key)) = complete(&buffer) {
            buffer.drain(..length);
            let action = next_action();
            let rejected = match &action {
                Action::Respond(bytes) => {
                    [&b"HTTP/1.1 401"[..], b"HTTP/1.1 429"].iter().any(|status| bytes.starts_with(status))
                }
                _ => false,
            };
            if current.is_some() {
                state.scripted.fetch_add(1, Ordering::SeqCst);
            }
            state.delivered.lock().expect("not poisoned").push(Delivered { key, rejected });
            state.count.send_modify(|count| *count += 1);
            match action {
                Action::Reset | Action::ResetAfter(_) => return Ended::Reset,
                _ if !is_open => {}
                Action::Respond(bytes) => {
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.flush().await;
                }
                Action::Close(bytes) => {
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.shutdown().await;
                    is_open = false;
                }
            }
        }
    }
}

/// Returns the length and the key of the first request in the buffer, if it is complete.
fn complete(bytes: &[u8]) -> Option<(usize, String)> {
    let (request, length) = parse(bytes)?;
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let key = body["message"].as_str().or(body["conversationId"].as_str()).unwrap_or("no key");
    Some((length, key.to_owned()))
}

pub(super) fn receipt() -> Vec<u8> {
    response(
        "201 Created",
        "",
        r#"{"conversationId":"ABC12h2F6uBrIkfXYazb","messageId":"t22c6DQcTDf3MjRhwf77"}"#,
    )
}
