//! `contact`, `conversation`, `message` and `status`.

use highlevel_sandbox::Contact;
use serde_json::{Value, json};

use crate::program::Setup;

#[tokio::test]
async fn contacts_are_stored_found_and_shown() {
    let setup = Setup::new().await;
    let upsert = [
        "contact",
        "upsert",
        "--json",
        "--phone",
        "+1 503 555 0142",
        "--name",
        "Grace Hopper",
        "--tag",
        "vip",
    ];
    let created = setup.run(&upsert).exits(0).json();
    assert_eq!(created["outcome"], "created");
    let id = created["contactId"].as_str().expect("an id").to_owned();
    let contact = setup.sandbox.contact(&id).expect("the contact");
    assert_eq!(contact.phone.as_deref(), Some("+15035550142"));
    assert_eq!(setup.run(&upsert).exits(0).json()["outcome"], "updated");

    for criterion in [["--phone", "+15035550142"], ["--text", "Hopper"]] {
        let found = setup.run(&["contact", "find", "--json", criterion[0], criterion[1]]).exits(0);
        assert_eq!(found.json()["id"], id, "{criterion:?}");
    }
    let text = setup.run(&["contact", "find", "--phone", "+15035550142"]).exits(0).stdout;
    assert!(text.contains(&id) && text.contains("+15035550142"), "{text}");
    assert_eq!(setup.run(&["contact", "show", &id, "--json"]).exits(0).json()["id"], id);
    let shown = setup.run(&["contact", "show", &id]).exits(0).stdout;
    assert!(shown.contains("vip"), "{shown}");

    let run = setup.run(&["contact", "find", "--json", "--phone", "+15035550199"]).exits(7);
    assert_eq!(run.json()["outcome"], "not-found");
    setup.run(&["contact", "show", "no-such-contact"]).exits(4);
    setup.run(&["contact", "find"]).exits(2).complains(&["--phone <NUMBER>"]);
    setup.run(&["contact", "upsert", "--name", "Grace"]).exits(2).complains(&["--phone <NUMBER>"]);
}

#[tokio::test]
async fn lists_end_at_their_limit() {
    let setup = Setup::new().await;
    for number in 0..7 {
        let contact = Contact::new(format!("guest-{number}")).name(format!("Guest {number}"));
        setup.sandbox.put_contact(contact.location(setup.sandbox.location_id())).expect("a contact");
        setup.run(&["send", "sms", "--to-contact", &format!("guest-{number}"), "--", "Hi"]);
    }
    for (limit, expected) in [("3", 3), ("100", 7)] {
        let run = setup.run(&["contact", "find", "--json", "--text", "Guest", "--limit", limit]).exits(0);
        assert_eq!(run.stdout.lines().count(), expected);
    }
}

#[tokio::test]
async fn conversations_and_messages_are_shown() {
    let setup = Setup::new().await;
    let contact = setup.sandbox.contact_id().to_owned();
    for text in ["First", "Second\nline"] {
        setup.run(&["send", "sms", "--to-contact", &contact, text]).exits(0);
    }
    let messages = setup.sandbox.messages();
    let conversation = messages[0].conversation_id.clone();
    let listed = setup.run(&["conversation", "list", "--json", "--contact", &contact]).exits(0).json();
    assert_eq!(listed["id"], conversation);
    setup.run(&["conversation", "list"]).exits(0);

    let shown = setup.run(&["conversation", "show", "--json", &conversation]).exits(0).json();
    let ids: Vec<&Value> =
        shown["messages"].as_array().expect("messages").iter().map(|it| &it["id"]).collect();
    assert_eq!(ids, [&json!(messages[1].id), &json!(messages[0].id)]);
    let shown = setup.run(&["conversation", "show", &conversation, "--limit", "1"]).exits(0).stdout;
    assert!(shown.contains("Second line") && !shown.contains("First"), "{shown}");

    let message = &messages[0].id;
    assert_eq!(setup.run(&["message", "show", "--json", message]).exits(0).json()["body"], "First");
    let shown = setup.run(&["message", "show", message]).exits(0).stdout;
    assert!(shown.contains(message) && shown.contains("First"), "{shown}");
    setup.run(&["message", "show", "no-such-message"]).exits(4);
    setup.run(&["conversation", "list", "--contact", "no-such-contact"]).exits(7);
}

#[tokio::test]
async fn the_status_of_a_message_is_set() {
    let setup = Setup::new().await;
    let provider = setup.sandbox.conversation_provider_id().to_owned();
    let contact = setup.sandbox.contact_id().to_owned();
    setup.run(&["send", "sms", "--to-contact", &contact, "--provider", &provider, "Hello"]).exits(0);
    let id = setup.sandbox.messages()[0].id.clone();
    for (arguments, status) in
        [(&["delivered"][..], "delivered"), (&["failed", "--reason", "No route", "--code", "30"], "failed")]
    {
        let run = setup.run(&[&["status", "set", "--json", &id], arguments].concat()).exits(0);
        assert_eq!(run.json()["status"], status);
        assert_eq!(setup.sandbox.message(&id).expect("the message").status, status);
    }
    setup.run(&["status", "set", &id, "failed"]).exits(2).complains(&["--reason <TEXT>"]);
    setup.run(&["status", "set", &id, "read", "--reason", "x"]).exits(2).complains(&["a reason belongs to"]);
    setup
        .run(&["status", "set", &id, "delivred"])
        .exits(2)
        .complains(&["a similar value exists: 'delivered'"]);
}
