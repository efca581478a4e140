//! Duration, summary and CPU time of the benchmarks.

use std::time::Duration;

/// The duration and the number of the measurements of each candidate.
#[derive(Clone, Copy)]
pub struct Plan {
    pub slice: Duration,
    pub rounds: usize,
}

const FULL: Plan = Plan { slice: Duration::from_millis(600), rounds: 15 };
const QUICK: Plan = Plan { slice: Duration::from_millis(60), rounds: 5 };

impl Plan {
    /// Reads the arguments of the program. Exits with a usage message if they are unexpected.
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

    /// Returns `true` if instructions are counted as well, which takes minutes.
    pub fn counts_instructions(self) -> bool {
        self.rounds == FULL.rounds
    }
}

/// The result of one slice of time.
#[derive(Clone, Copy)]
pub struct Sample {
    /// The number per second.
    pub rate: f64,
    /// CPU time of one in microseconds. `None` if it cannot be read.
    pub cpu: Option<f64>,
}

/// A candidate and its samples.
pub struct Row<'a> {
    pub name: &'a str,
    pub samples: &'a [Sample],
}

/// Prints a table of medians, with the ratios to the row named `baseline`.
pub fn print(title: &str, unit: &str, rows: &[Row<'_>], baseline: &str) {
    let rates = |row: &Row<'_>| row.samples.iter().map(|sample| sample.rate).collect::<Vec<f64>>();
    let cpus = |row: &Row<'_>| row.samples.iter().filter_map(|sample| sample.cpu).collect::<Vec<f64>>();
    let base = rows.iter().find(|row| row.name == baseline).expect("the baseline");
    println!("| {title} | {unit}s/s | ratio | CPU/{unit} | ratio |\n|---|---:|---:|---:|---:|");
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

/// Returns the CPU time of this thread.
pub fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Returns the CPU time of all threads of this process, those that have ended included.
pub fn cpu_time_of_process() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in parentheses, may contain spaces. User and system time follow in ticks of 10 ms.
    let (_, fields) = text.rsplit_once(')')?;
    let ticks: Vec<u64> =
        fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
    (ticks.len() == 2).then(|| Duration::from_millis(ticks.iter().sum::<u64>() * 10))
}

/// Returns the median of the ratios within each round, because a disturbance of a round affects both samples.
fn ratio(these: &[f64], those: &[f64]) -> String {
    median(these.iter().zip(those).map(|(this, that)| this / that).collect())
        .map_or("?".to_owned(), |ratio| format!("{ratio:.2}"))
}

/// Returns the median of values in any order, or `None` if there are none.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}
