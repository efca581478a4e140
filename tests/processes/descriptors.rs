//! Processes with few file descriptors, with many clients, and with the blocking client.

use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::process::Process;
use crate::server::{Server, receipt};

/// Running out of file descriptors must not turn into errors: requests wait for a connection within their deadline.
#[test]
fn few_file_descriptors_delay_requests_and_fail_none() {
    // The limit, the files that the program has open itself, and the bound of connections, if it is not the default.
    for (limit, files, connections) in [
        (64, 0, None),
        (128, 0, None),
        // More connections are allowed than there are descriptors.
        (64, 0, Some("1000")),
        // The program needs most of them for itself.
        (64, 40, None),
        (64, 45, Some("500")),
    ] {
        let server = Server::start(|_, _| {
            thread::sleep(Duration::from_millis(10));
            receipt()
        });
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]);
        command.args([
            env!("CARGO_BIN_EXE_transport-process"),
            "send",
            &server.url(),
            "500",
            &files.to_string(),
        ]);
        command.args(connections);
        let process = Process::spawn(command);
        let row = format!("a limit of {limit}, {files} files, {connections:?} connections");
        assert_eq!(process.after("results").trim(), "500", "{row}");
        // No message was sent twice on the way.
        assert_eq!(server.requests().len(), 500, "{row}");
    }
}

/// Each client had its own TLS configuration and pool: 1.07 GB for 10,000.
#[cfg(target_os = "linux")]
#[test]
fn ten_thousand_clients_take_less_than_a_hundred_megabytes() {
    for kind in ["shared", "configured"] {
        let process = Process::start(env!("CARGO_BIN_EXE_transport-process"), &["clients", "10000", kind]);
        let kilobytes: usize = process.after("kilobytes").parse().expect("a number");
        println!("10,000 {kind} clients: {kilobytes} kB");
        assert!(kilobytes < 100_000, "{kilobytes} kB of {kind} clients");
    }
}

/// The thread of the blocking client ends with the last client, and the program with `main`.
#[cfg(target_os = "linux")]
#[test]
fn the_thread_of_the_blocking_client_ends_with_it() {
    let server = Server::start(|_, _| receipt());
    let mut process = Process::start(env!("CARGO_BIN_EXE_transport-process"), &["blocking", &server.url()]);
    assert_eq!(process.after("sent"), "t22c6DQcTDf3MjRhwf77 with 2 threads");
    assert_eq!(process.after("threads"), "1");
    assert!(process.wait().success());
    assert_eq!(server.requests().len(), 1);
}
