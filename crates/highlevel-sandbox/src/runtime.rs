//! A dedicated thread with a tokio runtime for each sandbox.
//!
//! A sandbox therefore works in a test that blocks its thread or pauses tokio's clock, and its listener and connections are
//! closed when `drop` returns.

use std::io;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Threads for long operations, of which only one runs at a time, and for resolving the hosts of webhooks.
const BLOCKING_THREADS: usize = 4;

/// A runtime that runs tasks until it is dropped.
#[derive(Debug)]
pub(crate) struct Runtime {
    handle: Handle,
    /// Dropped to stop the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtime {
    pub(crate) async fn start() -> io::Result<Self> {
        let (ready, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("highlevel-sandbox".to_owned()).spawn(move || {
            let runtime = match Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(BLOCKING_THREADS)
                .build()
            {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            if ready.send(Ok(runtime.handle().clone())).is_ok() {
                let _ = runtime.block_on(stopped);
            }
            // Drops all tasks immediately, without waiting for pending name lookups.
            runtime.shutdown_background();
        })?;
        let handle = started
            .await
            .map_err(|_| io::Error::other("the thread of the sandbox ended before it started"))??;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the sandbox panicked");
        }
    }
}
