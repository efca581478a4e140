//! Forms that are large, malformed or endless, with 1.5 GB of address space.

use std::io::Write;

use serde_json::json;

use crate::process::directory;
use crate::raw::{Program, response};

/// KiB of address space.
const LIMIT: &str = "ulimit -v 1500000";
const UPLOAD: &str = "/conversations/messages/upload";
const FORM: &str = "multipart/form-data; boundary=b";
const MIB: usize = 1024 * 1024;
/// The largest accepted form.
const MAX_FORM: usize = 25 * MIB + 64 * 1024;

/// Returns the head of a part with a file.
fn file(name: &str) -> String {
    format!("--b\r\ncontent-disposition: form-data; name=\"fileAttachment\"; filename=\"{name}\"\r\n\r\n")
}

/// Returns the beginning of a form, with the conversation.
fn start(program: &Program) -> String {
    let conversation = program.ready["conversationId"].as_str().unwrap();
    format!("--b\r\ncontent-disposition: form-data; name=\"conversationId\"\r\n\r\n{conversation}\r\n")
}

/// Returns a form with files of a size.
fn form(program: &Program, count: usize, size: usize) -> String {
    let content = "x".repeat(size);
    let files: Vec<String> =
        (0..count).map(|number| format!("{}{content}\r\n", file(&format!("{number}.txt")))).collect();
    format!("{}{}--b--\r\n", start(program), files.concat())
}

/// Returns the count, the bytes and the evictions of the stored files.
fn stored(program: &Program) -> [u64; 3] {
    let files = program.health()["memory"]["files"].clone();
    ["count", "bytes", "dropped"].map(|name| files[name].as_u64().unwrap())
}

/// Asserts that the program still serves other clients.
fn assert_serves(program: &Program, what: &str) {
    let message = program.message(what).to_string();
    assert_eq!(program.ask("POST", "/conversations/messages", &message).status, 201, "{what}");
}

#[test]
fn stored_files_stay_within_their_budget() {
    let directory = directory("upload-budget");
    let state = directory.file("state");
    let arguments = format!("--state {}", state.display());
    let program = Program::start(LIMIT, &arguments);
    let largest = form(&program, 5, 5 * MIB);
    for number in 0..5 {
        let uploaded = program.ask_with("POST", UPLOAD, FORM, &largest);
        assert_eq!(uploaded.status, 201, "{number}: {:.200}", uploaded.body);
        program.assert_is_within_its_bounds("large files");
    }
    assert_eq!(stored(&program)[..1], [12]);
    assert_eq!(stored(&program)[2], 13);
    // A thousand small files: the number has a limit, too.
    let small = form(&program, 5, 1);
    for _ in 0..202 {
        assert_eq!(program.ask_with("POST", UPLOAD, FORM, &small).status, 201);
    }
    let [count, bytes, _] = stored(&program);
    assert_eq!(count, 1_000);
    program.assert_is_within_its_bounds("small files");
    assert_serves(&program, "small files");
    drop(program);
    // The state file has what was stored.
    let program = Program::start(LIMIT, &arguments);
    assert_eq!(stored(&program)[..2], [count, bytes]);
}

#[test]
fn hostile_forms_are_rejected_in_bounded_memory() {
    let program = Program::start(LIMIT, "");
    let fill = |text: &str| text.repeat((MAX_FORM - 1_024) / text.len());
    let header = |name: &str, value: &str| {
        format!("--b\r\ncontent-disposition: form-data; name=\"a\"\r\n{name}: {value}\r\n\r\na\r\n--b--\r\n")
    };
    let part = "--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n\r\n";
    let cases = [
        ("thousands of parts", format!("{}--b--\r\n", fill(part)), "more than 32 parts"),
        ("parts without a name", format!("{}--b--\r\n", fill("--b\r\n\r\n\r\n")), "more than 32 parts"),
        ("a long header", header("x", &fill("x")), "a part"),
        ("thousands of headers", header("x", &fill("y\r\nx: ")), "the headers of a part are malformed"),
        ("a long name of a header", header(&fill("x"), "y"), "the headers of a part are malformed"),
        ("headers without an end", format!("--b\r\n{}", fill("x: y\r\n")), "the boundary"),
        ("an endless preamble", fill("x"), "the boundary"),
        ("almost boundaries", fill("\r\n--a"), "the boundary"),
        ("a part without an end", format!("{}{}", file("a.txt"), fill("\r\n--")), "a part has no end"),
        (
            "a long field",
            format!("{part}--b\r\ncontent-disposition: form-data; name=\"x\"\r\n\r\n{}\r\n--b--", fill("x")),
            "more than 4096",
        ),
        ("a long name", format!("{}{}a\r\n--b--\r\n", start(&program), file(&fill("x"))), "a file name has"),
    ];
    for (name, body, expected) in cases {
        for _ in 0..3 {
            let rejected = program.ask_with("POST", UPLOAD, FORM, &body);
            assert!(
                (400..=422).contains(&rejected.status),
                "{name}: {} {:.300}",
                rejected.status,
                rejected.body
            );
            // The parser accepts a header of any length, and then the form has no file.
            let is_named = rejected.body.contains(expected) || name == "a long header";
            assert!(is_named && rejected.body.len() < 8 * 1024, "{name}: {:.300}", rejected.body);
        }
        program.assert_is_within_its_bounds(name);
    }
    for content_type in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "text/plain",
        &format!("{FORM}{}", "x".repeat(8_000)),
    ] {
        let rejected = program.ask_with("POST", UPLOAD, content_type, "--b\r\n");
        assert_eq!(rejected.status, 400, "{content_type:.50}: {}", rejected.body);
    }
    assert_eq!(stored(&program)[0], 0);
    assert_serves(&program, "hostile forms");
}

#[test]
fn slow_uploads_stay_within_the_budget_and_exclude_no_other_client() {
    let program = Program::start(LIMIT, "");
    let body = form(&program, 5, 5 * MIB);
    let head = program.head("POST", UPLOAD, FORM, body.len());
    let mut held = Vec::new();
    for number in 0..20 {
        let mut stream = program.connect();
        // All but the last byte. The sandbox may already have closed the connection in favour of another.
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(&body.as_bytes()[..body.len() - 1]);
        held.push(stream);
        program.assert_is_within_its_bounds("slow uploads");
        assert_serves(&program, &format!("slow upload {number}"));
    }
    // A client that sends all of its form is served meanwhile.
    assert_eq!(program.ask_with("POST", UPLOAD, FORM, &body).status, 201);
    program.assert_is_within_its_bounds("an upload among slow ones");
    // The last of the slow clients can still end its upload.
    let mut last = held.pop().unwrap();
    if last.write_all(&body.as_bytes()[body.len() - 1..]).is_ok()
        && let Some(response) = response(&mut last)
    {
        assert_eq!(response.status, 201, "{:.200}", response.body);
    }
}

#[test]
fn uploads_without_credentials_store_and_displace_nothing() {
    let program = Program::start(LIMIT, "");
    let small = form(&program, 1, 1);
    assert_eq!(program.ask_with("POST", UPLOAD, FORM, &small).status, 201);
    let before = stored(&program);
    let large = form(&program, 5, 5 * MIB);
    for (body, status) in [(&small, 401), (&large, 413)] {
        for token in ["", "authorization: Bearer pit-wrong\r\n"] {
            let mut stream = program.connect();
            let head = format!(
                "POST {UPLOAD} HTTP/1.1\r\nhost: localhost\r\n{token}version: 2021-04-15\r\ncontent-type: {FORM}\r\n\
                 content-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            let _ = stream.write_all(body.as_bytes());
            assert_eq!(response(&mut stream).unwrap().status, status);
        }
    }
    assert_eq!(stored(&program), before);
    let accepted = program.ask("GET", "/_sandbox/requests?status=201", "").json();
    assert_eq!(accepted["requests"].as_array().map(Vec::len), Some(1));
    // Downloads need no token, and leave no trace.
    let file = program.ask("GET", "/_sandbox/files", "").json()["files"][0].clone();
    assert_eq!(file["bytes"], json!(1));
    let ledger = program.health()["memory"]["ledger"].clone();
    for _ in 0..100 {
        let mut stream = program.connect();
        let path = file["path"].as_str().unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        assert_eq!(response(&mut stream).unwrap().body, "x");
    }
    assert_eq!(program.health()["memory"]["ledger"], ledger);
}
