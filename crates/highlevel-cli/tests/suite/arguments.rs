//! Help, versions, and errors of arguments and credentials.

use crate::program::Setup;

#[tokio::test]
async fn help_and_version_are_printed() {
    let setup = Setup::new().await;
    let run = setup.run(&["--help"]).exits(0);
    for part in ["Usage: highlevel", "Secrets are never arguments", "--token-file <FILE>", "send", "find"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    let expected = concat!("highlevel ", env!("CARGO_PKG_VERSION"), "\n");
    for arguments in [&["--version"][..], &["-V"], &["send", "--version"], &["send", "sms", "-V"]] {
        assert_eq!(setup.run(arguments).exits(0).stdout, expected, "{arguments:?}");
    }
    assert!(setup.run(&["send", "--help"]).exits(0).stdout.contains("Exit codes: 0 accepted by HighLevel"));
    let run = setup.run(&["send", "sms", "--help"]).exits(0);
    for part in ["--to-contact <ID>", "--upsert", "--at <TIME>", "--save <FILE>"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
}

#[tokio::test]
async fn completion_scripts_and_manual_pages_are_printed() {
    let setup = Setup::new().await;
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = setup.anonymous(&["completions", shell]).output().expect("it runs");
        let script = String::from_utf8(script.stdout).expect("UTF-8");
        for word in ["to-contact", "whatsapp", "doctor", "token-file"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let page = setup.run(&["man"]).exits(0).stdout;
    assert!(page.contains(".TH highlevel 1") && page.contains(".SH OPTIONS"), "{page}");
    let page = setup.run(&["man", "send", "sms"]).exits(0).stdout;
    assert!(page.contains("highlevel\\-send\\-sms") || page.contains("highlevel-send-sms"), "{page}");
    setup.run(&["man", "sent"]).exits(2).complains(&["there is no command `sent`"]);
}

#[tokio::test]
async fn errors_of_arguments_suggest_a_fix() {
    let setup = Setup::new().await;
    for (arguments, part) in [
        (&[][..], "Usage: highlevel"),
        (&["sent"], "a similar subcommand exists: 'send'"),
        (&["send", "sns"], "a similar subcommand exists: 'sms'"),
        (&["send", "sms", "--to-contacts", "c", "Hi"], "a similar argument exists: '--to-contact'"),
        (&["send", "sms", "--to-contact", "c", "Hi", "--subject", "s"], "unexpected argument '--subject'"),
        (&["send", "sms", "--to-contact", "c", "Hi", "--at", "tomorrow"], "2026-12-24T18:00:00+01:00"),
        (
            &["send", "sms", "--to-contact", "c", "Hi", "--at", "2026-12-24T18:00:00"],
            "a time with its offset",
        ),
        (&["send", "sms", "--to-contact", "", "Hi"], "expected a text that is not empty"),
        (&["send", "custom", "--to-contact", "c", "Hi"], "--provider <ID>"),
        (
            &["send", "sms", "--to-contact", "c", "Hi", "--timeout", "0"],
            "expected whole seconds from 1 to 86400",
        ),
        (&["send", "whatsapp", "--to-contact", "c", "--document", "https://a"], "--document-name <NAME>"),
        (&["\u{1b}[2J"], r"'\u{1b}[2J'"),
    ] {
        let run = setup.run(arguments).exits(2);
        assert!(run.stdout.is_empty(), "{run:?}");
        run.complains(&[part]);
    }
}

#[tokio::test]
async fn credentials_are_read_from_files_and_variables_only() {
    let setup = Setup::new().await;
    let contact = setup.sandbox.contact_id().to_owned();
    let send = |token_file: &str| {
        let mut command = setup.anonymous(&["send", "sms", "--to-contact", &contact, "Hello"]);
        command.env("HIGHLEVEL_TOKEN_FILE", token_file);
        setup.output(command)
    };
    for content in [setup.sandbox.token().to_owned(), format!("{}\n", setup.sandbox.token())] {
        send(&setup.write("token", content)).exits(0);
    }
    for (content, part) in [
        ("", "contains no token"),
        (" \n", "contains no token"),
        ("Bearer pit-1", "the token begins with `Bearer`"),
        ("\"pit-1\"", "the token begins with a quotation mark"),
    ] {
        send(&setup.write("token", content)).exits(2).complains(&[part]);
    }
    send(&setup.write("token", vec![b'a'; 70_000])).exits(2).complains(&["longer than 65536 bytes"]);
    send("/nowhere").exits(2).complains(&["cannot be read from /nowhere"]);
    // An empty variable counts as unset.
    send("").exits(2).complains(&["there are no credentials", "HIGHLEVEL_TOKEN", "highlevel oauth login"]);
    assert_eq!(setup.sandbox.messages().len(), 2);

    let token = setup.sandbox.token().to_owned();
    for secret in [format!("--token={token}"), format!("--client-secret={token}")] {
        setup.run(&["send", "sms", &secret, "--to-contact", &contact, "Hello"]).exits(2);
    }
    setup.run(&["send", "sms", "--token", &token, "--to-contact", &contact, "Hello"]).exits(2);
    setup.run(&["--help"]).exits(0);
    setup.run(&["send", "sms", "--help"]).exits(0);
    assert_eq!(setup.sandbox.messages().len(), 2);
}

#[tokio::test]
async fn a_token_is_not_sent_unencrypted_to_another_machine() {
    let setup = Setup::new().await;
    let arguments = ["send", "sms", "--base-url", "http://192.0.2.1", "--to-contact", "c", "Hello"];
    setup.run(&arguments).exits(2).complains(&["unencrypted to another machine", "--allow-plain-http"]);
    for (url, part) in [("ftp://a", "not an http or https address"), ("highlevel", "is not a URL")] {
        let run = setup.run(&["send", "sms", "--base-url", url, "--to-contact", "c", "Hello"]).exits(2);
        run.complains(&[part]);
    }
    let url = format!("http://user:{}@127.0.0.1:1", setup.sandbox.token());
    setup.run(&["send", "sms", "--base-url", &url, "--to-contact", "c", "Hello"]).exits(2);
}
