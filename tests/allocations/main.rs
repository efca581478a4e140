//! Bounds the allocations of a request on an open connection and of an event that is received, and the memory of what a
//! process holds many of, of uploads and of lists.
//!
//! The numbers are equal in each run, so this guards against changes that no measurement of time on a shared machine shows. The
//! test has a separate program, because it counts the allocations of the whole process.

mod memory;
mod receive;
mod send;
mod server;
mod streams;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// The number of repetitions before counting starts: connections are open then, and tables have their size.
const WARM_UP: usize = 50;
const REPETITIONS: usize = 500;

/// Returns the mean number of allocations of one call. A reallocation counts, because it may move the memory.
async fn count<F: Future>(mut call: impl FnMut() -> F) -> usize {
    for _ in 0..WARM_UP {
        call().await;
    }
    let region = Region::new(ALLOCATOR);
    for _ in 0..REPETITIONS {
        call().await;
    }
    let change = region.change();
    // Rounded, because the rare allocations of the runtime do not belong to a call.
    (change.allocations + change.reallocations + REPETITIONS / 2) / REPETITIONS
}

/// A single test, because a second one would run at the same time and be counted.
#[tokio::test(flavor = "current_thread")]
async fn allocations_and_memory_are_within_their_bounds() {
    let mut failures = Vec::new();
    for (name, bound, allocations) in send::all().await.into_iter().chain(receive::all().await) {
        println!("{name}: {allocations} allocations, bound {bound}");
        if allocations > bound {
            failures.push(format!("{name}: {allocations} allocations, bound {bound}"));
        }
    }
    for (name, bound, bytes) in memory::all().await.into_iter().chain(streams::all().await) {
        println!("{name}: {bytes} bytes, bound {bound}");
        if bytes > bound {
            failures.push(format!("{name}: {bytes} bytes, bound {bound}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
