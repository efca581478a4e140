//! Lists that are read page by page.

use highlevel::{ContactSearch, ConversationSearch, MessageExport};
use serde_json::json;

use super::{Call, call, message};
use crate::server::{Action, Server, json as json_response, response};

/// A page is requested when the items of the previous one were taken.
#[tokio::test]
async fn lists_hold_one_page() {
    let server = Server::start(|request| {
        let page = match request.line.split("lastMessageId=").nth(1).and_then(|rest| rest.split(['&', ' ']).next()) {
            None => 0,
            Some(last) => last.trim_start_matches('m').parse::<usize>().expect("a number") / 10,
        };
        let ids = (1..=10).map(|number| message(&format!("m{}", page * 10 + number)));
        let last = format!("m{}", page * 10 + 10);
        let body = json!({ "messages": { "lastMessageId": last, "nextPage": page < 2, "messages": ids.collect::<Vec<_>>() } });
        Action::Respond(json_response("200 OK", &body))
    })
    .await;
    let client = server.builder().location("l1").build().expect("a client");
    let mut listed = client.messages().list(&"v1".into());
    for number in 1..=30 {
        assert_eq!(
            listed.next().await.expect("an item").expect("a message").id.as_str(),
            format!("m{number}")
        );
        assert_eq!(server.requests().len(), (number - 1) / 10 + 1, "{number}");
    }
    assert!(listed.next().await.is_none());
    assert!(listed.next().await.is_none());
    assert_eq!(server.requests().len(), 3);
}

/// A server that returns the same position again would never end.
#[tokio::test]
async fn a_list_that_repeats_its_position_ends() {
    for (name, call, body) in [
        (
            "messages",
            call!(|client| Ok(client.messages().list(&"v1".into()).collect().await?.len().to_string()))
                as Call,
            json!({ "messages": { "lastMessageId": "m1", "nextPage": true, "messages": [message("m1")] } }),
        ),
        (
            "export",
            call!(|client| Ok(client
                .messages()
                .export(MessageExport::all())
                .collect()
                .await?
                .len()
                .to_string())),
            json!({ "messages": [message("m1")], "nextCursor": "same" }),
        ),
        (
            "contacts",
            call!(|client| {
                Ok(client
                    .contacts()
                    .search(ContactSearch::all().page_size(1))
                    .collect()
                    .await?
                    .len()
                    .to_string())
            }),
            json!({ "contacts": [{ "id": "c1", "searchAfter": [1, "c1"] }] }),
        ),
        (
            "conversations",
            call!(|client| {
                let search = ConversationSearch::all().page_size(1);
                Ok(client.conversations().search(search).collect().await?.len().to_string())
            }),
            json!({ "conversations": [{ "id": "v1", "sort": [1] }] }),
        ),
    ] {
        let server = Server::always(Action::Respond(json_response("200 OK", &body))).await;
        let client = server.builder().location("l1").build().expect("a client");
        assert_eq!(call(client).await.expect(name), "2", "{name}");
        assert_eq!(server.requests().len(), 2, "{name}");
    }
}

#[tokio::test]
async fn a_list_ends_with_an_error() {
    let server = Server::always(Action::Respond(response("404 Not Found", "", ""))).await;
    let mut listed = server.client().messages().list(&"v1".into());
    let error = listed.next().await.expect("an error").expect_err("404");
    assert_eq!((error.status(), error.operation()), (Some(404), "list_messages"));
    assert!(listed.next().await.is_none());
}

/// No list is not an empty list: a message that is looked for could be in it.
#[tokio::test]
async fn a_page_without_a_list_is_an_error() {
    for body in ["{}", r#"{"messages":{}}"#, r#"{"messages":null}"#, r#"{"conversations":null,"total":3}"#] {
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        let server = Server::always(Action::Respond(json_response("200 OK", &body))).await;
        let client = server.builder().location("l1").build().expect("a client");
        let list = client.messages().list(&"v1".into()).collect().await;
        let export = client.messages().export(MessageExport::all()).collect().await;
        let search = client.conversations().search(ConversationSearch::all()).collect().await;
        for (name, error) in [("list", list.err()), ("export", export.err()), ("search", search.err())] {
            // An object with a field `messages` is no list of the export either.
            assert!(error.is_some(), "{name}: {body}");
        }
    }
}
