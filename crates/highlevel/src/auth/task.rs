//! Background tasks that notify their waiters even if their runtime ends.
//!
//! A task belongs to the runtime that started it. That runtime may be shut down, and a current-thread runtime runs only while
//! it is driven. A task therefore beats while it runs, and its waiters notice when the beats end.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// The interval at which a task beats, and its waiters check the beats.
const BEAT: Duration = Duration::from_millis(250);
/// A task has stalled after this many checks of one waiter without a beat. Checks are counted instead of time, because a
/// process may be suspended for an hour and then continue.
const SILENT_CHECKS: u32 = 3;

/// The side of the task: reports its beats and its outcome.
pub(super) struct Reporter<T> {
    outcome: watch::Sender<Option<T>>,
    beats: Arc<AtomicU64>,
}

/// The side of the waiters. Clones wait for the same task.
pub(super) struct TaskHandle<T> {
    outcome: watch::Receiver<Option<T>>,
    beats: Arc<AtomicU64>,
}

/// The end of waiting for a task.
pub(super) enum Ended<T> {
    Done(T),
    /// The task ended without an outcome, for example because its runtime was shut down.
    Vanished,
    /// The runtime of the task is not driven.
    Stalled,
}

/// Returns the two sides of a new task.
pub(super) fn channel<T>() -> (Reporter<T>, TaskHandle<T>) {
    let (sender, receiver) = watch::channel(None);
    let beats = Arc::new(AtomicU64::new(0));
    (Reporter { outcome: sender, beats: Arc::clone(&beats) }, TaskHandle { outcome: receiver, beats })
}

impl<T> Reporter<T> {
    /// Runs the work of the task, and beats meanwhile.
    pub(super) async fn run<W>(&self, work: impl Future<Output = W>) -> W {
        let mut work = pin!(work);
        let mut clock = interval(BEAT);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        poll_fn(|context| {
            self.beats.fetch_add(1, Ordering::Relaxed);
            while clock.poll_tick(context).is_ready() {}
            work.as_mut().poll(context)
        })
        .await
    }

    /// Reports the outcome.
    pub(super) fn finish(self, outcome: T) {
        self.outcome.send_replace(Some(outcome));
    }
}

impl<T> Clone for TaskHandle<T> {
    fn clone(&self) -> Self {
        Self { outcome: self.outcome.clone(), beats: Arc::clone(&self.beats) }
    }
}

impl<T: Clone> TaskHandle<T> {
    /// Returns `true` until the task is known to have ended.
    pub(super) fn is_live(&self) -> bool {
        self.outcome.has_changed().is_ok() && self.outcome.borrow().is_none()
    }

    /// Returns the number of beats so far. As long as it stays the same, the task may have stalled.
    pub(super) fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// Waits until the task has ended or stalled.
    pub(super) async fn ended(mut self) -> Ended<T> {
        let (mut seen, mut silent) = (self.beats.load(Ordering::Relaxed), 0);
        loop {
            match timeout(BEAT, self.outcome.wait_for(Option::is_some)).await {
                Ok(Ok(outcome)) => return outcome.clone().map_or(Ended::Vanished, Ended::Done),
                Ok(Err(_)) => return Ended::Vanished,
                Err(_) => {}
            }
            let beats = self.beats.load(Ordering::Relaxed);
            silent = if beats == seen { silent + 1 } else { 0 };
            seen = beats;
            if silent >= SILENT_CHECKS {
                return Ended::Stalled;
            }
        }
    }
}

/// Background work that a program waits for before it ends.
#[derive(Default)]
pub(super) struct Jobs(Mutex<Vec<TaskHandle<()>>>);

impl Jobs {
    /// Starts a job on the current runtime.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let (reporter, handle) = channel();
        let mut jobs = self.jobs();
        jobs.retain(TaskHandle::is_live);
        jobs.push(handle);
        tokio::spawn(async move {
            reporter.run(work).await;
            reporter.finish(());
        });
    }

    pub(super) fn are_done(&self) -> bool {
        let mut jobs = self.jobs();
        jobs.retain(TaskHandle::is_live);
        jobs.is_empty()
    }

    /// Waits for the current jobs, except those that have stalled.
    pub(super) async fn end(&self) {
        let jobs = self.jobs().clone();
        for job in jobs {
            if let Ended::Stalled = job.clone().ended().await {
                tracing::warn!("a background task about tokens has stalled: its tokio runtime is not driven");
                self.jobs().retain(|other| !Arc::ptr_eq(&other.beats, &job.beats));
            }
        }
    }

    fn jobs(&self) -> MutexGuard<'_, Vec<TaskHandle<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    fn spawn(runtime: &Runtime, work: impl Future<Output = u8> + Send + 'static) -> TaskHandle<u8> {
        let (reporter, handle) = channel();
        runtime.spawn(async move {
            let outcome = reporter.run(work).await;
            reporter.finish(outcome);
        });
        handle
    }

    #[test]
    fn a_task_on_a_runtime_that_is_not_driven_stalls() {
        let (task_runtime, waiter_runtime) = (runtime(), runtime());
        let handle = spawn(&task_runtime, async { 7 });
        assert!(matches!(waiter_runtime.block_on(handle.clone().ended()), Ended::Stalled));
        // It ends when the runtime is driven again.
        assert!(matches!(task_runtime.block_on(handle.ended()), Ended::Done(7)));
    }

    #[test]
    fn a_task_on_a_runtime_that_is_shut_down_vanishes() {
        let (task_runtime, waiter_runtime) = (runtime(), runtime());
        let handle = spawn(&task_runtime, pending());
        task_runtime.block_on(tokio::task::yield_now());
        drop(task_runtime);
        assert!(!handle.is_live());
        assert!(matches!(waiter_runtime.block_on(handle.ended()), Ended::Vanished));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_waits_for_an_hour_does_not_stall() {
        let (reporter, handle) = channel();
        tokio::spawn(async move {
            reporter.run(tokio::time::sleep(Duration::from_secs(3_600))).await;
            reporter.finish(7);
        });
        assert!(handle.is_live());
        assert!(matches!(handle.ended().await, Ended::Done(7)));
    }
}
