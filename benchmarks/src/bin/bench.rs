//! Measures all clients alternately and prints a table. Has no thresholds.

use std::process::Command;
use std::time::{Duration, Instant};

use highlevel_benchmarks::clients::{self, BASELINE, Client};
use highlevel_benchmarks::measure::{self, Plan, Row, Sample};
use highlevel_benchmarks::server::Server;
use tokio::task::JoinSet;

/// The numbers of requests in flight.
const IN_FLIGHT: [usize; 2] = [1, 64];

// The client and the server have one thread each, so that a machine with two cores compares the throughput of one core.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let plan = Plan::of_arguments();
    let server = Server::start();
    let clients = clients::all(&server.base_url);
    let allocations = allocations();
    for in_flight in IN_FLIGHT {
        let samples = measure(&clients, in_flight, plan).await;
        print(&clients, in_flight, &samples, plan);
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
