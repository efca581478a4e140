//! Requests that are rejected before they are sent, and requests that are not.

use std::time::{Duration, SystemTime};

use highlevel::wire::types::{
    Forward, InboundMessageRequest, InboundMessageType, OutboundCallRequest, OutboundCallType,
    SendMessageRequest, SendMessageType, WhatsAppContent, WhatsAppContentType,
};
use highlevel::{
    CallStatus, Client, ContactId, Custom, Delivery, Email, Error, ErrorKind, Facebook, Inbound, Instagram,
    InternalComment, LiveChat, OutboundCall, Rcs, SendStatus, Sms, TikTok, WhatsApp,
};

use crate::server::{Action, Server, receipt};

fn check(error: &Error, operation: &str, text: &str) {
    assert_eq!(error.to_string(), format!("{operation}: {text}"));
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{text}");
    assert_eq!(error.delivery(), Delivery::NotSent, "{text}");
    assert_eq!((error.operation(), error.attempts(), error.status()), (operation, 0, None), "{text}");
}

/// Returns a client, and its server, which accepts all requests.
async fn client() -> (Client, Server) {
    let server = Server::always(Action::Respond(receipt())).await;
    (server.client(), server)
}

/// Returns the forward of a thread to a contact.
fn forward_to_contact(thread: Option<&str>) -> Forward {
    let mut forward = Forward::new();
    forward.recipient_contact_id = Some(ContactId::from("c"));
    forward.message_id = thread.map(Into::into);
    forward
}

/// Returns a text message with changed fields.
fn raw(change: impl FnOnce(&mut SendMessageRequest)) -> SendMessageRequest {
    let mut request = SendMessageRequest::new("c", SendStatus::Pending, SendMessageType::Sms);
    request.message = Some("t".to_owned());
    change(&mut request);
    request
}

const SPACE: &str = "id contains white space, perhaps the line break of a file: trim it";
const PERSON: &str = "id is an email address or a phone number: look up the id that HighLevel assigned";
const EMPTY: &str = "id is empty: set it, or leave it out where it is optional";

#[tokio::test]
async fn invalid_messages_are_not_sent() {
    let no_content = |channel: &str| {
        format!("the {channel} message has no content: add `.text(…)`, `.attachment(…)` or `.template(…)`")
    };
    let email = "the Email message has no content: add `.html(…)`, `.text_as_html(…)`, `.attachment(…)` or `.template(…)`";
    let whatsapp =
        "the WhatsApp message has no content: add `.text(…)`, `.image(…)`, `.document(…)` or `.template(…)`";
    let no_contact = "the contact id is empty: a message is sent to a contact, not to a conversation; use the contactId \
                      of the conversation";
    let early = SystemTime::UNIX_EPOCH - Duration::from_secs(5);
    let late = SystemTime::UNIX_EPOCH + Duration::from_secs(1_722_268_288_071);
    let milliseconds = "which looks like milliseconds: it counts seconds, so divide it by 1000";
    let before = "before 1970: set the time of sending";
    let attachment = "an attachment is empty: set the URL of the file";

    let rows: Vec<(SendMessageRequest, String)> = vec![
        (Sms::to("c").into(), no_content("SMS")),
        (Sms::to("c").text(" \n").into(), no_content("SMS")),
        (Sms::to("c").template("").into(), no_content("SMS")),
        (Sms::to("c").from_number("+1").into(), no_content("SMS")),
        (WhatsApp::to("c").into(), whatsapp.to_owned()),
        (WhatsApp::to("c").text("\t\u{a0}").into(), whatsapp.to_owned()),
        (Rcs::to("c").into(), no_content("RCS")),
        (Instagram::to("c").into(), no_content("IG")),
        (Facebook::to("c").into(), no_content("FB")),
        (TikTok::to("c").into(), no_content("TIKTOK")),
        (LiveChat::to("c").into(), no_content("Live_Chat")),
        (Custom::to("c", "p").into(), no_content("Custom")),
        (raw(|request| request.message = None), no_content("SMS")),
        (
            InternalComment::about("c").text(" ").into(),
            "the InternalComment message has no content: add `.text(…)` or `.attachment(…)`".to_owned(),
        ),
        (Email::to("c").into(), email.to_owned()),
        (Email::to("c").subject("s").into(), email.to_owned()),
        (Email::to("c").html("").text("").into(), email.to_owned()),
        (Sms::to("").text("t").into(), no_contact.to_owned()),
        (Sms::to(" ").text("t").into(), no_contact.to_owned()),
        (Sms::to("c\n").text("t").into(), format!("the contact {SPACE}")),
        (Sms::to("c d").text("t").into(), format!("the contact {SPACE}")),
        (Sms::to("ada@example.com").text("t").into(), format!("the contact {PERSON}")),
        (Sms::to("+15037081210").text("t").into(), format!("the contact {PERSON}")),
        (Sms::to("c").text("t").provider("").into(), format!("the conversation provider {EMPTY}")),
        (Custom::to("c", "").text("t").into(), format!("the conversation provider {EMPTY}")),
        (Custom::to("c", "p\n").text("t").into(), format!("the conversation provider {SPACE}")),
        (Sms::to("c").attachment("").into(), attachment.to_owned()),
        (Sms::to("c").text("t").attachment("https://a/b").attachment(" ").into(), attachment.to_owned()),
        (
            raw(|request| request.scheduled_timestamp = Some(1_722_268_288_071)),
            format!("scheduledTimestamp is 1722268288071, {milliseconds}"),
        ),
        (
            raw(|request| request.scheduled_timestamp = Some(100_000_000_000)),
            format!("scheduledTimestamp is 100000000000, {milliseconds}"),
        ),
        (
            Sms::to("c").text("t").at(late).into(),
            format!("scheduledTimestamp is 1722268288071, {milliseconds}"),
        ),
        (Sms::to("c").text("t").at(early).into(), format!("scheduledTimestamp is -5, {before}")),
        (
            Sms::to("c").text("t").at(early - Duration::from_millis(1)).into(),
            format!("scheduledTimestamp is -6, {before}"),
        ),
    ];
    let (client, server) = client().await;
    for (request, text) in rows {
        let error = client.messages().send(request).await.expect_err(&text);
        check(&error, "send_message", &text);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn messages_that_would_not_be_delivered_are_not_sent() {
    let email = "the Email message has no content: add `.html(…)`, `.text_as_html(…)`, `.attachment(…)` or `.template(…)`";
    let no_html = "the Email message has a text and no HTML, which HighLevel requires: use `.text_as_html(…)` to send the text \
                   as HTML too, or add `.html(…)`";
    let no_tag = "the comment mentions the user u, but its text has no tag of the user: add `@name<userId>u</userId>` to the \
                  text, or use `InternalComment::mention`";
    let no_mention =
        "the text of the comment has a tag of the user u, who is not in `mentions`: add the id there";
    let no_thread = "the forward does not name its thread: set the id of the message that holds the thread in \
                     `forward.messageId`";
    let no_email = "the forward names no email: set `forward.emailMessageId`, or `forward.forwardWholeThread` for the whole \
                    thread";
    let no_recipient = "the forward has no recipient: set the email address to forward to";

    let rows: Vec<(SendMessageRequest, String)> = vec![
        (Email::to("c").text_as_html(" ").into(), email.to_owned()),
        (Email::to("c").text("t").into(), no_html.to_owned()),
        (Email::to("c").subject("s").text("t").html(" ").into(), no_html.to_owned()),
        (Email::to("c").text("t").attachment("https://a/b").into(), no_html.to_owned()),
        (raw(|request| request.type_ = SendMessageType::Email), no_html.to_owned()),
        (
            raw(|request| {
                request.type_ = SendMessageType::InternalComment;
                request.mentions = vec!["u".into()];
            }),
            no_tag.to_owned(),
        ),
        (
            raw(|request| {
                request.type_ = SendMessageType::InternalComment;
                request.message = Some("@A<userId>u</userId> t".to_owned());
            }),
            no_mention.to_owned(),
        ),
        (
            WhatsApp::to("c").image(" ").into(),
            "the WhatsApp media has no URL: set the one that the upload endpoint returned".to_owned(),
        ),
        (
            raw(|request| request.whatsapp = Some(WhatsAppContent::new(WhatsAppContentType::Media))),
            "the WhatsApp content has no media: add `whatsapp.media`".to_owned(),
        ),
        (Email::to("c").forward("m", "e", "").into(), no_recipient.to_owned()),
        (Email::to("c").forward("", "e", "a@example.com").into(), no_thread.to_owned()),
        (Email::to("c").forward_thread(" ", "a@example.com").into(), no_thread.to_owned()),
        (Email::to("c").forward("m", "", "a@example.com").into(), no_email.to_owned()),
        (raw(|request| request.forward = Some(forward_to_contact(None))), no_thread.to_owned()),
        (raw(|request| request.forward = Some(forward_to_contact(Some("m")))), no_email.to_owned()),
        (raw(|request| request.forward = Some(Forward::new())), no_recipient.to_owned()),
    ];
    let (client, server) = client().await;
    for (request, text) in rows {
        let error = client.messages().send(request).await.expect_err(&text);
        check(&error, "send_message", &text);
    }
    assert_eq!(server.connections(), 0);
}

/// Unusual requests that HighLevel may accept are sent.
#[tokio::test]
async fn unusual_messages_are_sent() {
    let rows: Vec<SendMessageRequest> = vec![
        Sms::to("c").attachment("https://a/b").into(),
        Sms::to("c").attachment("string").into(),
        Sms::to("c").template("tp").into(),
        InternalComment::about("c").text("t").into(),
        Email::to("c").html("<p>t</p>").into(),
        InternalComment::about("c").mention("u", "Ada").into(),
        InternalComment::about("c").text("t").mention("u", "Ada").mention("v", "Grace").into(),
        Email::to("c").text_as_html("t").into(),
        Email::to("c").text("t").template("tp").into(),
        Email::to("c").attachment("https://a/b").into(),
        Email::to("c").forward("m", "e", "a@example.com").into(),
        WhatsApp::to("c").image("https://a/b").into(),
        WhatsApp::to("c").attachment("https://a/b").into(),
        Custom::to("c", "p").text("t").into(),
        Email::to("c").forward_thread("m", "a@example.com").into(),
        raw(|request| request.type_ = SendMessageType::from("Pigeon")),
        raw(|request| request.scheduled_timestamp = Some(99_999_999_999)),
        raw(|request| request.scheduled_timestamp = Some(0)),
        raw(|request| {
            let mut forward = forward_to_contact(Some("m"));
            forward.forward_whole_thread = Some(true);
            request.forward = Some(forward);
        }),
        raw(|request| {
            let mut forward = Forward::new();
            forward.is_forwarded = Some(false);
            request.forward = Some(forward);
        }),
    ];
    let (client, server) = client().await;
    for (sent, request) in rows.into_iter().enumerate() {
        let expected = serde_json::to_value(&request).expect("JSON");
        client.messages().send(request).await.expect("sent");
        assert_eq!(server.requests().len(), sent + 1);
        assert_eq!(server.requests()[sent].json(), expected);
    }
}

fn raw_inbound(
    channel: InboundMessageType,
    change: impl FnOnce(&mut InboundMessageRequest),
) -> InboundMessageRequest {
    let mut request = InboundMessageRequest::new(channel);
    request.message = Some("t".to_owned());
    change(&mut request);
    request
}

#[tokio::test]
async fn invalid_inbound_messages_are_not_sent() {
    let no_address = "the contact or the conversation is missing: set contactId or conversationId".to_owned();
    let no_content = |channel: &str| {
        format!("the inbound {channel} message has no content: add `.text(…)` or `.attachment(…)`")
    };
    let no_provider = |channel: &str| {
        format!(
            "an inbound {channel} message needs a conversation provider: HighLevel rejects it without one, or drops it; \
             set conversationProviderId"
        )
    };
    let contact = |request: &mut InboundMessageRequest| request.contact_id = Some("c".into());
    let mut rows: Vec<(InboundMessageRequest, String)> = vec![
        (raw_inbound(InboundMessageType::Sms, |_| {}), no_address.clone()),
        (raw_inbound(InboundMessageType::Custom, |_| {}), no_address),
        (Inbound::sms("p").from_contact("").text("t").into(), format!("the contact {EMPTY}")),
        (Inbound::sms("p").in_conversation("").text("t").into(), format!("the conversation {EMPTY}")),
        (
            Inbound::sms("p").from_contact("c").in_conversation(" ").text("t").into(),
            format!("the conversation {EMPTY}"),
        ),
        (Inbound::sms("p").from_contact("+15037081210").text("t").into(), format!("the contact {PERSON}")),
        (Inbound::sms("p").in_conversation("v\n").text("t").into(), format!("the conversation {SPACE}")),
        (Inbound::sms("").from_contact("c").text("t").into(), format!("the conversation provider {EMPTY}")),
        (
            Inbound::sms("p q").from_contact("c").text("t").into(),
            format!("the conversation provider {SPACE}"),
        ),
        (Inbound::custom("").from_contact("c").text("t").into(), no_provider("Custom")),
        (
            Inbound::sms("p").from_contact("c").attachment("").into(),
            "an attachment is empty: set the URL of the file".to_owned(),
        ),
        (Inbound::sms("p").from_contact("c").into(), no_content("SMS")),
        (Inbound::default_sms().from_contact("c").text(" ").into(), no_content("SMS")),
        (Inbound::custom("p").from_contact("c").into(), no_content("Custom")),
        (Inbound::form_submission("p").from_contact("c").into(), no_content("FORM_SUBMISSION")),
        (
            Inbound::email("p").from_contact("c").subject("s").into(),
            "the inbound Email message has no content: add `.html(…)`, `.text(…)` or `.attachment(…)`"
                .to_owned(),
        ),
    ];
    let providers = ["Custom", "Call", "IVR_Call", "Campaign_Call", "Campaign_VoiceMail"];
    rows.extend(
        providers
            .map(|channel| (raw_inbound(InboundMessageType::from(channel), contact), no_provider(channel))),
    );
    let (client, server) = client().await;
    for (request, text) in rows {
        let error = client.messages().add_inbound(request).await.expect_err(&text);
        check(&error, "add_inbound_message", &text);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn unusual_inbound_messages_are_sent() {
    let rows: Vec<InboundMessageRequest> = vec![
        Inbound::default_sms().from_contact("c").text("t").into(),
        Inbound::default_whatsapp().from_contact("c").text("t").into(),
        Inbound::default_live_chat().from_contact("c").text("t").into(),
        Inbound::custom_email("p").from_contact("c").subject("s").html("<p>t</p>").into(),
        raw_inbound(InboundMessageType::Ig, |request| request.contact_id = Some("c".into())),
        raw_inbound(InboundMessageType::from("Pigeon"), |request| request.contact_id = Some("c".into())),
        Inbound::default_email().in_conversation("v").html("<p>t</p>").into(),
        Inbound::sms("p").from_contact("c").attachment("string").into(),
        Inbound::call("p").from_contact("c").into(),
        Inbound::ivr_call("p").from_contact("c").into(),
        Inbound::campaign_call("p").from_contact("c").into(),
        Inbound::campaign_voicemail("p").from_contact("c").status(CallStatus::Voicemail).into(),
        raw_inbound(InboundMessageType::Sms, |request| {
            request.message = None;
            request.contact_id = Some("c".into());
            request.call = Some(highlevel::wire::types::CallDetails::default());
        }),
    ];
    let (client, server) = client().await;
    for (sent, request) in rows.into_iter().enumerate() {
        client.messages().add_inbound(request).await.expect("sent");
        assert_eq!(server.requests().len(), sent + 1);
    }
}

#[tokio::test]
async fn invalid_calls_are_not_sent() {
    let no_number = "the call has no number of the called party, which HighLevel requires: add `.to(…)` with a number of the \
                     contact";
    let rows: Vec<(OutboundCallRequest, String)> = vec![
        (
            OutboundCallRequest::new("p", OutboundCallType::Call),
            "the contact or the conversation is missing: set contactId or conversationId".to_owned(),
        ),
        (OutboundCall::to_contact("", "p").into(), format!("the contact {EMPTY}")),
        (OutboundCall::to_contact("+15037081210", "p").into(), format!("the contact {PERSON}")),
        (OutboundCall::in_conversation("", "p").into(), format!("the conversation {EMPTY}")),
        (OutboundCall::in_conversation("\tv", "p").into(), format!("the conversation {SPACE}")),
        (OutboundCall::in_conversation("v", "").into(), format!("the conversation provider {EMPTY}")),
        (OutboundCall::in_conversation("v", "p ").into(), format!("the conversation provider {SPACE}")),
        (
            OutboundCall::to_contact("c", "p").attachment("").into(),
            "an attachment is empty: set the URL of the file".to_owned(),
        ),
        (OutboundCall::to_contact("c", "p").into(), no_number.to_owned()),
        (OutboundCall::in_conversation("v", "p").from("+1").to(" ").into(), no_number.to_owned()),
    ];
    let (client, server) = client().await;
    for (request, text) in rows {
        let error = client.calls().add_outbound(request).await.expect_err(&text);
        check(&error, "add_outbound_call", &text);
    }
    assert_eq!(server.connections(), 0);
}
