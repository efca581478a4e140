//! Measures receiving an event on one core, alternately with the bare verification of the same bytes and the official
//! JavaScript SDK. Has no thresholds.

use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::pin::pin;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use ed25519_dalek::Signer;
use highlevel::webhook::testing::EventBuilder;
use highlevel::webhook::{InMemoryDeduplicator, OnFull, PublicKey, Receiver};
use highlevel_benchmarks::instructions::Callgrind;
use highlevel_benchmarks::measure::{self, Plan, Row, Sample};
use http::{HeaderMap, HeaderValue};

const APP: &str = "665c6bb13d4e5364bdec0e2f";
const BASELINE: &str = "verify_strict alone";
const RECEIVED: &str = "highlevel, received";
/// The events of the two runs whose difference is counted.
const REPETITIONS: [u32; 2] = [50, 150];
/// The lengths of the bodies in bytes.
const LENGTHS: [usize; 3] = [512, 8 * 1024, 64 * 1024];
/// The total size of the bodies of each length. Each event has a different id.
const ALL: usize = 8 * 1024 * 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [option, candidate, length, count] = &arguments[..]
        && option == "--count"
    {
        let number = |text: &String| text.parse().expect("a number");
        return repeat_exactly(candidate, number(length), number(count));
    }
    let plan = Plan::of_arguments();
    let mut javascript = JavaScript::start();
    for length in LENGTHS {
        let events: Vec<Signed> = (0..ALL / length).map(|number| Signed::of(length, number)).collect();
        println!(
            "{} bodies of {} KiB, {} slices of {} ms for each, medians\n",
            events.len(),
            length as f64 / 1024.0,
            plan.rounds,
            plan.slice.as_millis()
        );
        measure(&events, javascript.as_mut(), plan);
    }
    if plan.counts_instructions()
        && let Some(callgrind) = Callgrind::find()
    {
        count_instructions(&callgrind);
    }
}

/// An event as it is delivered.
struct Signed {
    key: ed25519_dalek::SigningKey,
    signature: ed25519_dalek::Signature,
    headers: HeaderMap,
    header: String,
    body: bytes::Bytes,
    now: SystemTime,
}

impl Signed {
    /// Creates a genuine event with a body of this length: a text message, or an email with HTML. Each number has a different
    /// `webhookId`.
    fn of(length: usize, number: usize) -> Self {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_722_268_288_071);
        let id = format!("3f2b8c1e-7a54-4f0e-9d2b-{number:012x}");
        let event = |text: &str| {
            let event = match length {
                // Without some of the optional fields there is room for a text.
                ..1024 => ["userId", "source", "contentType", "from", "to"]
                    .into_iter()
                    .fold(EventBuilder::outbound_sms(text), EventBuilder::without),
                _ => EventBuilder::outbound_email("Order confirmed", text),
            };
            event.app_id(APP).at(now).webhook_id(&id).body()
        };
        // Quotes and line breaks are two bytes each in JSON.
        let line = "<p style=\"margin: 0; font-size: 11pt\">Your table is ready. Please come to the front desk.</p>\n";
        let room = length.checked_sub(event("").len()).expect("room for a text");
        let written = line.len() + 3;
        let text = if length < 1024 { String::new() } else { line.repeat(room / written) };
        let room = length - event(&text).len();
        let body = event(&format!("{text}{}", "a".repeat(room)));
        assert_eq!(body.len(), length);

        let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
        let signature = key.sign(&body);
        let header = base64(&signature.to_bytes());
        let value = HeaderValue::from_str(&header).expect("a header");
        let headers = HeaderMap::from_iter([
            (http::header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (http::HeaderName::from_static("x-ghl-signature"), value),
        ]);
        Self { key, signature, headers, header, body, now }
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Returns a receiver whose deduplicator is full most of the time, like that of a busy server. An event is evicted before it is
/// received a second time.
fn receiver(key: &ed25519_dalek::VerifyingKey, capacity: usize) -> Receiver {
    Receiver::builder()
        .app_id(APP)
        .key(PublicKey::from_bytes("benchmark", key.as_bytes()).expect("a key"))
        .deduplicator(InMemoryDeduplicator::new().capacity(capacity).on_full(OnFull::EvictOldest))
        .build()
}

fn verify(key: &ed25519_dalek::VerifyingKey, event: &Signed) -> bool {
    key.verify_strict(&event.body, &event.signature).is_ok()
}

/// Receives and commits an event. The in-memory deduplicator never waits, so no runtime is needed.
fn receive(receiver: &Receiver, event: &Signed) -> bool {
    let handled =
        pin!(async { receiver.receive(&event.headers, event.body.clone(), event.now).await?.commit().await });
    matches!(handled.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(())))
}

/// Measures all candidates alternately, each round starting with a different one, and prints the table.
fn measure(events: &[Signed], mut javascript: Option<&mut JavaScript>, plan: Plan) {
    let event = &events[0];
    let key = event.key.verifying_key();
    let receiver = receiver(&key, events.len() / 2);
    let (mut verified, mut received) = (events.iter().cycle(), events.iter().cycle());
    let mut bare = || verified.next().is_some_and(|event| verify(&key, event));
    let mut receive = || received.next().is_some_and(|event| receive(&receiver, event));

    let mut names = vec![BASELINE.to_owned(), RECEIVED.to_owned()];
    if let Some(javascript) = &javascript {
        names.push(format!("JavaScript SDK {}, function and JSON.parse", javascript.version));
        names.push(format!("JavaScript SDK {}, middleware", javascript.version));
    }
    let mut samples = vec![Vec::new(); names.len()];
    let mut slice = |which: usize, length: Duration| match (which, &mut javascript) {
        (0, _) => repeat(&mut bare, length),
        (1, _) => repeat(&mut receive, length),
        (2, Some(javascript)) => javascript.repeat("verify", event, length),
        (_, Some(javascript)) => javascript.repeat("middleware", event, length),
        (_, None) => unreachable!("JavaScript is not in the list"),
    };
    for which in 0..names.len() {
        slice(which, plan.slice / 2);
    }
    for round in 0..plan.rounds {
        for offset in 0..names.len() {
            let which = (round + offset) % names.len();
            samples[which].push(slice(which, plan.slice));
        }
    }
    let rows: Vec<Row<'_>> =
        names.iter().zip(&samples).map(|(name, samples)| Row { name, samples }).collect();
    measure::print("", "event", &rows, BASELINE);
}

/// Verifies or receives a fixed number of events of one length, for [`count_instructions`].
fn repeat_exactly(candidate: &str, length: usize, count: usize) {
    let events: Vec<Signed> = (0..64).map(|number| Signed::of(length, number)).collect();
    let key = events[0].key.verifying_key();
    let receiver = receiver(&key, events.len() / 2);
    for event in events.iter().cycle().take(count) {
        let is_accepted = match candidate {
            BASELINE => verify(&key, event),
            _ => receive(&receiver, event),
        };
        assert!(is_accepted, "the event was not accepted");
    }
}

/// Prints the instructions of one event. They are equal in each run, so each is counted once.
fn count_instructions(callgrind: &Callgrind) {
    println!("Instructions of one event in user mode, by callgrind\n");
    println!("| | 0.5 KiB | 8 KiB | 64 KiB |\n|---|---:|---:|---:|");
    let counts = [BASELINE, RECEIVED].map(|candidate| {
        let count = |length: usize| {
            callgrind.per_repetition(&["--count", candidate, &length.to_string()], REPETITIONS)
        };
        (candidate, LENGTHS.map(count))
    });
    for (candidate, counts) in &counts {
        println!("| {candidate} | {:.0} | {:.0} | {:.0} |", counts[0], counts[1], counts[2]);
    }
    let [(_, bare), (_, received)] = counts;
    let ratios: Vec<String> =
        bare.iter().zip(received).map(|(bare, received)| format!("{:.2}", bare / received)).collect();
    println!("| ratio, bare to received | {} |\n", ratios.join(" | "));
}

/// Repeats a function for this time. Panics if it fails.
fn repeat(once: &mut impl FnMut() -> bool, length: Duration) -> Sample {
    let cpu = measure::cpu_time();
    let started = Instant::now();
    let mut count = 0_u32;
    while started.elapsed() < length {
        assert!(black_box(once()), "the event was not accepted");
        count += 1;
    }
    let elapsed = started.elapsed();
    let cpu = measure::cpu_time().zip(cpu).map(|(after, before)| after - before);
    Sample {
        rate: f64::from(count) / elapsed.as_secs_f64(),
        cpu: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / f64::from(count)),
    }
}

/// The program `webhook.mjs`, run by node.
struct JavaScript {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    version: String,
}

impl JavaScript {
    /// Starts the program if node and its packages are installed.
    fn start() -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let skipped = |why: &str| {
            println!("SKIPPED: the official JavaScript SDK; {why}\n");
            None
        };
        if !folder.join("node_modules/@gohighlevel/api-client").exists() {
            return skipped("it is not installed: install node and npm, and run `cargo xtask bench`");
        }
        let started = Command::new("node")
            .arg("webhook.mjs")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut process) = started else { return skipped("node cannot be run") };
        let input = process.stdin.take().expect("its input");
        let output = BufReader::new(process.stdout.take().expect("its output"));
        let mut this = Self { process, input, output, version: String::new() };
        let versions = this.line();
        let (node, sdk) = versions.split_once(' ').expect("the versions");
        this.version = sdk.to_owned();
        println!("The official JavaScript SDK {sdk} is run by node {node}\n");
        Some(this)
    }

    fn repeat(&mut self, mode: &str, event: &Signed, length: Duration) -> Sample {
        let key = base64(event.key.verifying_key().as_bytes());
        writeln!(self.input, "{mode} {} {APP} {key} {}", length.as_millis(), event.header)
            .expect("node reads");
        self.input.write_all(&event.body).expect("node reads");
        self.input.write_all(b"\n").expect("node reads");
        let line = self.line();
        let figures: Vec<f64> = line.split(' ').map(|figure| figure.parse().expect("a figure")).collect();
        let [count, seconds, cpu] = figures[..] else { panic!("unexpected output of node: `{line}`") };
        Sample { rate: count / seconds, cpu: Some(cpu * 1e6 / count) }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("node writes a line");
        assert!(!line.is_empty(), "node has exited, see the messages above");
        line.trim_end().to_owned()
    }
}

impl Drop for JavaScript {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
