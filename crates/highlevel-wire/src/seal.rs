//! The race between a caller that gives up and a connection that begins to write, decided by one atomic.

use std::sync::atomic::{AtomicU8, Ordering};

/// Undecided: the request was not written and may still be.
const IDLE: u8 = 0;
/// The connection has begun to write the request.
const WRITTEN: u8 = 1;
/// The request will never be written.
const SEALED: u8 = 2;

/// Decides once whether a request is written.
///
/// A load and a later store are not enough: between a caller that reads "not written" and one that acts on it, the
/// connection may begin to write. Here, reading decides.
#[derive(Debug, Default)]
pub(crate) struct Seal<A = AtomicU8> {
    state: A,
}

/// The part of an atomic that a seal needs, so that its model test can use another implementation.
pub(crate) trait Atomic {
    fn compare_exchange(&self, current: u8, new: u8) -> Result<u8, u8>;
    fn load(&self) -> u8;
}

impl Atomic for AtomicU8 {
    fn compare_exchange(&self, current: u8, new: u8) -> Result<u8, u8> {
        AtomicU8::compare_exchange(self, current, new, Ordering::AcqRel, Ordering::Acquire)
    }

    fn load(&self) -> u8 {
        AtomicU8::load(self, Ordering::Acquire)
    }
}

impl<A: Atomic> Seal<A> {
    /// Begins to write. Returns `false` if the request was sealed before, and then nothing may be written.
    pub(crate) fn begin(&self) -> bool {
        !matches!(self.state.compare_exchange(IDLE, WRITTEN), Err(SEALED))
    }

    /// Seals the request unless it is being written. Returns `true` if it is.
    pub(crate) fn close(&self) -> bool {
        matches!(self.state.compare_exchange(IDLE, SEALED), Err(WRITTEN))
    }

    /// Returns `true` if the request was or is being written.
    pub(crate) fn is_written(&self) -> bool {
        self.state.load() == WRITTEN
    }

    /// Returns `true` if the request will never be written.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.load() == SEALED
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize};
    use loom::thread;

    use super::*;

    impl Atomic for AtomicU8 {
        fn compare_exchange(&self, current: u8, new: u8) -> Result<u8, u8> {
            AtomicU8::compare_exchange(self, current, new, Ordering::AcqRel, Ordering::Acquire)
        }

        fn load(&self) -> u8 {
            AtomicU8::load(self, Ordering::Acquire)
        }
    }

    /// The operations of a call and its connection on a seal.
    trait Protocol: Send + Sync + 'static {
        fn new() -> Self;
        fn begin(&self) -> bool;
        fn close(&self) -> bool;
    }

    impl Protocol for Seal<AtomicU8> {
        fn new() -> Self {
            Self { state: AtomicU8::new(IDLE) }
        }

        fn begin(&self) -> bool {
            Self::begin(self)
        }

        fn close(&self) -> bool {
            Self::close(self)
        }
    }

    /// A flag that the connection stores and the caller loads.
    struct Flag(AtomicBool);

    impl Protocol for Flag {
        fn new() -> Self {
            Self(AtomicBool::new(false))
        }

        fn begin(&self) -> bool {
            self.0.store(true, Ordering::SeqCst);
            true
        }

        fn close(&self) -> bool {
            self.0.load(Ordering::SeqCst)
        }
    }

    /// A sealed flag that the connection checks before it notes that it writes.
    struct CheckThenStore {
        written: AtomicBool,
        sealed: AtomicBool,
    }

    impl Protocol for CheckThenStore {
        fn new() -> Self {
            Self { written: AtomicBool::new(false), sealed: AtomicBool::new(false) }
        }

        fn begin(&self) -> bool {
            if self.sealed.load(Ordering::SeqCst) {
                return false;
            }
            self.written.store(true, Ordering::SeqCst);
            true
        }

        fn close(&self) -> bool {
            if self.written.load(Ordering::SeqCst) {
                return true;
            }
            self.sealed.store(true, Ordering::SeqCst);
            false
        }
    }

    /// Explores every interleaving of a connection that writes unless the call was cancelled, of the call that gives up,
    /// reads the result and sends the request again if it was not written, and of a task that drops the call meanwhile.
    fn explore<P: Protocol>() {
        loom::model(|| {
            let seal = Arc::new(P::new());
            let cancelled = Arc::new(AtomicBool::new(false));
            let writes = Arc::new(AtomicUsize::new(0));

            let connection = thread::spawn({
                let (seal, cancelled, writes) = (seal.clone(), cancelled.clone(), writes.clone());
                move || {
                    if !cancelled.load(Ordering::SeqCst) && seal.begin() {
                        // The head and the body are two polls; both ask.
                        assert!(seal.begin(), "refused in the middle of a request");
                        writes.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
            let dropping = thread::spawn({
                let seal = seal.clone();
                move || seal.close()
            });
            cancelled.store(true, Ordering::SeqCst);
            let written = seal.close();
            if !written {
                writes.fetch_add(1, Ordering::SeqCst);
            }

            connection.join().expect("no panic");
            let reported_as_written = dropping.join().expect("no panic");
            assert_eq!(written, seal.close(), "the result changed after it was read");
            assert_eq!(written, reported_as_written, "two readers were told different things");
            assert!(writes.load(Ordering::SeqCst) <= 1, "sent twice");
        });
    }

    #[test]
    fn a_request_is_either_written_or_reported_as_unwritten_in_every_interleaving() {
        explore::<Seal<AtomicU8>>();
    }

    #[test]
    fn the_model_finds_the_race_of_a_plain_flag() {
        assert!(catch_unwind(AssertUnwindSafe(explore::<Flag>)).is_err());
        assert!(catch_unwind(AssertUnwindSafe(explore::<CheckThenStore>)).is_err());
    }

    #[test]
    fn the_first_of_both_sides_decides() {
        let seal = Seal::<std::sync::atomic::AtomicU8>::default();
        assert!(!seal.is_written() && !seal.is_closed());
        assert!(seal.begin() && seal.begin());
        assert!(seal.close() && seal.is_written() && !seal.is_closed());

        let seal = Seal::<std::sync::atomic::AtomicU8>::default();
        assert!(!seal.close() && !seal.close());
        assert!(!seal.begin() && !seal.is_written() && seal.is_closed());
    }
}
