//! A server on threads, so that no runtime of the test is between a child process and its responses.
#![allow(dead_code, reason = "each module of this target uses some of it")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub(crate) use highlevel_test_support::Request;
use highlevel_test_support::parse;

/// A server that reads complete requests and writes the bytes that a function returns for each.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    requests: Mutex<Vec<Request>>,
    open: Mutex<Vec<TcpStream>>,
    connections: Mutex<usize>,
}

impl Server {
    /// `respond` is called with the number of the request, from 0, and runs on the thread of its connection: it may block.
    /// The connection stays open.
    pub(crate) fn start(respond: impl Fn(usize, &Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State::default());
        let (respond, shared) = (Arc::new(respond), Arc::clone(&state));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (respond, state) = (Arc::clone(&respond), Arc::clone(&shared));
                *lock(&state.connections) += 1;
                lock(&state.open).push(stream.try_clone().expect("a second handle of the socket"));
                thread::spawn(move || serve(stream, &state, &*respond));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the complete requests that arrived so far, also those on connections that were closed on this side.
    pub(crate) fn requests(&self) -> Vec<Request> {
        lock(&self.state.requests).clone()
    }

    /// Returns how many connections were accepted.
    pub(crate) fn connections(&self) -> usize {
        *lock(&self.state.connections)
    }

    /// Sends FIN on all connections. Requests that still arrive on them are read and counted, but get no response.
    pub(crate) fn close_connections(&self) {
        for stream in lock(&self.state.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Write);
        }
    }
}

fn serve(mut stream: TcpStream, state: &State, respond: &dyn Fn(usize, &Request) -> Vec<u8>) {
    let mut buffer = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(count) => buffer.extend_from_slice(&chunk[..count]),
        }
        while let Some((request, length)) = parse(&buffer) {
            buffer.drain(..length);
            let number = {
                let mut requests = lock(&state.requests);
                requests.push(request.clone());
                requests.len() - 1
            };
            let _ = stream.write_all(&respond(number, &request));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Returns a response in JSON: a status with its reason, and a body with its length.
pub(crate) fn response(status: &str, body: &str) -> Vec<u8> {
    highlevel_test_support::response(status, "content-type: application/json\r\n", body)
}

/// Returns the response to a message that was accepted.
pub(crate) fn receipt() -> Vec<u8> {
    response("201 Created", r#"{"conversationId":"ABC12h2F6uBrIkfXYazb","messageId":"t22c6DQcTDf3MjRhwf77"}"#)
}
