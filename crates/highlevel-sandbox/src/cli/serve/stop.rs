//! Requests to stop: signals, and the end of standard input.

use std::{io, thread};

use tokio::sync::oneshot;

/// Resolves when standard input has ended. The parent process holds the other end of the pipe: when the parent is killed,
/// the sandbox does not outlive it.
pub(super) async fn stdin_closed() {
    let (closed, end) = oneshot::channel::<()>();
    // A read of standard input cannot be cancelled, so it has a dedicated thread.
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = closed.send(());
    });
    let _ = end.await;
}

/// The same number on Linux, macOS and the BSDs.
#[cfg(unix)]
const SIGXFSZ: i32 = 25;

/// Ctrl-C, and SIGTERM of a supervisor.
pub(super) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    /// Caught and ignored: by default it kills the process when the state file reaches the limit on the size of files.
    #[cfg(unix)]
    _file_too_large: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    pub(super) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            _file_too_large: signal(SignalKind::from_raw(SIGXFSZ))?,
        })
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "the same signature on all systems")]
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Resolves when the program is asked to stop.
    pub(super) async fn stop(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
