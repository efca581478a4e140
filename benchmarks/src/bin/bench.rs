//! Measures all clients in turn, many times over, and prints one table. It judges nothing.

use std::process::Command;
use std::time::{Duration, Instant};

use highlevel_benchmarks::clients::{self, BASELINE, Client};
use highlevel_benchmarks::server::Server;
use tokio::task::JoinSet;

/// How many requests are in flight at once.
const IN_FLIGHT: [usize; 2] = [1, 64];

/// How long, and how often, each client is measured with each number in flight.
#[derive(Clone, Copy)]
struct Plan {
    slice: Duration,
    rounds: usize,
}

const FULL: Plan = Plan { slice: Duration::from_millis(600), rounds: 15 };
const QUICK: Plan = Plan { slice: Duration::from_millis(60), rounds: 5 };

/// What one slice of time showed.
#[derive(Clone, Copy)]
struct Sample {
    /// Requests per second.
    rate: f64,
    /// CPU time of a request in microseconds; none where it cannot be read.
    cpu: Option<f64>,
}

// One thread for the client and one for the server: a machine with two cores has room for both, and what is compared
// is what one core can do.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let plan = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => FULL,
        ["--quick"] => QUICK,
        _ => {
            eprintln!("usage: bench [--quick]");
            std::process::exit(2);
        }
    };
    if cpu_time().is_none() {
        println!(
            "SKIPPED: CPU time per request; it is read from /proc/thread-self/schedstat, which only Linux has\n"
        );
    }
    let server = Server::start();
    let clients = clients::all(&server.base_url);
    let allocations = allocations();
    for in_flight in IN_FLIGHT {
        let samples = measure(&clients, in_flight, plan).await;
        print(&clients, in_flight, &samples, plan);
    }
    println!("Allocations of one request, growing included\n");
    println!("| client | allocations | bytes |\n|---|---:|---:|");
    for line in allocations.lines() {
        let mut columns = line.split('\t');
        let (count, bytes, name) = (columns.next(), columns.next(), columns.next());
        println!("| {} | {} | {} |", name.unwrap_or("?"), count.unwrap_or("?"), bytes.unwrap_or("?"));
    }
}

/// All samples of each client. The clients take turns, and each round begins with another one, so that what else the
/// machine does falls on all of them.
async fn measure(clients: &[(&str, Client)], in_flight: usize, plan: Plan) -> Vec<Vec<Sample>> {
    let mut samples = vec![Vec::new(); clients.len()];
    for (_, client) in clients {
        slice(client, in_flight, plan.slice / 2).await;
    }
    for round in 0..plan.rounds {
        for turn in 0..clients.len() {
            let index = (round + turn) % clients.len();
            samples[index].push(slice(&clients[index].1, in_flight, plan.slice).await);
        }
    }
    samples
}

/// Keeps so many requests in flight for so long.
async fn slice(client: &Client, in_flight: usize, length: Duration) -> Sample {
    let cpu = cpu_time();
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        let client = client.clone();
        tasks.spawn(async move {
            let mut requests = 0_u32;
            while began.elapsed() < length {
                client.send().await;
                requests += 1;
            }
            requests
        });
    }
    let requests: u32 = tasks.join_all().await.into_iter().sum();
    let elapsed = began.elapsed();
    let cpu = cpu_time().zip(cpu).map(|(after, before)| after - before);
    Sample {
        rate: f64::from(requests) / elapsed.as_secs_f64(),
        cpu: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / f64::from(requests)),
    }
}

/// The CPU time of this thread so far, to the nanosecond. All that a client does, it does on this thread; only a name
/// is looked up on another one, once for a connection.
fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// What the program `allocations` prints.
fn allocations() -> String {
    let program = std::env::current_exe().expect("this program").with_file_name("allocations");
    let output = Command::new(&program)
        .output()
        .unwrap_or_else(|error| panic!("{} cannot be run: {error}", program.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn print(clients: &[(&str, Client)], in_flight: usize, samples: &[Vec<Sample>], plan: Plan) {
    let baseline = clients.iter().position(|(name, _)| *name == BASELINE).expect("the baseline");
    let rates = |index: usize| samples[index].iter().map(|sample: &Sample| sample.rate).collect::<Vec<f64>>();
    let cpus = |index: usize| samples[index].iter().filter_map(|sample| sample.cpu).collect::<Vec<f64>>();
    println!(
        "{in_flight} in flight, {} slices of {} ms for each client, medians\n",
        plan.rounds,
        plan.slice.as_millis()
    );
    println!("| client | requests/s | ratio | CPU/request | ratio |\n|---|---:|---:|---:|---:|");
    for (index, (name, _)) in clients.iter().enumerate() {
        println!(
            "| {name} | {} | {} | {} | {} |",
            median(rates(index)).map_or("?".to_owned(), |rate| format!("{rate:.0}")),
            ratio(&rates(index), &rates(baseline)),
            median(cpus(index)).map_or("?".to_owned(), |cpu| format!("{cpu:.1} µs")),
            ratio(&cpus(index), &cpus(baseline)),
        );
    }
    println!();
}

/// The median of the ratios within each round: what disturbs a round disturbs both of its samples.
fn ratio(these: &[f64], those: &[f64]) -> String {
    median(these.iter().zip(those).map(|(this, that)| this / that).collect())
        .map_or("?".to_owned(), |ratio| format!("{ratio:.2}"))
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}
