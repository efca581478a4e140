//! Formats a request as a cURL command.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::ledger::RecordedRequest;
use crate::operation::Operation;
use crate::shell::quoted;

/// The maximum size of a body that is part of the command, in bytes.
const LONGEST: usize = 64 * 1024;
/// The placeholders of redacted secrets, plain and form-encoded.
const REDACTED: [&str; 2] = ["'[redacted]'", "=%5Bredacted%5D"];
/// Headers that curl sets itself.
const OWN_HEADERS: [&str; 8] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "accept-encoding",
    "user-agent",
    "expect",
    "authorization",
];

/// A command for a POSIX shell.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Curl {
    pub(super) command: String,
    /// `true` if the command reads the body from the file offered for download.
    pub(super) needs_file: bool,
    /// `true` if the command reads a token from the environment.
    pub(super) needs_token: bool,
    /// `true` if secrets in the body are redacted.
    pub(super) lacks_secrets: bool,
    /// Headers that are omitted because their value is not stored.
    pub(super) left_out: Vec<String>,
}

impl Curl {
    /// Builds the command that sends a request to the sandbox at `base_url`.
    pub(super) fn of(request: &RecordedRequest, base_url: &str) -> Self {
        let path =
            if request.path.starts_with('/') { request.path.clone() } else { format!("/{}", request.path) };
        let body = &request.body;
        let text = std::str::from_utf8(body).ok().filter(|text| !text.contains('\0'));
        let needs_file = body.len() > LONGEST;
        // Only the start of its form is stored.
        let is_upload = request.operation == Some(Operation::UploadFiles);

        let mut words = match request.method.as_str() {
            "HEAD" => vec!["--head".to_owned()],
            method => vec![format!("-X {}", word(method))],
        };
        if path.contains(['[', ']', '{', '}']) {
            words.push("--globoff".to_owned());
        }
        if path.split(['/', '?']).any(|segment| matches!(segment, "." | "..")) {
            words.push("--path-as-is".to_owned());
        }
        words.push(quoted(&format!("{base_url}{path}")));
        let mut command = format!("curl {}", words.join(" "));
        let mut add = |option: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = write!(command, " \\\n  {option} {value}");
        };

        let scheme = request.header("authorization").and_then(|value| value.strip_suffix(" [redacted]"));
        if let Some(scheme) = scheme {
            add("-H", &format!("\"Authorization: {scheme} $HIGHLEVEL_TOKEN\""));
        }
        let mut left_out = Vec::new();
        if scheme.is_none() && request.header("authorization").is_some() {
            left_out.push("authorization".to_owned());
        }
        for (name, value) in request.headers.iter() {
            let is_own = OWN_HEADERS.contains(&name) || (is_upload && name == "content-type");
            if is_own || (name == "accept" && value == "*/*") {
                continue;
            }
            match value {
                "[redacted]" => left_out.push(name.to_owned()),
                // Without the semicolon curl would not send the header.
                "" => add("-H", &quoted(&format!("{name};"))),
                value => add("-H", &quoted(&format!("{name}: {value}"))),
            }
        }
        if !body.is_empty() && request.header("content-type").is_none() {
            // Otherwise curl would set the content type of a form.
            add("-H", "'content-type:'");
        }
        let mut piped = None;
        match text {
            _ if body.is_empty() => {}
            _ if is_upload => {
                add("-F", "conversationId=CONVERSATION_ID");
                add("-F", "fileAttachment=@FILE");
            }
            _ if needs_file => add("--data-binary", &quoted(&format!("@{}", file_name(request)))),
            Some(text) => add("--data-raw", &quoted(text)),
            None => {
                piped = Some(STANDARD.encode(body));
                add("--data-binary", "@-");
            }
        }
        if let Some(digits) = piped {
            command = format!("printf %s '{digits}' | base64 -d | {command}");
        }
        let lacks_secrets = request.operation.is_none() && REDACTED.iter().any(|mark| command.contains(mark));
        Self { command, needs_file, needs_token: scheme.is_some(), lacks_secrets, left_out }
    }
}

/// Returns the file name of a request body.
pub(super) fn file_name(request: &RecordedRequest) -> String {
    format!("request-{}.txt", request.id)
}

/// Quotes a word if necessary.
fn word(text: &str) -> String {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_plain { text.to_owned() } else { quoted(text) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::headers::RecordedHeaders;

    const BASE: &str = "http://127.0.0.1:8080";

    fn request(body: &[u8]) -> RecordedRequest {
        RecordedRequest {
            id: "0f7b1c9e".to_owned(),
            method: "POST".to_owned(),
            path: "/conversations/messages".to_owned(),
            body: body.to_vec(),
            ..RecordedRequest::default()
        }
    }

    fn headers(pairs: &[(&str, &str)]) -> RecordedHeaders {
        pairs.iter().copied().collect()
    }

    /// Runs a command with a stub of `curl` in a real shell. Returns its arguments and its standard input.
    fn run(command: &str) -> (Vec<String>, Vec<u8>) {
        let reads = if command.contains("| curl") { "printf '\\0'; cat" } else { ":" };
        let script = format!("curl() {{ printf '%s\\0' \"$@\"; {reads}; }}\n{command}");
        let output =
            Command::new("sh").args(["-c", &script]).env("HIGHLEVEL_TOKEN", "a b$c").output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{script}: {output:?}");
        let end = if reads == ":" {
            output.stdout.len()
        } else {
            output.stdout.windows(2).position(|pair| pair == [0, 0]).unwrap() + 1
        };
        let (arguments, rest) = output.stdout.split_at(end);
        let mut arguments: Vec<String> = arguments
            .split(|byte| *byte == 0)
            .map(|each| String::from_utf8(each.to_vec()).unwrap())
            .collect();
        assert_eq!(arguments.pop().as_deref(), Some(""));
        (arguments, rest.get(1..).unwrap_or_default().to_vec())
    }

    #[test]
    fn a_shell_reads_every_body_back() {
        let bodies = [
            r#"{"message":"Hello"}"#,
            "it's",
            "'",
            "''\\''",
            "$HOME `id` $(id) ${x} !!",
            "a\nb\r\n\n",
            "\\n \\' \\",
            "@/etc/passwd",
            "-d",
            "é 😀 \u{202e}",
            "\"double\"",
            " ",
            "*?[a-z]~",
            ";|&><#\t\u{1b}[31m",
        ];
        for body in bodies {
            let curl = Curl::of(&request(body.as_bytes()), BASE);
            let expected = [
                "-X",
                "POST",
                "http://127.0.0.1:8080/conversations/messages",
                "-H",
                "content-type:",
                "--data-raw",
                body,
            ];
            assert_eq!(run(&curl.command).0, expected, "{}", curl.command);
        }
    }

    #[test]
    fn a_shell_reads_bytes_back() {
        for body in [&b"\xff\x00\xfe"[..], b"a\0b", b"\x80"] {
            let curl = Curl::of(
                &RecordedRequest { headers: headers(&[("content-type", "a/b")]), ..request(body) },
                BASE,
            );
            let (arguments, read) = run(&curl.command);
            assert_eq!(arguments[3..], ["-H", "content-type: a/b", "--data-binary", "@-"]);
            assert_eq!(read, body);
        }
    }

    #[test]
    fn the_form_of_an_upload_has_placeholders() {
        let upload = RecordedRequest {
            operation: Some(Operation::UploadFiles),
            headers: headers(&[
                ("content-type", "multipart/form-data; boundary=a"),
                ("version", "2021-04-15"),
            ]),
            ..request(b"--a\r\n")
        };
        let arguments = run(&Curl::of(&upload, BASE).command).0;
        let form = ["-F", "conversationId=CONVERSATION_ID", "-F", "fileAttachment=@FILE"];
        assert_eq!(arguments[3..], [&["-H", "version: 2021-04-15"], &form[..]].concat());
    }

    #[test]
    fn headers_are_those_that_matter() {
        let sent = headers(&[
            ("host", "127.0.0.1:8080"),
            ("authorization", "Bearer [redacted]"),
            ("version", "2021-04-15"),
            ("content-type", "application/json"),
            ("content-length", "2"),
            ("accept", "*/*"),
            ("user-agent", "mine/1"),
            ("cookie", "[redacted]"),
            ("x-quoted", "it's \"$x\""),
            ("x-empty", ""),
        ]);
        let curl = Curl::of(&RecordedRequest { headers: sent, ..request(b"{}") }, BASE);
        let expected = [
            "-X",
            "POST",
            "http://127.0.0.1:8080/conversations/messages",
            "-H",
            "Authorization: Bearer a b$c",
            "-H",
            "version: 2021-04-15",
            "-H",
            "content-type: application/json",
            "-H",
            "x-quoted: it's \"$x\"",
            "-H",
            "x-empty;",
            "--data-raw",
            "{}",
        ];
        assert_eq!(run(&curl.command).0, expected, "{}", curl.command);
        assert!(curl.needs_token);
        assert_eq!(curl.left_out, ["cookie"]);

        let basic = headers(&[("authorization", "[redacted]")]);
        let curl = Curl::of(&RecordedRequest { headers: basic, ..request(b"") }, BASE);
        assert_eq!((curl.needs_token, curl.left_out), (false, vec!["authorization".to_owned()]));
    }

    #[test]
    fn what_curl_would_read_otherwise_is_said() {
        let cases = [
            ("GET", "/a?b=c&d=e", "-X|GET|http://127.0.0.1:8080/a?b=c&d=e"),
            ("HEAD", "/a", "--head|http://127.0.0.1:8080/a"),
            ("a'b", "/'$x", "-X|a'b|http://127.0.0.1:8080/'$x"),
            ("GET", "/a[1-9]", "-X|GET|--globoff|http://127.0.0.1:8080/a[1-9]"),
            ("GET", "/a/../b", "-X|GET|--path-as-is|http://127.0.0.1:8080/a/../b"),
            ("OPTIONS", "*", "-X|OPTIONS|http://127.0.0.1:8080/*"),
        ];
        for (method, path, expected) in cases {
            let request =
                RecordedRequest { method: method.to_owned(), path: path.to_owned(), ..request(b"") };
            assert_eq!(run(&Curl::of(&request, BASE).command).0.join("|"), expected);
        }
    }

    #[test]
    fn missing_secrets_are_said() {
        for (body, expected) in
            [("a=b&code=%5Bredacted%5D", true), ("[redacted]", true), ("{\"message\":\"[redacted]\"}", false)]
        {
            assert_eq!(Curl::of(&request(body.as_bytes()), BASE).lacks_secrets, expected, "{body}");
        }
    }

    #[test]
    fn a_long_body_is_a_file() {
        let curl = Curl::of(&request(&vec![b'a'; LONGEST + 1]), BASE);
        assert!(curl.needs_file && curl.command.len() < 1_000);
        assert_eq!(run(&curl.command).0.last().map(String::as_str), Some("@request-0f7b1c9e.txt"));
    }
}
