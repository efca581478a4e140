//! Snapshots of the HTTP requests that the SDK sends for each constructor.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use highlevel::wire::types::{InboundMessageRequest, OutboundCallRequest, SendMessageRequest};
use highlevel::{
    CallStatus, Client, Custom, Direction, Email, EmailReplyMode, Facebook, Inbound, Instagram,
    InternalComment, LiveChat, OptimizationPeriod, OutboundCall, Rcs, SendStatus, Sms, TikTok, WhatsApp,
};

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

#[tokio::test]
async fn requests() {
    let recorder = Recorder::start().await;
    let client = Client::builder()
        .base_url(&recorder.base_url)
        .token("pit-00000000-0000-0000-0000-000000000000")
        .user_agent("snapshot/1.0")
        .build()
        .expect("a client");
    let mut text = String::new();
    for (name, request) in cases() {
        let result = match request {
            Request::Send(request) => client.messages().send(*request).await.map(drop),
            Request::Inbound(request) => client.messages().add_inbound(*request).await.map(drop),
            Request::Call(request) => client.calls().add_outbound(*request).await.map(drop),
        };
        result.unwrap_or_else(|error| panic!("{name}: {error}"));
        let requests = recorder.take();
        assert_eq!(requests.len(), 1, "{name}");
        writeln!(text, "## {name}\n\n{}\n", readable(&requests[0], &recorder.base_url)).expect("a string");
    }
    crate::snapshots::check("requests", &text);
}

/// Formats a request: its body on several lines, and `PORT` instead of the port, which differs in each run.
fn readable(request: &str, base_url: &str) -> String {
    let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
    let port = base_url.rsplit(':').next().expect("a port");
    let head = head.replace("\r\n", "\n").replace(&format!("127.0.0.1:{port}"), "127.0.0.1:PORT");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    format!("{head}\n\n{body:#}")
}
