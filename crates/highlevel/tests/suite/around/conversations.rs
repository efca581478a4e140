//! Conversations.

use highlevel::ConversationSearch;
use highlevel::wire::types::ConversationFilter;
use serde_json::json;

use super::{Case, call, check};

#[allow(clippy::too_many_lines, reason = "a table")]
fn conversations() -> Vec<Case> {
    vec![
        Case {
            name: "search",
            call: call!(|client| {
                let search =
                    ConversationSearch::with_contact("c1").status(ConversationFilter::Unread).page_size(50);
                let found = client.conversations().search(search).collect().await?;
                Ok(format!("{} {:?}", found[0].id, found[0].date_added))
            }),
            line: "GET /conversations/search?contactId=c1&limit=50&locationId=l1&status=unread HTTP/1.1",
            body: None,
            response: json!({ "conversations": [{ "id": "v1", "contactId": "c1", "type": "TYPE_PHONE",
                "dateAdded": 1_784_272_302_663_i64, "phone": null, "unreadCount": 0, "sort": [1_784_272_302_663_i64] }], "total": 1 }),
            returns: "v1 Some(1784272302663)",
            is_repeated: true,
        },
        Case {
            name: "get",
            call: call!(|client| {
                let read = client.conversations().get(&"v1".into()).await?;
                let date = read.response().last_message_date.as_ref();
                Ok(format!("{:?} {:?}", read.response().type_, date.and_then(|date| date.seconds)))
            }),
            line: "GET /conversations/v1 HTTP/1.1",
            body: None,
            response: json!({ "id": "v1", "type": 1, "lastMessageType": 2, "deleted": false,
                "lastMessageDate": { "seconds": 1_784_283_629, "nanoseconds": 850_000_000 } }),
            returns: "Some(1) Some(1784283629)",
            is_repeated: true,
        },
        Case {
            name: "a date in another form",
            call: call!(|client| {
                let read = client.conversations().get(&"v1".into()).await?;
                Ok(format!("{:?} {:?}", read.response().type_, read.response().last_message_date))
            }),
            line: "GET /conversations/v1 HTTP/1.1",
            body: None,
            response: json!({ "id": "v1", "type": 1, "lastMessageDate": "2026-03-02T09:30:00.000Z" }),
            returns: "Some(1) None",
            is_repeated: true,
        },
        Case {
            name: "create",
            call: call!(|client| {
                Ok(client.conversations().create(&"c1".into()).await?.conversation_id().to_string())
            }),
            line: "POST /conversations/ HTTP/1.1",
            body: Some(json!({ "locationId": "l1", "contactId": "c1" })),
            response: json!({ "success": true, "conversation": { "id": "v1", "dateAdded": "2026-03-02T09:30:00.000Z" } }),
            returns: "v1",
            is_repeated: false,
        },
        Case {
            name: "mark as read",
            call: call!(|client| {
                let written = client.conversations().set_unread(&"v1".into(), 0).await?;
                Ok(format!("{:?}", written.conversation().last_message_type))
            }),
            line: "PUT /conversations/v1 HTTP/1.1",
            body: Some(json!({ "locationId": "l1", "unreadCount": 0 })),
            response: json!({ "success": true, "conversation": { "id": "v1", "lastMessageType": 100, "starred": true } }),
            returns: "Some(100)",
            is_repeated: true,
        },
        Case {
            name: "star",
            call: call!(|client| {
                let written = client.conversations().set_starred(&"v1".into(), true).await?;
                Ok(format!("{:?}", written.conversation().starred))
            }),
            line: "PUT /conversations/v1 HTTP/1.1",
            body: Some(json!({ "locationId": "l1", "starred": true })),
            response: json!({ "success": true, "conversation": { "id": "v1", "starred": true } }),
            returns: "Some(true)",
            is_repeated: true,
        },
        Case {
            name: "typing",
            call: call!(|client| {
                let set = client.conversations().set_typing(&"v1".into(), &"w1".into(), true).await?;
                Ok(format!("{:?}", set.response().success))
            }),
            line: "POST /conversations/providers/live-chat/typing HTTP/1.1",
            body: Some(
                json!({ "locationId": "l1", "isTyping": "true", "visitorId": "w1", "conversationId": "v1" }),
            ),
            response: json!({ "success": true }),
            returns: "Some(true)",
            is_repeated: true,
        },
    ]
}

#[tokio::test]
async fn conversations_are_found_created_and_changed() {
    check(conversations()).await;
}
