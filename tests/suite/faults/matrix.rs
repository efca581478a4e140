//! The fault matrix: each fault, at each endpoint, on a fresh connection and on one from the pool.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use highlevel::{Error, RetryPolicy};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::PATIENCE;
use super::fault::{Bench, Endpoint, Fault, Setting};
use super::server::{Act, answer, receipt};

/// A fault and what has to come of it, in each of its cells.
#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    fault: Fault,
    setting: Setting,
    /// Whether the caller gives up the call once its request has arrived.
    cancelled: bool,
    /// What the caller is told, how many attempts there were, and how many requests the server read.
    expected: &'static str,
}

impl Row {
    fn new(name: &'static str, fault: Fault, expected: &'static str) -> Self {
        Self { name, fault, setting: Setting::default(), cancelled: false, expected }
    }

    /// The server reads the whole request and stays silent at some point.
    fn stalls(mut self) -> Self {
        self.setting.attempt = Duration::from_secs(2);
        self
    }

    fn fresh_token(mut self) -> Self {
        self.setting.fresh_token = true;
        self
    }

    /// A 503 with `Retry-After` is taken as a refusal, because the caller says so.
    fn unavailable_is_refused(mut self) -> Self {
        self.setting.policy = RetryPolicy::default().retry_unavailable(true);
        self
    }

    /// A 429 that says nothing holds the location back beyond the deadline of the call.
    fn long_interval(mut self) -> Self {
        self.setting.interval = Duration::from_secs(3600);
        self
    }

    fn cancelled(mut self) -> Self {
        self.cancelled = true;
        self
    }

    /// How often the request may be read by a server that did not refuse it.
    fn deliveries_at_most(&self) -> usize {
        if self.setting.policy == RetryPolicy::default() { 1 } else { 2 }
    }
}

fn status(status: &str, headers: &str) -> Act {
    Act::Answer(answer(status, headers, r#"{"message":"no"}"#))
}

/// Refuses the first requests with the first answer, and then gives the second.
fn then(nth: usize, refusals: usize, first: Act, second: Act) -> Act {
    if nth < refusals { first } else { second }
}

fn accepted() -> Act {
    Act::Answer(receipt())
}

fn unauthorized() -> Act {
    status("401 Unauthorized", "")
}

const MANY: &str = "429 Too Many Requests";
const BUSY: &str = "503 Service Unavailable";

fn rows() -> Vec<Row> {
    let mut rows = no_connection();
    rows.extend(broken());
    rows.extend(answered());
    rows.extend(refused());
    rows
}

fn no_connection() -> Vec<Row> {
    vec![
        Row::new("connection refused", Fault::Refused, "NotSent 3/0"),
        Row::new("network unreachable", Fault::Unreachable, "NotSent 3/0"),
        Row::new("no such name", Fault::NoSuchName, "NotSent 3/0"),
        Row::new("connect timeout", Fault::ConnectTimeout, "NotSent 3/0"),
        Row::new("TLS: the server speaks none", Fault::PlainForTls, "NotSent 3/0"),
        Row::new("TLS: certificate not trusted", Fault::Certificate, "NotSent 1/0"),
    ]
}

fn broken() -> Vec<Row> {
    let script = Fault::Script;
    vec![
        Row::new("connection closed while idle", Fault::ClosedWhileIdle, "Ok 1/1"),
        Row::new("RST as the request arrives", script(|_| Act::ResetAfter(1)), "Unknown 1/0"),
        Row::new("RST in the middle of the request", script(|_| Act::ResetAfter(150)), "Unknown 1/0"),
        Row::new("RST after the request", script(|_| Act::Reset), "Unknown 1/1"),
        Row::new("FIN after the request", script(|_| Act::Close(Vec::new())), "Unknown 1/1"),
        Row::new("silence after the request", script(|_| Act::Answer(Vec::new())), "Unknown 1/1").stalls(),
        Row::new("half a status line, FIN", script(|_| Act::Close(b"HTTP/1.1 20".to_vec())), "Unknown 1/1"),
        Row::new(
            "half a status line, silence",
            script(|_| Act::Answer(b"HTTP/1.1 20".to_vec())),
            "Unknown 1/1",
        )
        .stalls(),
        Row::new("what comes is not HTTP", script(|_| Act::Close(b"SSH-2.0-x\r\n".to_vec())), "Unknown 1/1"),
        Row::new(
            "201, headers, silence",
            script(|_| Act::Answer(b"HTTP/1.1 201 Created\r\ncontent-length: 90\r\n\r\n".to_vec())),
            "Accepted 1/1",
        )
        .stalls(),
        Row::new(
            "201, body cut",
            script(|_| Act::Close(b"HTTP/1.1 201 Created\r\ncontent-length: 90\r\n\r\n{\"mess".to_vec())),
            "Accepted 1/1",
        ),
        Row::new(
            "201 without a body",
            script(|_| Act::Answer(answer("201 Created", "", ""))),
            "Accepted 1/1",
        ),
        Row::new(
            "201 with a page in HTML",
            script(|_| Act::Answer(answer("201 Created", "content-type: text/html\r\n", "<p>Hello</p>"))),
            "Accepted 1/1",
        ),
        Row::new(
            "201, larger than 1 MiB",
            script(|_| Act::Answer(answer("201 Created", "", &" ".repeat(1024 * 1024 + 1)))),
            "Accepted 1/1",
        ),
        Row::new("call dropped after the request", script(|_| Act::Answer(Vec::new())), "dropped -/1")
            .cancelled(),
    ]
}

fn answered() -> Vec<Row> {
    let script = Fault::Script;
    vec![
        Row::new("302", script(|_| status("302 Found", "location: /other\r\n")), "Rejected 1/1"),
        Row::new("307", script(|_| status("307 Temporary Redirect", "location: /other\r\n")), "Rejected 1/1"),
        Row::new("400", script(|_| status("400 Bad Request", "")), "Rejected 1/1"),
        Row::new("408", script(|_| status("408 Request Timeout", "")), "Unknown 1/1"),
        Row::new("422", script(|_| status("422 Unprocessable Entity", "")), "Rejected 1/1"),
        Row::new("500", script(|_| status("500 Internal Server Error", "")), "Unknown 1/1"),
        Row::new("502", script(|_| status("502 Bad Gateway", "")), "Unknown 1/1"),
        Row::new("503", script(|_| status(BUSY, "")), "Unknown 1/1"),
        Row::new("503, Retry-After", script(|_| status(BUSY, "retry-after: 0\r\n")), "Unknown 1/1"),
        Row::new(
            "503, Retry-After, opted in, then 201",
            script(|nth| then(nth, 1, status(BUSY, "retry-after: 0\r\n"), accepted())),
            "Ok 2/2",
        )
        .unavailable_is_refused(),
        Row::new(
            "503, Retry-After, opted in, for ever",
            script(|_| status(BUSY, "retry-after: 0\r\n")),
            "Unknown 2/2",
        )
        .unavailable_is_refused(),
        Row::new("503, opted in", script(|_| status(BUSY, "")), "Unknown 1/1").unavailable_is_refused(),
        Row::new("504", script(|_| status("504 Gateway Timeout", "")), "Unknown 1/1"),
    ]
}

fn refused() -> Vec<Row> {
    let script = Fault::Script;
    vec![
        Row::new("429, then 201", script(|nth| then(nth, 1, status(MANY, ""), accepted())), "Ok 2/2"),
        Row::new(
            "429 four times, then 201",
            script(|nth| then(nth, 4, status(MANY, "retry-after: 0\r\n"), accepted())),
            "Ok 5/5",
        ),
        Row::new(
            "429, Retry-After, then 201",
            script(|nth| then(nth, 1, status(MANY, "retry-after: 1\r\n"), accepted())),
            "Ok 2/2",
        )
        .long_interval(),
        Row::new("429, no turn before the deadline", script(|_| status(MANY, "")), "Rejected 1/1")
            .long_interval(),
        Row::new(
            "429, Retry-After beyond the deadline",
            script(|_| status(MANY, "retry-after: 3600\r\n")),
            "Rejected 1/1",
        ),
        Row::new(
            "429 twice, then beyond the deadline",
            script(|nth| then(nth, 2, status(MANY, ""), status(MANY, "retry-after: 3600\r\n"))),
            "Rejected 3/3",
        ),
        Row::new("429, the day is spent", script(|_| status(MANY, SPENT)), "Rejected 1/1"),
        Row::new(
            "429, then RST after the request",
            script(|nth| then(nth, 1, status(MANY, ""), Act::Reset)),
            "Unknown 2/2",
        ),
        Row::new("401, no other token", script(|_| unauthorized()), "Rejected 1/1"),
        Row::new(
            "401, a fresh token, then 201",
            script(|nth| then(nth, 1, unauthorized(), accepted())),
            "Ok 2/2",
        )
        .fresh_token(),
        Row::new("401, a fresh token, 401", script(|_| unauthorized()), "Rejected 2/2").fresh_token(),
        Row::new(
            "401, a fresh token, then 500",
            script(|nth| then(nth, 1, unauthorized(), status("500 Internal Server Error", ""))),
            "Unknown 2/2",
        )
        .fresh_token(),
        Row::new(
            "401 about the version, a fresh token",
            script(|_| {
                let body = r#"{"message":"version header is invalid"}"#;
                Act::Answer(answer("401 Unauthorized", "", body))
            }),
            "Rejected 1/1",
        )
        .fresh_token(),
    ]
}

/// The headers of a location that has nothing left until an hour from now.
const SPENT: &str = "x-ratelimit-daily-remaining: 0\r\nx-ratelimit-daily-reset: 3600000\r\n";

/// What came of a cell.
struct Cell {
    /// What the caller was told.
    told: String,
    attempts: Option<u32>,
    /// Requests that the server read to their end.
    deliveries: usize,
    /// How many of them it refused.
    refused: usize,
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let attempts = self.attempts.map_or_else(|| "-".to_owned(), |attempts| attempts.to_string());
        write!(f, "{} {attempts}/{}", self.told, self.deliveries)
    }
}

async fn run(row: Row, endpoint: Endpoint, pooled: bool) -> Cell {
    let Bench { server, client } = Bench::set_up(row.fault, pooled, row.setting).await;
    let before = usize::from(pooled);
    // An id has no spaces.
    let key = format!("{}-{endpoint:?}-{pooled}", row.name).replace(' ', "-");
    let result = if row.cancelled {
        let call = tokio::spawn({
            let (client, key) = (client.clone(), key.clone());
            async move { endpoint.call(&client, &key).await }
        });
        server.arrived(before + 1).await;
        call.abort();
        assert!(call.await.expect_err("aborted").is_cancelled(), "{}", row.name);
        None
    } else {
        let call = endpoint.call(&client, &key);
        Some(tokio::time::timeout(PATIENCE, call).await.unwrap_or_else(|_| panic!("{}: no end", row.name)))
    };
    // What the client still does in the background, it does now; then all of its connections end.
    drop(client);
    server.quiet().await;
    let deliveries = server.deliveries(&key);
    Cell {
        told: match &result {
            Some(Ok(_)) => "Ok".to_owned(),
            Some(Err(error)) => format!("{:?}", error.delivery()),
            None => "dropped".to_owned(),
        },
        attempts: result.map(|result| result.unwrap_or_else(|error| Error::attempts(&error))),
        refused: deliveries.iter().filter(|delivered| delivered.refused).count(),
        deliveries: deliveries.len(),
    }
}

/// All cells, row by row: each endpoint on a fresh connection, then on a pooled one.
async fn all(rows: &[Row]) -> Vec<Vec<Cell>> {
    let mut running = JoinSet::new();
    // A few at a time: a machine that is busy with all of them at once would miss their timeouts.
    let free = Arc::new(Semaphore::new(24));
    for (index, row) in rows.iter().enumerate() {
        for (column, (endpoint, pooled)) in columns().enumerate() {
            let row = *row;
            let free = Arc::clone(&free);
            running.spawn(async move {
                let _place = free.acquire_owned().await.expect("never closed");
                (index, column, run(row, endpoint, pooled).await)
            });
        }
    }
    let mut cells = running.join_all().await;
    cells.sort_by_key(|(index, column, _)| (*index, *column));
    let mut cells = cells.into_iter().map(|(_, _, cell)| cell);
    rows.iter().map(|_| cells.by_ref().take(columns().count()).collect()).collect()
}

fn columns() -> impl Iterator<Item = (Endpoint, bool)> {
    Endpoint::ALL.into_iter().flat_map(|endpoint| [(endpoint, false), (endpoint, true)])
}

fn table(rows: &[Row], cells: &[Vec<Cell>]) -> String {
    let mut text = String::from(
        "What the caller is told, attempts / requests that the server read to their end.\n\
         The default retry policy, but where a row says otherwise.\n\n",
    );
    let mut line = |name: &str, cells: Vec<String>| {
        let mut line = format!("{name:<38}");
        for cell in cells {
            let _ = write!(line, "  {cell:<14}");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    };
    let head = |column: &dyn Fn((Endpoint, bool)) -> &'static str| -> Vec<String> {
        columns().map(|names| column(names).to_owned()).collect()
    };
    line(
        "",
        head(&|(endpoint, _)| match endpoint {
            Endpoint::Send => "message",
            Endpoint::Inbound => "inbound",
            Endpoint::Call => "call",
        }),
    );
    line("", head(&|(_, pooled)| if pooled { "pooled" } else { "fresh" }));
    for (row, cells) in rows.iter().zip(cells) {
        line(row.name, cells.iter().map(ToString::to_string).collect());
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_delivers_twice_and_each_says_what_is_known() {
    let rows = rows();
    let cells = all(&rows).await;
    let text = table(&rows, &cells);
    println!("{text}");
    let mut wrong = Vec::new();
    for (row, cells) in rows.iter().zip(&cells) {
        for (cell, (endpoint, pooled)) in cells.iter().zip(columns()) {
            let name = format!("{}, {endpoint:?}, {}", row.name, if pooled { "pooled" } else { "fresh" });
            if cell.deliveries - cell.refused > row.deliveries_at_most() {
                wrong.push(format!("{name}: delivered {} times, {cell}", cell.deliveries - cell.refused));
            }
            if cell.told == "NotSent" && cell.deliveries > 0 {
                wrong
                    .push(format!("{name}: delivered, and the caller is told that nothing was sent: {cell}"));
            }
            if cell.to_string() != row.expected {
                wrong.push(format!("{name}: {cell}, not {}", row.expected));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    crate::snapshots::check("fault-matrix", &text);
}
