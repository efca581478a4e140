//! Many calls with one client.

use std::sync::Arc;

use highlevel::{Calls, Client, Error, Inbound, Messages, OutboundCall, Receipt, Sms, wire};
use serde_json::json;
use tokio::sync::Barrier;

use crate::server::{Action, Server, json as json_response, receipt};

fn is_shareable<T: Send + Sync + 'static>() {}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_and_futures_are_send_and_sync() {
    is_shareable::<Client>();
    is_shareable::<Calls>();
    is_shareable::<Messages>();
    is_shareable::<Error>();
    is_shareable::<Receipt<wire::types::SendMessageResponse>>();
    is_shareable::<Receipt<wire::types::AddMessageResponse>>();
    assert!(size_of::<Client>() <= 128, "a clone is a pointer and a few numbers");

    let server = Server::always(Action::Respond(receipt())).await;
    let (messages, calls) = (server.client().messages(), server.client().calls());
    let sent = {
        let messages = messages.clone();
        tokio::spawn(async move { messages.send(Sms::to("c").text("t")).await })
    };
    let inbound = Inbound::default_sms().from_contact("c").text("t");
    let inbound = tokio::spawn(async move { messages.add_inbound(inbound).await });
    let outbound = tokio::spawn(async move {
        calls.add_outbound(OutboundCall::to_contact("c", "p").to("+15037081210")).await
    });
    assert_eq!(sent.await.expect("no panic").expect("a receipt").http_status(), 201);
    assert_eq!(inbound.await.expect("no panic").expect("a receipt").http_status(), 201);
    assert_eq!(outbound.await.expect("no panic").expect("a receipt").http_status(), 201);
    assert_eq!(server.requests().len(), 3);
}

/// All requests arrive before the first response is sent, so that responses could be mixed up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_gets_the_response_to_its_request() {
    const CALLS: usize = 64;
    let barrier = Arc::new(Barrier::new(CALLS));
    let server = Server::start(move |request| {
        let text = request.json()["message"].clone();
        let body = json!({ "conversationId": "c1", "messageId": text });
        Action::Together(barrier.clone(), json_response("201 Created", &body))
    })
    .await;
    let client = server.client();
    let calls: Vec<_> = (0..CALLS)
        .map(|call| {
            let client = client.clone();
            let message = Sms::to("c").text(format!("m{call}"));
            tokio::spawn(async move { client.messages().send(message).await })
        })
        .collect();
    for (call, sent) in calls.into_iter().enumerate() {
        let sent = sent.await.expect("no panic").expect("a receipt");
        assert_eq!(sent.message_id().as_str(), format!("m{call}"));
    }
    assert_eq!(server.requests().len(), CALLS);
}

#[tokio::test]
async fn clones_share_connections() {
    let server = Server::always(Action::Respond(receipt())).await;
    let client = server.client();
    for _ in 0..5 {
        client.clone().messages().send(Sms::to("c").text("t")).await.expect("a receipt");
    }
    assert_eq!((server.requests().len(), server.connections()), (5, 1));
}

#[tokio::test]
async fn a_dropped_call_does_not_affect_the_next() {
    let server = Server::start(|request| match request.json()["message"].as_str() {
        Some("stall") => Action::Stall(b"HTTP/1.1 201 Created\r\ncontent-length: 10\r\n\r\n{".to_vec()),
        _ => Action::Respond(receipt()),
    })
    .await;
    let client = server.client();
    for round in 1..=3 {
        let messages = client.messages();
        tokio::select! {
            biased;
            () = server.arrived(2 * round - 1) => {}
            result = messages.send(Sms::to("c").text("stall")) => panic!("a response: {result:?}"),
        }
        let sent = client.messages().send(Sms::to("c").text("t")).await.expect("a receipt");
        assert_eq!(sent.message_id().as_str(), "t22c6DQcTDf3MjRhwf77");
        assert_eq!(server.requests().len(), 2 * round);
    }
}
