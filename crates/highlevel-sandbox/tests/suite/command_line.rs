//! The command line: help, errors of arguments and of commands, completion scripts and manual pages.

use std::process::Output;

use crate::process::{directory, program};

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).env("COLUMNS", "100").output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// Asserts that the arguments succeed without a word on standard error, and returns the output.
#[track_caller]
fn successful(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""), "{arguments:?}");
    stdout(&output).to_owned()
}

#[test]
fn help_of_every_command() {
    for (name, arguments) in [
        ("help", &["--help"][..]),
        ("help-short", &["-h"]),
        ("help-serve", &["serve", "--help"]),
        ("help-health", &["health", "--help"]),
        ("help-trigger", &["trigger", "--help"]),
        ("help-simulate", &["simulate", "--help"]),
        ("help-simulate-inbound", &["simulate", "inbound", "--help"]),
        ("help-simulate-call", &["simulate", "call", "--help"]),
        ("help-simulate-status", &["simulate", "status", "--help"]),
        ("help-mcp", &["mcp", "--help"]),
        ("help-completions", &["completions", "--help"]),
        ("help-man", &["man", "--help"]),
    ] {
        insta::assert_snapshot!(name, successful(arguments));
    }
}

#[test]
fn help_shows_no_admin_token_of_the_environment() {
    for command in [&["--help"][..], &["health", "--help"]] {
        let output = program().args(command).env("HIGHLEVEL_SANDBOX_ADMIN_TOKEN", "secret-of-mine").output();
        assert!(!stdout(&output.unwrap()).contains("secret-of-mine"), "{command:?}");
    }
}

#[test]
fn every_command_prints_the_version() {
    let expected = concat!("highlevel-sandbox ", env!("CARGO_PKG_VERSION"), "\n");
    for arguments in [&["--version"][..], &["-V"], &["serve", "--version"], &["health", "-V"]] {
        assert_eq!(successful(arguments), expected, "{arguments:?}");
    }
}

#[test]
fn completion_scripts_know_commands_and_options() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = successful(&["completions", shell]);
        for word in ["simulate", "strictness", "documented", "until-stdin-closes"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn manual_pages_are_roff() {
    let page = successful(&["man"]);
    assert!(page.contains(".TH highlevel-sandbox 1") && page.contains(".SH OPTIONS"), "{page}");
    let page = successful(&["man", "trigger"]);
    assert!(
        page.contains("highlevel\\-sandbox\\-trigger") || page.contains("highlevel-sandbox-trigger"),
        "{page}"
    );
}

/// Arguments that cannot be used, the exit code, and parts of the error.
struct Failure<'a> {
    arguments: &'a [&'a str],
    code: i32,
    error: &'a [&'a str],
}

#[track_caller]
fn assert_fails(Failure { arguments, code, error }: Failure<'_>) {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
    for part in error {
        assert!(stderr(&output).contains(part), "{arguments:?}: {}", stderr(&output));
    }
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

#[test]
fn errors_of_arguments_suggest_what_was_meant() {
    for (arguments, error) in [
        (
            &["--adress", "a"][..],
            &["error: unexpected argument '--adress'", "similar argument exists: '--address'"][..],
        ),
        (
            &["trigge"],
            &["unrecognized subcommand 'trigge'", "a similar subcommand exists: 'trigger'", "--help"],
        ),
        (&["run"], &["unrecognized subcommand 'run'", "Usage: highlevel-sandbox", "try '--help'"]),
        (
            &["--address", "8080"],
            &["invalid value '8080' for '--address <ADDRESS>'", "for example 127.0.0.1:8080"],
        ),
        (&["--strictness", "documentd"], &["a similar value exists: 'documented'"]),
        (&["--json", "health"], &["the subcommand 'health' cannot be used with '--json'"]),
        (&["simulate"], &["Usage: highlevel-sandbox simulate", "inbound", "status"]),
        (&["health", "extra"], &["unexpected argument 'extra' found"]),
    ] {
        assert_fails(Failure { arguments, code: 2, error });
    }
}

#[test]
fn errors_of_arguments_do_not_act_on_the_terminal() {
    let output = run(&["\u{1b}[2J\u{9b}\u{202e}"]);
    assert_eq!(output.status.code(), Some(2));
    let error = stderr(&output);
    assert!(error.contains(r"'\u{1b}[2J\u{9b}\u{202e}'"), "{error:?}");
    assert!(error.chars().all(|character| character == '\n' || !character.is_control()), "{error:?}");
}

#[test]
fn errors_of_commands_name_the_fix() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let occupied = listener.local_addr().unwrap().to_string();
    let directory = directory("explained");
    let seed = directory.file("seed.yaml");
    std::fs::write(&seed, "contacts: [{id: a, colour: red}]").unwrap();
    let foreign = directory.file("notes.txt");
    std::fs::write(&foreign, "not a database").unwrap();
    for (arguments, error) in [
        (
            &["--address", "0.0.0.0:8080"][..],
            &["is not a loopback address", "use 127.0.0.1:8080", "--public"][..],
        ),
        (&["--address", "0.0.0.0:8080", "--public"], &["set an admin token", "--admin-token-file"]),
        (
            &["--admin-token-file", "/nowhere"],
            &["the admin token cannot be read from /nowhere: No such file"],
        ),
        (&["--address", &occupied], &["cannot listen on 127.0.0.1:", "help: another program", "127.0.0.1:0"]),
        (
            &["--webhook-url", "https://a.example"],
            &["https is not supported", "http://127.0.0.1:3000/webhooks"],
        ),
        (&["--seed", "/nowhere"], &["/nowhere: No such file"]),
        (&["--seed", seed.to_str().unwrap()], &["seed.yaml: the seed cannot be read", "colour"]),
        (&["--state", foreign.to_str().unwrap()], &["notes.txt is not a state file of the sandbox"]),
        (
            &["health", "--url", "http://127.0.0.1:1"],
            &["no sandbox responds at http://127.0.0.1:1", "start one, or pass the URL", "--url"],
        ),
        (&["health", "--url", "not a url"], &["no request can be sent to not a url/_sandbox/health"]),
    ] {
        assert_fails(Failure { arguments, code: 1, error });
    }
    assert_eq!(std::fs::read_to_string(foreign).unwrap(), "not a database");
}
