//! Calls of an object in a child process, by lines of JSON on its standard input and output.

use std::collections::HashMap;
use std::io::BufRead;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::child::{Process, say};

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// A child process that executes requests.
pub(crate) struct Remote {
    process: Mutex<Process>,
    next: AtomicU64,
    waiting: Waiting,
}

impl Remote {
    /// Starts a process whose role calls [`serve`].
    pub(crate) fn start(role: &Value) -> Self {
        let mut process = Process::start(role);
        assert_eq!(process.line(), "ready");
        let (lines, waiting) = (process.take_lines(), Waiting::default());
        let responses = Arc::clone(&waiting);
        std::thread::spawn(move || {
            for line in lines {
                let response: Value = serde_json::from_str(&line).expect("a response");
                let number = response["number"].as_u64().expect("a number");
                // The caller may have dropped its future.
                if let Some(sender) = responses.lock().expect("the requests").remove(&number) {
                    let _ = sender.send(response);
                }
            }
        });
        Self { process: Mutex::new(process), next: AtomicU64::new(1), waiting }
    }

    /// Executes a request. If the future is dropped, that of the child process is dropped as well.
    pub(crate) async fn call(&self, mut request: Value) -> Result<Value, String> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        request["number"] = number.into();
        let (sender, response) = oneshot::channel();
        self.waiting.lock().expect("the requests").insert(number, sender);
        let _cancel = Cancel { remote: self, number };
        self.notify(&request);
        let mut response = response.await.map_err(|_| "the process has ended".to_owned())?;
        match response["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(response["result"].take()),
        }
    }

    /// Sends a request without a response.
    pub(crate) fn notify(&self, request: &Value) {
        self.process.lock().expect("the process").tell(&request.to_string());
    }
}

/// Cancels a request that has no response when this is dropped.
struct Cancel<'a> {
    remote: &'a Remote,
    number: u64,
}

impl Drop for Cancel<'_> {
    fn drop(&mut self) {
        if self.remote.waiting.lock().expect("the requests").remove(&self.number).is_some() {
            self.remote.notify(&json!({ "cancel": self.number }));
        }
    }
}

/// The execution of a request.
pub(super) type Execution = Pin<Box<dyn Future<Output = Result<Value, String>> + Send>>;

/// Executes the requests that arrive, until the end of standard input. Requests without a response return `None`.
pub(super) async fn serve(execute: impl Fn(Value) -> Option<Execution>) {
    let (sender, mut requests) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let mut running: HashMap<u64, tokio::task::AbortHandle> = HashMap::new();
    say("ready");
    while let Some(line) = requests.recv().await {
        let request: Value = serde_json::from_str(&line).expect("a request");
        if let Some(number) = request["cancel"].as_u64() {
            // It may have ended since.
            if let Some(task) = running.remove(&number) {
                task.abort();
            }
            continue;
        }
        let Some(number) = request["number"].as_u64() else {
            assert!(execute(request).is_none(), "a request with a response has a number");
            continue;
        };
        let mut execution = execute(request).expect("a request with a number has a response");
        // Polled once in the order of arrival: those that wait for each other queue in this order.
        let first = std::future::poll_fn(|context| Poll::Ready(execution.as_mut().poll(context))).await;
        if let Poll::Ready(result) = first {
            respond(number, result);
            continue;
        }
        running.retain(|_, task| !task.is_finished());
        let task = tokio::spawn(async move { respond(number, execution.await) });
        running.insert(number, task.abort_handle());
    }
}

fn respond(number: u64, result: Result<Value, String>) {
    let response = match result {
        Ok(result) => json!({ "number": number, "result": result }),
        Err(error) => json!({ "number": number, "error": error }),
    };
    say(&response.to_string());
}
