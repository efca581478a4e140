//! SIGTERM: all data is on the disk, and the program ends without freeing its memory.

use std::time::{Duration, Instant};

use crate::process::directory;
use crate::raw::Program;

/// The longest time that a program without clients may take to end, however much it holds in memory.
const MAX_SHUTDOWN: Duration = Duration::from_secs(2);

/// Stores messages in one request.
fn seed(program: &Program, count: usize) {
    let messages: Vec<String> = (0..count)
        .map(|number| {
            format!(
                r#"{{"id":"m{number}","contactId":"abc123def456","conversationId":"ABC12h2F6uBrIkfXYazb","direction":"inbound",
                "channel":"SMS","dateAdded":"2026-01-31T09:30:00Z","status":"delivered","request":{{"message":"Hello"}}}}"#
            )
        })
        .collect();
    let seed = format!(r#"{{"messages":[{}]}}"#, messages.join(","));
    assert_eq!(program.ask("PUT", "/_sandbox/seed", &seed).status, 204);
    assert_eq!(program.health()["memory"]["messages"]["count"], count);
}

#[test]
fn a_program_with_200_000_messages_ends_within_two_seconds() {
    let mut program = Program::start(":", "--keep-messages 200000 --keep-bytes 1000000000");
    seed(&program, 200_000);
    let start = Instant::now();
    assert_eq!(program.running.terminate().code(), Some(0));
    assert!(start.elapsed() < MAX_SHUTDOWN, "{:?}", start.elapsed());
}

#[test]
fn a_program_with_slow_clients_closes_its_state_file_and_ends() {
    let directory = directory("leaves");
    let state = directory.file("state");
    let arguments = format!("--keep-messages 30000 --state {}", state.display());
    let mut program = Program::start(":", &arguments);
    seed(&program, 30_000);
    let mut slow_clients: Vec<_> = (0..20).map(|_| program.connect()).collect();
    for stream in &mut slow_clients {
        let head = program.head("POST", "/conversations/messages", "application/json", 100);
        std::io::Write::write_all(stream, head.as_bytes()).unwrap();
    }
    assert_eq!(program.running.terminate().code(), Some(0));

    let program = Program::start(":", &arguments);
    assert_eq!(program.health()["memory"]["messages"]["count"], 30_000);
}
