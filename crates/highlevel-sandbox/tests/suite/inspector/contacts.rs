//! The Contacts tab, compared with the API and the admin API.

use highlevel_sandbox::{Contact, DndChannel, Location};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{UI, ask, get};
use crate::caller::{bare, call, post};
use crate::conformance::{Sandbox, StartChecked};

/// Submits a form. Returns the status, the path of the redirect, and the page.
async fn submit(sandbox: &Sandbox, path: &str, fields: &[(&str, &str)]) -> (StatusCode, String, String) {
    let body =
        fields.iter().fold(form_urlencoded::Serializer::new(String::new()), |mut body, (name, value)| {
            body.append_pair(name, value);
            body
        });
    let mut body = body;
    let response = ask(sandbox, Method::POST, &format!("{UI}/{path}"), &[], &body.finish()).await;
    (response.status, response.header("location").replace(&format!("{UI}/"), ""), response.body)
}

/// Returns a contact as the admin API shows it, without its times.
async fn stored(sandbox: &Sandbox, id: &str) -> Value {
    let response = bare(sandbox, Method::GET, &format!("/_sandbox/contacts/{id}")).send().await.unwrap();
    let mut contact: Value = response.json().await.unwrap();
    for time in ["dateAdded", "dateUpdated"] {
        let time = contact.as_object_mut().unwrap().remove(time);
        assert!(time.is_some_and(|time| time.is_string()), "{contact}");
    }
    contact
}

#[tokio::test]
async fn a_contact_is_created_and_changed_by_the_rules_of_the_api() {
    let sandbox = Sandbox::builder().start_checked().await.unwrap();
    let fields = [
        ("name", "Barbara Liskov"),
        ("phone", "(503) 555-0177"),
        ("email", "Barbara@Example.com"),
        ("morePhones", "+49 30 123456\r\n\r\n+4930123456"),
        ("moreEmails", "b@work.example"),
        ("tags", "vip\r\nbeta\r\nvip"),
        ("dnd", "SMS"),
        ("dnd", "Email"),
        ("unsubscribed", "1"),
        ("contact", "barbara"),
    ];
    let (status, to, _) = submit(&sandbox, "contacts", &fields).await;
    assert_eq!((status, to.as_str()), (StatusCode::SEE_OTHER, "contacts/barbara"));
    let expected = json!({
        "id": "barbara", "locationId": sandbox.location_id(), "name": "Barbara Liskov", "firstName": "Barbara",
        "lastName": "Liskov", "phone": "+15035550177", "email": "barbara@example.com",
        "additionalPhones": ["+4930123456"], "additionalEmails": ["b@work.example"], "tags": ["vip", "beta"],
        "doNotDisturb": ["SMS", "Email"], "unsubscribed": true,
    });
    assert_eq!(stored(&sandbox, "barbara").await, expected);
    // The API finds it.
    let found = call(
        &sandbox,
        Method::GET,
        &format!("/contacts/search/duplicate?locationId={}&number=%2B15035550177", sandbox.location_id()),
        None,
    )
    .await;
    assert_eq!(found.body["contact"]["id"], "barbara", "{}", found.body);

    let page = get(&sandbox, &format!("{UI}/contacts/barbara")).await;
    for text in ["Barbara Liskov", "+15035550177", "b@work.example", "vip", "SMS", "unsubscribed"] {
        assert!(page.body.contains(text), "{text}");
    }
    let (status, _, _) = submit(
        &sandbox,
        "contacts/barbara",
        &[("name", "Barbara Liskov"), ("phone", ""), ("email", "barbara@example.com"), ("dnd", "All")],
    )
    .await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let expected = json!({
        "id": "barbara", "locationId": sandbox.location_id(), "name": "Barbara Liskov", "firstName": "Barbara",
        "lastName": "Liskov", "email": "barbara@example.com", "doNotDisturb": ["All"],
    });
    assert_eq!(stored(&sandbox, "barbara").await, expected);
}

#[tokio::test]
async fn an_unchanged_name_keeps_the_first_and_the_last_name() {
    let sandbox = Sandbox::builder().start_checked().await.unwrap();
    let body = json!({"locationId": sandbox.location_id(), "firstName": "Mary Ann", "lastName": "Lee"});
    let id = post(&sandbox, "/contacts/", &body).await.body["contact"]["id"].as_str().unwrap().to_owned();
    for (name, first, last) in [("Mary Ann Lee", "Mary Ann", "Lee"), ("Mary Lee", "Mary", "Lee")] {
        submit(&sandbox, &format!("contacts/{id}"), &[("name", name)]).await;
        let contact = stored(&sandbox, &id).await;
        assert_eq!(contact["firstName"], first, "{contact}");
        assert_eq!(contact["lastName"], last, "{contact}");
    }
}

#[tokio::test]
async fn an_invalid_form_is_shown_with_an_error_at_each_field_and_changes_nothing() {
    struct Case {
        fields: &'static [(&'static str, &'static str)],
        /// The fields with errors, and a part of the page.
        invalid: &'static [&'static str],
        text: &'static str,
    }
    let sandbox = Sandbox::builder().start_checked().await.unwrap();
    sandbox.put_contact(Contact::new("linus").name("Linus").phone("+15035550101")).unwrap();
    let before =
        bare(&sandbox, Method::GET, "/_sandbox/snapshot").send().await.unwrap().text().await.unwrap();
    let cases = [
        Case {
            fields: &[("phone", "call me")],
            invalid: &["phone"],
            text: "&#34;call me&#34; is not a phone number",
        },
        Case {
            fields: &[("email", "ada@")],
            invalid: &["email"],
            text: "&#34;ada@&#34; is not an email address",
        },
        Case {
            fields: &[("phone", "x"), ("email", "y"), ("morePhones", "+15035550102\n1"), ("moreEmails", "z")],
            invalid: &["phone", "email", "morePhones", "moreEmails"],
            text: "line 2 is not a phone number",
        },
        Case {
            fields: &[("phone", "5035550101")],
            invalid: &["phone"],
            text: "another contact of this location has this phone number: <a href=\"/_sandbox/ui/contacts/linus\">Linus</a>",
        },
        Case {
            fields: &[("contact", "linus")],
            invalid: &["contact"],
            text: "contact ID linus already exists",
        },
        Case { fields: &[("contact", "..")], invalid: &["contact"], text: "browsers remove it from URLs" },
    ];
    for Case { fields, invalid, text } in cases {
        let mut fields = fields.to_vec();
        fields.extend([("name", "<Typed>"), ("dnd", "WhatsApp")]);
        let (status, _, page) = submit(&sandbox, "contacts", &fields).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{fields:?}");
        assert!(page.contains(text), "{fields:?}: {page}");
        for part in ["value=\"&#60;Typed&#62;\"", "value=\"WhatsApp\" checked", "role=\"alert\"><p>"] {
            assert!(page.contains(part), "{fields:?}: {part}: {page}");
        }
        assert_eq!(page.matches("aria-invalid=\"true\"").count(), invalid.len(), "{fields:?}");
        for field in invalid {
            let input = page.split(&format!(" name=\"{field}\"")).nth(1).unwrap();
            assert!(input.split('>').next().unwrap().contains("aria-invalid"), "{field}");
        }
        let after = bare(&sandbox, Method::GET, "/_sandbox/snapshot").send().await.unwrap();
        assert_eq!(after.text().await.unwrap(), before, "{fields:?}");
    }
    let (status, _, _) = submit(&sandbox, "contacts/unknown", &[("name", "x")]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn notes_are_added_and_a_contact_is_deleted_with_its_conversation() {
    let sandbox = Sandbox::builder().start_checked().await.unwrap();
    let other = Location::new("other");
    sandbox.put_location(other).unwrap();
    sandbox
        .put_contact(Contact::new("a b/?#").name("Odd").location("other").do_not_disturb(DndChannel::Sms))
        .unwrap();
    sandbox.simulate_inbound([("contactId", "a b/?#".into()), ("message", "Hi".into())]).unwrap();
    let path = "contacts/a%20b%2F%3F%23";
    let page = get(&sandbox, &format!("{UI}/{path}")).await.body;
    for part in ["Hi", "its conversation and 1 message.", "conversations/a%20b%2F%3F%23"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let (status, to, _) = submit(&sandbox, &format!("{path}/notes"), &[("note", " First\r\nsecond ")]).await;
    assert_eq!((status, to.as_str()), (StatusCode::SEE_OTHER, path));
    let contact = sandbox.contact("a b/?#").unwrap();
    assert_eq!(contact.notes.iter().map(|note| note.body.as_str()).collect::<Vec<_>>(), ["First\nsecond"]);
    assert_eq!(submit(&sandbox, &format!("{path}/notes"), &[("note", " ")]).await.0, StatusCode::BAD_REQUEST);

    let (status, to, _) = submit(&sandbox, &format!("{path}/delete"), &[]).await;
    assert_eq!((status, to.as_str()), (StatusCode::SEE_OTHER, "contacts"));
    assert!(sandbox.contact("a b/?#").is_none() && sandbox.messages().is_empty());
    assert_eq!(submit(&sandbox, &format!("{path}/delete"), &[]).await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&sandbox, &format!("{UI}/{path}")).await.status, StatusCode::NOT_FOUND);
}
