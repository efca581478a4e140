//! Recipients that are looked up by phone number or email address.

use highlevel_sandbox::{Contact, Fault, FaultRule, FaultStage};

use crate::program::Setup;

#[tokio::test]
async fn a_contact_is_searched_or_created_as_the_command_specifies() {
    let setup = Setup::new().await;
    let ada = Contact::new("ada").phone("+15035550142").email("grace@example.com");
    setup.sandbox.put_contact(ada.location(setup.sandbox.location_id())).expect("a contact");

    for address in [["--phone", "+1 (503) 555-0142"], ["--email", "grace@example.com"]] {
        for lookup in ["--search", "--upsert"] {
            let run = setup.run(&["send", "sms", "--json", address[0], address[1], lookup, "Hello"]).exits(0);
            assert_eq!(run.json()["contactId"], "ada", "{address:?} {lookup}");
        }
    }
    assert_eq!(setup.sandbox.messages().len(), 4);

    let unknown = ["--phone", "+15035550199"];
    let run = setup.run(&["send", "sms", "--json", unknown[0], unknown[1], "--search", "Hello"]).exits(7);
    run.complains(&["no contact has +15035550199, so no message was sent", "--upsert instead of --search"]);
    assert_eq!(run.json()["outcome"], "not-found");
    assert_eq!(setup.sandbox.messages().len(), 4);

    let run = setup.run(&["send", "sms", "--json", unknown[0], unknown[1], "--upsert", "Hello"]).exits(0);
    let created = run.json()["contactId"].as_str().expect("an id").to_owned();
    let contact = setup.sandbox.contact(&created).expect("the contact");
    assert_eq!(contact.phone.as_deref(), Some("+15035550199"));
    assert_eq!(setup.sandbox.messages().len(), 5);
}

#[tokio::test]
async fn no_message_is_sent_after_a_lookup_that_fails() {
    for (fault, stage, code) in [
        (Fault::FORBIDDEN, FaultStage::Before, 4),
        (Fault::INTERNAL_ERROR, FaultStage::After, 3),
        (Fault::RESET, FaultStage::After, 3),
        (Fault::EMPTY_SUCCESS, FaultStage::After, 3),
    ] {
        for lookup in ["--search", "--upsert"] {
            let setup = Setup::new().await;
            let rule = FaultRule::new(fault.clone()).stage(stage);
            setup.sandbox.add_fault(rule).expect("a rule");
            let run = setup.run(&["send", "sms", "--phone", "+15035550142", lookup, "Hello"]);
            assert_eq!(run.code, Some(code), "{} {lookup}: {run:?}", fault.name());
            run.complains(&["the contact could not be looked up, so no message was sent: "]);
            assert!(setup.sandbox.messages().is_empty());
        }
    }
}

#[tokio::test]
async fn the_lookup_has_to_be_explicit() {
    let setup = Setup::new().await;
    for (arguments, part) in [
        (&["send", "sms", "Hello"][..], "<--to-contact <ID>|--phone <NUMBER>|--email <ADDRESS>>"),
        (&["send", "sms", "--phone", "+15035550142", "Hello"], "<--upsert|--search>"),
        (&["send", "sms", "--phone", "+15035550142", "--upsert", "--search", "Hello"], "cannot be used with"),
        (
            &["send", "sms", "--phone", "+15035550142", "--to-contact", "c", "--search", "Hello"],
            "cannot be used with",
        ),
        (&["send", "sms", "--to-contact", "c", "--upsert", "Hello"], "--phone <NUMBER>|--email <ADDRESS>"),
        (&["send", "sms", "--phone", "503 555 0142", "--search", "Hello"], "has no country code"),
        (&["send", "sms", "--email", "ada", "--search", "Hello"], "for example ada@example.com"),
    ] {
        let run = setup.run(arguments).exits(2);
        run.complains(&[part]);
    }
    let mut command = setup.command(&["send", "sms", "--phone", "+15035550142", "--search", "Hello"]);
    command.env_remove("HIGHLEVEL_LOCATION_ID");
    setup.output(command).exits(2).complains(&["the location is not known", "--location ID"]);
    assert!(setup.sandbox.requests().is_empty());
}
