//! The program: what it prints, what it takes, how it stops.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::json;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_highlevel-sandbox"))
}

#[test]
fn what_cannot_be_done_is_explained() {
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let occupied = (occupied.local_addr().unwrap().to_string(), occupied);
    let cases: &[(&[&str], i32, &[&str])] = &[
        (&["--adress", "a"], 2, &["error: there is no option --adress", "--help"]),
        (&["run"], 2, &["there is no command `run`; there is `serve`"]),
        (&["--address", "8080"], 2, &["`8080` is not an address with a port", "127.0.0.1:8080"]),
        (&["--address", "0.0.0.0:8080"], 1, &["is not a loopback address", "use 127.0.0.1:8080"]),
        (&["--address", &occupied.0], 1, &["cannot listen on 127.0.0.1:", "Another program", "127.0.0.1:0"]),
        (&["--webhook-url", "https://a.example"], 1, &["speaks no TLS", "http://127.0.0.1:3000/webhooks"]),
    ];
    for (arguments, code, words) in cases {
        let output = program().args(*arguments).output().unwrap();
        let printed = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {printed}");
        for each in *words {
            assert!(printed.contains(each), "{arguments:?}: {printed}");
        }
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_names_every_option() {
    for flag in ["--help", "-h"] {
        let output = program().arg(flag).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        for option in [
            "serve",
            "--address",
            "--webhook-url",
            "--token",
            "--rate-limit",
            "--rate-limit-window",
            "--version",
        ] {
            assert!(printed.contains(option), "{option}: {printed}");
        }
    }
    let output = program().arg("--version").output().unwrap();
    assert_eq!(output.stdout, concat!("highlevel-sandbox ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
}

#[tokio::test]
async fn it_says_what_to_use_and_what_happens() {
    let child = program().args(["serve", "--token", "pit-mine"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut running = Running(child);
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let welcome: Vec<String> = lines.by_ref().take_while(|line| !line.contains("Ctrl-C")).collect();
    let fact = |name: &str| {
        let line = welcome.iter().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.trim_start().strip_prefix(name).unwrap().trim().to_owned()
    };
    assert_eq!(fact("token"), "pit-mine");
    assert!(fact("signed by").starts_with("MCow"));
    assert!(fact("rate limit").contains("--rate-limit"));

    let send = |body| {
        let url = format!("{}/conversations/messages", fact("base URL"));
        let client = crate::caller::client();
        client.post(url).bearer_auth(fact("token")).header("Version", "2021-04-15").json(&body).send()
    };
    send(json!({"type": "SMS", "contactId": fact("contact"), "status": "pending"})).await.unwrap();
    send(json!({"type": "SMS", "contactId": "nobody"})).await.unwrap();

    let happened: Vec<String> = lines.by_ref().filter(|line| !line.is_empty()).take(2).collect();
    assert!(happened[0].contains("  201  POST /conversations/messages  SMS, message "), "{happened:?}");
    assert!(happened[1].ends_with(
        "  422  POST /conversations/messages  status is required, but it is missing (at /status)"
    ));

    #[cfg(unix)]
    {
        let pid = running.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert_eq!(running.0.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn the_welcome_says_which_limits_are_enforced() {
    for (window, words) in [("fixed", "10 s, at fixed times"), ("sliding", "any 10 s")] {
        let child = program().args(["--rate-limit-window", window]).stdout(Stdio::piped()).spawn().unwrap();
        let mut running = Running(child);
        let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map(Result::unwrap);
        let line = lines.find(|line| line.contains("rate limit")).unwrap();
        assert!(line.contains(words), "{line}");
    }
}

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
