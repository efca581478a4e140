//! Contacts.

use highlevel::wire::types::ContactNoteRequest;
use highlevel::{Contact, ContactKey, ContactSearch, ContactUpdate, DndStatus, SortOrder};
use serde_json::{Value, json};

use super::{Case, call, check};

fn contact() -> Value {
    json!({ "id": "c1", "locationId": "l1", "firstName": "Grace", "phone": "+15037081210", "tags": null,
        "additionalEmails": [], "customFields": [], "dateAdded": "2026-03-02T09:30:00.000Z", "createdBy": { "source": "INTEGRATION" } })
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn contacts() -> Vec<Case> {
    vec![
        Case {
            name: "upsert",
            call: call!(|client| {
                let contact =
                    Contact::phone("+1 (503) 708-1210").name("Grace Hopper").dnd_sms(DndStatus::Inactive);
                let receipt = client.contacts().upsert(contact).await?;
                Ok(format!(
                    "{} {} {:?}",
                    receipt.contact_id(),
                    receipt.is_new(),
                    receipt.contact().first_name
                ))
            }),
            line: "POST /contacts/upsert HTTP/1.1",
            body: Some(json!({ "locationId": "l1", "phone": "+15037081210", "name": "Grace Hopper",
                "dndSettings": { "SMS": { "status": "inactive" } } })),
            response: json!({ "new": true, "succeded": true, "succeeded": true, "contact": contact(), "traceId": "t" }),
            returns: "c1 true Some(\"Grace\")",
            is_repeated: true,
        },
        Case {
            name: "create",
            call: call!(|client| {
                let contact = Contact::email("grace@example.com").custom_field("f1", "Gold").location("l2");
                Ok(client.contacts().create(contact).await?.contact_id().to_string())
            }),
            line: "POST /contacts/ HTTP/1.1",
            body: Some(json!({ "locationId": "l2", "email": "grace@example.com",
                "customFields": [{ "id": "f1", "field_value": "Gold" }] })),
            response: json!({ "contact": contact() }),
            returns: "c1",
            is_repeated: false,
        },
        Case {
            name: "get",
            call: call!(|client| Ok(format!(
                "{:?}",
                client.contacts().get(&"c1".into()).await?.contact().phone
            ))),
            line: "GET /contacts/c1 HTTP/1.1",
            body: None,
            response: json!({ "contact": contact(), "traceId": "t" }),
            returns: "Some(\"+15037081210\")",
            is_repeated: true,
        },
        Case {
            name: "a contact with a field of another type",
            call: call!(|client| Ok(format!(
                "{:?}",
                client.contacts().get(&"c1".into()).await?.contact().phone
            ))),
            line: "GET /contacts/c1 HTTP/1.1",
            body: None,
            response: json!({ "contact": { "id": "c1", "phone": "+1", "tags": "none", "dnd": "no", "city": 5 } }),
            returns: "Some(\"+1\")",
            is_repeated: true,
        },
        Case {
            name: "update",
            call: call!(|client| {
                let changes =
                    ContactUpdate::new().last_name("Hopper").with_phone("+1 503 708 1210").dnd(true);
                Ok(client.contacts().update(&"c1".into(), changes).await?.contact_id().to_string())
            }),
            line: "PUT /contacts/c1 HTTP/1.1",
            body: Some(json!({ "lastName": "Hopper", "phone": "+15037081210", "dnd": true })),
            response: json!({ "succeded": true, "contact": contact() }),
            returns: "c1",
            is_repeated: true,
        },
        Case {
            name: "find a number",
            call: call!(|client| {
                let found = client.contacts().find_duplicate(ContactKey::phone("+1 (503) 708-1210")).await?;
                Ok(found.contact().map_or("none".to_owned(), |contact| contact.id.to_string()))
            }),
            line: "GET /contacts/search/duplicate?locationId=l1&number=%2B15037081210 HTTP/1.1",
            body: None,
            response: json!({ "contact": contact(), "matchingField": "phone", "traceId": "t" }),
            returns: "c1",
            is_repeated: true,
        },
        Case {
            name: "find an unknown email",
            call: call!(|client| {
                let found = client.contacts().find_duplicate(ContactKey::email("ada+1@example.com")).await?;
                Ok(found.contact().map_or("none".to_owned(), |contact| contact.id.to_string()))
            }),
            line: "GET /contacts/search/duplicate?email=ada%2B1%40example.com&locationId=l1 HTTP/1.1",
            body: None,
            response: json!({ "contact": null, "traceId": "t" }),
            returns: "none",
            is_repeated: true,
        },
        Case {
            name: "search",
            call: call!(|client| {
                let search = ContactSearch::text("Grace")
                    .filter("tags", "eq", ["vip"])
                    .sort("dateUpdated", SortOrder::Asc);
                Ok(client.contacts().search(search).collect().await?.len().to_string())
            }),
            line: "POST /contacts/search HTTP/1.1",
            body: Some(json!({ "locationId": "l1", "pageLimit": 20, "query": "Grace",
                "filters": [{ "field": "tags", "operator": "eq", "value": ["vip"] }],
                "sort": [{ "field": "dateUpdated", "direction": "asc" }] })),
            response: json!({ "contacts": [contact(), { "id": "c2", "dnd": "odd", "searchAfter": [5, "c2"] }], "total": 2 }),
            returns: "2",
            is_repeated: true,
        },
        Case {
            name: "add tags",
            call: call!(|client| Ok(format!(
                "{:?}",
                client.contacts().add_tags(&"c1".into(), ["vip"]).await?.tags()
            ))),
            line: "POST /contacts/c1/tags HTTP/1.1",
            body: Some(json!({ "tags": ["vip"] })),
            response: json!({ "tags": ["customer", "vip"] }),
            returns: "[\"customer\", \"vip\"]",
            is_repeated: true,
        },
        Case {
            name: "remove tags",
            call: call!(|client| Ok(format!(
                "{:?}",
                client.contacts().remove_tags(&"c1".into(), ["vip"]).await?.tags()
            ))),
            line: "DELETE /contacts/c1/tags HTTP/1.1",
            body: Some(json!({ "tags": ["vip"] })),
            response: json!({ "tags": null }),
            returns: "[]",
            is_repeated: true,
        },
        Case {
            name: "add a note",
            call: call!(|client| {
                let mut note = ContactNoteRequest::new("Call in the morning");
                note.pinned = Some(true);
                Ok(client.contacts().add_note(&"c1".into(), note).await?.note().id.to_string())
            }),
            line: "POST /contacts/c1/notes HTTP/1.1",
            body: Some(json!({ "body": "Call in the morning", "pinned": true })),
            response: json!({ "note": { "id": "n1", "body": "Call in the morning" } }),
            returns: "n1",
            is_repeated: false,
        },
    ]
}

#[tokio::test]
async fn contacts_are_found_created_and_changed() {
    check(contacts()).await;
}
