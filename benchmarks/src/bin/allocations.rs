//! Counts the allocations of one request. Prints a line per client with allocations, bytes and name.

use highlevel_benchmarks::{clients, server::Server};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const WARM_UP: usize = 200;
const REQUESTS: usize = 2_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let server = Server::start();
    for (name, client) in clients::all(&server.base_url) {
        for _ in 0..WARM_UP {
            client.send().await;
        }
        let region = Region::new(ALLOCATOR);
        for _ in 0..REQUESTS {
            client.send().await;
        }
        let change = region.change();
        // A reallocation counts, because it may move the memory.
        let allocations = change.allocations + change.reallocations;
        println!("{}\t{}\t{name}", per_request(allocations), per_request(change.bytes_allocated),);
    }
}

/// Rounds to the nearest number, because the rare allocations of the runtime do not belong to a request.
fn per_request(count: usize) -> usize {
    (count + REQUESTS / 2) / REQUESTS
}
