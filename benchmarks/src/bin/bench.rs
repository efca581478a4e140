//! Measures all clients alternately and prints a table. Has no thresholds.

use std::process::Command;
use std::time::{Duration, Instant};

use highlevel_benchmarks::clients::{self, BASELINE, Client};
use highlevel_benchmarks::instructions::Callgrind;
use highlevel_benchmarks::measure::{self, Plan, Row, Sample};
use highlevel_benchmarks::server::Server;
use tokio::task::JoinSet;

/// The numbers of requests in flight.
const IN_FLIGHT: [usize; 2] = [1, 64];
/// The requests of the two runs whose difference is counted.
const REPETITIONS: [u32; 2] = [1_000, 3_000];
const DIFFERENCES: usize = 3;

// The client and the server have one thread each, so that a machine with two cores compares the throughput of one core.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let server = Server::start();
    if let [option, name, in_flight, count] = &arguments[..]
        && option == "--count"
    {
        let number = |text: &String| text.parse().expect("a number");
        return send_exactly(&server.base_url, name, number(in_flight), number(count)).await;
    }
    let plan = Plan::of_arguments();
    let clients = clients::all(&server.base_url);
    let allocations = allocations();
    for in_flight in IN_FLIGHT {
        let samples = measure(&clients, in_flight, plan).await;
        print(&clients, in_flight, &samples, plan);
    }
    if plan.counts_instructions()
        && let Some(callgrind) = Callgrind::find()
    {
        count_instructions(&callgrind, &clients);
    }
    println!("Allocations of one request, reallocations included\n");
    println!("| client | allocations | bytes |\n|---|---:|---:|");
    for line in allocations.lines() {
        let mut columns = line.split('\t');
        let (count, bytes, name) = (columns.next(), columns.next(), columns.next());
        println!("| {} | {} | {} |", name.unwrap_or("?"), count.unwrap_or("?"), bytes.unwrap_or("?"));
    }
}

/// Returns the samples of each client. The clients alternate, and each round starts with a different one, so that other load
/// on the machine affects all of them.
async fn measure(clients: &[(&str, Client)], in_flight: usize, plan: Plan) -> Vec<Vec<Sample>> {
    let mut samples = vec![Vec::new(); clients.len()];
    for (_, client) in clients {
        slice(client, in_flight, plan.slice / 2).await;
    }
    for round in 0..plan.rounds {
        for offset in 0..clients.len() {
            let index = (round + offset) % clients.len();
            samples[index].push(slice(&clients[index].1, in_flight, plan.slice).await);
        }
    }
    samples
}

/// Keeps this number of requests in flight for this time.
async fn slice(client: &Client, in_flight: usize, length: Duration) -> Sample {
    // A client does all its work on this thread, except for one name lookup per connection.
    let cpu = measure::cpu_time();
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        let client = client.clone();
        tasks.spawn(async move {
            let mut requests = 0_u32;
            while started.elapsed() < length {
                client.send().await;
                requests += 1;
            }
            requests
        });
    }
    let requests: u32 = tasks.join_all().await.into_iter().sum();
    let elapsed = started.elapsed();
    let cpu = measure::cpu_time().zip(cpu).map(|(after, before)| after - before);
    Sample {
        rate: f64::from(requests) / elapsed.as_secs_f64(),
        cpu: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / f64::from(requests)),
    }
}

/// Sends a fixed number of requests with one client, for [`count_instructions`].
async fn send_exactly(base_url: &str, name: &str, in_flight: usize, count: usize) {
    let clients = clients::all(base_url);
    let (_, client) = clients.into_iter().find(|(found, _)| *found == name).expect("the name of a client");
    let mut tasks = JoinSet::new();
    for first in 0..in_flight {
        let client = client.clone();
        tasks.spawn(async move {
            for _ in (first..count).step_by(in_flight) {
                client.send().await;
            }
        });
    }
    tasks.join_all().await;
}

/// Prints the instructions of one request: the medians of several differences, because the requests in flight do not arrive in
/// equal batches.
fn count_instructions(callgrind: &Callgrind, clients: &[(&str, Client)]) {
    println!("Instructions of one request in user mode, by callgrind, medians of {DIFFERENCES}\n");
    println!("| client | {} in flight | ratio | {} in flight | ratio |", IN_FLIGHT[0], IN_FLIGHT[1]);
    println!("|---|---:|---:|---:|---:|");
    let mut counts = vec![[const { Vec::new() }; IN_FLIGHT.len()]; clients.len()];
    for _ in 0..DIFFERENCES {
        for ((name, _), counts) in clients.iter().zip(&mut counts) {
            for (in_flight, counts) in IN_FLIGHT.iter().zip(counts) {
                counts
                    .push(callgrind.per_repetition(&["--count", name, &in_flight.to_string()], REPETITIONS));
            }
        }
    }
    let medians: Vec<_> = counts.into_iter().map(|counts| counts.map(measure::median)).collect();
    let baseline = clients.iter().position(|(name, _)| *name == BASELINE).expect("the baseline");
    for ((name, _), row) in clients.iter().zip(&medians) {
        let cells = row.iter().zip(&medians[baseline]).map(|(count, base)| match (count, base) {
            (Some(count), Some(base)) => format!(" {count:.0} | {:.2} |", count / base),
            _ => " ? | ? |".to_owned(),
        });
        println!("| {name} |{}", cells.collect::<String>());
    }
    println!();
}

/// Returns the output of the program `allocations`.
fn allocations() -> String {
    let program = std::env::current_exe().expect("this program").with_file_name("allocations");
    let output = Command::new(&program)
        .output()
        .unwrap_or_else(|error| panic!("{} cannot be run: {error}", program.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn print(clients: &[(&str, Client)], in_flight: usize, samples: &[Vec<Sample>], plan: Plan) {
    println!(
        "{in_flight} in flight, {} slices of {} ms for each client, medians\n",
        plan.rounds,
        plan.slice.as_millis()
    );
    let rows: Vec<Row<'_>> =
        clients.iter().zip(samples).map(|((name, _), samples)| Row { name, samples }).collect();
    measure::print("client", "request", &rows, BASELINE);
}
