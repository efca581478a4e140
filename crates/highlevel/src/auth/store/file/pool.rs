//! The threads of a file store.
//!
//! They belong to no runtime: an operation that was started completes if its runtime is dropped or no longer driven, and it
//! never waits for an operation of a runtime that is not.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use crate::auth::store::Key;

/// Runs work on a limited number of threads, which end when there is no more work.
pub(super) struct Pool {
    state: Mutex<PoolState>,
    max_threads: usize,
}

#[derive(Default)]
struct PoolState {
    /// The work that a thread can start, in the order of its submission.
    ready: VecDeque<FileTask>,
    /// The keys whose work is ready or running, with the work that waits for it.
    waiting: HashMap<Key, VecDeque<FileTask>>,
    threads: usize,
}

struct FileTask {
    /// The work of one key runs one after the other.
    key: Option<Key>,
    run: Box<dyn FnOnce() + Send>,
}

impl Pool {
    pub(super) fn new(max_threads: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), max_threads })
    }

    /// Runs work. Once it was submitted, by the first poll, it runs even if the future is dropped.
    ///
    /// # Errors
    ///
    /// Returns an error if no thread can be started, or the work panics.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        key: Option<Key>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (sender, receiver) = oneshot::channel();
        let run = move || {
            // Fails if the future was dropped.
            let _ = sender.send(work());
        };
        self.submit(FileTask { key, run: Box::new(run) })?;
        receiver.await.map_err(|_| io::Error::other("the operation panicked"))
    }

    fn submit(self: &Arc<Self>, work: FileTask) -> io::Result<()> {
        let mut state = self.state();
        if let Some(key) = &work.key {
            if let Some(waiting) = state.waiting.get_mut(key) {
                waiting.push_back(work);
                return Ok(());
            }
            state.waiting.insert(key.clone(), VecDeque::new());
        }
        state.ready.push_back(work);
        if state.threads < self.max_threads {
            let pool = Arc::clone(self);
            let name = "highlevel-token-store".to_owned();
            match thread::Builder::new().name(name).spawn(move || pool.work()) {
                Ok(_) => state.threads += 1,
                // The threads that there are do the work.
                Err(_) if state.threads > 0 => {}
                Err(error) => {
                    let key = state.ready.pop_back().and_then(|work| work.key);
                    key.and_then(|key| state.waiting.remove(&key));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Runs work until there is none.
    fn work(&self) {
        while let Some(work) = self.next() {
            // The caller is notified of a panic because its channel is closed.
            let _ = catch_unwind(AssertUnwindSafe(work.run));
            if let Some(key) = work.key {
                self.complete(&key);
            }
        }
    }

    fn next(&self) -> Option<FileTask> {
        let mut state = self.state();
        let work = state.ready.pop_front();
        if work.is_none() {
            state.threads -= 1;
        }
        work
    }

    fn complete(&self, key: &Key) {
        let mut state = self.state();
        match state.waiting.get_mut(key).and_then(VecDeque::pop_front) {
            Some(next) => state.ready.push_back(next),
            None => drop(state.waiting.remove(key)),
        }
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        // Nothing under the lock can panic halfway, so the state is sound even if the lock is poisoned.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::auth::store::Resource;

    fn key(location: &str) -> Key {
        Key::new("app", Resource::Location(location.to_owned().into()))
    }

    #[tokio::test]
    async fn the_work_of_one_key_runs_in_the_order_of_submission() {
        let pool = Pool::new(4);
        let done = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..100 {
            let (pool, done) = (Arc::clone(&pool), Arc::clone(&done));
            tasks.spawn(async move {
                pool.run(Some(key("a")), move || done.lock().expect("no panic").push(number)).await
            });
        }
        tasks.join_all().await.into_iter().collect::<io::Result<()>>().expect("threads");
        assert_eq!(*done.lock().expect("no panic"), (0..100).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn work_that_hangs_delays_only_its_key() {
        let pool = Pool::new(2);
        let (release, released) = channel::<()>();
        let hanging = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { pool.run(Some(key("a")), move || released.recv()).await }
        });
        tokio::task::yield_now().await;
        let mut same_key = Box::pin(pool.run(Some(key("a")), || ()));
        for number in 0..50 {
            pool.run(Some(key(&number.to_string())), || ()).await.expect("threads");
            pool.run(None, || ()).await.expect("threads");
        }
        let waits = tokio::time::timeout(Duration::from_millis(20), &mut same_key).await;
        assert!(waits.is_err(), "it waits for the work before it");
        release.send(()).expect("the work");
        same_key.await.expect("threads");
        hanging.await.expect("no panic").expect("threads").expect("released");
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_stops_nothing() {
        let pool = Pool::new(1);
        for _ in 0..3 {
            let error = pool.run(Some(key("a")), || panic!("on purpose")).await.expect_err("a panic");
            assert_eq!(error.to_string(), "the operation panicked");
        }
        assert_eq!(pool.run(Some(key("a")), || 7).await.expect("threads"), 7);
    }

    #[tokio::test]
    async fn nothing_remains_when_there_is_no_work() {
        let pool = Pool::new(3);
        for number in 0..20 {
            pool.run(Some(key(&number.to_string())), || ()).await.expect("threads");
        }
        let is_idle = || {
            let state = pool.state();
            state.threads == 0 && state.ready.is_empty() && state.waiting.is_empty()
        };
        while !is_idle() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
