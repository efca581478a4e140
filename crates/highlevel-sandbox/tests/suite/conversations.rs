//! Conversations through the API.

use std::time::Duration;

use highlevel_sandbox::{Contact, Conversation, Location};
use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::{INBOUND, Response, SEND, call, post};
use crate::conformance::{Sandbox, StartChecked};
use crate::process::directory;

const CREATE: &str = "/conversations/";

async fn get(sandbox: &Sandbox, path: &str) -> Response {
    call(sandbox, Method::GET, path, None).await
}

async fn search(sandbox: &Sandbox, query: &str) -> Value {
    let path = format!("/conversations/search?locationId={}{query}", sandbox.location_id());
    let response = get(sandbox, &path).await;
    assert_eq!(response.status, 200, "{query}: {}", response.body);
    response.body
}

fn ids(found: &Value) -> Vec<&str> {
    found["conversations"].as_array().unwrap().iter().map(|each| each["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_contact_has_one_conversation_that_can_be_created_read_and_updated() {
    let directory = directory("conversations");
    let sandbox = Sandbox::builder().state_file(directory.file("state")).start_checked().await.unwrap();
    sandbox.put_contact(Contact::new("joan").name("Joan Clarke").phone("+15037081801")).unwrap();
    let create = json!({"locationId": sandbox.location_id(), "contactId": "joan"});
    let created = post(&sandbox, CREATE, &create).await;
    assert_eq!((created.status.as_u16(), &created.body["success"]), (201, &json!(true)), "{}", created.body);
    let id = created.body["conversation"]["id"].as_str().unwrap();
    let path = format!("/conversations/{id}");

    let second = post(&sandbox, CREATE, &create).await;
    assert_eq!((second.status.as_u16(), &second.body["conversationId"]), (400, &json!(id)));
    let unknown = json!({"locationId": sandbox.location_id(), "contactId": "unknown"});
    let unknown = post(&sandbox, CREATE, &unknown).await;
    assert_eq!(
        (unknown.status.as_u16(), &unknown.body["canonicalCode"]),
        (400, &json!("CONVERSATIONS_CONTACT_NOT_FOUND"))
    );

    for text in ["one", "two"] {
        let inbound = json!({"type": "SMS", "contactId": "joan", "message": text});
        assert_eq!(post(&sandbox, INBOUND, &inbound).await.body["conversationId"], id);
    }
    let read = get(&sandbox, &path).await;
    assert_eq!(read.status, 200);
    // A number here, a text in a search.
    assert_eq!((&read.body["type"], &read.body["unreadCount"]), (&json!(1), &json!(2)));
    assert_eq!(read.body["lastMessageType"], 2);
    assert!(read.body["lastMessageDate"]["seconds"].is_i64() && read.body["traceId"].is_string());
    let found = search(&sandbox, "&contactId=joan").await;
    let found = &found["conversations"][0];
    assert_eq!((&found["type"], &found["lastMessageType"]), (&json!("TYPE_PHONE"), &json!("TYPE_SMS")));
    assert_eq!((&found["lastMessageBody"], &found["fullName"]), (&json!("two"), &json!("Joan Clarke")));

    let update = json!({"locationId": sandbox.location_id(), "unreadCount": 0, "starred": true});
    let updated = call(&sandbox, Method::PUT, &path, Some(&update)).await;
    assert_eq!(updated.status, 200, "{}", updated.body);
    assert_eq!(updated.body["conversation"]["starred"], true);
    let stored = sandbox.conversation(id).unwrap();
    assert!(stored.starred && stored.unread_count == 0);
    sandbox.stop().await;
    let restarted = Sandbox::builder().state_file(directory.file("state")).start_checked().await.unwrap();
    assert_eq!(restarted.conversation(id).unwrap(), stored);
}

#[tokio::test]
async fn conversations_are_searched() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.set_clock_speed(0.0);
    for contact in sandbox.snapshot().contacts {
        sandbox.delete_contact(&contact.id);
    }
    for number in 0..25 {
        let id = format!("contact{number:02}");
        let contact =
            Contact::new(&id).name(format!("Name {number:02}")).email(format!("c{number:02}@example.com"));
        sandbox.put_contact(contact.phone(format!("+150370819{number:02}"))).unwrap();
        sandbox.put_conversation(Conversation::new(format!("conversation{number:02}"), &id)).unwrap();
        sandbox.advance_clock(Duration::from_secs(1));
        let (path, body) = if number % 2 == 0 {
            (INBOUND, json!({"type": "SMS", "contactId": id, "message": "in"}))
        } else {
            (SEND, json!({"type": "Email", "contactId": id, "html": "<p>out</p>", "status": "pending"}))
        };
        assert_eq!(post(&sandbox, path, &body).await.status, 201);
    }
    let cases = [
        ("the default page", "", 20, 25, "conversation24"),
        ("all", "&limit=100", 25, 25, "conversation24"),
        ("oldest first", "&sort=asc&limit=1", 1, 25, "conversation00"),
        ("a contact", "&contactId=contact03", 1, 1, "conversation03"),
        ("an id", "&id=conversation04", 1, 1, "conversation04"),
        ("an id of another contact", "&id=conversation04&contactId=contact05", 0, 0, ""),
        ("unread", "&status=unread", 13, 13, "conversation24"),
        ("read", "&status=read", 12, 12, "conversation23"),
        ("starred", "&status=starred", 0, 0, ""),
        ("a name", "&query=name%2007", 1, 1, "conversation07"),
        ("an email", "&query=C08%40example", 1, 1, "conversation08"),
        ("a direction", "&lastMessageDirection=outbound", 12, 12, "conversation23"),
        ("a channel", "&lastMessageType=TYPE_EMAIL&limit=5", 5, 12, "conversation23"),
        ("an unknown contact", "&contactId=unknown", 0, 0, ""),
    ];
    for (name, query, count, total, first) in cases {
        let found = search(&sandbox, query).await;
        assert_eq!((ids(&found).len(), &found["total"]), (count, &json!(total)), "{name}");
        assert_eq!(ids(&found).first().copied().unwrap_or_default(), first, "{name}");
    }
    // By the date of the last one on the previous page.
    for sort in ["asc", "desc"] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = search(&sandbox, &format!("&limit=7&sort={sort}{after}")).await;
            let Some(last) = page["conversations"].as_array().unwrap().last() else { break };
            after = format!("&startAfterDate={}", last["sort"][0]);
            seen.extend(ids(&page).into_iter().map(str::to_owned));
        }
        assert_eq!(seen.len(), 25, "{sort}: {seen:?}");
        let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!(distinct.len(), 25, "{sort}");
    }
}

#[tokio::test]
async fn invalid_requests_for_conversations_are_rejected() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.put_location(Location::new("two")).unwrap();
    sandbox.put_contact(Contact::new("theirs").location("two")).unwrap();
    sandbox.put_conversation(Conversation::new("other", "theirs").location("two")).unwrap();
    let update = json!({"locationId": sandbox.location_id(), "starred": true});
    let typing = |conversation: &str, is_typing: Value| {
        json!({
            "locationId": sandbox.location_id(), "isTyping": is_typing, "visitorId": "v", "conversationId": conversation,
        })
    };
    let typing_path = "/conversations/providers/live-chat/typing";
    let cases = [
        ("no location", Method::GET, "/conversations/search", None, 422),
        (
            "a limit that is no number",
            Method::GET,
            "/conversations/search?locationId=l1C08ntBrFjLS0elLIYU&limit=x",
            None,
            422,
        ),
        ("another location", Method::GET, "/conversations/search?locationId=two", None, 403),
        ("of another location", Method::GET, "/conversations/other", None, 403),
        ("unknown", Method::GET, "/conversations/unknown", None, 400),
        ("update of another location", Method::PUT, "/conversations/other", Some(update.clone()), 403),
        ("update of an unknown one", Method::PUT, "/conversations/unknown", Some(update), 400),
        (
            "update with a wrong type",
            Method::PUT,
            "/conversations/unknown",
            Some(json!({"locationId": sandbox.location_id(), "starred": "yes"})),
            422,
        ),
        (
            "create without contact",
            Method::POST,
            CREATE,
            Some(json!({"locationId": sandbox.location_id()})),
            422,
        ),
        (
            "create for a contact of another location",
            Method::POST,
            CREATE,
            Some(json!({"locationId": sandbox.location_id(), "contactId": "theirs"})),
            400,
        ),
        ("typing", Method::POST, typing_path, Some(typing(sandbox.conversation_id(), json!("true"))), 201),
        (
            "typing as a boolean",
            Method::POST,
            typing_path,
            Some(typing(sandbox.conversation_id(), json!(true))),
            201,
        ),
        (
            "typing in an unknown conversation",
            Method::POST,
            typing_path,
            Some(typing("unknown", json!("true"))),
            400,
        ),
    ];
    for (name, method, path, body, status) in cases {
        let response = call(&sandbox, method, path, body.as_ref()).await;
        assert_eq!(response.status, status, "{name}: {}", response.body);
    }
}
