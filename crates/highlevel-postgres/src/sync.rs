//! Locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex. The values in this crate are consistent whenever a lock is released, also by a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
