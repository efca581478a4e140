//! Commands that are interrupted or killed.

#![cfg(unix)]

use std::process::Command;
use std::time::Duration;

use highlevel_sandbox::{Fault, FaultRule, FaultStage};
use highlevel_test_support::until;

use crate::program::Setup;

fn signal(name: &str, process: u32) {
    let sent = Command::new("kill").args([name, &process.to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

#[tokio::test]
async fn an_interrupted_or_killed_command_leaves_a_request_that_can_be_found() {
    for (name, code) in [("-INT", Some(5)), ("-TERM", Some(5)), ("-KILL", None)] {
        let setup = Setup::new().await;
        let rule = FaultRule::new(Fault::SILENCE).stage(FaultStage::After).operation("sendMessage");
        let rule = setup.sandbox.add_fault(rule).expect("a rule");
        let file = setup.path("saved.json");
        let contact = setup.sandbox.contact_id();
        let arguments = ["send", "sms", "--json", "--save", &file, "--to-contact", contact, "Hello"];
        let child = setup.command(&arguments).spawn().expect("it starts");
        let sandbox = &setup.sandbox;
        until("the message is stored", Duration::from_secs(60), Duration::from_millis(5), async || {
            sandbox.messages().len() == 1
        })
        .await;
        signal(name, child.id());
        let run = setup.wait(child);
        assert_eq!(run.code, code, "{name}: {run:?}");
        if code.is_some() {
            run.complains(&[
                "interrupted; the message may have been sent",
                &format!("highlevel find {file}"),
            ]);
            assert_eq!(run.json()["outcome"], "unknown");
        }
        setup.sandbox.remove_fault(rule);
        let found = setup.run(&["find", &file, "--json"]).exits(0);
        assert_eq!(found.json()["messageId"], setup.sandbox.messages()[0].id, "{name}");
    }
}

#[tokio::test]
async fn an_interrupted_lookup_sends_nothing() {
    let setup = Setup::new().await;
    setup.sandbox.add_fault(FaultRule::new(Fault::SILENCE).stage(FaultStage::After)).expect("a rule");
    let arguments = ["send", "sms", "--json", "--phone", "+15035550142", "--search", "Hello"];
    let child = setup.command(&arguments).spawn().expect("it starts");
    let sandbox = &setup.sandbox;
    until("the request has arrived", Duration::from_secs(60), Duration::from_millis(5), async || {
        sandbox.faults().iter().any(|fault| fault.hits > 0)
    })
    .await;
    signal("-INT", child.id());
    let run = setup.wait(child).exits(3);
    assert_eq!(run.json()["outcome"], "not-sent");
    assert!(setup.sandbox.messages().is_empty());
}
