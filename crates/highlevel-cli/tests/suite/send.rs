//! `send`: the requests of each channel, and the receipts.

use highlevel_sandbox::{ProviderKind, Refusal, Sandbox};
use serde_json::{Value, json};

use crate::program::Setup;

/// A command line after `send`, and the fields of the request that the sandbox stores.
struct Case {
    arguments: Vec<String>,
    input: &'static str,
    channel: &'static str,
    request: Value,
}

fn case(line: &str, channel: &'static str, request: Value) -> Case {
    let arguments = line.split(' ').map(|word| word.replace('_', " ")).collect();
    Case { arguments, input: "", channel, request }
}

#[tokio::test]
async fn each_channel_sends_its_fields() {
    // The contact has written on no channel.
    let sandbox = Sandbox::builder().without_refusal(Refusal::ChatNoLongerActive).start().await;
    let setup = Setup::with(sandbox.expect("a sandbox"));
    let custom = setup.sandbox.provider_id(ProviderKind::CustomSms).to_owned();
    let sms_provider = setup.sandbox.conversation_provider_id().to_owned();
    let html = setup.write("mail.html", "<p>Thank you!</p>\n");
    let schedule = json!({ "message": "Later", "scheduledTimestamp": 4_102_444_800_i64 });
    let cases = [
        case("sms Hello", "SMS", json!({ "message": "Hello" })),
        case("sms -- -50%", "SMS", json!({ "message": "-50%" })),
        case("sms Later --at 2100-01-01T01:00:00+01:00", "SMS", schedule),
        case(
            "sms Menu --attachment https://example.com/a.pdf --attachment https://example.com/b.pdf",
            "SMS",
            json!({ "attachments": ["https://example.com/a.pdf", "https://example.com/b.pdf"] }),
        ),
        case("sms --attachment https://example.com/a.pdf", "SMS", json!({ "message": null })),
        case(
            "sms Hi --from-number +1_(503)_555-0100 --to-number +15037081210 --user ada",
            "SMS",
            json!({ "fromNumber": "+15035550100", "toNumber": "+15037081210", "userId": "ada" }),
        ),
        case(
            &format!("sms Hi --provider {sms_provider}"),
            "SMS",
            json!({ "conversationProviderId": sms_provider }),
        ),
        case(
            "email Line_&_more --subject Order_confirmed --cc ops@example.com --cc b@example.com --bcc c@example.com",
            "Email",
            json!({
                "subject": "Order confirmed", "message": "Line & more", "html": "Line &amp; more",
                "emailCc": ["ops@example.com", "b@example.com"], "emailBcc": ["c@example.com"],
            }),
        ),
        case(
            &format!("email --html {html}"),
            "Email",
            json!({ "html": "<p>Thank you!</p>", "message": null }),
        ),
        case(
            &format!("email Text --html {html}"),
            "Email",
            json!({ "html": "<p>Thank you!</p>", "message": "Text" }),
        ),
        case("whatsapp Hello", "WhatsApp", json!({ "message": "Hello" })),
        case(
            "whatsapp --document https://example.com/menu.pdf --document-name menu.pdf",
            "WhatsApp",
            json!({ "whatsapp": { "type": "media", "media": {
                "type": "document", "url": "https://example.com/menu.pdf", "name": "menu.pdf",
            } } }),
        ),
        case("rcs Hello", "RCS", json!({ "message": "Hello" })),
        case("instagram Hello", "IG", json!({ "message": "Hello" })),
        case("facebook Hello", "FB", json!({ "message": "Hello" })),
        case("tiktok Hello", "TIKTOK", json!({ "message": "Hello" })),
        case("live-chat Hello", "Live_Chat", json!({ "message": "Hello" })),
        case(
            &format!("custom Hello --provider {custom}"),
            "Custom",
            json!({ "message": "Hello", "conversationProviderId": custom }),
        ),
        case(
            "comment please_call --mention user-1=Ada",
            "InternalComment",
            json!({ "message": "@Ada<userId>user-1</userId> please call", "mentions": ["user-1"] }),
        ),
        Case { input: "From a pipe\n", ..case("sms", "SMS", json!({ "message": "From a pipe" })) },
        Case { input: "Two\nlines\r\n", ..case("sms -", "SMS", json!({ "message": "Two\nlines" })) },
        Case { input: "<p>Hi</p>", ..case("email --html -", "Email", json!({ "html": "<p>Hi</p>" })) },
    ];
    for Case { arguments, input, channel, request } in cases {
        let before = setup.sandbox.messages().len();
        let to = ["--to-contact", setup.sandbox.contact_id()];
        let mut line: Vec<&str> = vec!["send", &arguments[0]];
        line.extend(to);
        line.extend(arguments[1..].iter().map(String::as_str));
        let run = setup.run_with_input(&[&["--json"], &line[..]].concat(), input).exits(0);
        let messages = setup.sandbox.messages();
        assert_eq!(messages.len(), before + 1, "{line:?}");
        let stored = messages.last().expect("a message");
        assert_eq!(stored.request["type"], channel, "{line:?}");
        for (name, value) in request.as_object().expect("fields") {
            assert_eq!(&stored.request[name], value, "{line:?}: {name}");
        }
        let receipt = run.json();
        assert_eq!(receipt["messageId"], stored.id, "{line:?}");
        assert_eq!(receipt["conversationId"], stored.conversation_id, "{line:?}");
        assert_eq!((&receipt["outcome"], &receipt["exitCode"]), (&json!("accepted"), &json!(0)), "{line:?}");
    }
}

#[tokio::test]
async fn the_receipt_is_printed_for_people() {
    let setup = Setup::new().await;
    let contact = setup.sandbox.contact_id().to_owned();
    let run = setup
        .run(&["send", "sms", "--to-contact", &contact, "Hello", "--at", "2100-01-01T00:00:00Z"])
        .exits(0);
    let message = &setup.sandbox.messages()[0];
    let expected = format!(
        "accepted by HighLevel: SMS\n  message        {}\n  conversation   {}\n  contact        {contact}\n  \
         scheduled for  2100-01-01T00:00:00.000Z\n",
        message.id, message.conversation_id
    );
    assert_eq!((run.stdout, run.stderr.as_str()), (expected, ""));
}

#[tokio::test]
async fn a_message_without_content_is_not_sent() {
    let setup = Setup::new().await;
    let to = ["--to-contact", setup.sandbox.contact_id()];
    for (arguments, input) in [
        (&["send", "sms"][..], ""),
        (&["send", "sms", "-"], " \n"),
        (&["send", "sms", " "], ""),
        (&["send", "email", "--subject", "Hi"], ""),
    ] {
        let run = setup.run_with_input(&[arguments, &to].concat(), input).exits(2);
        run.complains(&["the message has no content", "help: pass a text"]);
        assert!(run.stdout.is_empty());
    }
    let binary = setup.directory.file("binary");
    std::fs::write(&binary, [0xff, 0xfe]).expect("a file");
    let mut command = setup.command(&[&["send", "sms"], &to[..]].concat());
    command.stdin(std::fs::File::open(&binary).expect("the file"));
    setup.output(command).exits(2).complains(&["cannot be read from standard input", "UTF-8"]);
    let endless = setup.command(&[&["send", "sms"], &to[..]].concat());
    if let Ok(zeros) = std::fs::File::open("/dev/zero") {
        let mut command = endless;
        command.stdin(zeros);
        setup.output(command).exits(2).complains(&["longer than 1048576 bytes"]);
    }
    assert!(setup.sandbox.requests().is_empty());
}

#[tokio::test]
async fn a_closed_output_does_not_change_the_outcome() {
    let setup = Setup::new().await;
    let to = setup.sandbox.contact_id().to_owned();
    for (contact, code) in [(to.as_str(), 0), ("no-such-contact", 4)] {
        let mut child =
            setup.command(&["send", "sms", "--to-contact", contact, "Hello"]).spawn().expect("it starts");
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait().expect("it ends").code(), Some(code), "{contact}");
    }
    assert_eq!(setup.sandbox.messages().len(), 1);
}

/// `/dev/full` rejects all writes, as a full disk does.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_receipt_that_cannot_be_printed_is_unreadable_and_not_a_failure_to_send() {
    let setup = Setup::new().await;
    let mut command = setup.command(&["send", "sms", "--to-contact", setup.sandbox.contact_id(), "Hello"]);
    command.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").expect("the device"));
    let run = setup.output(command).exits(6);
    let message = &setup.sandbox.messages()[0];
    run.complains(&[&format!("the message {} was accepted", message.id), "do not send it again"]);
}

#[tokio::test]
async fn text_of_the_server_does_not_act_on_the_terminal() {
    let setup = Setup::new().await;
    let fault = highlevel_sandbox::Fault::status(400)
        .body("application/json", r#"{"message":"\u001b[2Jgone\nerror: forged\u202e"}"#);
    setup.sandbox.add_fault(highlevel_sandbox::FaultRule::new(fault)).expect("a rule");
    let run = setup.run(&["send", "sms", "--json", "--to-contact", "c", "Hello"]).exits(4);
    assert!(!run.stderr.contains("\nerror: forged"), "{}", run.stderr);
    assert_eq!(run.json()["error"]["messages"], json!(["\u{1b}[2Jgone\nerror: forged\u{202e}"]));
}
