//! The exit codes of `send` by the outcome, compared with the sandbox's ledger.

use highlevel_sandbox::{Fault, FaultRule, FaultStage};
use highlevel_test_support::nowhere;
use serde_json::Value;

use crate::program::Setup;

struct Case {
    fault: Fault,
    stage: FaultStage,
    code: i32,
    outcome: &'static str,
}

const fn case(fault: Fault, stage: FaultStage, code: i32, outcome: &'static str) -> Case {
    Case { fault, stage, code, outcome }
}

const CASES: [Case; 15] = [
    case(Fault::BAD_REQUEST, FaultStage::Before, 4, "rejected"),
    case(Fault::UNAUTHORIZED, FaultStage::Before, 4, "rejected"),
    case(Fault::FORBIDDEN, FaultStage::Before, 4, "rejected"),
    case(Fault::UNPROCESSABLE, FaultStage::Before, 4, "rejected"),
    case(Fault::REDIRECT, FaultStage::Before, 4, "rejected"),
    case(Fault::RESET, FaultStage::Before, 5, "unknown"),
    case(Fault::RESET, FaultStage::After, 5, "unknown"),
    case(Fault::CLOSE, FaultStage::After, 5, "unknown"),
    case(Fault::GARBAGE, FaultStage::After, 5, "unknown"),
    case(Fault::INTERNAL_ERROR, FaultStage::Before, 5, "unknown"),
    case(Fault::INTERNAL_ERROR, FaultStage::After, 5, "unknown"),
    case(Fault::UNAVAILABLE, FaultStage::Before, 5, "unknown"),
    case(Fault::EMPTY_SUCCESS, FaultStage::After, 6, "accepted-unreadable"),
    case(Fault::BROKEN_JSON, FaultStage::After, 6, "accepted-unreadable"),
    case(Fault::CUT_BODY, FaultStage::After, 6, "accepted-unreadable"),
];

#[tokio::test]
async fn each_outcome_has_its_exit_code_and_agrees_with_the_ledger() {
    for Case { fault, stage, code, outcome } in CASES {
        let setup = Setup::new().await;
        let rule = FaultRule::new(fault.clone()).stage(stage).operation("sendMessage");
        let rule = setup.sandbox.add_fault(rule).expect("a rule");
        let name = format!("{} {}", fault.name(), stage.as_str());
        let file = setup.path("saved.json");
        let contact = setup.sandbox.contact_id();
        let arguments = ["send", "sms", "--json", "--save", &file, "--to-contact", contact, "Hello"];
        let run = setup.run(&arguments);
        assert_eq!(run.code, Some(code), "{name}: {run:?}");
        let json = run.json();
        assert_eq!((&json["outcome"], &json["exitCode"]), (&outcome.into(), &code.into()), "{name}");
        run.complains(&["error: send_message: ", "\nhelp: "]);
        let stored = setup.sandbox.messages();
        if matches!(outcome, "rejected" | "not-sent") {
            assert!(stored.is_empty(), "{name}");
            // The same command can be run again.
            assert!(!setup.directory.file("saved.json").exists(), "{name}");
            continue;
        }
        run.complains(&[&format!("highlevel find {file}")]);
        setup.sandbox.remove_fault(rule);

        // The file, and the output of the command, lead to the message or to none.
        let output = setup.write("output.json", &run.stdout);
        for input in [&file, &output] {
            let found = setup.run(&["find", input, "--json"]);
            match &stored[..] {
                [] => assert_eq!(
                    (found.code, &found.json()["outcome"]),
                    (Some(7), &"not-found".into()),
                    "{name}"
                ),
                [message] => {
                    assert_eq!(found.code, Some(0), "{name}: {found:?}");
                    assert_eq!(found.json()["messageId"], message.id, "{name}");
                }
                more => panic!("{name}: {} messages", more.len()),
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_where_no_server_listens() {
    let setup = Setup::new().await;
    let mut command = setup.command(&["send", "sms", "--json", "--to-contact", "c", "Hello"]);
    command.env("HIGHLEVEL_BASE_URL", format!("http://{}", nowhere().await));
    let run = setup.output(command).exits(3);
    run.complains(&["no connection to HighLevel", "nothing was sent", "refused", "highlevel doctor"]);
    assert_eq!(run.json()["error"]["retryable"], true);
}

#[tokio::test]
async fn a_rate_limit_that_ends_after_the_timeout_rejects_the_message() {
    let setup = Setup::new().await;
    let rule = FaultRule::new(Fault::status(429).header("retry-after", "100"));
    setup.sandbox.add_fault(rule).expect("a rule");
    let run = setup.run(&["send", "sms", "--json", "--timeout", "5", "--to-contact", "c", "Hello"]);
    assert!(matches!(run.code, Some(3 | 4)), "{run:?}");
    run.complains(&["help: run the command again in "]);
    assert!(setup.sandbox.messages().is_empty());
}

#[tokio::test]
async fn an_unknown_outcome_prints_a_command_that_finds_the_message() {
    let setup = Setup::new().await;
    let rule = FaultRule::new(Fault::RESET).stage(FaultStage::After).operation("sendMessage");
    setup.sandbox.add_fault(rule).expect("a rule");
    let text = "It's \"quoted\" $(id) `id` \\ Grüße 👋\u{1b}[2J\nEND\nsecond line";
    let run = setup.run(&["send", "sms", "--to-contact", setup.sandbox.contact_id(), text]).exits(5);
    let (_, script) = run.stderr.split_once("whether it was sent:\n\n").expect("a command");
    let message = setup.sandbox.messages().remove(0);
    for shell in ["sh", "bash"] {
        let mut command = setup.command(&[]);
        let program = std::path::Path::new(command.get_program()).parent().expect("a directory").to_owned();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
        command = {
            let mut in_shell = std::process::Command::new(shell);
            in_shell.args(["-c", script]).env("PATH", path).current_dir(setup.directory.path());
            for (name, value) in command.get_envs() {
                match value {
                    Some(value) => in_shell.env(name, value),
                    None => in_shell.env_remove(name),
                };
            }
            in_shell
        };
        let run = setup.output(command).exits(0);
        assert_eq!(run.stdout, format!("it was sent\n  message  {}\n", message.id), "{shell}");
    }
}

#[tokio::test]
async fn a_rejection_reports_the_reason_and_its_fix() {
    let setup = Setup::new().await;
    let run = setup.run(&["send", "sms", "--json", "--to-contact", "no-such-contact", "Hello"]).exits(4);
    run.complains(&[
        "CONTACT_NOT_FOUND",
        "help: the contact was deleted or merged",
        "highlevel contact find",
    ]);
    let error = run.json()["error"].clone();
    assert!(error["code"].as_str().is_some_and(|code| code.ends_with("CONTACT_NOT_FOUND")), "{error}");
    assert!(error["traceId"].is_string() && error["status"].is_u64(), "{error}");
    let mut command = setup.command(&["send", "sms", "--json", "--to-contact", "c", "Hello"]);
    command.env("HIGHLEVEL_TOKEN", "pit-of-another-location");
    let run = setup.output(command).exits(4);
    run.complains(&["401", "highlevel doctor"]);
    assert!(!run.stderr.contains("pit-of-another-location"));
    assert_eq!(run.json()["saved"], Value::Null);
}
