//! Sending from a process that is stopped, or whose runtime is not driven, for a while.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::process::{self, Process, TEST_TIMEOUT};
use crate::server::{Server, receipt, response};

fn start(flavour: &str, url: &str, attempt_ms: u64) -> Process {
    start_with(flavour, url, attempt_ms, "token")
}

fn start_with(flavour: &str, url: &str, attempt_ms: u64, kind: &str) -> Process {
    let arguments = [flavour, url, &attempt_ms.to_string(), kind];
    let process = Process::start(env!("CARGO_BIN_EXE_send-process"), &arguments);
    assert_eq!(process.line(), "ready");
    process
}

#[test]
fn a_stopped_process_sends_after_it_is_continued() {
    for flavour in ["current", "multi"] {
        let server = Server::start(|_, _| receipt());
        let mut process = start(flavour, &server.url(), 30_000);
        process.stop();
        process.tell("send 2");
        process.resume();
        assert_eq!(process.after("results"), "Ok Ok", "{flavour}");
        assert_eq!(server.requests().len(), 2, "{flavour}");
    }
}

/// The server stops the process when it has read the request, responds while the process is stopped, and continues it long
/// after the time of the attempt.
#[test]
fn a_response_that_arrived_while_the_process_was_stopped_is_a_receipt() {
    const ATTEMPT_MS: u64 = 300;
    for flavour in ["current", "multi"] {
        let (ids, id) = channel::<u32>();
        let id = Mutex::new(id);
        let server = Server::start(move |number, _| {
            if number == 0 {
                let id = id.lock().expect("no panic").recv_timeout(TEST_TIMEOUT).expect("a process id");
                process::stop(id);
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(4 * ATTEMPT_MS));
                    process::signal(id, "CONT");
                });
            }
            receipt()
        });
        let mut process = start(flavour, &server.url(), ATTEMPT_MS);
        ids.send(process.id()).expect("the server waits for it");
        process.tell("send 1");
        assert_eq!(process.after("results"), "Ok", "{flavour}");
        assert_eq!(server.requests().len(), 1, "{flavour}");
    }
}

/// The same without a signal: the only thread of the runtime is blocked.
#[test]
fn a_response_that_arrived_while_nothing_drove_the_runtime_is_a_receipt() {
    const ATTEMPT_MS: u64 = 300;
    let server = Server::start(|_, _| {
        thread::sleep(Duration::from_millis(50));
        receipt()
    });
    let mut process = start("current", &server.url(), ATTEMPT_MS);
    process.tell("overlap 1 1200");
    assert_eq!(process.after("results"), "Ok");
    assert_eq!(server.requests().len(), 1);
}

/// The process is stopped while the response to its refresh is on the way, for longer than its timeout. The
/// refresh token works once: if the response were lost, the installation would be lost as well.
#[test]
fn a_refresh_response_that_arrived_while_the_process_was_stopped_is_not_lost() {
    const STOPPED: Duration = Duration::from_secs(12);
    let run = |flavour: &'static str| {
        let (ids, id) = channel::<u32>();
        let id = Mutex::new(id);
        let server = Server::start(move |_, request| {
            if !request.head.contains("/oauth/token") {
                let is_fresh = request.head.to_ascii_lowercase().contains("bearer access-2");
                return if is_fresh { receipt() } else { response("401 Unauthorized", "{}") };
            }
            let Ok(id) = id.lock().expect("no panic").try_recv() else {
                return response("400 Bad Request", r#"{"error":"invalid_grant"}"#);
            };
            process::stop(id);
            thread::spawn(move || {
                thread::sleep(STOPPED);
                process::signal(id, "CONT");
            });
            response(
                "200 OK",
                r#"{"access_token":"access-2","token_type":"Bearer","expires_in":86399,
                    "refresh_token":"refresh-2","userType":"Location","locationId":"ve9EPM428h8vShlRW1KT",
                    "scope":"conversations/message.write"}"#,
            )
        });
        let mut process = start_with(flavour, &server.url(), 1_000, "app");
        ids.send(process.id()).expect("the server waits for it");
        process.tell("send 1");
        let results = process.after("results");
        let refreshes =
            server.requests().iter().filter(|request| request.head.contains("/oauth/token")).count();
        (flavour, results, refreshes)
    };
    let running = ["current", "multi"].map(|flavour| thread::spawn(move || run(flavour)));
    for thread in running {
        let (flavour, results, refreshes) = thread.join().expect("no panic");
        assert_eq!((results.as_str(), refreshes), ("Ok", 1), "{flavour}");
    }
}

/// Eight connections are in the pool. The server closes them while the runtime is not driven.
#[test]
fn connections_that_were_closed_during_a_pause_are_not_used() {
    struct Row {
        name: &'static str,
        flavour: &'static str,
        is_stopped: bool,
    }
    let rows = [
        Row { name: "current-thread runtime, stopped", flavour: "current", is_stopped: true },
        Row { name: "multi-thread runtime, stopped", flavour: "multi", is_stopped: true },
        Row { name: "current-thread runtime, not driven", flavour: "current", is_stopped: false },
    ];
    let mut wrong = Vec::new();
    for Row { name, flavour, is_stopped } in rows {
        for round in 0..10 {
            let barrier = Arc::new(std::sync::Barrier::new(8));
            let server = Server::start(move |number, _| {
                if number < 8 {
                    // All eight at once: each on a connection of its own.
                    barrier.wait();
                }
                receipt()
            });
            let mut process = start(flavour, &server.url(), 30_000);
            process.tell("send 8");
            assert_eq!(process.after("results"), ["Ok"; 8].join(" "), "{name}");
            if is_stopped {
                process.stop();
                server.close_connections();
                thread::sleep(Duration::from_millis(200));
                process.tell("send 8");
                process.resume();
            } else {
                process.tell("block 300");
                process.after("blocking");
                server.close_connections();
                process.tell("send 8");
            }
            let results = process.after("results");
            if results != ["Ok"; 8].join(" ") {
                wrong.push(format!("{name}, round {round}: {results}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
