//! The fault matrix: each fault, at each endpoint, on a fresh connection and on one from the pool.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use highlevel::{Error, RetryPolicy};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::TEST_TIMEOUT;
use super::fault::{Bench, Endpoint, Fault, Settings};
use super::server::{Action, receipt, response};

/// A fault and the expected result of each of its cells.
#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    fault: Fault,
    settings: Settings,
    /// `true` if the caller drops the call once its request has arrived.
    cancelled: bool,
    /// The reported outcome, the number of attempts, and the number of requests that the server read.
    expected: &'static str,
}

impl Row {
    fn new(name: &'static str, fault: Fault, expected: &'static str) -> Self {
        Self { name, fault, settings: Settings::default(), cancelled: false, expected }
    }

    /// The server stops responding at some point after the request, so that the attempt times out.
    fn stalls(mut self) -> Self {
        self.settings.attempt_timeout = Duration::from_secs(2);
        self
    }

    fn fresh_token(mut self) -> Self {
        self.settings.fresh_token = true;
        self
    }

    /// The retry policy of the caller treats a 503 with `Retry-After` as a rejection.
    fn retries_unavailable(mut self) -> Self {
        self.settings.policy = RetryPolicy::default().retry_unavailable(true);
        self
    }

    /// A 429 without `Retry-After` pauses the location beyond the deadline of the call.
    fn long_interval(mut self) -> Self {
        self.settings.interval = Duration::from_secs(3600);
        self
    }

    fn cancelled(mut self) -> Self {
        self.cancelled = true;
        self
    }

    /// Returns how often the server may read the request without rejecting it.
    fn deliveries_at_most(&self) -> usize {
        if self.settings.policy == RetryPolicy::default() { 1 } else { 2 }
    }
}

fn status(status: &str, headers: &str) -> Action {
    Action::Respond(response(status, headers, r#"{"message":"no"}"#))
}

/// Returns the first action for the first requests, and the second one for all others.
fn then(nth: usize, count: usize, first: Action, second: Action) -> Action {
    if nth < count { first } else { second }
}

fn accepted() -> Action {
    Action::Respond(receipt())
}

fn unauthorized() -> Action {
    status("401 Unauthorized", "")
}

const TOO_MANY: &str = "429 Too Many Requests";
const UNAVAILABLE: &str = "503 Service Unavailable";

fn rows() -> Vec<Row> {
    let mut rows = no_connection();
    rows.extend(broken_connections());
    rows.extend(statuses());
    rows.extend(limits_and_tokens());
    rows
}

fn no_connection() -> Vec<Row> {
    vec![
        Row::new("connection refused", Fault::Refused, "NotSent 3/0"),
        Row::new("network unreachable", Fault::Unreachable, "NotSent 3/0"),
        Row::new("no such name", Fault::NoSuchName, "NotSent 3/0"),
        Row::new("connect timeout", Fault::ConnectTimeout, "NotSent 3/0"),
        Row::new("TLS: not spoken by the server", Fault::PlainForTls, "NotSent 3/0"),
        Row::new("TLS: certificate not trusted", Fault::Certificate, "NotSent 1/0"),
    ]
}

fn broken_connections() -> Vec<Row> {
    let script = Fault::Script;
    vec![
        Row::new("connection closed while idle", Fault::ClosedWhileIdle, "Ok 1/1"),
        Row::new("RST as the request arrives", script(|_| Action::ResetAfter(1)), "Unknown 1/0"),
        Row::new("RST in the middle of the request", script(|_| Action::ResetAfter(150)), "Unknown 1/0"),
        Row::new("RST after the request", script(|_| Action::Reset), "Unknown 1/1"),
        Row::new("FIN after the request", script(|_| Action::Close(Vec::new())), "Unknown 1/1"),
        Row::new("silence after the request", script(|_| Action::Respond(Vec::new())), "Unknown 1/1")
            .stalls(),
        Row::new(
            "half a status line, FIN",
            script(|_| Action::Close(b"HTTP/1.1 20".to_vec())),
            "Unknown 1/1",
        ),
        Row::new(
            "half a status line, silence",
            script(|_| Action::Respond(b"HTTP/1.1 20".to_vec())),
            "Unknown 1/1",
        )
        .stalls(),
        Row::new("response is not HTTP", script(|_| Action::Close(b"SSH-2.0-x\r\n".to_vec())), "Unknown 1/1"),
        Row::new(
            "201, headers, silence",
            script(|_| Action::Respond(b"HTTP/1.1 201 Created\r\ncontent-length: 90\r\n\r\n".to_vec())),
            "Accepted 1/1",
        )
        .stalls(),
        Row::new(
            "201, body cut",
            script(|_| Action::Close(b"HTTP/1.1 201 Created\r\ncontent-length: 90\r\n\r\n{\"mess".to_vec())),
            "Accepted 1/1",
        ),
        Row::new(
            "201 without a body",
            script(|_| Action::Respond(response("201 Created", "", ""))),
            "Accepted 1/1",
        ),
        Row::new(
            "201 with an HTML page",
            script(|_| {
                Action::Respond(response("201 Created", "content-type: text/html\r\n", "<p>Hello</p>"))
            }),
            "Accepted 1/1",
        ),
        Row::new(
            "201, larger than 1 MiB",
            script(|_| Action::Respond(response("201 Created", "", " ".repeat(1024 * 1024 + 1)))),
            "Accepted 1/1",
        ),
        Row::new("call dropped after the request", script(|_| Action::Respond(Vec::new())), "dropped -/1")
            .cancelled(),
    ]
}

fn statuses() -> Vec<Row> {
    let script = Fault::Script;
    vec![
        Row::new("302", script(|_| status("302 Found", "location: /other\r\n")), "Rejected 1/1"),
        Row::new("307", script(|_| status("307 Temporary Redirect", "location: /other\r\n")), "Rejected 1/1"),
        Row::new("400", script(|_| status("400 Bad Request", "")), "Rejected 1/1"),
        Row::new("408", script(|_| status("408 Request Timeout", "")), "Unknown 1/1"),
        Row::new("422", script(|_| status("422 Unprocessable Entity", "")), "Rejected 1/1"),
        Row::new("500", script(|_| status("500 Internal Server Error", "")), "Unknown 1/1"),
        Row::new("502", script(|_| status("502 Bad Gateway", "")), "Unknown 1/1"),
        Row::new("503", script(|_| status(UNAVAILABLE, "")), "Unknown 1/1"),
        Row::new("503, Retry-After", script(|_| status(UNAVAILABLE, "retry-after: 0\r\n")), "Unknown 1/1"),
        Row::new(
            "503, Retry-After, opted in, then 201",
            script(|nth| then(nth, 1, status(UNAVAILABLE, "retry-after: 0\r\n"), accepted())),
            "Ok 2/2",
        )
        .retries_unavailable(),
        Row::new(
            "503, Retry-After, opted in, repeatedly",
            script(|_| status(UNAVAILABLE, "retry-after: 0\r\n")),
            "Unknown 2/2",
        )
        .retries_unavailable(),
        Row::new("503, opted in", script(|_| status(UNAVAILABLE, "")), "Unknown 1/1").retries_unavailable(),
        Row::new("504", script(|_| status("504 Gateway Timeout", "")), "Unknown 1/1"),
    ]
}

fn limits_and_tokens() -> Vec<Row> {
    let script = Fault::Script;
    vec![
        Row::new("429, then 201", script(|nth| then(nth, 1, status(TOO_MANY, ""), accepted())), "Ok 2/2"),
        Row::new(
            "429 four times, then 201",
            script(|nth| then(nth, 4, status(TOO_MANY, "retry-after: 0\r\n"), accepted())),
            "Ok 5/5",
        ),
        Row::new(
            "429, Retry-After, then 201",
            script(|nth| then(nth, 1, status(TOO_MANY, "retry-after: 1\r\n"), accepted())),
            "Ok 2/2",
        )
        .long_interval(),
        Row::new("429, no permit before the deadline", script(|_| status(TOO_MANY, "")), "Rejected 1/1")
            .long_interval(),
        Row::new(
            "429, Retry-After beyond the deadline",
            script(|_| status(TOO_MANY, "retry-after: 3600\r\n")),
            "Rejected 1/1",
        ),
        Row::new(
            "429 twice, then beyond the deadline",
            script(|nth| then(nth, 2, status(TOO_MANY, ""), status(TOO_MANY, "retry-after: 3600\r\n"))),
            "Rejected 3/3",
        ),
        Row::new(
            "429, daily limit used up",
            script(|_| status(TOO_MANY, DAILY_LIMIT_USED_UP)),
            "Rejected 1/1",
        ),
        Row::new(
            "429, then RST after the request",
            script(|nth| then(nth, 1, status(TOO_MANY, ""), Action::Reset)),
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
                Action::Respond(response("401 Unauthorized", "", body))
            }),
            "Rejected 1/1",
        )
        .fresh_token(),
    ]
}

/// The headers of a location whose daily limit is used up for the next hour.
const DAILY_LIMIT_USED_UP: &str = "x-ratelimit-daily-remaining: 0\r\nx-ratelimit-daily-reset: 3600000\r\n";

/// The result of a cell.
struct Cell {
    /// The outcome that the call reported.
    outcome: String,
    attempts: Option<u32>,
    /// The number of complete requests that the server read.
    deliveries: usize,
    /// The number of those that it rejected.
    rejected: usize,
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let attempts = self.attempts.map_or_else(|| "-".to_owned(), |attempts| attempts.to_string());
        write!(f, "{} {attempts}/{}", self.outcome, self.deliveries)
    }
}

async fn run(row: Row, endpoint: Endpoint, pooled: bool) -> Cell {
    let Bench { server, client } = Bench::set_up(row.fault, pooled, row.settings).await;
    let before = usize::from(pooled);
    // Ids contain no spaces.
    let key = format!("{}-{endpoint:?}-{pooled}", row.name).replace(' ', "-");
    let result = if row.cancelled {
        let call = tokio::spawn({
            let (client, key) = (client.clone(), key.clone());
            async move { endpoint.call(&client, &key).await }
        });
        server.wait_for_requests(before + 1).await;
        call.abort();
        assert!(call.await.expect_err("aborted").is_cancelled(), "{}", row.name);
        None
    } else {
        let call = endpoint.call(&client, &key);
        Some(
            tokio::time::timeout(TEST_TIMEOUT, call)
                .await
                .unwrap_or_else(|_| panic!("{}: the call does not end", row.name)),
        )
    };
    // Background tasks of the client complete before the last of its connections is closed.
    drop(client);
    server.wait_for_close().await;
    let deliveries = server.deliveries(&key);
    Cell {
        outcome: match &result {
            Some(Ok(_)) => "Ok".to_owned(),
            Some(Err(error)) => format!("{:?}", error.delivery()),
            None => "dropped".to_owned(),
        },
        attempts: result.map(|result| result.unwrap_or_else(|error| Error::attempts(&error))),
        rejected: deliveries.iter().filter(|request| request.rejected).count(),
        deliveries: deliveries.len(),
    }
}

/// Returns all cells, row by row: each endpoint on a fresh connection, then on a pooled one.
async fn run_all(rows: &[Row]) -> Vec<Vec<Cell>> {
    let mut running = JoinSet::new();
    // All cells at once would overload a small machine, which would then miss their timeouts.
    let slots = Arc::new(Semaphore::new(24));
    for (index, row) in rows.iter().enumerate() {
        for (column, (endpoint, pooled)) in columns().enumerate() {
            let row = *row;
            let slots = Arc::clone(&slots);
            running.spawn(async move {
                let _slot = slots.acquire_owned().await.expect("never closed");
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
        "The reported outcome, attempts / complete requests that the server read.\n\
         The default retry policy unless a row names another one.\n\n",
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
async fn no_fault_delivers_twice_and_every_outcome_is_correct() {
    let rows = rows();
    let cells = run_all(&rows).await;
    let text = table(&rows, &cells);
    println!("{text}");
    let mut wrong = Vec::new();
    for (row, cells) in rows.iter().zip(&cells) {
        for (cell, (endpoint, pooled)) in cells.iter().zip(columns()) {
            let name = format!("{}, {endpoint:?}, {}", row.name, if pooled { "pooled" } else { "fresh" });
            if cell.deliveries - cell.rejected > row.deliveries_at_most() {
                wrong.push(format!("{name}: delivered {} times, {cell}", cell.deliveries - cell.rejected));
            }
            if cell.outcome == "NotSent" && cell.deliveries > 0 {
                wrong.push(format!("{name}: delivered, but reported as not sent: {cell}"));
            }
            if cell.to_string() != row.expected {
                wrong.push(format!("{name}: {cell} instead of {}", row.expected));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    crate::snapshots::check("fault-matrix", &text);
}
