//! Prints a line for each entry of the ledger.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use highlevel_sandbox::{Entries, Entry};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::super::output;
use super::entry_line::entry_line;
use crate::shell::json_line;

/// The most lines in one write.
const MAX_BATCH: usize = 500;
/// The pause between writes, in which further entries accumulate.
const PAUSE: Duration = Duration::from_millis(5);

/// Starts to print. The receiver resolves when standard output cannot be written.
///
/// A separate thread prints, so that a reader who does not empty the pipe cannot keep the program from stopping.
pub(super) fn start(mut entries: Entries, json: bool) -> oneshot::Receiver<io::Result<()>> {
    let (ended, end) = oneshot::channel();
    let runtime = Handle::current();
    thread::spawn(move || {
        let result = loop {
            let mut lines: Vec<String> = line(&runtime.block_on(entries.next()), json).into_iter().collect();
            // A wake-up and a write per line would cost more than the requests themselves.
            while lines.len() < MAX_BATCH
                && let Some(entry) = next_now(&mut entries)
            {
                lines.extend(line(&entry, json));
            }
            if !lines.is_empty()
                && let Err(error) = output::print(&lines.join("\n"))
            {
                break Err(error);
            }
            thread::sleep(PAUSE);
        };
        // The receiver is dropped when the program is about to end.
        let _ = ended.send(result);
    });
    end
}

fn line(entry: &Entry, json: bool) -> Option<String> {
    if json {
        Some(json_line(&json!({ "event": entry.name(), "data": entry.to_json() })))
    } else {
        entry_line(entry)
    }
}

/// Returns the next entry if it is available without waiting.
fn next_now(entries: &mut Entries) -> Option<Entry> {
    match pin!(entries.next()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(entry) => Some(entry),
        Poll::Pending => None,
    }
}
