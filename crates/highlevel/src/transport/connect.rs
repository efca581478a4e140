//! A bound on what connecting takes: sockets and file descriptors.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_util::sync::PollSemaphore;
use tower_layer::Layer;
use tower_service::Service;

/// The default number of connections to one host.
const MAX_CONNECTIONS: usize = 100;

/// The number of times that a request without a connection lets other tasks run before it opens one. A response that has just
/// been read returns its connection to the pool in another task.
const YIELDS: u8 = 2;

/// The time that such a request waits once connections were open: the other task may run on another thread. Opening a
/// connection takes longer.
const REUSE_WAIT: Duration = Duration::from_millis(1);

/// Returns the default number of connections to one host: a quarter of the files that the process may open, at most 100.
/// The rest is left to the program, and to connections that are being replaced.
pub(super) fn default_max_connections() -> usize {
    open_files_limit().map_or(MAX_CONNECTIONS, |limit| (limit / 4).clamp(1, MAX_CONNECTIONS))
}

/// Returns the number of files that this process may open, as far as it is known.
fn open_files_limit() -> Option<usize> {
    if cfg!(target_os = "linux") {
        return soft_limit(&std::fs::read_to_string("/proc/self/limits").ok()?);
    }
    // The default of macOS; it cannot be read without unsafe code. Windows has no such limit.
    cfg!(unix).then_some(256)
}

/// Reads the soft limit of open files from `/proc/self/limits`.
fn soft_limit(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Bounds the number of connections that are opened at the same time, around all other layers of the connector.
#[derive(Clone)]
pub(super) struct ConnectLayer {
    max_connections: usize,
    timeout: Duration,
}

impl ConnectLayer {
    pub(super) fn new(max_connections: usize, timeout: Duration) -> Self {
        Self { max_connections, timeout }
    }
}

impl<S> Layer<S> for ConnectLayer {
    type Service = BoundedConnector<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let shared = Shared {
            template: inner,
            connecting: Arc::new(Semaphore::new(self.max_connections)),
            was_connected: AtomicBool::new(false),
            timeout: self.timeout,
        };
        BoundedConnector { shared: Arc::new(shared), attempt: None }
    }
}

/// A connector that waits for a permit before it connects.
///
/// The client clones its connector six times for each request, and uses few of the clones. A clone that is not used is one
/// reference.
pub(super) struct BoundedConnector<S> {
    shared: Arc<Shared<S>>,
    attempt: Option<Box<ConnectAttempt<S>>>,
}

/// The state that all clones share.
struct Shared<S> {
    /// The connector below, to be cloned.
    template: S,
    connecting: Arc<Semaphore>,
    was_connected: AtomicBool,
    timeout: Duration,
}

/// An attempt to connect, until it is ready.
struct ConnectAttempt<S> {
    inner: S,
    yields: u8,
    reuse_wait: Option<Pin<Box<Sleep>>>,
    connecting: PollSemaphore,
    permit: Option<OwnedSemaphorePermit>,
}

impl<S: Clone> ConnectAttempt<S> {
    fn new(shared: &Shared<S>) -> Self {
        Self {
            inner: shared.template.clone(),
            yields: YIELDS,
            reuse_wait: None,
            connecting: PollSemaphore::new(Arc::clone(&shared.connecting)),
            permit: None,
        }
    }
}

impl<S> Clone for BoundedConnector<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), attempt: None }
    }
}

impl<S, R> Service<R> for BoundedConnector<S>
where
    S: Service<R> + Clone + Send + Sync + 'static,
    S::Error: AsRef<dyn std::error::Error + Send + Sync>,
    S::Future: Send + 'static,
    S::Response: Send,
    S::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    /// Waits here and not in [`call`](Self::call), because the connect timeout does not count this.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let shared = &self.shared;
        let attempt = self.attempt.get_or_insert_with(|| Box::new(ConnectAttempt::new(shared)));
        if attempt.yields > 0 {
            attempt.yields -= 1;
            context.waker().wake_by_ref();
            if attempt.yields == 0 && shared.was_connected.load(Ordering::Relaxed) {
                attempt.reuse_wait = Some(Box::pin(tokio::time::sleep(REUSE_WAIT)));
            }
            return Poll::Pending;
        }
        if let Some(wait) = &mut attempt.reuse_wait {
            ready!(wait.as_mut().poll(context));
            attempt.reuse_wait = None;
        }
        if attempt.permit.is_none() {
            // The semaphore is never closed.
            attempt.permit = ready!(attempt.connecting.poll_acquire(context));
        }
        attempt.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        // It exists, because it was ready before.
        let mut attempt = self.attempt.take().unwrap_or_else(|| Box::new(ConnectAttempt::new(&shared)));
        let connecting = attempt.inner.call(request);
        let permit = attempt.permit.take();
        Box::pin(async move {
            let result = connecting.await;
            shared.was_connected.fetch_or(result.is_ok(), Ordering::Relaxed);
            if let Err(error) = &result
                && is_out_of_descriptors(error.as_ref())
            {
                // No more connections can be opened now. The request waits for one of the open ones to be returned to the
                // pool as well, and this gives it the time.
                tokio::time::sleep(shared.timeout / 8 * 7).await;
            }
            drop(permit);
            result
        })
    }
}

/// Returns `true` if the process or the system has no file descriptors left.
fn is_out_of_descriptors(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    // EMFILE and ENFILE, the same numbers on all Unix systems; WSAEMFILE on Windows.
    let codes: &[i32] = if cfg!(windows) { &[10024] } else { &[23, 24] };
    super::error::causes(error).any(|cause| {
        let code = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        code.is_some_and(|code| codes.contains(&code))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_of_open_files_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             127235               127235               processes \n\
                      Max open files            1024                 1048576              files     \n";
        assert_eq!(soft_limit(limits), Some(1024));
        assert_eq!(
            soft_limit("Max open files            unlimited            unlimited            files"),
            None
        );
        assert_eq!(soft_limit(""), None);
    }

    #[test]
    fn errors_of_missing_descriptors_are_found_in_their_causes() {
        let nested = |code| std::io::Error::other(std::io::Error::from_raw_os_error(code));
        #[cfg(unix)]
        assert!(is_out_of_descriptors(&nested(24)) && is_out_of_descriptors(&nested(23)));
        assert!(!is_out_of_descriptors(&nested(111)));
        assert!(!is_out_of_descriptors(&std::io::Error::other("refused")));
    }
}
