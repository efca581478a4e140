//! `serve`: runs a sandbox.

mod live;
mod options;
mod welcome;

use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use highlevel_sandbox::{Entries, Entry};
use lexopt::Parser;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::arguments::{Action, Stop};
use super::output::say;
use crate::shell::json_line;
pub(crate) use options::HELP;
use options::Options;

/// How many lines are written at once.
const AT_ONCE: usize = 500;
/// How long it waits for further lines after that.
const PAUSE: Duration = Duration::from_millis(5);

pub(crate) fn read(parser: &mut Parser) -> Result<Action, Stop> {
    let options = options::read(parser)?;
    Ok(Box::new(move || serve(&options)))
}

fn serve(options: &Options) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // First of all, so that no signal comes too early to be a request to stop.
        let mut signals = Signals::new()?;
        let few_files = raise_open_files();
        let mut sandbox = options.builder()?.start().await?;
        if let Some(words) = few_files {
            let connections = sandbox.max_connections();
            eprintln!("warning: at most {connections} clients can be connected at once: {words}");
        }
        let facts = welcome::Facts::of(&sandbox, options);
        if options.json {
            say(&json_line(&json!({ "event": "ready", "data": facts.to_json() })))?;
        } else {
            say(&welcome::text(&facts))?;
            say(&format!("ready {}", json_line(&facts.to_json())))?;
        }
        let mut printed = print(sandbox.follow(), options.json);
        tokio::select! {
            result = &mut printed => result.unwrap_or_else(|_| Err(io::Error::other("the printing thread is gone")))?,
            () = signals.stop() => {}
            () = stdin_closed(options.until_stdin_closes) => {}
        }
        sandbox.shut_down().await;
        // Everything is on the disk. To free all memory first would take long, for nothing.
        std::process::exit(0)
    })
}

/// Allows as many open files as the system lets this process have. Returns a warning if that is few.
#[cfg(unix)]
fn raise_open_files() -> Option<String> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// What all connections take, and what else is open.
    const WANTED: u64 = 12_000;
    let limits = getrlimit(Resource::Nofile);
    let current = limits.current.filter(|current| *current < WANTED)?;
    let wanted = limits.maximum.map_or(WANTED, |maximum| maximum.min(WANTED)).max(current);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limits.maximum });
    let allowed = if raised.is_ok() { wanted } else { current };
    (allowed < WANTED).then(|| format!("the limit of open files is {allowed}; raise it with `ulimit -n`"))
}

#[cfg(not(unix))]
fn raise_open_files() -> Option<String> {
    None
}

/// Prints a line for everything that happens. In a thread of its own: who starts the program and reads nothing must
/// not keep it from stopping.
fn print(mut entries: Entries, json: bool) -> oneshot::Receiver<io::Result<()>> {
    let (ended, end) = oneshot::channel();
    let runtime = Handle::current();
    thread::spawn(move || {
        let result = loop {
            let mut lines: Vec<String> = line(&runtime.block_on(entries.next()), json).into_iter().collect();
            // What came in the meantime goes out with it: waking up and writing for each costs more than the requests.
            while lines.len() < AT_ONCE
                && let Some(entry) = next_now(&mut entries)
            {
                lines.extend(line(&entry, json));
            }
            if !lines.is_empty()
                && let Err(error) = say(&lines.join("\n"))
            {
                break Err(error);
            }
            thread::sleep(PAUSE);
        };
        // Nobody waits for it any more if the program is about to end.
        let _ = ended.send(result);
    });
    end
}

fn line(entry: &Entry, json: bool) -> Option<String> {
    if json {
        Some(json_line(&json!({ "event": entry.name(), "data": entry.to_json() })))
    } else {
        live::line(entry)
    }
}

/// The next entry if there is one already.
fn next_now(entries: &mut Entries) -> Option<Entry> {
    match pin!(entries.next()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(entry) => Some(entry),
        Poll::Pending => None,
    }
}

/// Resolves when standard input has ended, if that is to stop the sandbox. The parent process holds the other end: when
/// it is killed, the sandbox does not outlive it.
async fn stdin_closed(is_wanted: bool) {
    let (closed, end) = oneshot::channel::<()>();
    if !is_wanted {
        std::future::pending::<()>().await;
    }
    // A read of standard input cannot be cancelled, so it has its own thread.
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = closed.send(());
    });
    let _ = end.await;
}

/// The same number on Linux, macOS and the BSDs.
#[cfg(unix)]
const SIGXFSZ: i32 = 25;

/// Ctrl-C, and what a supervisor sends.
struct Signals {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
    /// Caught and ignored: it ends the process when the state file reaches the limit on the size of files.
    #[cfg(unix)]
    _file_too_large: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            signals: {
                use tokio::signal::unix::{SignalKind, signal};
                [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]
            },
            #[cfg(unix)]
            _file_too_large: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(SIGXFSZ))?,
        })
    }

    /// Resolves when the program is asked to stop.
    async fn stop(&mut self) {
        #[cfg(unix)]
        {
            let [interrupt, terminate] = &mut self.signals;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
