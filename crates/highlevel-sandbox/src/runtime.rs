//! A thread with a runtime of its own for each sandbox.
//!
//! So a sandbox works beside a test that blocks its thread or has stopped tokio's clock, and when it is dropped, its
//! listener and its connections are closed by the time `drop` returns.

use std::io;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// For what takes long, one at a time, and for looking up the hosts of webhooks.
const BLOCKING_THREADS: usize = 4;

/// Runs tasks until it is dropped.
#[derive(Debug)]
pub(crate) struct Runtime {
    handle: Handle,
    /// Its end is the sign to stop.
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
            // Drops all tasks at once and does not wait for a name that is being resolved.
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
