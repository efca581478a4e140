//! Sending from a process that is stopped, or whose runtime is not driven, for a while.

use crate::process::Process;
use crate::server::{Server, receipt};

fn start(flavour: &str, url: &str, attempt_ms: u64) -> Process {
    let process =
        Process::start(env!("CARGO_BIN_EXE_send-process"), &[flavour, url, &attempt_ms.to_string()]);
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
