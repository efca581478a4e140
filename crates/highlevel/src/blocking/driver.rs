//! The runtime of all blocking clients, and the thread that drives it.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::{Error, Result};

/// The longest time that dropping an app waits for its tokens to be stored.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);

/// More steps than tokio allows a task before it has to yield.
const MORE_THAN_A_BUDGET: usize = 1024;

/// A runtime that is always driven. Ends when it is dropped.
pub(super) struct Driver {
    runtime: Handle,
    /// The process that has the thread.
    process: u32,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Driver {
    /// Returns the driver of this process, which is started if there is none.
    pub(super) fn shared() -> Result<Arc<Self>> {
        static SHARED: Mutex<Weak<Driver>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(driver) = shared.upgrade().filter(|driver| driver.is_of_this_process()) {
            return Ok(driver);
        }
        let driver = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&driver);
        Ok(driver)
    }

    fn start() -> Result<Self> {
        let failed = |error| {
            Error::configuration("the thread of the blocking client cannot be started").with_source(error)
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("highlevel-blocking".to_owned()).spawn(move || {
            // Tasks and timers run here until the sender is dropped; then the runtime is.
            let _ = runtime.block_on(ended);
        });
        let thread = thread.map_err(failed)?;
        Ok(Self { runtime: handle, process: std::process::id(), end: Some(end), thread: Some(thread) })
    }

    /// Runs an operation on the calling thread, with the timers and sockets of the runtime.
    pub(super) fn run<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        if !self.is_of_this_process() {
            return Err(Error::wrong_context(
                "the process was forked after this client was built: build the client in the child process",
            ));
        }
        if is_async_context() {
            return Err(Error::wrong_context(
                "a blocking client was used inside an async task: use the async client there, or \
                 tokio::task::spawn_blocking",
            ));
        }
        self.runtime.block_on(operation)
    }

    /// Runs the last work of a session for a bounded time. Inside an async task, the work continues in the background.
    pub(super) fn finish(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        // A static client can be dropped after the thread's own data, which a runtime needs.
        let is_at_exit = Handle::try_current().is_err_and(|error| error.is_thread_local_destroyed());
        if is_at_exit || !self.is_of_this_process() {
            return;
        }
        let bounded = async move {
            let _ = tokio::time::timeout(FLUSH_TIMEOUT, work).await;
        };
        if is_async_context() {
            let driver = Arc::clone(self);
            self.runtime.spawn(async move {
                bounded.await;
                drop(driver);
            });
        } else {
            self.runtime.block_on(bounded);
        }
    }

    fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.end.take());
        let Some(thread) = self.thread.take() else { return };
        // The thread that runs the last task cannot wait for itself, an async task must not wait, and a forked process
        // has no such thread.
        let is_own_thread = thread.thread().id() == std::thread::current().id();
        if self.is_of_this_process() && !is_own_thread && !is_async_context() {
            let _ = thread.join();
        }
    }
}

/// Returns `true` if this runs inside an async task of tokio, where blocking is not allowed.
///
/// A handle to the runtime is not enough to know: the threads of `spawn_blocking` have one as well. But only tasks have
/// a budget after which they have to yield.
fn is_async_context() -> bool {
    if Handle::try_current().is_err() {
        return false;
    }
    let mut context = Context::from_waker(Waker::noop());
    (0..MORE_THAN_A_BUDGET).any(|_| pin!(tokio::task::consume_budget()).poll(&mut context).is_pending())
}
