//! Exposure to other machines, hostile output, and the options for test runs, in real processes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::client;
use crate::process::{Running, directory, program};

const ADMIN_TOKEN: &str = "a-token-of-the-admin";

/// Sends bytes and returns the response as text.
fn raw(url: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(request).unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    String::from_utf8_lossy(&response).into_owned()
}

fn text<'a>(ready: &'a Value, name: &str) -> &'a str {
    ready[name].as_str().unwrap_or_else(|| panic!("no {name} in {ready}"))
}

/// Characters that act on a terminal: escape, C1 control sequence introducer, next line, bidirectional override.
const HOSTILE: &str = "\u{1b}[31m\u{9b}2J\u{85}ready {\u{202e}";

fn is_harmless(line: &str) -> bool {
    !line.chars().any(|character| character.is_control() || matches!(character, '\u{202a}'..='\u{202e}'))
}

#[tokio::test]
async fn request_data_is_escaped_in_the_log() {
    for arguments in [&["serve"][..], &["serve", "--json"]] {
        let mut running = Running::start(arguments.iter().copied());
        let ready = if arguments.len() == 1 {
            running.ready()
        } else {
            serde_json::from_str::<Value>(&running.line()).unwrap()["data"].clone()
        };
        let url = text(&ready, "baseUrl").to_owned();
        let body = json!({
            "type": "SMS", "contactId": ready["contactId"], "status": "pending", "message": "a", HOSTILE: 1,
        });
        let sent = client()
            .post(format!("{url}/conversations/messages"))
            .bearer_auth(text(&ready, "token"))
            .header("Version", "2021-04-15")
            .json(&body)
            .send();
        assert_eq!(sent.await.unwrap().status(), 201);
        // A type that the reason quotes, and a path with raw bytes.
        let body = json!({ "type": HOSTILE, "contactId": ready["contactId"], "status": "pending" });
        let rejected = client()
            .post(format!("{url}/conversations/messages"))
            .bearer_auth(text(&ready, "token"))
            .header("Version", "2021-04-15")
            .json(&body)
            .send();
        assert_eq!(rejected.await.unwrap().status(), 422);
        let host = url.strip_prefix("http://").unwrap();
        let request =
            format!("GET /\u{9b}31m\u{85}\u{202e}last HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        raw(&url, request.as_bytes());
        let mut seen = Vec::new();
        for line in running.rest() {
            assert!(is_harmless(&line), "{line:?}");
            assert!(!line.starts_with("ready "), "{line:?}");
            let is_last = line.contains("last");
            seen.push(line);
            if is_last {
                break;
            }
        }
        // The text is logged, escaped.
        assert!(
            seen.iter().any(|line| line.contains("\\u{1b}[31m") || line.contains("\\u001b[31m")),
            "{seen:?}"
        );
    }
}

#[test]
fn client_commands_escape_control_characters_of_responses() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let body = json!({ "server": "highlevel-sandbox", "note": HOSTILE }).to_string();
    let error = json!({ "error": HOSTILE }).to_string();
    std::thread::spawn(move || {
        for (status, body) in [("200 OK", body), ("500 Internal Server Error", error)] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        }
    });
    let output = program().args(["health", "--url", &url]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(is_harmless(printed.trim_end_matches('\n')), "{printed:?}");
    let output = program().args(["health", "--url", &url]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(printed.lines().all(is_harmless) && printed.contains("\\u{1b}[31m"), "{printed:?}");
}

#[test]
fn health_tells_a_sandbox_from_another_server() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{\"status\":\"ok\"}",
        "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).unwrap();
            stream.write_all(response.as_bytes()).unwrap();
        });
        let output = program().args(["health", "--url", &url]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{response:?}");
        let printed = String::from_utf8(output.stderr).unwrap();
        assert!(printed.contains("it is not a sandbox"), "{response:?}: {printed}");
        assert!(output.stdout.is_empty());
    }
}

#[tokio::test]
async fn admin_responses_forbid_framing_and_sniffing_and_support_head() {
    let mut running = Running::start(["serve"]);
    let ready = running.ready();
    for path in ["health", "snapshot", "clock", "nothing", "openapi.json"] {
        let url = format!("{}{path}", text(&ready, "adminUrl"));
        let get = client().get(&url).send().await.unwrap();
        for (name, expected) in [
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(get.headers()[name], expected, "{path}");
        }
        let head = client().request(Method::HEAD, &url).send().await.unwrap();
        assert_eq!(
            (head.status(), head.headers().get("content-type")),
            (get.status(), get.headers().get("content-type")),
            "{path}"
        );
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
    }
}

#[test]
fn the_sandbox_stops_when_standard_input_closes() {
    let mut command = program();
    command.args(["serve", "--until-stdin-closes", "--json"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("ready"));
    // It runs while the pipe is open.
    assert!(child.try_wait().unwrap().is_none());
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn the_sandbox_does_not_outlive_a_killed_parent() {
    let mut parent = std::process::Command::new("sh");
    // The shell keeps the write end of the pipe open by reading from a descriptor that is never closed.
    let script = format!(
        "mkfifo \"$1\"; {} serve --until-stdin-closes --json < \"$1\" & exec 3> \"$1\"; echo $!; sleep 600",
        env!("CARGO_BIN_EXE_highlevel-sandbox")
    );
    let directory = directory("parent");
    let fifo = directory.file("stdin");
    parent.args(["-c", &script, "sh", fifo.to_str().unwrap()]).stdout(Stdio::piped());
    let mut parent = parent.spawn().unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let (mut pid, mut is_ready) = (None, false);
    while pid.is_none() || !is_ready {
        let line = lines.next().unwrap().unwrap();
        match line.parse::<u32>() {
            Ok(number) => pid = Some(number),
            Err(_) => is_ready |= line.contains("\"ready\""),
        }
    }
    // Kill the shell and its `sleep`, which inherited the descriptors.
    std::process::Command::new("pkill")
        .args(["-KILL", "-P", &parent.id().to_string(), "sleep"])
        .status()
        .unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    // The output ends with the sandbox.
    for line in lines {
        assert!(line.is_ok());
    }
}

#[tokio::test]
async fn a_rng_seed_reproduces_ids_tokens_and_keys() {
    let mut runs = Vec::new();
    for seed in ["7", "7", "8"] {
        let mut running = Running::start(["serve", "--seed-rng", seed]);
        let ready = running.ready();
        let mut found =
            vec![ready["token"].clone(), ready["clientSecret"].clone(), ready["webhookPublicKey"].clone()];
        for _ in 0..3 {
            let sent = client()
                .post(format!("{}/conversations/messages", text(&ready, "baseUrl")))
                .bearer_auth(text(&ready, "token"))
                .header("Version", "2021-04-15")
                .json(&json!({"type": "SMS", "contactId": ready["contactId"], "status": "pending", "message": "a"}))
                .send()
                .await
                .unwrap();
            let body: Value = sent.json().await.unwrap();
            found.push(body["messageId"].clone());
        }
        let issued = client()
            .post(format!("{}oauth/tokens", text(&ready, "adminUrl")))
            .json(&json!({ "locationId": ready["locationId"], "scopes": ["conversations/message.write"] }))
            .send()
            .await
            .unwrap();
        let issued: Value = issued.json().await.unwrap();
        found.extend([issued["access_token"].clone(), issued["refresh_token"].clone()]);
        assert!(found.iter().all(Value::is_string), "{found:?}");
        runs.push(found);
    }
    assert_eq!(runs[0], runs[1]);
    for (seven, eight) in runs[0].iter().zip(&runs[2]) {
        assert_ne!(seven, eight);
    }
}

/// Starts a sandbox that other machines can reach. It listens on all addresses; the tests use loopback.
fn public(arguments: &[&str]) -> (Running, String, Value) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let directory = directory(&format!("token-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    let file = directory.file("token");
    std::fs::write(&file, format!("{ADMIN_TOKEN}\n")).unwrap();
    let fixed = ["serve", "--address", "0.0.0.0:0", "--public", "--admin-token-file", file.to_str().unwrap()];
    let mut running = Running::start(fixed.into_iter().chain(arguments.iter().copied()));
    let ready = running.ready();
    let url = text(&ready, "baseUrl").replace("0.0.0.0", "127.0.0.1");
    (running, url, ready)
}

#[tokio::test]
async fn a_public_sandbox_delivers_to_no_loopback_target_by_default() {
    let (_running, url, _) = public(&[]);
    let own = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = own.local_addr().unwrap().port();
    let admin = async |method: Method, path: &str, body: &Value| {
        let request = client().request(method, format!("{url}/_sandbox/{path}")).bearer_auth(ADMIN_TOKEN);
        let response = request.json(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    for host in ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "169.254.169.254", "[::ffff:127.0.0.1]"] {
        let target = format!("http://{host}:{port}/hook");
        for (method, path, body) in [
            (Method::PATCH, "webhooks", json!({ "url": target })),
            (Method::POST, "events/trigger", json!({ "event": "INSTALL", "url": target })),
            (Method::PUT, "providers/p", json!({ "deliveryUrl": target })),
            (
                Method::POST,
                "oauth/apps",
                json!({ "clientId": "a-b", "clientSecret": "c", "webhookUrl": target }),
            ),
        ] {
            let (status, response) = admin(method, path, &body).await;
            assert!((400..500).contains(&status), "{path} {target}: {status} {response}");
            assert!(response.contains("--webhook-allow"), "{path} {target}: {response}");
        }
    }
    // A name that resolves to this machine is accepted as a setting, and rejected when it is connected to.
    own.set_nonblocking(true).unwrap();
    assert!(own.accept().is_err(), "something was delivered");

    let allow = format!("127.0.0.1:{port}");
    let (_running, url, _) = public(&["--webhook-allow", &allow]);
    let request = client().patch(format!("{url}/_sandbox/webhooks")).bearer_auth(ADMIN_TOKEN);
    let allowed = request.json(&json!({ "url": format!("http://{allow}/hook") })).send().await.unwrap();
    assert!(allowed.status().is_success(), "{}", allowed.text().await.unwrap());
}

#[tokio::test]
async fn a_public_sandbox_accepts_its_base_url_and_local_names_as_host() {
    let (_running, _, ready) = public(&["--base-url", "https://sandbox.example"]);
    assert_eq!(ready["baseUrl"], "https://sandbox.example");
    let port = text(&ready, "address").rsplit_once(':').unwrap().1.to_owned();
    let url = format!("http://127.0.0.1:{port}");
    for (host, expected) in [
        ("sandbox.example", 200),
        ("127.0.0.1", 200),
        ("10.1.2.3:4010", 200),
        ("sandbox:4010", 200),
        ("evil.example", 403),
        ("sandbox.example.evil.example", 403),
    ] {
        let response =
            client().get(format!("{url}/_sandbox/health")).header("host", host).send().await.unwrap();
        assert_eq!(response.status(), expected, "{host}");
    }
    // A form of the inspector, as a browser sends it through a proxy that terminates TLS.
    for (origin, expected) in [("https://sandbox.example", 303), ("https://evil.example", 403)] {
        let response = crate::caller::client_without_redirects()
            .post(format!("{url}/_sandbox/ui/sign-in"))
            .header("host", "sandbox.example")
            .header("origin", origin)
            .form(&[("token", ADMIN_TOKEN)])
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), expected, "{origin}");
    }
}

#[tokio::test]
async fn invalid_admin_tokens_are_logged() {
    let mut command = program();
    command
        .args(["serve", "--json", "--address", "127.0.0.1:0"])
        .env("HIGHLEVEL_SANDBOX_ADMIN_TOKEN", ADMIN_TOKEN)
        .stderr(Stdio::piped());
    let mut running = Running::of(command);
    let ready: Value = serde_json::from_str(&running.line()).unwrap();
    let clock = format!("{}clock", text(&ready["data"], "adminUrl"));
    for token in ["wrong", "a-token-of-the-admim", ADMIN_TOKEN] {
        let expected = if token == ADMIN_TOKEN { 200 } else { 401 };
        let response = client().get(&clock).bearer_auth(token).send().await.unwrap();
        assert_eq!(response.status(), expected, "{token}");
    }
    let mut errors = running.errors();
    for _ in 0..2 {
        let line = errors.next().unwrap().unwrap();
        assert!(line.contains("WARN") && line.contains("an invalid admin token"), "{line}");
    }
}
