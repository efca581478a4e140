//! The program: its output, its client commands, and its shutdown.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::caller::client;
use crate::process::{Running, directory, program};

/// Sends a message with the values of the `ready` line.
async fn send(ready: &Value, body: &Value) -> u16 {
    let url = format!("{}/conversations/messages", ready["baseUrl"].as_str().unwrap());
    let request =
        client().post(url).bearer_auth(ready["token"].as_str().unwrap()).header("Version", "2021-04-15");
    request.json(body).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn the_welcome_and_the_log_are_for_people_and_programs() {
    let mut running = Running::start(["serve", "--token", "pit-mine"]);
    let mut welcome = Vec::new();
    while !welcome.last().is_some_and(|line: &String| line.starts_with("ready ")) {
        welcome.push(running.line());
    }
    let fact = |name: &str| {
        let line = welcome.iter().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.trim_start().strip_prefix(name).unwrap().trim().to_owned()
    };
    let ready: Value = serde_json::from_str(&fact("ready ")).unwrap();
    for (name, key) in [
        ("base URL", "baseUrl"),
        ("token", "token"),
        ("location", "locationId"),
        ("contact", "contactId"),
        ("conversation", "conversationId"),
        ("provider", "conversationProviderId"),
        ("app", "appId"),
        ("client id", "clientId"),
        ("client secret", "clientSecret"),
        ("signed by", "webhookPublicKey"),
        ("admin API", "adminUrl"),
        ("export HIGHLEVEL_SANDBOX_URL=", "baseUrl"),
    ] {
        assert_eq!(ready[key], fact(name).as_str(), "{name}");
    }
    assert_eq!(ready["token"], "pit-mine");
    assert!(fact("signed by").starts_with("MCow"));
    assert!(fact("rate limit").contains("--rate-limit"));

    let contact = &ready["contactId"];
    assert_eq!(
        send(&ready, &json!({"type": "SMS", "contactId": contact, "status": "pending", "message": "Hello"}))
            .await,
        201
    );
    let misspelt = json!({"type": "SMS", "contactId": contact, "status": "new", "message": "Hello"});
    assert_eq!(send(&ready, &misspelt).await, 422);
    let happened: Vec<String> = running.rest().filter(|line| !line.is_empty()).take(2).collect();
    assert!(happened[0].contains("  201  POST /conversations/messages  SMS, message "), "{happened:?}");
    let words =
        "  422  POST /conversations/messages  status must be one of delivered, failed, pending, read; ";
    assert!(happened[1].contains(words), "{happened:?}");
}

/// Starts the program on a free port. Returns its credentials, and the names of those that have a test value.
fn credentials(arguments: &[&str]) -> ([String; 3], Vec<String>) {
    let mut running = Running::start(["serve", "--address", "127.0.0.1:0"].iter().chain(arguments).copied());
    let ready = running.ready();
    let names =
        ready["testCredentials"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
    let values =
        ["token", "clientSecret", "webhookPublicKey"].map(|name| ready[name].as_str().unwrap().to_owned());
    (values, names.collect())
}

#[test]
fn credentials_are_fixed_unless_others_are_wanted() {
    let directory = directory("credentials");
    let state = directory.file("state");
    let state = ["--state", state.to_str().unwrap()];
    let fixed = [
        "pit-00000000-0000-4000-8000-000000000000",
        "00000000-0000-4000-8000-000000000000",
        // Derived by Node.js and by the Python package cryptography.
        "MCowBQYDK2VwAyEAogyL0UPaCJbb+XMFjju/dTfh0ajpUD0n8FPUaseoLrE=",
    ];
    let all = ["token", "clientSecret", "webhookPublicKey"];
    for (arguments, expected) in [
        (&[][..], &all[..]),
        (&["--token", "pit-mine"], &all[1..]),
        (&["--seed-rng", "7"], &[]),
        (&["--random-credentials"], &[]),
        (&["--public", "--admin-token", "0123456789abcdef"], &[]),
    ] {
        let (values, names) = credentials(arguments);
        assert_eq!(names, expected, "{arguments:?}");
        for ((name, value), fixed) in all.iter().zip(&values).zip(fixed) {
            assert_eq!(value == fixed, expected.contains(name), "{arguments:?}: {name} is {value}");
        }
    }
    // A state file keeps those that it was created with.
    let created = credentials(&[&state[..], &["--random-credentials"]].concat());
    assert_eq!(credentials(&state), created);
    assert_ne!(credentials(&["--random-credentials"]).0, credentials(&["--random-credentials"]).0);
}

#[test]
fn a_free_port_replaces_the_default_one_if_that_is_taken() {
    // If this fails, another program has it, which is the same for the sandbox.
    let _taken = std::net::TcpListener::bind("127.0.0.1:4010");
    let mut command = program();
    command.arg("serve").stderr(Stdio::piped());
    let mut running = Running::of(command);
    let url = running.ready()["baseUrl"].as_str().unwrap().to_owned();
    let note = running.errors().next().unwrap().unwrap();
    assert_eq!(note, format!("note: port 4010 is taken, perhaps by another sandbox; this one is at {url}"));
    assert_ne!(url, "http://127.0.0.1:4010");
    assert!(program().args(["health", "--url", &url]).output().unwrap().status.success());
}

#[tokio::test]
async fn every_line_of_a_json_log_is_an_object() {
    let mut running = Running::start(["--json"]);
    let mut next = || serde_json::from_str::<Value>(&running.line()).unwrap();
    let first = next();
    assert_eq!(first["event"], "ready");
    let ready = &first["data"];
    let contact = &ready["contactId"];
    assert_eq!(
        send(ready, &json!({"type": "SMS", "contactId": contact, "status": "pending", "message": "Hello"}))
            .await,
        201
    );
    let mut lines = vec![next()];
    while lines.last().unwrap()["event"] != "request" {
        lines.push(next());
    }
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["message", "request"]);
    assert_eq!(lines[1]["data"]["messageId"], lines[0]["data"]["id"]);
}

#[test]
fn the_welcome_names_the_enforced_limits() {
    for (window, words) in [("fixed", "10 s, at fixed times"), ("sliding", "any 10 s")] {
        let running = Running::start(["--rate-limit-window", window]);
        let line = running.rest().find(|line| line.contains("rate limit")).unwrap();
        assert!(line.contains(words), "{line}");
    }
}

#[tokio::test]
async fn the_health_command_finds_the_sandbox() {
    let mut running = Running::start(["--admin-token", "secret"]);
    let url = running.ready()["baseUrl"].as_str().unwrap().to_owned();
    let output = program().args(["health", "--url", &url]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["status"], "ok");
    let output = program().arg("health").env("HIGHLEVEL_SANDBOX_URL", &url).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn commands_report_that_no_webhook_url_is_set() {
    let mut running = Running::start(["serve"]);
    let url = running.ready()["baseUrl"].as_str().unwrap().to_owned();
    let run = |arguments: &[&str]| {
        let output = program().args(arguments).env("HIGHLEVEL_SANDBOX_URL", &url).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap(), output.stdout)
    };
    let (code, problem, _) = run(&["trigger", "INSTALL"]);
    assert_eq!(code, Some(1));
    assert!(problem.contains("--webhook-url") && problem.contains("--to URL"), "{problem}");
    let (code, note, stdout) = run(&["simulate", "inbound"]);
    assert_eq!(code, Some(0));
    assert!(note.starts_with("note: no event was sent, because no webhook URL is set"), "{note}");
    assert_eq!(serde_json::from_slice::<Value>(&stdout).unwrap()["direction"], "inbound");

    let target = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("http://{}/", target.local_addr().unwrap());
    let mut running = Running::start(["serve", "--webhook-url", &to]);
    let url = running.ready()["baseUrl"].as_str().unwrap().to_owned();
    let output = program().args(["simulate", "inbound"]).env("HIGHLEVEL_SANDBOX_URL", &url).output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[cfg(unix)]
#[tokio::test]
async fn it_stops_cleanly_under_load_with_open_streams_and_unread_output() {
    let mut running = Running::start(["--json"]);
    let ready = serde_json::from_str::<Value>(&running.line()).unwrap()["data"].clone();
    let events = format!("{}events", ready["adminUrl"].as_str().unwrap());
    let client = client();
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = client.get(&events).send().await.unwrap();
        // The stream has started.
        assert!(stream.chunk().await.unwrap().is_some());
        streams.push(stream);
    }
    // More than fits into the pipe of the output, which is not read.
    let long = json!({"type": "SMS", "contactId": ready["contactId"], "status": "pending", "message": "x".repeat(100_000)});
    for _ in 0..5 {
        assert_eq!(send(&ready, &long).await, 201);
    }
    let load: Vec<_> = (0..8)
        .map(|_| {
            let (ready, client) = (ready.clone(), client.clone());
            tokio::spawn(async move {
                let url = format!("{}/conversations/messages", ready["baseUrl"].as_str().unwrap());
                let body =
                    json!({"type": "SMS", "contactId": ready["contactId"], "status": "pending", "message": "a"});
                let mut answered = 0;
                loop {
                    let request = client.post(&url).bearer_auth(ready["token"].as_str().unwrap());
                    match request.header("Version", "2021-04-15").json(&body).send().await {
                        Ok(response) => assert_eq!(response.status(), 201),
                        Err(_) => return answered,
                    }
                    answered += 1;
                }
            })
        })
        .collect();
    // The load has started once another request has been served.
    let read = json!({"type": "SMS", "contactId": ready["contactId"], "status": "read", "message": "Hello"});
    assert_eq!(send(&ready, &read).await, 201);
    let status = tokio::task::spawn_blocking(move || running.terminate()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{status:?}");
    for task in load {
        task.await.unwrap();
    }
    for mut stream in streams {
        // A truncated stream would return an error.
        while stream.chunk().await.unwrap().is_some() {}
    }
}
