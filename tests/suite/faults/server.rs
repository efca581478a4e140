//! A server without HTTP beyond where a request ends. It counts what it read, and breaks on command.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::PATIENCE;
use super::tls::{self, Certificate};

/// What the server does with the nth request, counted from 0.
pub(super) type Script = fn(usize) -> Act;

/// What it does with a request.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Writes these bytes.
    Answer(Vec<u8>),
    /// Writes these bytes and closes its side of the connection.
    Close(Vec<u8>),
    /// Reads so many bytes of the next request, not its end, and resets the connection.
    ResetAfter(usize),
    /// Resets the connection.
    Reset,
}

/// How it takes up a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    /// It speaks no TLS.
    Plain,
    /// It shows a certificate.
    Tls(Certificate),
    /// It answers the greeting of TLS in plain text.
    PlainForTls,
    /// It never answers the greeting of TLS.
    Silent,
}

/// A complete request.
#[derive(Clone, Debug)]
pub(super) struct Delivered {
    /// What makes it unlike any other: the text of a message, the conversation of a call.
    pub(super) key: String,
    /// Whether it was answered with a status after which it was certainly not done, 401 or 429.
    pub(super) refused: bool,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// Keeps the port without listening, so that it refuses once the listener is closed.
    _port: TcpSocket,
    state: Arc<State>,
    accepting: Option<JoinHandle<TcpListener>>,
}

struct State {
    script: watch::Sender<Option<Script>>,
    greeting: Mutex<Greeting>,
    delivered: Mutex<Vec<Delivered>>,
    /// Requests answered by the script.
    scripted: AtomicUsize,
    /// Connections, and bytes read from them, since the fault began.
    connections: AtomicUsize,
    bytes: AtomicUsize,
    /// Complete requests.
    count: watch::Sender<usize>,
    /// Connections that have not ended.
    open: watch::Sender<usize>,
    hang_up: watch::Sender<()>,
    stop: watch::Sender<bool>,
}

impl Server {
    pub(super) fn start(greeting: Greeting) -> Self {
        let listening = socket(0);
        let address = listening.local_addr().expect("an address");
        let port = socket(address.port());
        let listener = listening.listen(64).expect("a listener");
        let state = Arc::new(State {
            script: watch::Sender::new(None),
            greeting: Mutex::new(greeting),
            delivered: Mutex::default(),
            scripted: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            count: watch::Sender::new(0),
            open: watch::Sender::new(0),
            hang_up: watch::Sender::new(()),
            stop: watch::Sender::new(false),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, _port: port, state, accepting: Some(accepting) }
    }

    /// Answers with receipts up to here; from now on as the script says.
    pub(super) fn follow(&self, script: Script) {
        self.state.script.send_replace(Some(script));
    }

    /// Takes up later connections in another way.
    pub(super) fn greet(&self, greeting: Greeting) {
        *self.state.greeting.lock().expect("not poisoned") = greeting;
    }

    /// Forgets what was counted, but not what was delivered.
    pub(super) fn count_anew(&self) {
        self.state.connections.store(0, Ordering::SeqCst);
        self.state.bytes.store(0, Ordering::SeqCst);
    }

    /// Ends the connections on which no request is under way, and waits until the other side has ended them too.
    ///
    /// It is said again and again: the client may have begun a connection that it no longer needs, which comes late and
    /// stays in its pool.
    pub(super) async fn hang_up(&self) {
        let said = async {
            loop {
                self.state.hang_up.send_replace(());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            () = said => {}
            () = self.quiet() => {}
        }
    }

    /// Says to hang up, and waits for nothing.
    pub(super) fn begin_to_hang_up(&self) {
        self.state.hang_up.send_replace(());
    }

    /// Stops listening. The port is kept, and refuses from now on.
    pub(super) async fn refuse(&mut self) {
        self.state.stop.send_replace(true);
        let accepting = self.accepting.take().expect("it listens");
        drop(accepting.await.expect("no panic"));
    }

    /// Waits until no connection is open.
    pub(super) async fn quiet(&self) {
        wait_for(&self.state.open, |open| open == 0).await;
    }

    /// Waits until so many complete requests came in all.
    pub(super) async fn arrived(&self, requests: usize) {
        wait_for(&self.state.count, |count| count >= requests).await;
    }

    /// The complete requests with this key.
    pub(super) fn deliveries(&self, key: &str) -> Vec<Delivered> {
        let delivered = self.state.delivered.lock().expect("not poisoned");
        delivered.iter().filter(|delivered| delivered.key == key).cloned().collect()
    }

    /// Connections since the count began.
    pub(super) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Bytes that were read since the count began, TLS excluded.
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
    tokio::time::timeout(PATIENCE, wait).await.expect("it comes").expect("the sender is there");
}

/// A socket on this machine that shares its port with a second one.
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
            greet(stream, &state).await;
            state.open.send_modify(|open| *open -= 1);
        });
    }
    listener
}

async fn greet(mut stream: TcpStream, state: &State) {
    let greeting = *state.greeting.lock().expect("not poisoned");
    match greeting {
        Greeting::Plain => {
            if converse(&mut stream, state).await.is_reset() {
                stream.set_zero_linger().expect("a socket option");
            }
        }
        Greeting::Tls(certificate) => {
            // The other side may not like the certificate.
            if let Ok(mut stream) = tls::acceptor(certificate).accept(stream).await {
                converse(&mut stream, state).await;
            }
        }
        Greeting::PlainForTls => {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(&answer("400 Bad Request", "", "speak HTTP")).await;
            let _ = stream.shutdown().await;
            drain(&mut stream).await;
        }
        Greeting::Silent => drain(&mut stream).await,
    }
}

/// Reads until the other side ends the connection.
async fn drain(stream: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}

/// How a conversation ended.
enum Ended {
    Closed,
    Reset,
}

impl Ended {
    fn is_reset(&self) -> bool {
        matches!(self, Self::Reset)
    }
}

/// Reads requests until the other side ends the connection, also after this side has ended it: a request that comes
/// too late is a request that was sent.
async fn converse(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), state: &State) -> Ended {
    let (mut hang_up, mut script) = (state.hang_up.subscribe(), state.script.subscribe());
    let mut buffer = Vec::new();
    let mut ours_is_open = true;
    loop {
        let follow = *script.borrow_and_update();
        let act = || match follow {
            Some(script) => script(state.scripted.load(Ordering::SeqCst)),
            None => Act::Answer(receipt()),
        };
        let most = match act() {
            Act::ResetAfter(bytes) if buffer.len() >= bytes => return Ended::Reset,
            Act::ResetAfter(bytes) => bytes - buffer.len(),
            _ => usize::MAX,
        };
        let mut limited = (&mut *stream).take(most as u64);
        let taken = tokio::select! {
            biased;
            _ = script.changed() => continue,
            _ = hang_up.changed(), if ours_is_open && buffer.is_empty() => {
                ours_is_open = false;
                let _ = stream.shutdown().await;
                continue;
            }
            read = limited.read_buf(&mut buffer) => match read {
                Ok(0) | Err(_) => return Ended::Closed,
                Ok(count) => count,
            },
        };
        state.bytes.fetch_add(taken, Ordering::SeqCst);
        while let Some((length, key)) = complete(&buffer) {
            buffer.drain(..length);
            let act = act();
            let refused = match &act {
                Act::Answer(bytes) => {
                    [&b"HTTP/1.1 401"[..], b"HTTP/1.1 429"].iter().any(|status| bytes.starts_with(status))
                }
                _ => false,
            };
            if follow.is_some() {
                state.scripted.fetch_add(1, Ordering::SeqCst);
            }
            state.delivered.lock().expect("not poisoned").push(Delivered { key, refused });
            state.count.send_modify(|count| *count += 1);
            match act {
                Act::Reset | Act::ResetAfter(_) => return Ended::Reset,
                _ if !ours_is_open => {}
                Act::Answer(bytes) => {
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.flush().await;
                }
                Act::Close(bytes) => {
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.shutdown().await;
                    ours_is_open = false;
                }
            }
        }
    }
}

/// The length and the key of the request at the beginning of the bytes, if it is there to its end.
fn complete(bytes: &[u8]) -> Option<(usize, String)> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).expect("a head in ASCII");
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse::<usize>().expect("a number"));
    let body = bytes.get(head..head + length)?;
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let key = body["message"].as_str().or(body["conversationId"].as_str()).unwrap_or("no key");
    Some((head + length, key.to_owned()))
}

/// An answer: a status with its reason, further headers (each line with its end), and a body with its length.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

pub(super) fn receipt() -> Vec<u8> {
    answer(
        "201 Created",
        "",
        r#"{"conversationId":"ABC12h2F6uBrIkfXYazb","messageId":"t22c6DQcTDf3MjRhwf77"}"#,
    )
}
