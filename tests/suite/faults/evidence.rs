//! Compares whether the transport reports a request as written with the bytes that the server read.

use std::fmt::Write as _;
use std::time::Duration;

use highlevel::Sms;
use highlevel::wire::End;
use highlevel::wire::types::SendMessageRequest;

use super::fault::{Bench, Fault, Settings};
use super::server::{Action, response};

/// A fault and its expected effect on a fresh connection and on one from the pool.
struct Row {
    name: &'static str,
    fault: Fault,
    /// The part of the request that the server reads.
    read: Read,
    /// `true` if the transport reports that the request was written.
    written: bool,
    /// `true` if the request is larger than all buffers between client and server.
    large: bool,
    /// `true` if the server stops responding.
    stalls: bool,
}

/// The part of a request that the server read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    Nothing,
    Part,
    All,
}

fn rows() -> Vec<Row> {
    let row = |name, fault, read, written| Row { name, fault, read, written, large: false, stalls: false };
    let script = |name, script, read| row(name, Fault::Script(script), read, true);
    vec![
        row("connection refused", Fault::Refused, Read::Nothing, false),
        row("network unreachable", Fault::Unreachable, Read::Nothing, false),
        row("no such name", Fault::NoSuchName, Read::Nothing, false),
        row("connect timeout", Fault::ConnectTimeout, Read::Nothing, false),
        row("TLS: not spoken by the server", Fault::PlainForTls, Read::Nothing, false),
        row("TLS: certificate not trusted", Fault::Certificate, Read::Nothing, false),
        row("connection closed while idle", Fault::ClosedWhileIdle, Read::All, true),
        script("RST as the request arrives", |_| Action::ResetAfter(1), Read::Part),
        script("RST in the middle of the request", |_| Action::ResetAfter(150), Read::Part),
        Row {
            large: true,
            ..script("RST in the middle of 8 MiB", |_| Action::ResetAfter(1024 * 1024), Read::Part)
        },
        script("RST after the request", |_| Action::Reset, Read::All),
        script("FIN after the request", |_| Action::Close(Vec::new()), Read::All),
        script("half a status line, FIN", |_| Action::Close(b"HTTP/1.1 20".to_vec()), Read::All),
        Row {
            stalls: true,
            ..script("half a status line, silence", |_| Action::Respond(b"HTTP/1.1 20".to_vec()), Read::All)
        },
        script(
            "201, body cut",
            |_| Action::Close(b"HTTP/1.1 201 Created\r\ncontent-length: 90\r\n\r\n{\"mess".to_vec()),
            Read::All,
        ),
        script("500", |_| Action::Respond(response("500 Internal Server Error", "", "")), Read::All),
    ]
}

/// The observations of one attempt.
struct Observed {
    read: Read,
    connections: usize,
    written: bool,
    /// The report of the transport: a status, or the categories of its error.
    report: String,
}

async fn run(row: &Row, pooled: bool) -> Observed {
    for _ in 0..20 {
        let observed = attempt(row, pooled).await;
        let is_reused = pooled && matches!(row.fault, Fault::Script(_));
        // A connection returns to the pool shortly after its response: on a busy machine, sometimes too late.
        if !is_reused || observed.connections == 0 {
            return observed;
        }
    }
    panic!("{}: no connection was reused", row.name)
}

async fn attempt(row: &Row, pooled: bool) -> Observed {
    let attempt_timeout = Duration::from_secs(if row.stalls { 2 } else { 30 });
    let settings = Settings { attempt_timeout, ..Settings::default() };
    let Bench { server, client } = Bench::set_up(row.fault, pooled, settings).await;
    let key = if row.large { "x".repeat(8 * 1024 * 1024) } else { row.name.to_owned() };
    let request = SendMessageRequest::from(Sms::to("abc123def456").text(&key));
    let (wire, context) = client.wire().await.expect("a token");
    let result = wire.send_message(&request).await;
    let trace = context.take();
    let report = match (result, trace.response) {
        (_, Some(response)) => match response.end {
            End::Complete => format!("{}", response.status.as_u16()),
            End::Cut(error) => {
                let error = error.downcast_ref::<reqwest::Error>().map_or("timeout".to_owned(), categories);
                format!("{}, then {error}", response.status.as_u16())
            }
            end => panic!("{end:?}"),
        },
        (Err(highlevel::wire::Error::CommunicationError(error)), None) => categories(&error),
        (result, None) => panic!("{result:?}"),
    };
    drop((wire, client));
    server.wait_for_close().await;
    let read = match (server.deliveries(&key).len(), server.bytes()) {
        (0, 0) => Read::Nothing,
        (0, _) => Read::Part,
        (1, _) => Read::All,
        (times, _) => panic!("{}: read {times} times", row.name),
    };
    Observed { read, connections: server.connections(), written: trace.written, report }
}

/// Returns the categories of an error of the transport.
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
async fn requests_that_the_server_read_are_reported_as_written() {
    let mut text = String::from(
        "One attempt each: the part of the request that the server read, whether the transport reports it as written,\n\
         and the error or status that the transport reports.\n\n",
    );
    let mut line = |name: &str, connection: &str, new: &str, read: &str, written: &str, report: &str| {
        let _ = writeln!(text, "{name:<34}{connection:<12}{new:<17}{read:<10}{written:<9}{report}");
    };
    line("", "connection", "new connections", "read", "written", "report");
    for row in rows() {
        let (fresh, pooled) = tokio::join!(run(&row, false), run(&row, true));
        for (connection, observed) in [("fresh", fresh), ("pooled", pooled)] {
            let name = format!("{}, {connection}", row.name);
            assert_eq!((observed.read, observed.written), (row.read, row.written), "{name}");
            assert!(observed.written || observed.read == Read::Nothing, "{name}");
            line(
                row.name,
                connection,
                &observed.connections.to_string(),
                &format!("{:?}", observed.read).to_lowercase(),
                if observed.written { "yes" } else { "no" },
                &observed.report,
            );
        }
    }
    println!("{text}");
    crate::snapshots::check("transport-evidence", &text);
}
