//! Files, and recordings of calls.

use highlevel::{Delivery, ErrorKind, Upload};
use serde_json::json;

use crate::server::{Action, Server, json as json_response, response};

fn uploaded() -> Action {
    let body = json!({ "uploadedFiles": { "a.mp3": "https://x.example/a.mp3", "b.pdf": "https://x.example/b.pdf" } });
    Action::Respond(json_response("201 Created", &body))
}

#[tokio::test]
async fn files_are_parts_of_a_form() {
    let server = Server::always(uploaded()).await;
    let client = server.builder().location("l1").build().expect("a client");
    let path = std::env::temp_dir().join(format!("{}-b.pdf", std::process::id()));
    std::fs::write(&path, b"%PDF").expect("a file");
    let upload = Upload::to_conversation("v1").contact("c1").bytes("a.mp3", &b"ID3"[..]).path(&path);
    let receipt = client.files().upload(upload).await.expect("a receipt");
    std::fs::remove_file(&path).expect("the file exists");
    assert_eq!(receipt.url("a.mp3"), Some("https://x.example/a.mp3"));
    assert_eq!(receipt.urls().count(), 2);

    let seen = server.request();
    assert_eq!(seen.line, "POST /conversations/messages/upload HTTP/1.1");
    let content_type = seen.header("content-type")[0].to_owned();
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").expect("a form");
    assert_eq!(seen.header("content-length"), [seen.body.len().to_string()]);
    let body = String::from_utf8(seen.body).expect("text");
    let parts: Vec<&str> = body.split(&format!("--{boundary}")).map(str::trim).collect();
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(
        parts,
        [
            "",
            "Content-Disposition: form-data; name=\"conversationId\"\r\n\r\nv1",
            "Content-Disposition: form-data; name=\"locationId\"\r\n\r\nl1",
            "Content-Disposition: form-data; name=\"contactId\"\r\n\r\nc1",
            "Content-Disposition: form-data; name=\"fileAttachment\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\nID3",
            &format!(
                "Content-Disposition: form-data; name=\"fileAttachment\"; filename=\"{name}\"\r\n\
                 Content-Type: application/pdf\r\n\r\n%PDF"
            ),
            "--",
        ]
    );
}

#[tokio::test]
async fn a_file_of_five_megabytes_arrives() {
    let server = Server::always(uploaded()).await;
    let client = server.builder().location("l1").build().expect("a client");
    let path = std::env::temp_dir().join(format!("{}-large.wav", std::process::id()));
    let content: Vec<u8> = (0..5 * 1024 * 1024_u32).map(|number| (number % 251) as u8).collect();
    std::fs::write(&path, &content).expect("a file");
    let result = client.files().upload(Upload::to_conversation("v1").path(&path)).await;
    std::fs::remove_file(&path).expect("the file exists");
    result.expect("a receipt");
    let body = server.request().body;
    let start =
        body.windows(4).enumerate().filter(|(_, four)| *four == b"\r\n\r\n").nth(2).expect("a head").0 + 4;
    assert!(body[start..].starts_with(&content));
}

/// Nothing is sent for any of these.
#[tokio::test]
async fn uploads_beyond_the_limits_are_rejected_before_they_are_sent() {
    struct Case {
        name: &'static str,
        upload: Upload,
        text: &'static str,
    }
    let to = || Upload::to_conversation("v1");
    let six = (0..6).fold(to(), |upload, number| upload.bytes(format!("{number}.txt"), "text"));
    let server = Server::always(uploaded()).await;
    let client = server.builder().location("l1").build().expect("a client");
    for Case { name, upload, text } in [
        Case { name: "no file", upload: to(), text: "no file" },
        Case { name: "six files", upload: six, text: "at most 5" },
        Case {
            name: "a large file",
            upload: to().bytes("a.wav", vec![0; 5 * 1024 * 1024 + 1]),
            text: "5242881 bytes",
        },
        Case {
            name: "the same name twice",
            upload: to().bytes("a.txt", "a").bytes("a.txt", "b"),
            text: "two files are named",
        },
        Case { name: "no name", upload: to().bytes(" ", "a"), text: "empty or contains" },
        Case { name: "a line break", upload: to().bytes("a\r\nb", "a"), text: "empty or contains" },
        Case { name: "no such file", upload: to().path("/no/such/file.txt"), text: "cannot be read" },
        Case { name: "a folder", upload: to().path("/"), text: "" },
    ] {
        let error = client.files().upload(upload).await.expect_err(name);
        assert_eq!(
            (error.kind(), error.delivery()),
            (ErrorKind::InvalidRequest, Delivery::NotSent),
            "{name}"
        );
        assert!(error.to_string().contains(text), "{name}: {error}");
    }
    assert!(server.requests().is_empty());
}

/// An upload is not repeated, and a success without URLs is no receipt.
#[tokio::test]
async fn outcomes_of_uploads() {
    struct Case {
        name: &'static str,
        action: Action,
        delivery: Delivery,
    }
    for Case { name, action, delivery } in [
        Case { name: "reset", action: Action::Reset, delivery: Delivery::Unknown },
        Case {
            name: "413",
            action: Action::Respond(response("413 Too Large", "", "")),
            delivery: Delivery::Rejected,
        },
        Case {
            name: "no URLs",
            action: Action::Respond(json_response("200 OK", &json!({ "uploadedFiles": {} }))),
            delivery: Delivery::Accepted,
        },
    ] {
        let server = Server::always(action).await;
        let client = server.builder().location("l1").build().expect("a client");
        let error =
            client.files().upload(Upload::to_conversation("v1").bytes("a.txt", "a")).await.expect_err(name);
        assert_eq!(error.delivery(), delivery, "{name}: {error}");
        assert_eq!(server.requests().len(), 1, "{name}");
    }
}

/// Longer than the limit for other responses.
#[tokio::test]
async fn recordings_are_streams_of_any_length() {
    let audio: Vec<u8> = (0..3 * 1024 * 1024_u32).map(|number| (number % 253) as u8).collect();
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\ncontent-type: audio/x-wav\r\ncontent-length: {}\r\n\r\n", audio.len())
            .into_bytes();
    bytes.extend_from_slice(&audio);
    let server = Server::always(Action::Respond(bytes)).await;
    let client = server.builder().location("l1").build().expect("a client");
    let receipt = client.calls().recording(&"m1".into()).await.expect("a recording");
    assert_eq!(receipt.http_status(), 200);
    let mut recording = receipt.into_response();
    assert_eq!(recording.content_type(), Some("audio/x-wav"));
    assert_eq!(recording.content_length(), Some(audio.len() as u64));
    let (mut read, mut parts) = (Vec::new(), 0);
    while let Some(part) = recording.chunk().await.expect("a part") {
        read.extend_from_slice(&part);
        parts += 1;
    }
    assert!(read == audio && parts > 1, "{} bytes in {parts} parts", read.len());
    let seen = server.request();
    assert_eq!(seen.line, "GET /conversations/messages/m1/locations/l1/recording HTTP/1.1");
    assert_eq!(seen.header("version"), ["2021-04-15"]);

    let recording = client.calls().recording(&"m1".into()).await.expect("a recording").into_response();
    let error = recording.into_bytes(1024 * 1024).await.expect_err("it is longer");
    assert!(error.to_string().contains("more than 1048576 bytes"), "{error}");
    let recording = client.calls().recording(&"m1".into()).await.expect("a recording").into_response();
    assert_eq!(recording.into_bytes(audio.len()).await.expect("all bytes"), audio);
}

#[tokio::test]
async fn recordings_that_are_missing_or_cut_are_errors() {
    let missing = json!({ "statusCode": 400, "canonicalCode": "CONVERSATIONS_MSG_RECORDING_NOT_FOUND", "message": "None" });
    let server = Server::always(Action::Respond(json_response("400 Bad Request", &missing))).await;
    let client = server.builder().location("l1").build().expect("a client");
    let error = client.calls().recording(&"m1".into()).await.expect_err("no recording");
    assert_eq!(error.code(), Some("CONVERSATIONS_MSG_RECORDING_NOT_FOUND"));
    assert_eq!(error.delivery(), Delivery::Rejected);

    let server =
        Server::always(Action::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc".to_vec())).await;
    let client = server.builder().location("l1").build().expect("a client");
    let mut recording = client.calls().recording(&"m1".into()).await.expect("a head").into_response();
    let error = loop {
        match recording.chunk().await {
            Ok(Some(part)) => assert_eq!(part, &b"abc"[..]),
            Ok(None) => panic!("the recording is not complete"),
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Connection, true));

    let server =
        Server::always(Action::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc".to_vec())).await;
    let client = server.builder().location("l1").attempt_timeout(std::time::Duration::from_millis(300));
    let client = client.build().expect("a client");
    let recording = client.calls().recording(&"m1".into()).await.expect("a head").into_response();
    let error = recording.into_bytes(100).await.expect_err("it stalls");
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Timeout, true));
}
