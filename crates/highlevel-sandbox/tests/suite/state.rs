//! Records: consistency, seeds, snapshots and resets.

use highlevel_sandbox::{
    Contact, Conversation, ConversationProvider, Entry, Location, Message, RateLimit, Snapshot, StatusUpdate,
};
use serde_json::json;

use crate::caller::{INBOUND, SEND, client, post};
use crate::conformance::{Sandbox, StartChecked};

fn message(id: &str, contact: &str, conversation: &str) -> Message {
    serde_json::from_value(json!({
        "id": id, "contactId": contact, "conversationId": conversation, "direction": "inbound", "channel": "SMS",
        "dateAdded": "2026-01-31T09:30:00Z", "status": "delivered",
    }))
    .unwrap()
}

#[tokio::test]
async fn inconsistent_records_are_rejected() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.put_location(Location::new("two")).unwrap();
    sandbox.put_contact(Contact::new("here")).unwrap();
    sandbox.put_contact(Contact::new("there").location("two")).unwrap();
    sandbox.put_conversation(Conversation::new("with-here", "here")).unwrap();
    // Repeating it is consistent.
    sandbox.put_conversation(Conversation::new("with-here", "here")).unwrap();
    let before = sandbox.snapshot();

    let cases = [
        (
            sandbox.put_conversation(Conversation::new("another", "here")),
            "the contact here already has the conversation with-here; delete it before adding another",
        ),
        (
            sandbox.put_conversation(Conversation::new("with-here", "abc123def456")),
            "the conversation with-here belongs to the contact here and cannot move to abc123def456; delete it first",
        ),
        (
            sandbox.put_conversation(Conversation::new("new", "unknown")),
            "the conversation new references the contact \"unknown\", which does not exist; add it first",
        ),
        (
            sandbox.put_conversation(Conversation::new("new", "there")),
            "the conversation new belongs to the location l1C08ntBrFjLS0elLIYU, but the contact there belongs to two",
        ),
        (
            sandbox.put_contact(Contact::new("here").location("two")),
            "the contact here belongs to the location l1C08ntBrFjLS0elLIYU and cannot move to two; delete it first",
        ),
        (
            sandbox.put_contact(Contact::new("new").location("three")),
            "the contact new references the location \"three\", which does not exist; add it first",
        ),
        (sandbox.put_contact(Contact::new("")), "the ID \"\" of a contact has 0 bytes; use 1 to 200 bytes"),
        (
            sandbox.put_contact(Contact::new("..")),
            "the ID of a contact cannot be \"..\", which has a special meaning in URLs; choose another ID",
        ),
        (
            sandbox.put_provider(ConversationProvider::new("p").delivery_url("ftp://a")),
            "deliveryUrl of the provider p: invalid webhook URL `ftp://a`",
        ),
        (
            sandbox.put_message(message("m", "abc123def456", "with-here")),
            "the message m belongs to the contact abc123def456, but its conversation with-here belongs to here",
        ),
    ];
    for (result, words) in cases {
        let error = result.unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
    }
    assert_eq!(sandbox.snapshot(), before);
}

#[tokio::test]
async fn a_contact_has_one_conversation_which_is_deleted_with_it() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.put_contact(Contact::new("grace").phone("+15035550144")).unwrap();
    let send = json!({"type": "SMS", "contactId": "grace", "status": "pending", "message": "Hello"});
    let mut conversations = Vec::new();
    for path in [SEND, INBOUND, SEND] {
        conversations.push(post(&sandbox, path, &send).await.body["conversationId"].clone());
    }
    let conversation = sandbox.conversation_with("grace").unwrap();
    assert_eq!(conversations, [conversation.id.as_str(); 3]);

    assert!(sandbox.delete_contact("grace"));
    assert!(!sandbox.delete_contact("grace"));
    assert_eq!(sandbox.conversation(&conversation.id), None);
    assert!(sandbox.messages().is_empty());
    assert_eq!(post(&sandbox, SEND, &send).await.status, 400);
    // Its slot is free again.
    sandbox.put_contact(Contact::new("grace").phone("+15035550144")).unwrap();
    sandbox.put_conversation(Conversation::new("another", "grace")).unwrap();
    assert_eq!(post(&sandbox, SEND, &send).await.body["conversationId"], "another");
}

#[tokio::test]
async fn seeding_is_atomic_and_idempotent() {
    let yaml = "
        locations: [{id: two, name: Second}]
        contacts:
          - {id: grace, locationId: two, phone: '+15035550123'}
          - {id: abc123def456, name: Renamed}
        conversations: [{id: with-grace, locationId: two, contactId: grace}]
        messages:
          - id: m1
            locationId: two
            contactId: grace
            conversationId: with-grace
            direction: inbound
            channel: SMS
            dateAdded: 2026-01-31T09:30:00Z
            status: delivered
            request: {message: Hello}
        credentials: {privateIntegrations: [{token: pit-two, locationId: two}]}
    ";
    let seed = Snapshot::parse(yaml).unwrap();
    let as_json = Snapshot::parse(&serde_json::to_string(&seed).unwrap()).unwrap();
    assert_eq!(as_json, seed);
    let sandbox = Sandbox::builder().seed(seed.clone()).start_checked().await.unwrap();
    let once = sandbox.snapshot();
    assert_eq!(sandbox.contact(sandbox.contact_id()).unwrap().name.as_deref(), Some("Renamed"));
    assert_eq!(sandbox.message("m1").unwrap().text(), Some("Hello"));
    for _ in 0..2 {
        sandbox.seed(seed.clone()).unwrap();
        assert_eq!(sandbox.snapshot(), once);
    }
    // The token of the other location can only access contacts of that location.
    let send = async |contact: &str| {
        let request = client().post(format!("{}{SEND}", sandbox.base_url())).bearer_auth("pit-two");
        let body = json!({"type": "SMS", "contactId": contact, "status": "pending", "message": "Hello"});
        request.header("Version", "2021-04-15").json(&body).send().await.unwrap().status().as_u16()
    };
    assert_eq!((send("grace").await, send(sandbox.contact_id()).await), (201, 400));

    let before = sandbox.snapshot();
    let contradiction =
        Snapshot::parse("contacts: [{id: new}]\nconversations: [{id: second, contactId: abc123def456}]")
            .unwrap();
    let error = sandbox.seed(contradiction.clone()).unwrap_err().to_string();
    assert!(error.contains("already has the conversation"), "{error}");
    assert_eq!(sandbox.snapshot(), before);
    let error = Sandbox::builder().seed(contradiction).start_checked().await.unwrap_err().to_string();
    assert!(error.starts_with("the seed cannot be used: the contact abc123def456"), "{error}");
    for (text, words) in
        [("contacts: [{id: a, colour: red}]", "colour"), ("{\"contacts\": 1}", "invalid type"), ("[", "")]
    {
        let error = Snapshot::parse(text).unwrap_err().to_string();
        assert!(error.starts_with("the seed cannot be read: ") && error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_snapshot_restores_records_and_credentials() {
    let sandbox = Sandbox::start().await.unwrap();
    let kept = sandbox.issue_token(sandbox.location_id()).unwrap();
    sandbox.put_contact(Contact::new("kept").phone("+15035550145")).unwrap();
    let snapshot = sandbox.snapshot();
    let later = sandbox.issue_token(sandbox.location_id()).unwrap();
    sandbox.put_contact(Contact::new("later").phone("+15035550146")).unwrap();
    sandbox.delete_contact("kept");

    let send = async |token: &str, contact: &str| {
        let request = client().post(format!("{}{SEND}", sandbox.base_url())).bearer_auth(token);
        let body = json!({"type": "SMS", "contactId": contact, "status": "pending", "message": "Hello"});
        request.header("Version", "2021-04-15").json(&body).send().await.unwrap().status().as_u16()
    };
    assert_eq!((send(&later, "later").await, send(&kept, "kept").await), (201, 400));
    // Through text, as in a file.
    let text = serde_json::to_string(&snapshot).unwrap();
    sandbox.restore(Snapshot::parse(&text).unwrap()).unwrap();
    assert_eq!(sandbox.snapshot(), snapshot);
    assert_eq!((send(&later, "kept").await, send(&kept, "later").await), (401, 400));
    assert_eq!((send(&kept, "kept").await, send(sandbox.token(), "kept").await), (201, 201));
    assert!(!format!("{snapshot:?}").contains(&kept), "tokens are not printed");

    let broken = Snapshot::parse("contacts: [{id: a, locationId: gone}]").unwrap();
    let before = sandbox.snapshot();
    assert!(sandbox.restore(broken).unwrap_err().to_string().contains("which does not exist"));
    assert_eq!(sandbox.snapshot(), before);
}

#[tokio::test]
async fn a_reset_restores_the_initial_state() {
    let limit = RateLimit::documented().burst(2);
    let sandbox = Sandbox::builder().rate_limit(limit).start_checked().await.unwrap();
    let beginning = sandbox.snapshot();
    let send =
        json!({"type": "SMS", "contactId": sandbox.contact_id(), "status": "pending", "message": "Hello"});
    for status in [201, 201, 429] {
        assert_eq!(post(&sandbox, SEND, &send).await.status, status);
    }
    sandbox.issue_token(sandbox.location_id()).unwrap();
    sandbox.put_location(Location::new("two")).unwrap();
    sandbox.set_webhook_url("http://127.0.0.1:1/").unwrap();
    sandbox.reset().unwrap();
    assert_eq!(sandbox.snapshot(), beginning);
    assert!(sandbox.requests().is_empty() && sandbox.messages().is_empty());
    assert_eq!(post(&sandbox, SEND, &send).await.status, 201);
    assert!(sandbox.deliveries().is_empty());
}

#[tokio::test]
async fn status_changes_are_published() {
    let sandbox = Sandbox::start().await.unwrap();
    let send =
        json!({"type": "SMS", "contactId": sandbox.contact_id(), "status": "pending", "message": "Hello"});
    let response = post(&sandbox, SEND, &send).await;
    let id = response.body["messageId"].as_str().unwrap();
    let mut entries = sandbox.follow();
    for status in ["delivered", "read"] {
        sandbox.set_status(id, StatusUpdate::new(status)).unwrap();
    }
    let error = sandbox.set_status(id, StatusUpdate::new("pending")).unwrap_err().to_string();
    assert_eq!(error, format!("the message {id} cannot change from read to \"pending\"; read is final"));
    let mut statuses = Vec::new();
    while statuses.len() < 3 {
        if let Entry::Message(message) = entries.next().await {
            statuses.push(message.status);
        }
    }
    assert_eq!(statuses, ["pending", "delivered", "read"]);
    let history = sandbox.message(id).unwrap().history;
    assert_eq!(
        history.iter().map(|change| &*change.status).collect::<Vec<_>>(),
        ["pending", "delivered", "read"]
    );
    assert!(history.is_sorted_by_key(|change| change.at.clone()));
    assert!(sandbox.set_status("nothing", StatusUpdate::new("read")).is_err());
}
