//! Throughput, memory, start and latency of the sandbox's program.
//!
//! The clients are sockets in this process that write prepared requests and read each response to its end; the sandbox is
//! a separate process. `HIGHLEVEL_SANDBOX` names its program; `cargo xtask bench` builds and names it.

mod latency;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use highlevel_benchmarks::measure::cpu_time;
use highlevel_benchmarks::process::{Process, connect, exchange, health, message};

/// Connections that send at once.
const CLIENTS: usize = 64;
const STARTS: usize = 15;
/// Rounds of the latencies, whose medians are printed.
const ROUNDS: usize = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let Some(program) = std::env::var_os("HIGHLEVEL_SANDBOX").map(PathBuf::from) else {
        println!(
            "SKIPPED: the sandbox; HIGHLEVEL_SANDBOX does not name its program, `cargo xtask bench` does"
        );
        return;
    };
    let (slice, rounds) = if quick { (Duration::from_secs(1), 1) } else { (Duration::from_secs(10), ROUNDS) };
    println!("The sandbox, {}; load {}\n", if quick { "quick" } else { "in full" }, load());
    println!("| measurement | figure |\n|---|---:|");
    let size = std::fs::metadata(&program).expect("the program exists").len();
    println!("| size of the stripped program | {:.1} MB |", size as f64 / 1e6);
    measure_starts(&program).await;

    let sandbox = Process::start(&program, &[]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    println!("| memory, idle (RSS) | {:.1} MB |", sandbox.memory());
    println!("| … of it not backed by the program's file | {:.1} MB |", sandbox.anonymous_memory());
    for clients in [1, CLIENTS] {
        measure_throughput(&sandbox, clients, slice).await;
    }
    if !quick {
        measure_throughput(&sandbox, CLIENTS, Duration::from_secs(60)).await;
    }
    drop(sandbox);
    if open_files() < 2_100 {
        println!("\nSKIPPED: latencies beside 2,000 clients; allow 2,100 open files with `ulimit -n`");
    } else {
        latency::measure(&program, rounds).await;
    }
    println!("\nLoad at the end: {}\n", load());
}

/// The load averages of the machine, or `?`.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}

/// The number of files that this process may open. Unlimited where that is unknown.
fn open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(usize::MAX)
}

/// The time from spawning the process to its first response that it is healthy.
async fn measure_starts(program: &Path) {
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let start = Instant::now();
        let sandbox = Process::start(program, &[]);
        assert_eq!(sandbox.send(&health()).await.0, 200);
        walls.push(start.elapsed());
        cpus.extend(sandbox.cpu());
    }
    walls.sort();
    cpus.sort();
    let median =
        |values: &[Duration]| values.get(values.len() / 2).map_or(0.0, |value| value.as_secs_f64() * 1e3);
    println!("| spawned to healthy, median of {STARTS} | {:.1} ms |", median(&walls));
    println!("| … CPU time of it | {:.1} ms |", median(&cpus));
}

/// Sends messages on many connections. Each has to be accepted.
async fn measure_throughput(sandbox: &Process, clients: usize, duration: Duration) {
    let (start, cpu, own_cpu) = (Instant::now(), sandbox.cpu(), cpu_time());
    let end = start + duration;
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let address = sandbox.address.clone();
            tokio::spawn(async move {
                let mut stream = connect(&address).await;
                let (mut count, mut response) = (0_usize, Vec::new());
                while Instant::now() < end {
                    let message = message(&format!("message {count} of client {client}"));
                    let status = exchange(&mut stream, &message, &mut response).await;
                    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&response));
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut count = 0;
    for task in tasks {
        count += task.await.expect("every message was accepted");
    }
    let seconds = start.elapsed().as_secs_f64();
    let each = |before: Option<Duration>, after: Option<Duration>| match (before, after) {
        (Some(before), Some(after)) => {
            format!("{:.1} µs", (after - before).as_secs_f64() * 1e6 / count as f64)
        }
        _ => "?".to_owned(),
    };
    let load = format!("{clients} connection{}, {seconds:.0} s", if clients == 1 { "" } else { "s" });
    println!("| {load}: messages a second, all accepted | {:.0} |", count as f64 / seconds);
    println!("| … CPU time of the sandbox for one | {} |", each(cpu, sandbox.cpu()));
    println!("| … CPU time of the client for one | {} |", each(own_cpu, cpu_time()));
    println!("| … memory after {count} | {:.1} MB |", sandbox.memory());
}
