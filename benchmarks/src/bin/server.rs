//! Serves on loopback until its input closes.

#[tokio::main(flavor = "current_thread")]
async fn main() {
    highlevel_benchmarks::server::run().await;
}
