//! Snapshots of the HTTP requests that the SDK sends for each constructor.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use highlevel::wire::types::{
    ContactNoteRequest, ConversationFilter, ConversationSortKey, EventMessageTypeString, ExportChannel,
    ExportSortKey, InboundMessageRequest, OutboundCallRequest, SendMessageRequest,
};
use highlevel::{
    CallStatus, Client, Contact, ContactKey, ContactSearch, ContactUpdate, ConversationSearch, Custom,
    Direction, DndStatus, Email, EmailProgress, EmailReplyMode, EmailStatus, Facebook, Inbound, Instagram,
    InternalComment, LiveChat, MessageExport, OptimizationPeriod, OutboundCall, Rcs, Result, SendStatus, Sms,
    SortOrder, Status, TikTok, Upload, WhatsApp,
};

use crate::metadata::root;
use crate::recorder::Recorder;

/// 2024-07-29T15:51:28.071Z
const TIME: Duration = Duration::from_millis(1_722_268_288_071);

const CONTACT: &str = "abc123def456";
const CONVERSATION: &str = "ve9EPM428h8vShlRW1KT";
const PROVIDER: &str = "61d6d1f9cdac7612faf80753";

enum Request {
    Send(Box<SendMessageRequest>),
    Inbound(Box<InboundMessageRequest>),
    Call(Box<OutboundCallRequest>),
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<(&'static str, Request)> {
    let time = SystemTime::UNIX_EPOCH + TIME;
    let send = |message: SendMessageRequest| Request::Send(Box::new(message));
    let inbound = |message: InboundMessageRequest| Request::Inbound(Box::new(message));
    let call = |call: OutboundCallRequest| Request::Call(Box::new(call));
    let text = "Your table is ready";
    let mut cases = vec![
        ("Sms::to", send(Sms::to(CONTACT).text(text).into())),
        (
            "Sms with every field",
            send(
                Sms::to(CONTACT)
                    .text(text)
                    .attachment("https://storage.com/file1.pdf")
                    .user("user123")
                    .status(SendStatus::Delivered)
                    .template("template123")
                    .reply_to("msg123")
                    .appointment("appt123")
                    .at(time)
                    .best_moment_within(OptimizationPeriod::V24h)
                    .provider("provider123")
                    .from_number("+1499499299")
                    .to_number("+1439499299")
                    .into(),
            ),
        ),
        ("Email::to", send(Email::to(CONTACT).subject("Order confirmed").html("<p>Thank you!</p>").into())),
        (
            "Email with every field of its own",
            send(
                Email::to(CONTACT)
                    .subject("Order confirmed")
                    .html("<p>Thank you!</p>")
                    .text("Thank you!")
                    .from("sender@company.com")
                    .to_address("recipient@company.com")
                    .cc(["cc1@company.com", "cc2@company.com"])
                    .bcc(["bcc1@company.com"])
                    .thread("thread123")
                    .reply_to_email("email123")
                    .reply_mode(EmailReplyMode::ReplyAll)
                    .into(),
            ),
        ),
        (
            "Email::forward",
            send(Email::to(CONTACT).forward("msg123", "email123", "colleague@company.com").into()),
        ),
        (
            "Email::forward_thread",
            send(Email::to(CONTACT).forward_thread("msg123", "colleague@company.com").into()),
        ),
        ("WhatsApp::to", send(WhatsApp::to(CONTACT).text(text).into())),
        (
            "WhatsApp::document",
            send(WhatsApp::to(CONTACT).document("https://storage.com/menu.pdf", "menu.pdf").into()),
        ),
        ("Rcs::to", send(Rcs::to(CONTACT).text(text).into())),
        ("Instagram::to", send(Instagram::to(CONTACT).text(text).into())),
        ("Facebook::to", send(Facebook::to(CONTACT).text(text).into())),
        ("TikTok::to", send(TikTok::to(CONTACT).text(text).into())),
        ("LiveChat::to", send(LiveChat::to(CONTACT).text(text).into())),
        ("Custom::to", send(Custom::to(CONTACT, PROVIDER).text(text).into())),
        (
            "InternalComment::about",
            send(InternalComment::about(CONTACT).text("Call back").mention("user123", "Ada").into()),
        ),
        ("Inbound::default_sms", inbound(Inbound::default_sms().from_contact(CONTACT).text(text).into())),
        ("Inbound::default_email", inbound(Inbound::default_email().from_contact(CONTACT).text(text).into())),
        (
            "Inbound::email with every field",
            inbound(
                Inbound::email(PROVIDER)
                    .from_contact(CONTACT)
                    .in_conversation(CONVERSATION)
                    .subject("Tonight")
                    .html("<p>See you at eight</p>")
                    .text("See you at eight")
                    .from("sender@company.com")
                    .to("recipient@company.com")
                    .cc(["john1@doe.com"])
                    .bcc(["john2@doe.com"])
                    .reply_to("email123")
                    .attachment("https://storage.com/file1.pdf")
                    .alt_id("alt123")
                    .direction(Direction::Inbound)
                    .at(time)
                    .into(),
            ),
        ),
        (
            "OutboundCall::in_conversation",
            call(
                OutboundCall::in_conversation(CONVERSATION, PROVIDER)
                    .from("+15037081210")
                    .to("+15035550100")
                    .status(CallStatus::Completed)
                    .duration(Duration::from_secs(95))
                    .at(time)
                    .alt_id("alt123")
                    .attachment("https://storage.com/recording.mp3")
                    .into(),
            ),
        ),
        (
            "OutboundCall::to_contact",
            call(OutboundCall::to_contact(CONTACT, PROVIDER).to("+15037081210").into()),
        ),
    ];
    macro_rules! inbound_text {
        ($($name:ident)+) => { $( cases.push((
            concat!("Inbound::", stringify!($name)),
            inbound(Inbound::$name(PROVIDER).from_contact(CONTACT).text(text).into()),
        )); )+ };
    }
    inbound_text!(sms whatsapp google_business instagram facebook tiktok rcs custom web_chat live_chat all_in_one_chat form_submission);
    macro_rules! inbound_call {
        ($($name:ident)+) => { $( cases.push((
            concat!("Inbound::", stringify!($name)),
            inbound(Inbound::$name(PROVIDER).in_conversation(CONVERSATION).from("+15037081210").to("+15035550100").status(CallStatus::Voicemail).into()),
        )); )+ };
    }
    inbound_call!(call ivr_call campaign_call campaign_voicemail);
    cases
}

/// A call of an operation that creates no message.
type Call = fn(Client) -> Pin<Box<dyn Future<Output = Result<()>>>>;

/// Boxes an async block as a [`Call`]. The result is not used.
macro_rules! call {
    (|$client:ident| $call:expr) => {
        |$client| Box::pin(async move { $call.await.map(drop) })
    };
}

fn contacts() -> Vec<(&'static str, Call)> {
    vec![
        (
            "contacts().upsert",
            call!(|client| client
                .contacts()
                .upsert(Contact::phone("+1 (503) 708-1210").name("Grace Hopper"))),
        ),
        (
            "contacts().upsert with every kind of field",
            call!(|client| client.contacts().upsert(
                Contact::email("grace@example.com")
                    .first_name("Grace")
                    .assigned_to("user123")
                    .tag("vip")
                    .custom_field("field123", "Gold")
                    .dnd(false)
                    .dnd_sms(DndStatus::Active)
                    .company("Navy")
                    .location("location456")
            )),
        ),
        (
            "contacts().create",
            call!(|client| client.contacts().create(Contact::named("Grace Hopper").company("Navy"))),
        ),
        ("contacts().get", call!(|client| client.contacts().get(&CONTACT.into()))),
        (
            "contacts().update",
            call!(|client| client.contacts().update(
                &CONTACT.into(),
                ContactUpdate::new().last_name("Hopper").with_phone("+15037081210")
            )),
        ),
        (
            "contacts().find_duplicate, by phone number",
            call!(|client| client.contacts().find_duplicate(ContactKey::phone("+1 (503) 708-1210"))),
        ),
        (
            "contacts().find_duplicate, by email",
            call!(|client| client.contacts().find_duplicate(ContactKey::email("ada+1@example.com"))),
        ),
        (
            "contacts().search",
            call!(|client| async move {
                let search = ContactSearch::text("Grace")
                    .filter("tags", "eq", ["vip"])
                    .sort("dateUpdated", SortOrder::Asc)
                    .page_size(50);
                client.contacts().search(search).collect().await
            }),
        ),
        ("contacts().add_tags", call!(|client| client.contacts().add_tags(&CONTACT.into(), ["vip"]))),
        ("contacts().remove_tags", call!(|client| client.contacts().remove_tags(&CONTACT.into(), ["vip"]))),
        (
            "contacts().add_note",
            call!(|client| client
                .contacts()
                .add_note(&CONTACT.into(), ContactNoteRequest::new("Call in the morning"))),
        ),
    ]
}

fn conversations() -> Vec<(&'static str, Call)> {
    vec![
        (
            "conversations().search",
            call!(|client| async move {
                client.conversations().search(ConversationSearch::with_contact(CONTACT)).collect().await
            }),
        ),
        (
            "conversations().search with every filter",
            call!(|client| async move {
                let search = ConversationSearch::text("Grace")
                    .status(ConversationFilter::Unread)
                    .assigned_to("user123")
                    .last_message_type(EventMessageTypeString::TypeSms)
                    .last_message_direction(Direction::Inbound)
                    .sort(ConversationSortKey::LastMessageDate, SortOrder::Desc)
                    .page_size(50)
                    .location("location456");
                client.conversations().search(search).collect().await
            }),
        ),
        ("conversations().create", call!(|client| client.conversations().create(&CONTACT.into()))),
        ("conversations().get", call!(|client| client.conversations().get(&CONVERSATION.into()))),
        (
            "conversations().set_unread",
            call!(|client| client.conversations().set_unread(&CONVERSATION.into(), 0)),
        ),
        (
            "conversations().set_starred",
            call!(|client| client.conversations().set_starred(&CONVERSATION.into(), true)),
        ),
        (
            "conversations().set_typing",
            call!(|client| client.conversations().set_typing(
                &CONVERSATION.into(),
                &"visitor123".into(),
                true
            )),
        ),
    ]
}

fn messages() -> Vec<(&'static str, Call)> {
    vec![
        ("messages().get", call!(|client| client.messages().get(&"msg123".into()))),
        ("messages().get_email", call!(|client| client.messages().get_email(&"email123".into()))),
        (
            "messages().list",
            call!(|client| async move { client.messages().list(&CONVERSATION.into()).collect().await }),
        ),
        (
            "messages().export with every filter",
            call!(|client| async move {
                let time = SystemTime::UNIX_EPOCH + TIME;
                let export = MessageExport::all()
                    .channel(ExportChannel::Sms)
                    .with_contact(CONTACT)
                    .in_conversation(CONVERSATION)
                    .since(time)
                    .until(time + Duration::from_secs(60))
                    .sort(ExportSortKey::CreatedAt, SortOrder::Asc)
                    .page_size(500);
                client.messages().export(export).collect().await
            }),
        ),
        (
            "messages().set_status",
            call!(|client| client.messages().set_status(&"msg123".into(), Status::delivered())),
        ),
        (
            "messages().set_status, failed",
            call!(|client| client
                .messages()
                .set_status(&"msg123".into(), Status::failed("Not in service").code("30003"))),
        ),
        (
            "messages().set_email_status",
            call!(|client| client.messages().set_email_status(
                &"email123".into(),
                EmailProgress::new(EmailStatus::Delivered)
                    .recipient("ada@example.com", EmailStatus::Delivered)
                    .failed_recipient("grace@example.com", "Mailbox not found")
            )),
        ),
        ("messages().cancel", call!(|client| client.messages().cancel(&"msg123".into()))),
        ("messages().cancel_email", call!(|client| client.messages().cancel_email(&"email123".into()))),
        (
            "messages().set_attachments",
            call!(|client| client
                .messages()
                .set_attachments(&"msg123".into(), ["https://storage.com/recording.mp3"])),
        ),
        (
            "files().upload",
            call!(|client| client.files().upload(
                Upload::to_conversation(CONVERSATION).contact(CONTACT).bytes("menu.txt", "Soup of the day")
            )),
        ),
        ("calls().recording", call!(|client| client.calls().recording(&"msg123".into()))),
        ("calls().transcription", call!(|client| client.calls().transcription(&"msg123".into()))),
    ]
}

#[tokio::test]
async fn requests() {
    let recorder = Recorder::start().await;
    let builder = || {
        Client::builder()
            .base_url(&recorder.base_url)
            .token("pit-00000000-0000-0000-0000-000000000000")
            .user_agent("snapshot/1.0")
    };
    let client = builder().build().expect("a client");
    let mut text = String::new();
    let templates = templates();
    let mut missing: BTreeSet<&str> = templates.iter().map(String::as_str).collect();
    // The search replaces this deprecated operation, which only the sandbox serves.
    missing.remove("GET /contacts/");
    let mut record = |name: &str| {
        let requests = recorder.take();
        assert_eq!(requests.len(), 1, "{name}");
        missing.remove(template_of(&requests[0], &templates));
        writeln!(text, "## {name}\n\n{}\n", readable(&requests[0], &recorder.base_url)).expect("a string");
    };
    for (name, request) in cases() {
        let result = match request {
            Request::Send(request) => client.messages().send(*request).await.map(drop),
            Request::Inbound(request) => client.messages().add_inbound(*request).await.map(drop),
            Request::Call(request) => client.calls().add_outbound(*request).await.map(drop),
        };
        result.unwrap_or_else(|error| panic!("{name}: {error}"));
        record(name);
    }
    let client = builder().location("location123").build().expect("a client");
    for (name, call) in contacts().into_iter().chain(conversations()).chain(messages()) {
        call(client.clone()).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        record(name);
    }
    assert!(templates.len() > 25, "{templates:?}");
    assert!(missing.is_empty(), "operations without a row: {missing:?}");
    crate::snapshots::check("requests", &text);
}

/// Returns the method and path template of each operation of the spec.
fn templates() -> Vec<String> {
    let spec = std::fs::read_to_string(root().join("spec/openapi.yaml")).expect("the spec");
    let (mut path, mut templates) = ("", Vec::new());
    for line in spec.lines() {
        match line.strip_prefix("  ").and_then(|line| line.strip_suffix(':')) {
            Some(name) if name.starts_with('/') => path = name,
            Some("  get" | "  post" | "  put" | "  delete") => {
                templates.push(format!("{} {path}", line.trim().trim_end_matches(':').to_uppercase()));
            }
            _ => {}
        }
    }
    templates
}

/// Returns the operation of a request: of the templates that match, the one with the fewest parameters.
fn template_of<'a>(request: &str, templates: &'a [String]) -> &'a str {
    let line = request.split([' ', '?']).take(2).collect::<Vec<_>>().join(" ");
    let matches = |template: &&String| {
        let (sent, expected): (Vec<&str>, Vec<&str>) =
            (line.split('/').collect(), template.split('/').collect());
        let is_equal = |(sent, expected): (&&str, &&str)| expected.starts_with('{') || sent == expected;
        sent.len() == expected.len() && sent.iter().zip(&expected).all(is_equal)
    };
    let found = templates.iter().filter(matches).min_by_key(|template| template.matches('{').count());
    found.unwrap_or_else(|| panic!("{line} is not in the spec"))
}

/// Formats a request: its body on several lines, and `PORT` and `BOUNDARY` instead of values that differ in each run.
fn readable(request: &str, base_url: &str) -> String {
    let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
    let port = base_url.rsplit(':').next().expect("a port");
    let head = head.replace("\r\n", "\n").replace(&format!("127.0.0.1:{port}"), "127.0.0.1:PORT");
    if let Some((_, boundary)) = head.split_once("boundary=") {
        let boundary = boundary.lines().next().unwrap_or_default().to_owned();
        return format!("{head}\n\n{}", body.trim_end().replace("\r\n", "\n")).replace(&boundary, "BOUNDARY");
    }
    if body.is_empty() {
        return head;
    }
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    format!("{head}\n\n{body:#}")
}
