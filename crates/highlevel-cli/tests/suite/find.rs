//! `find`: the saved request, and the results that no outcome of `send` leads to.

use serde_json::{Value, json};

use crate::program::Setup;

#[tokio::test]
async fn a_saved_request_is_private_and_never_replaced() {
    let setup = Setup::new().await;
    let contact = setup.sandbox.contact_id().to_owned();
    let file = setup.path("saved.json");
    let arguments = ["send", "sms", "--save", &file, "--to-contact", &contact, "Hello"];
    setup.run(&arguments).exits(0);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let run = setup.run(&arguments).exits(2);
    run.complains(&["no message was sent", "save it to another file", &format!("highlevel find {file}")]);
    assert_eq!(setup.sandbox.messages().len(), 1);
    setup.run(&["find", &file]).exits(0);

    // `mktemp` creates an empty file.
    let empty = setup.write("empty", "");
    setup.run(&["send", "sms", "--save", &empty, "--to-contact", &contact, "Hello again"]).exits(0);
    setup.run(&["find", &empty]).exits(0);

    let absent = setup.path("absent/saved.json");
    let run = setup.run(&["send", "sms", "--save", &absent, "--to-contact", &contact, "Hello"]).exits(3);
    run.complains(&["no message was sent", "help: save it to a file that can be written"]);
    assert_eq!(setup.sandbox.messages().len(), 2);
}

#[tokio::test]
async fn equal_messages_are_ambiguous() {
    let setup = Setup::new().await;
    let contact = setup.sandbox.contact_id().to_owned();
    let file = setup.path("saved.json");
    setup.run(&["send", "sms", "--save", &file, "--to-contact", &contact, "Hello"]).exits(0);
    setup.run(&["send", "sms", "--to-contact", &contact, "Hello"]).exits(0);
    let run = setup.run(&["find", &file, "--json"]).exits(8);
    let ids: Vec<Value> = setup.sandbox.messages().iter().map(|message| json!(message.id)).collect();
    let found = run.json()["messageIds"].as_array().expect("ids").clone();
    assert!(ids.iter().all(|id| found.contains(id)), "{found:?}");
    run.complains(&["could be the one", "highlevel message show"]);
}

#[tokio::test]
async fn the_search_is_where_the_message_was_sent() {
    let setup = Setup::new().await;
    let file = setup.path("saved.json");
    setup
        .run(&["send", "sms", "--save", &file, "--to-contact", setup.sandbox.contact_id(), "Hello"])
        .exits(0);

    let mut command = setup.command(&["find", &file]);
    command.env_remove("HIGHLEVEL_LOCATION_ID");
    setup.output(command).exits(0);

    let requests = setup.sandbox.requests().len();
    setup.run(&["find", &file, "--location", "another"]).exits(2).complains(&[
        "was sent for the location",
        &format!("pass --location {}", setup.sandbox.location_id()),
    ]);
    setup.run(&["find", &file, "--base-url", "http://127.0.0.1:9"]).exits(2).complains(&[
        "but the base URL is http://127.0.0.1:9",
        &format!("pass --base-url {}", setup.sandbox.base_url()),
    ]);
    assert_eq!(setup.sandbox.requests().len(), requests);
}

#[tokio::test]
async fn files_that_are_no_saved_requests_are_rejected() {
    let setup = Setup::new().await;
    for (content, part) in [
        ("", "it is not JSON"),
        ("Hello", "it is not JSON"),
        ("[]", "not a request that `highlevel send` has saved"),
        (r#"{"format": 2}"#, "it has the format 2, which this version cannot read"),
        (r#"{"format": 1, "baseUrl": "http://127.0.0.1:1"}"#, "/attemptedAt is missing"),
        (
            r#"{"format": 1, "baseUrl": "u", "attemptedAt": "2026-01-01T00:00:00Z", "request": {}}"#,
            "/request cannot be read: missing field",
        ),
    ] {
        let run = setup.run_with_input(&["find", "-"], content).exits(2);
        run.complains(&[
            "- cannot be used: ",
            part,
            "help: pass the file that `highlevel send --save FILE` wrote",
        ]);
    }
    setup.run(&["find", "/nowhere"]).exits(2).complains(&["/nowhere cannot be read"]);
}
