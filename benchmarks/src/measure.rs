//! What the benchmarks have in common: how long, how it is summed up, and the CPU time of a thread.

use std::time::Duration;

/// How long, and how often, each of those that are compared is measured.
#[derive(Clone, Copy)]
pub struct Plan {
    pub slice: Duration,
    pub rounds: usize,
}

const FULL: Plan = Plan { slice: Duration::from_millis(600), rounds: 15 };
const QUICK: Plan = Plan { slice: Duration::from_millis(60), rounds: 5 };

impl Plan {
    /// By the arguments of the program; ends it when they are not understood.
    pub fn of_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let plan = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => FULL,
            ["--quick"] => QUICK,
            _ => {
                eprintln!("usage: {} [--quick]", env!("CARGO_PKG_NAME"));
                std::process::exit(2);
            }
        };
        if cpu_time().is_none() {
            println!(
                "SKIPPED: CPU time; it is read from /proc/thread-self/schedstat, which only Linux has\n"
            );
        }
        plan
    }
}

/// What one slice of time showed.
#[derive(Clone, Copy)]
pub struct Sample {
    /// How many a second.
    pub rate: f64,
    /// CPU time of one in microseconds; none where it cannot be read.
    pub cpu: Option<f64>,
}

/// One of those that are compared, and its samples.
pub struct Row<'a> {
    pub name: &'a str,
    pub samples: &'a [Sample],
}

/// Prints a table of medians, beside the ratios to the row named `baseline`.
pub fn print(what: &str, each: &str, rows: &[Row<'_>], baseline: &str) {
    let rates = |row: &Row<'_>| row.samples.iter().map(|sample| sample.rate).collect::<Vec<f64>>();
    let cpus = |row: &Row<'_>| row.samples.iter().filter_map(|sample| sample.cpu).collect::<Vec<f64>>();
    let base = rows.iter().find(|row| row.name == baseline).expect("the baseline");
    println!("| {what} | {each}s/s | ratio | CPU/{each} | ratio |\n|---|---:|---:|---:|---:|");
    for row in rows {
        println!(
            "| {} | {} | {} | {} | {} |",
            row.name,
            median(rates(row)).map_or("?".to_owned(), |rate| format!("{rate:.0}")),
            ratio(&rates(row), &rates(base)),
            median(cpus(row)).map_or("?".to_owned(), |cpu| format!("{cpu:.1} µs")),
            ratio(&cpus(row), &cpus(base)),
        );
    }
    println!();
}

/// The CPU time of this thread so far, to the nanosecond.
pub fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
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
