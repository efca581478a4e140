//! `serve`: runs a sandbox.

mod args;
mod entry_line;
mod open_files;
mod printer;
mod stop;
mod welcome;

use std::io;

use serde_json::json;

use super::{DEFAULT_PORT, output};
use crate::shell::json_line;
pub(super) use args::ServeArgs;

impl ServeArgs {
    /// Serves until the program is asked to stop or its output cannot be written. Ends the process when it is asked to stop.
    pub(super) fn run(&self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.serve())
    }

    async fn serve(&self) -> io::Result<()> {
        // Before anything else, so that no signal arrives too early to be a request to stop.
        let mut signals = stop::Signals::new()?;
        let limit_warning = open_files::raise_limit();
        let mut sandbox = self.builder()?.start().await?;
        if let Some(limit) = limit_warning {
            let connections = sandbox.max_connections();
            eprintln!("warning: at most {connections} clients can be connected at once: {limit}");
        }
        if self.is_fallback(sandbox.address()) {
            output::note(&format!(
                "port {DEFAULT_PORT} is taken, perhaps by another sandbox; this one is at {}",
                sandbox.base_url()
            ));
        }
        let facts = welcome::Facts::of(&sandbox, self);
        if self.json {
            output::print(&json_line(&json!({ "event": "ready", "data": facts.to_json() })))?;
        } else {
            output::print(&welcome::text(&facts))?;
            output::print(&format!("ready {}", json_line(&facts.to_json())))?;
        }
        let entries = sandbox.follow();
        let entries = if self.json { entries } else { entries.requests_and_deliveries() };
        let mut printer = printer::start(entries, self.json);
        tokio::select! {
            result = &mut printer => result.unwrap_or_else(|_| Err(io::Error::other("the printing thread panicked")))?,
            () = signals.stop() => {}
            () = stop::stdin_closed(), if self.until_stdin_closes => {}
        }
        sandbox.shut_down().await;
        // All data is on the disk. Freeing the memory first would only take time.
        std::process::exit(0)
    }
}
