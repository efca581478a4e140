//! SIGTERM: everything is on the disk, and nothing else is waited for.

use serde_json::json;

use crate::process::Directory;
use crate::raw::Program;

#[test]
fn a_program_with_much_in_memory_closes_its_file_and_leaves() {
    let directory = Directory::new("leaves");
    let state = directory.file("state");
    let arguments = format!("--keep-messages 30000 --state {}", state.display());
    let mut program = Program::start(":", &arguments);
    let messages: Vec<_> = (0..30_000)
        .map(|number| {
            json!({
                "id": format!("m{number}"), "contactId": "abc123def456", "conversationId": "ABC12h2F6uBrIkfXYazb",
                "direction": "inbound", "channel": "SMS", "dateAdded": "2026-01-31T09:30:00Z", "status": "delivered",
                "request": {"message": "Hello"},
            })
        })
        .collect();
    let seed = json!({ "messages": messages }).to_string();
    assert_eq!(program.ask("PUT", "/_sandbox/seed", &seed).status, 204);
    // Clients that read or send nothing do not keep it.
    let mut silent: Vec<_> = (0..20).map(|_| program.connect()).collect();
    for stream in &mut silent {
        let head = program.head("POST", "/conversations/messages", "application/json", 100);
        std::io::Write::write_all(stream, head.as_bytes()).unwrap();
    }
    assert_eq!(program.running.terminate().code(), Some(0));

    let program = Program::start(":", &arguments);
    assert_eq!(program.health()["memory"]["messages"]["count"], 30_000);
}
