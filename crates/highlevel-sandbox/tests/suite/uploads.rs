//! Uploads of files, and their downloads.

use highlevel_sandbox::{Location, ProviderKind, Quirk, Settings, Snapshot};
use http::StatusCode;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::caller::{OUTBOUND, Response, SEND, authorised, bare, client, execute, post};
use crate::conformance::{Sandbox, StartChecked};
use crate::process::directory;
use crate::receiver::Receiver;
use crate::webhooks::{TEST_TIMEOUT, payload};

const UPLOAD: &str = "/conversations/messages/upload";
const MIB: usize = 1024 * 1024;

fn file(name: &str, content: impl Into<Vec<u8>>) -> Part {
    Part::bytes(content.into()).file_name(name.to_owned())
}

fn form(sandbox: &Sandbox) -> Form {
    Form::new().text("conversationId", sandbox.conversation_id().to_owned())
}

async fn upload(sandbox: &Sandbox, form: Form) -> Response {
    execute(authorised(sandbox, UPLOAD).multipart(form)).await
}

/// Uploads a file, and returns its URL.
async fn url(sandbox: &Sandbox, name: &str, content: impl Into<Vec<u8>>) -> String {
    let response = upload(sandbox, form(sandbox).part("fileAttachment", file(name, content))).await;
    assert_eq!(response.status, 201, "{}", response.body);
    response.body["uploadedFiles"][name].as_str().unwrap_or_else(|| panic!("{}", response.body)).to_owned()
}

#[tokio::test]
async fn uploaded_files_are_only_downloaded() {
    let sandbox = Sandbox::start().await.unwrap();
    let page = "<script>alert(1)</script>";
    let script = file("notes.txt", page).mime_str("text/html").unwrap();
    let picture = file("Menü \"1\" 100%.PNG", [0, 255, 13, 10]);
    let files = form(&sandbox)
        .text("locationId", sandbox.location_id().to_owned())
        .text("contactId", sandbox.contact_id().to_owned())
        .part("fileAttachment", script)
        .part("fileAttachment", picture);
    let response = upload(&sandbox, files).await;
    assert_eq!(response.status, 201, "{}", response.body);
    let uploaded = response.body["uploadedFiles"].as_object().unwrap();
    assert_eq!(uploaded.keys().collect::<Vec<_>>(), ["Menü \"1\" 100%.PNG", "notes.txt"]);
    assert!(response.body["traceId"].is_string());
    let cases = [
        ("notes.txt", "text/plain", page.as_bytes()),
        ("Menü \"1\" 100%.PNG", "image/png", &[0, 255, 13, 10]),
    ];
    for (name, content_type, content) in cases {
        let url = uploaded[name].as_str().unwrap();
        assert!(url.starts_with(&format!("{}/uploads/", sandbox.base_url())), "{url}");
        for method in [Method::GET, Method::HEAD] {
            let found = client().request(method.clone(), url).send().await.unwrap();
            assert_eq!(found.status(), 200, "{url}");
            for (header, value) in [
                ("content-type", content_type),
                ("content-disposition", "attachment"),
                ("x-content-type-options", "nosniff"),
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
                ("content-length", &content.len().to_string()),
            ] {
                assert_eq!(found.headers()[header], value, "{url}");
            }
            let body = found.bytes().await.unwrap();
            assert_eq!(body, if method == Method::HEAD { &[][..] } else { content });
        }
        let post = execute(client().post(url)).await;
        assert_eq!(
            (post.status, &post.headers["allow"]),
            (StatusCode::METHOD_NOT_ALLOWED, &"GET, HEAD".parse().unwrap())
        );
        for other in
            [url.replace(".txt", ".html").replace(".PNG", ".png"), url.replace("/uploads/", "/uploads/a")]
        {
            assert_eq!(execute(client().get(other)).await.status, 404);
        }
    }
    let files = sandbox.files();
    assert_eq!((files[0].content(), files[0].content_type()), (page.as_bytes(), "text/plain"));
    assert_eq!(files[1].conversation_id, sandbox.conversation_id());
    // Downloads are not requests to the API.
    assert_eq!(sandbox.requests().len(), 1);
}

#[tokio::test]
async fn an_uploaded_file_is_in_a_message_and_its_event() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).start_checked().await.unwrap();
    let url = url(&sandbox, "menu.pdf", "%PDF").await;
    let message = json!({
        "type": "SMS", "contactId": sandbox.contact_id(), "status": "pending", "attachments": [url],
    });
    let id = post(&sandbox, SEND, &message).await.body["messageId"].as_str().unwrap().to_owned();
    let events = sandbox.wait_for_deliveries(1, TEST_TIMEOUT).await.unwrap();
    assert_eq!(payload(&events[0])["attachments"], json!([url]));
    let read = bare(&sandbox, Method::GET, &format!("/conversations/messages/{id}"));
    let read = execute(read.bearer_auth(sandbox.token()).header("Version", "2021-04-15")).await;
    assert_eq!(read.body["message"]["attachments"], json!([url]));

    // A recording has to be stored at HighLevel, which an uploaded file is.
    sandbox.set_settings(Settings::default().quirk(Quirk::RecordingUrl422));
    let recording = self::url(&sandbox, "call.mp3", "ID3").await;
    let call = |attachment: &str| {
        json!({
            "type": "Call", "contactId": sandbox.contact_id(), "attachments": [attachment],
            "conversationProviderId": sandbox.provider_id(ProviderKind::Call), "call": {"to": "+15037081210", "status": "completed"},
        })
    };
    assert_eq!(post(&sandbox, OUTBOUND, &call(&recording)).await.status, 201);
    assert_eq!(post(&sandbox, OUTBOUND, &call(&recording.replace("call.mp3", "b.mp3"))).await.status, 422);
}

#[tokio::test]
async fn files_survive_restarts_restores_and_seeds() {
    let directory = directory("uploads");
    let builder = || Sandbox::builder().state_file(directory.file("state"));
    let one = builder().start_checked().await.unwrap();
    let large = vec![7; 5 * MIB];
    let url = url(&one, "a.zip", large.clone()).await;
    let path = url.strip_prefix(&one.base_url()).unwrap().to_owned();
    let snapshot = one.snapshot();
    one.stop().await;

    let two = builder().start_checked().await.unwrap();
    let content = async |sandbox: &Sandbox| {
        let found = bare(sandbox, Method::GET, &path).send().await.unwrap();
        (found.status().as_u16(), found.bytes().await.unwrap())
    };
    assert_eq!(content(&two).await, (200, large.clone().into()));
    two.reset().unwrap();
    assert_eq!(content(&two).await.0, 404);
    two.restore(snapshot.clone()).unwrap();
    assert_eq!(content(&two).await.0, 200);
    let id = two.files()[0].id.clone();
    assert_eq!(
        bare(&two, Method::DELETE, &format!("/_sandbox/files/{id}")).send().await.unwrap().status(),
        204
    );
    assert_eq!(content(&two).await.0, 404);
    two.stop().await;

    // As text, over HTTP and in a seed file.
    let three = Sandbox::start().await.unwrap();
    let text = serde_json::to_string(&snapshot).unwrap();
    let restored = bare(&three, Method::PUT, "/_sandbox/snapshot").body(text.clone());
    assert_eq!(restored.send().await.unwrap().status(), 204);
    assert_eq!(content(&three).await, (200, large.into()));
    let read = bare(&three, Method::GET, "/_sandbox/snapshot").send().await.unwrap().text().await.unwrap();
    assert_eq!(Snapshot::parse(&read).unwrap(), snapshot);
    let seeded = Sandbox::builder().seed(Snapshot::parse(&text).unwrap()).start_checked().await.unwrap();
    assert_eq!(seeded.files(), snapshot.files);
}

#[tokio::test]
async fn seeds_with_files_of_other_types_are_rejected() {
    let sandbox = Sandbox::start().await.unwrap();
    let seed = |name: &str| {
        let file = json!({
            "id": "f", "conversationId": "c", "name": name, "dateAdded": "2026-01-31T09:30:00Z", "content": "PGh0bWw+",
        });
        bare(&sandbox, Method::PUT, "/_sandbox/seed").json(&json!({ "files": [file] }))
    };
    let rejected = execute(seed("page.html")).await;
    assert_eq!(rejected.status, 409);
    let expected = "the name of the file f is \"page.html\"; expected an extension of jpg, jpeg,";
    assert!(rejected.body["error"].as_str().unwrap().starts_with(expected), "{}", rejected.body);
    assert_eq!(seed("page.txt").send().await.unwrap().status(), 204);
}

/// A request that is rejected.
struct Case {
    name: &'static str,
    request: RequestBuilder,
    status: u16,
    message: &'static str,
}

#[allow(clippy::too_many_lines, reason = "a table")]
#[tokio::test]
async fn unusable_forms_are_rejected() {
    let sandbox = Sandbox::start().await.unwrap();
    let s = &sandbox;
    let case = |name, request, status, message| Case { name, request, status, message };
    let raw = |content_type: &str, body: &str| {
        authorised(s, UPLOAD).header("content-type", content_type).body(body.to_owned())
    };
    let with = |form: Form| authorised(s, UPLOAD).multipart(form);
    let parts = |count: usize| {
        (0..count)
            .fold(form(s), |form, number| form.part("fileAttachment", file(&format!("{number}.txt"), "a")))
    };
    let text = || file("a.txt", "a");
    let cases = [
        case(
            "JSON",
            authorised(s, UPLOAD).json(&json!({})),
            400,
            "must be `multipart/form-data` with a boundary",
        ),
        case("no content type", authorised(s, UPLOAD).body("a"), 400, "the Content-Type header is missing"),
        case(
            "no boundary",
            raw("multipart/form-data", "--a\r\n"),
            400,
            "must be `multipart/form-data` with a boundary",
        ),
        case("no body", raw("multipart/form-data; boundary=a", ""), 400, "the form cannot be read"),
        case(
            "another boundary",
            raw("multipart/form-data; boundary=a", "--b\r\n\r\n"),
            400,
            "the form cannot be read",
        ),
        case(
            "no end",
            raw(
                "multipart/form-data; boundary=a",
                "--a\r\ncontent-disposition: form-data; name=\"b\"\r\n\r\nc",
            ),
            400,
            "a part has no end",
        ),
        case(
            "no headers",
            raw("multipart/form-data; boundary=a", "--a\r\nx: y"),
            400,
            "it does not end with the boundary",
        ),
        case("no file", with(form(s)), 422, "fileAttachment is required"),
        case("another field", with(form(s).part("file", text())), 422, "fileAttachment is required"),
        case(
            "no name",
            with(form(s).part("fileAttachment", Part::text("a"))),
            422,
            "fileAttachment is required",
        ),
        case(
            "no conversation",
            with(Form::new().part("fileAttachment", text())),
            422,
            "conversationId is required",
        ),
        case(
            "an unknown conversation",
            with(Form::new().text("conversationId", "none").part("fileAttachment", text())),
            400,
            "Conversation with id none not found",
        ),
        case(
            "another location",
            with(form(s).text("locationId", "two").part("fileAttachment", text())),
            403,
            "The token does not have access to this location.",
        ),
        case("six files", with(parts(6)), 400, "more than 5 files"),
        case(
            "33 parts",
            with((0..33).fold(Form::new(), |form, number| form.text(format!("f{number}"), "a"))),
            400,
            "more than 32 parts",
        ),
        case(
            "a long field",
            with(Form::new().text("conversationId", "x".repeat(4_097))),
            400,
            "the field `conversationId` has 4097 bytes",
        ),
        case(
            "a long name",
            with(form(s).part("fileAttachment", file(&format!("{}.txt", "x".repeat(252)), "a"))),
            400,
            "a file name has 256 bytes",
        ),
        case(
            "equal names",
            with(form(s).part("fileAttachment", text()).part("fileAttachment", file("b/a.txt", "b"))),
            400,
            "two files are named \"a.txt\"",
        ),
        case(
            "a page",
            with(form(s).part("fileAttachment", file("a.html", "a"))),
            415,
            "the file \"a.html\" has no extension of",
        ),
        case(
            "a large file",
            with(form(s).part("fileAttachment", file("a.zip", vec![0; 5 * MIB + 1]))),
            413,
            "the file \"a.zip\" has 5242881 bytes",
        ),
        case(
            "a large form",
            with((0..5).fold(form(s), |form, number| {
                form.part("fileAttachment", file(&format!("{number}.zip"), vec![0; 5 * MIB + 32 * 1024]))
            })),
            413,
            "request entity too large: a body has at most 26279936 bytes",
        ),
    ];
    for Case { name, request, status, message } in cases {
        let response = execute(request).await;
        assert_eq!(response.status, status, "{name}: {}", response.body);
        let found = match &response.body["message"] {
            Value::Array(list) => list[0].as_str().unwrap_or_default(),
            text => text.as_str().unwrap_or_default(),
        };
        assert!(found.contains(message), "{name}: {found}");
        if name.starts_with("a page") || name == "a large file" {
            assert_eq!(response.body["status"], status, "{}", response.body);
        }
    }
    assert!(sandbox.files().is_empty());
    // The limits themselves are accepted.
    let largest = (0..5).fold(form(s), |form, number| {
        form.part("fileAttachment", file(&format!("{number}.zip"), vec![number; 5 * MIB]))
    });
    let accepted = upload(&sandbox, largest).await;
    assert_eq!(accepted.status, 201, "{}", accepted.body);
    let sizes: Vec<usize> = sandbox.files().iter().map(|file| file.content().len()).collect();
    assert_eq!(sizes, [5 * MIB; 5]);
    for request in sandbox.requests() {
        assert!(request.body.len() <= 16 * 1024, "{}", request.body.len());
    }
}

#[tokio::test]
async fn unknown_fields_of_a_form_are_reported() {
    let sandbox = Sandbox::start().await.unwrap();
    let with_urls =
        form(&sandbox).text("attachmentUrls", "[]").part("fileAttachment", file("../c:\\a.txt", "a"));
    let response = upload(&sandbox, with_urls).await;
    assert_eq!(response.body["uploadedFiles"].as_object().unwrap().keys().collect::<Vec<_>>(), ["a.txt"]);
    let request = sandbox.requests().pop().unwrap();
    assert_eq!(request.unknown_fields, ["/attachmentUrls"]);
    assert!(String::from_utf8(request.body).unwrap().contains("attachmentUrls"));
}

#[tokio::test]
async fn uploads_need_a_token_with_the_scope_of_the_location() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.put_location(Location::new("two")).unwrap();
    let form = || form(&sandbox).part("fileAttachment", file("a.txt", "a"));
    let location = highlevel_sandbox::TokenResource::location(sandbox.location_id());
    let readonly = sandbox.issue_tokens(&location, ["conversations/message.readonly"]).unwrap();
    let elsewhere = sandbox.issue_token("two").unwrap();
    for (token, status) in
        [("pit-wrong", 401), (readonly["access_token"].as_str().unwrap(), 401), (&elsewhere, 403)]
    {
        let request = bare(&sandbox, Method::POST, UPLOAD).bearer_auth(token).header("Version", "2021-04-15");
        let response = execute(request.multipart(form())).await;
        assert_eq!(response.status, status, "{}", response.body);
    }
    // Without a token, a large form is not even read to its end.
    let large = Form::new().part("fileAttachment", file("a.zip", vec![0; 2 * MIB]));
    let response = execute(bare(&sandbox, Method::POST, UPLOAD).multipart(large)).await;
    assert_eq!(response.status, 413);
    assert!(sandbox.files().is_empty());
}
