//! Whether a byte of a request was written: what the transport says, beside what the server read.

use std::fmt::Write as _;
use std::time::Duration;

use highlevel::Sms;
use highlevel::wire::End;
use highlevel::wire::types::SendMessageRequest;

use super::fault::{Bench, Fault, Setting};
use super::server::{Act, answer};

/// A fault, and what it leaves behind on a fresh connection and on one from the pool.
struct Row {
    name: &'static str,
    fault: Fault,
    /// What the server reads, and whether the transport says that something was written.
    expected: (Read, bool),
    /// A request that fills every buffer on the way.
    large: bool,
    stalls: bool,
}

/// What the server read of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    Nothing,
    Part,
    All,
}

fn rows() -> Vec<Row> {
    let row = |name, fault, read, written| Row {
        name,
        fault,
        expected: (read, written),
        large: false,
        stalls: false,
    };
    let script = |name, script, read| row(name, Fault::Script(script), read, true);
    vec![
        row("connection refused", Fault::Refused, Read::Nothing, false),
        row("network unreachable", Fault::Unreachable, Read::Nothing, false),
        row("no such name", Fault::NoSuchName, Read::Nothing, false),
        row("connect timeout", Fault::ConnectTimeout, Read::Nothing, false),
        row("TLS: the server speaks none", Fault::PlainForTls, Read::Nothing, false),
        row("TLS: certificate not trusted", Fault::Certificate, Read::Nothing, false),
        row("connection closed while idle", Fault::ClosedWhileIdle, Read::All, true),
        script("RST as the request arrives", |_| Act::ResetAfter(1), Read::Part),
        script("RST in the middle of the request", |_| Act::ResetAfter(150), Read::Part),
        Row {
            large: true,
            ..script("RST in the middle of 8 MiB", |_| Act::ResetAfter(1024 * 1024), Read::Part)
        },
        script("RST after the request", |_| Act::Reset, Read::All),
        script("FIN after the request", |_| Act::Close(Vec::new()), Read::All),
        script("half a status line, FIN", |_| Act::Close(b"HTTP/1.1 20".to_vec()), Read::All),
        Row {
            stalls: true,
            ..script("half a status line, silence", |_| Act::Answer(b"HTTP/1.1 20".to_vec()), Read::All)
        },
        script(
            "201, body cut",
            |_| Act::Close(b"HTTP/1.1 201 Created\r\ncontent-length: 90\r\n\r\n{\"mess".to_vec()),
            Read::All,
        ),
        script("500", |_| Act::Answer(answer("500 Internal Server Error", "", "")), Read::All),
    ]
}

/// What is seen of one attempt.
struct Seen {
    read: Read,
    connections: usize,
    written: bool,
    /// What the transport reports: an answer, or the categories of its error.
    report: String,
}

async fn run(row: &Row, pooled: bool) -> Seen {
    for _ in 0..20 {
        let seen = once(row, pooled).await;
        let is_reused = pooled && matches!(row.fault, Fault::Script(_));
        // A connection comes back to the pool a moment after its answer: on a busy machine, sometimes too late.
        if !is_reused || seen.connections == 0 {
            return seen;
        }
    }
    panic!("{}: no connection came back to the pool", row.name)
}

async fn once(row: &Row, pooled: bool) -> Seen {
    let attempt = Duration::from_secs(if row.stalls { 2 } else { 30 });
    let setting = Setting { attempt, ..Setting::default() };
    let Bench { server, client } = Bench::set_up(row.fault, pooled, setting).await;
    let key = if row.large { "x".repeat(8 * 1024 * 1024) } else { row.name.to_owned() };
    let request = SendMessageRequest::from(Sms::to("abc123def456").text(&key));
    let (wire, exchange) = client.wire().await.expect("a token");
    let result = wire.send_message(&request).await;
    let observation = exchange.take();
    let report = match (result, observation.response) {
        (_, Some(answer)) => match answer.end {
            End::Complete => format!("{}", answer.status.as_u16()),
            End::Cut(error) => {
                let error = error.downcast_ref::<reqwest::Error>().map_or("timeout".to_owned(), categories);
                format!("{}, then {error}", answer.status.as_u16())
            }
            end => panic!("{end:?}"),
        },
        (Err(highlevel::wire::Error::CommunicationError(error)), None) => categories(&error),
        (result, None) => panic!("{result:?}"),
    };
    drop((wire, client));
    server.quiet().await;
    let read = match (server.deliveries(&key).len(), server.bytes()) {
        (0, 0) => Read::Nothing,
        (0, _) => Read::Part,
        (1, _) => Read::All,
        (times, _) => panic!("{}: read {times} times", row.name),
    };
    Seen { read, connections: server.connections(), written: observation.written, report }
}

/// The categories to which an error of the transport says that it belongs.
fn categories(error: &reqwest::Error) -> String {
    let names: Vec<&str> = [
        (error.is_builder(), "builder"),
        (error.is_connect(), "connect"),
        (error.is_timeout(), "timeout"),
        (error.is_request(), "request"),
        (error.is_body(), "body"),
        (error.is_decode(), "decode"),
        (error.is_redirect(), "redirect"),
    ]
    .into_iter()
    .filter_map(|(is, name)| is.then_some(name))
    .collect();
    names.join(" + ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_transport_says_was_written_is_what_the_server_may_have_read() {
    let mut text = String::from(
        "One attempt each: what the server read of the request, whether the transport says that it began to write it,\n\
         and what else the transport reports.\n\n",
    );
    let mut line = |name: &str, connection: &str, new: &str, read: &str, written: &str, report: &str| {
        let _ = writeln!(text, "{name:<34}{connection:<12}{new:<17}{read:<10}{written:<9}{report}");
    };
    line("", "connection", "new connections", "read", "written", "report");
    for row in rows() {
        let (fresh, pooled) = tokio::join!(run(&row, false), run(&row, true));
        for (connection, seen) in [("fresh", fresh), ("pooled", pooled)] {
            let name = format!("{}, {connection}", row.name);
            assert_eq!((seen.read, seen.written), row.expected, "{name}");
            assert!(seen.written || seen.read == Read::Nothing, "{name}");
            line(
                row.name,
                connection,
                &seen.connections.to_string(),
                &format!("{:?}", seen.read).to_lowercase(),
                if seen.written { "yes" } else { "no" },
                &seen.report,
            );
        }
    }
    println!("{text}");
    crate::snapshots::check("transport-evidence", &text);
}
