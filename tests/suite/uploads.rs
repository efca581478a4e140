//! Uploads of the SDK to the sandbox, and their memory there.

use highlevel::{Client, Delivery, Error, Sms, Upload};
use highlevel_sandbox::Sandbox;
use highlevel_test_support::Directory;
use serde_json::Value;

const MIB: usize = 1024 * 1024;

fn client(sandbox: &Sandbox) -> Client {
    let builder = Client::builder().base_url(sandbox.base_url()).token(sandbox.token());
    builder.location(sandbox.location_id()).build().expect("a client")
}

/// Fetches a URL of the sandbox.
async fn get(url: &str) -> reqwest::Response {
    let _already_installed = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    client.get(url).send().await.expect("a response")
}

/// Returns the memory of the files that the sandbox stores, in bytes.
async fn stored_bytes(sandbox: &Sandbox) -> usize {
    let health = get(&format!("{}/_sandbox/health", sandbox.base_url())).await;
    let health: Value = serde_json::from_slice(&health.bytes().await.expect("a body")).expect("JSON");
    let bytes = health["memory"]["files"]["bytes"].as_u64().expect("a number");
    usize::try_from(bytes).expect("a size")
}

#[tokio::test]
async fn an_uploaded_file_is_attached_to_a_message() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let directory = Directory::create(std::env::temp_dir(), "highlevel-uploads");
    let content: Vec<u8> = (0..=250).cycle().take(5 * MIB).collect();
    let names = ["menu.pdf", "Menü \"new\" 50%.pdf"];
    for name in names {
        std::fs::write(directory.file(name), &content).expect("a file");
    }
    let client = client(&sandbox);
    let upload =
        names.into_iter().fold(Upload::to_conversation(sandbox.conversation_id()), |upload, name| {
            upload.path(directory.file(name))
        });
    let uploaded = client.files().upload(upload.contact(sandbox.contact_id())).await.expect("a receipt");
    assert_eq!(uploaded.urls().count(), 2);
    let stored = stored_bytes(&sandbox).await;
    assert!((10 * MIB..10 * MIB + 4 * 1_024).contains(&stored), "{stored} bytes");
    for name in names {
        let found = get(uploaded.url(name).expect("a URL")).await;
        assert_eq!(found.headers()["content-type"], "application/pdf", "{name}");
        assert!(found.bytes().await.expect("a body") == content, "{name}");
    }
    let message = uploaded.urls().fold(Sms::to(sandbox.contact_id()).text("Our menus"), Sms::attachment);
    let sent = client.messages().send(message).await.expect("a receipt");
    let read = client.messages().get(sent.message_id()).await.expect("a message");
    let attachments = read.response().message.attachments.clone();
    assert_eq!(attachments, Some(uploaded.urls().map(str::to_owned).collect()));
}

#[tokio::test]
async fn rejected_uploads_have_the_text_of_the_response() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let client = client(&sandbox);
    let to = |conversation: &str, name: &str| Upload::to_conversation(conversation).bytes(name, "a");
    let cases = [
        (to(sandbox.conversation_id(), "page.html"), 415, "the file \"page.html\" has no extension of"),
        (to("none", "menu.pdf"), 400, "Conversation with id none not found"),
    ];
    for (upload, status, text) in cases {
        let error: Error = client.files().upload(upload).await.expect_err("a rejection");
        assert_eq!((error.delivery(), error.status()), (Delivery::Rejected, Some(status)), "{error}");
        assert!(error.messages().iter().any(|message| message.contains(text)), "{error}");
    }
    assert!(sandbox.files().is_empty());
}
