//! Requests that are rejected before they are sent.

use highlevel::{
    Contact, ContactKey, ConversationSearch, Delivery, Error, ErrorKind, MessageExport, Method, Status,
};
use serde_json::json;

use super::{Call, call};
use crate::server::{Action, Server, json as json_response};

/// Nothing is sent for any of these.
#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table")]
async fn invalid_requests_are_rejected_before_they_are_sent() {
    struct Case {
        name: &'static str,
        call: Call,
        text: &'static str,
    }
    let server = Server::always(Action::Respond(json_response("200 OK", &json!({})))).await;
    for Case { name, call, text } in [
        Case {
            name: "a phone number without a country code",
            call: call!(|client| Ok(client
                .contacts()
                .upsert(Contact::phone("503 708 1210"))
                .await?
                .contact_id()
                .to_string())),
            text: "no country code",
        },
        Case {
            name: "a contact that cannot be found again",
            call: call!(|client| Ok(client
                .contacts()
                .upsert(Contact::named("Grace"))
                .await?
                .contact_id()
                .to_string())),
            text: "neither a phone number nor an email",
        },
        Case {
            name: "an email without @",
            call: call!(|client| {
                Ok(client
                    .contacts()
                    .find_duplicate(ContactKey::email("ada"))
                    .await?
                    .http_status()
                    .to_string())
            }),
            text: "has no `@`",
        },
        Case {
            name: "a dot segment",
            call: call!(|client| Ok(client.contacts().get(&"..".into()).await?.contact_id().to_string())),
            text: "dot segment",
        },
        Case {
            name: "an encoded slash",
            call: call!(|client| Ok(client.messages().get(&"a%2fb".into()).await?.http_status().to_string())),
            text: "slash",
        },
        Case {
            name: "a conversation with a slash",
            call: call!(|client| Ok(client
                .messages()
                .list(&"v1/../c".into())
                .collect()
                .await?
                .len()
                .to_string())),
            text: "slash",
        },
        Case {
            name: "no tag",
            call: call!(|client| {
                Ok(client
                    .contacts()
                    .add_tags(&"c1".into(), Vec::<String>::new())
                    .await?
                    .http_status()
                    .to_string())
            }),
            text: "a tag is empty",
        },
        Case {
            name: "an empty note",
            call: call!(|client| Ok(client
                .contacts()
                .add_note(&"c1".into(), " ")
                .await?
                .http_status()
                .to_string())),
            text: "the note is empty",
        },
        Case {
            name: "a failure without a reason",
            call: call!(|client| {
                Ok(client
                    .messages()
                    .set_status(&"m1".into(), Status::failed(" "))
                    .await?
                    .http_status()
                    .to_string())
            }),
            text: "requires the reason",
        },
        Case {
            name: "six attachments",
            call: call!(|client| {
                Ok(client.messages().set_attachments(&"m1".into(), ["u"; 6]).await?.http_status().to_string())
            }),
            text: "more than 5",
        },
    ] {
        let client = server.builder().location("l1").build().expect("a client");
        let error = call(client).await.expect_err(name);
        assert_eq!(
            (error.kind(), error.delivery()),
            (ErrorKind::InvalidRequest, Delivery::NotSent),
            "{name}"
        );
        assert!(error.to_string().contains(text), "{name}: {error}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_client_without_a_location_names_the_fix() {
    let server = Server::always(Action::Respond(json_response("200 OK", &json!({})))).await;
    let client = server.client();
    assert_eq!(client.location_id(), None);
    let errors: Vec<Error> = vec![
        client.contacts().upsert(Contact::phone("+15037081210")).await.expect_err("no location"),
        client.conversations().search(ConversationSearch::all()).collect().await.expect_err("no location"),
        client.messages().export(MessageExport::all()).collect().await.expect_err("no location"),
        client.calls().transcription(&"m1".into()).await.expect_err("no location"),
    ];
    for error in errors {
        assert!(error.to_string().contains(".location(…)"), "{error}");
        assert_eq!(error.delivery(), Delivery::NotSent);
    }
    assert!(server.requests().is_empty());
    // Raw requests do not need it.
    client.request(Method::GET, "/contacts/c1").send().await.expect("a receipt");
}
