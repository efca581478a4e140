//! Each method of a constructor sets the documented field, and nothing else.

use std::time::{Duration, SystemTime};

use highlevel::wire::types::{InboundMessageRequest, OutboundCallRequest, SendMessageRequest};
use highlevel::{
    AltId, AppointmentId, CallStatus, ContactId, ConversationId, ConversationProviderId, Custom, Direction,
    Email, EmailMessageId, EmailReplyMode, Facebook, Inbound, Instagram, InternalComment, LiveChat,
    MessageId, OptimizationPeriod, OutboundCall, Rcs, SendStatus, Sms, TemplateId, ThreadId, TikTok, UserId,
    WhatsApp,
};
use serde::Serialize;
use serde_json::{Value, json};

fn check(request: &impl Serialize, base: &Value, fields: &Value) {
    let mut expected = base.clone();
    let all = expected.as_object_mut().expect("an object");
    all.extend(fields.as_object().expect("an object").clone());
    assert_eq!(serde_json::to_value(request).expect("JSON"), expected);
}

fn time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_722_268_288_071)
}

/// Checks the methods that all channels have, and those of the named groups.
macro_rules! channel {
    ($new:expr, $base:expr; $($group:ident)*) => {{
        let base = $base;
        let check = |message, fields: Value| check(&SendMessageRequest::from(message), &base, &fields);
        check($new, json!({}));
        check($new.text("t"), json!({ "message": "t" }));
        check($new.text("t").text("u"), json!({ "message": "u" }));
        check($new.attachment("a"), json!({ "attachments": ["a"] }));
        check($new.attachment("a").attachment("b"), json!({ "attachments": ["a", "b"] }));
        check($new.user("u"), json!({ "userId": "u" }));
        check($new.status(SendStatus::Delivered), json!({ "status": "delivered" }));
        check($new.status(SendStatus::Failed), json!({ "status": "failed" }));
        check($new.status(SendStatus::Read), json!({ "status": "read" }));
        $( channel!(@$group $new, check); )*
    }};
    (@outgoing $new:expr, $check:ident) => {
        $check($new.template("tp"), json!({ "templateId": "tp" }));
        $check($new.reply_to("m"), json!({ "replyMessageId": "m" }));
        $check($new.appointment("ap"), json!({ "appointmentId": "ap" }));
        $check($new.at(time()), json!({ "scheduledTimestamp": 1_722_268_288 }));
        $check($new.at(SystemTime::UNIX_EPOCH), json!({ "scheduledTimestamp": 0 }));
        for (period, text) in
            [(OptimizationPeriod::V24h, "24h"), (OptimizationPeriod::V48h, "48h"), (OptimizationPeriod::V72h, "72h")]
        {
            let fields = json!({ "usesNativeSchedulingAi": true, "optimizationPeriod": text });
            $check($new.best_moment_within(period), fields);
        }
    };
    (@provider $new:expr, $check:ident) => {
        $check($new.provider("p"), json!({ "conversationProviderId": "p" }));
    };
    (@phone $new:expr, $check:ident) => {
        $check($new.from_number("+1"), json!({ "fromNumber": "+1" }));
        $check($new.to_number("+2"), json!({ "toNumber": "+2" }));
    };
    (@email $new:expr, $check:ident) => {
        $check($new.subject("s"), json!({ "subject": "s" }));
        $check($new.html("<p>"), json!({ "html": "<p>" }));
        $check($new.text_as_html("a < b\nc"), json!({ "message": "a < b\nc", "html": "a &lt; b<br>\nc" }));
        $check($new.from("a@b"), json!({ "emailFrom": "a@b" }));
        $check($new.to_address("Ada@Example.com"), json!({ "emailTo": "ada@example.com" }));
        $check($new.cc(["a@b", "c@d"]), json!({ "emailCc": ["a@b", "c@d"] }));
        $check($new.cc(["a@b"]).cc(vec!["c@d".to_owned()]), json!({ "emailCc": ["a@b", "c@d"] }));
        $check($new.cc([""; 0]), json!({}));
        $check($new.bcc(["a@b"]).bcc(["c@d"]), json!({ "emailBcc": ["a@b", "c@d"] }));
        $check($new.thread("th"), json!({ "threadId": "th" }));
        $check($new.reply_to_email("e"), json!({ "emailMessageId": "e" }));
    };
}

fn base(channel: &str) -> Value {
    json!({ "type": channel, "contactId": "c", "status": "pending" })
}

#[test]
fn channels_set_their_type_and_common_fields() {
    channel!(Sms::to("c"), base("SMS"); outgoing provider phone);
    channel!(WhatsApp::to("c"), base("WhatsApp"); outgoing provider phone);
    channel!(Rcs::to("c"), base("RCS"); outgoing provider phone);
    channel!(Instagram::to("c"), base("IG"); outgoing);
    channel!(Facebook::to("c"), base("FB"); outgoing);
    channel!(TikTok::to("c"), base("TIKTOK"); outgoing);
    channel!(LiveChat::to("c"), base("Live_Chat"); outgoing);
    channel!(Email::to("c"), base("Email"); outgoing email);
    channel!(InternalComment::about("c"), base("InternalComment"););
    let custom =
        json!({ "type": "Custom", "contactId": "c", "status": "pending", "conversationProviderId": "p" });
    channel!(Custom::to("c", "p"), custom; outgoing phone email);
}

#[test]
fn email_and_comment_methods_set_their_fields() {
    let check = |message: Email, fields| check(&SendMessageRequest::from(message), &base("Email"), &fields);
    let email = || Email::to("c");
    check(email().reply_mode(EmailReplyMode::Reply), json!({ "emailReplyMode": "reply" }));
    check(email().reply_mode(EmailReplyMode::ReplyAll), json!({ "emailReplyMode": "reply_all" }));
    check(
        email().forward("m", "e", "a@b"),
        json!({ "forward": {
            "isForwarded": true, "forwardWholeThread": false, "messageId": "m", "emailMessageId": "e", "toEmail": "a@b",
        } }),
    );
    check(
        email().forward_thread("m", "a@b"),
        json!({ "forward": {
            "isForwarded": true, "forwardWholeThread": true, "messageId": "m", "toEmail": "a@b",
        } }),
    );
}

#[test]
fn mentions_are_tagged_in_the_text() {
    struct Case {
        comment: InternalComment,
        message: &'static str,
        mentions: &'static [&'static str],
    }
    let comment = || InternalComment::about("c");
    for Case { comment, message, mentions } in [
        Case {
            comment: comment().mention("u", "Ada").mention("v", "Grace").text("call"),
            message: "@Ada<userId>u</userId> @Grace<userId>v</userId> call",
            mentions: &["u", "v"],
        },
        Case {
            comment: comment().text("call").mention("u", "Ada").mention("u", "Ada"),
            message: "@Ada<userId>u</userId> call",
            mentions: &["u"],
        },
        Case { comment: comment().mention("u", "Ada"), message: "@Ada<userId>u</userId>", mentions: &["u"] },
        // The text has the tag at another place.
        Case {
            comment: comment()
                .text(format!("ask {} first", InternalComment::tag("u", "Ada")))
                .mention("u", "Ada"),
            message: "ask @Ada<userId>u</userId> first",
            mentions: &["u"],
        },
        Case {
            comment: comment().text("ask @A<userId>w</userId>").mention("u", "Ada"),
            message: "@Ada<userId>u</userId> ask @A<userId>w</userId>",
            mentions: &["u", "w"],
        },
    ] {
        let fields = json!({ "message": message, "mentions": mentions });
        check(&SendMessageRequest::from(comment), &base("InternalComment"), &fields);
    }
}

#[test]
fn whatsapp_media_are_sent_in_their_own_field() {
    let check =
        |message: WhatsApp, fields| check(&SendMessageRequest::from(message), &base("WhatsApp"), &fields);
    let message = || WhatsApp::to("c");
    for (media, kind) in
        [(message().image("f"), "image"), (message().video("f"), "video"), (message().audio("f"), "audio")]
    {
        check(media, json!({ "whatsapp": { "type": "media", "media": { "type": kind, "url": "f" } } }));
    }
    check(
        message().document("f", "menu.pdf"),
        json!({ "whatsapp": { "type": "media", "media": { "type": "document", "url": "f", "name": "menu.pdf" } } }),
    );
}

#[test]
fn inbound_constructors_set_the_channel() {
    fn channel<C>(message: Inbound<C>, channel: &str) {
        let request = InboundMessageRequest::from(message.from_contact("c"));
        check(
            &request,
            &json!({ "type": channel, "contactId": "c", "conversationProviderId": "p" }),
            &json!({}),
        );
    }
    channel(Inbound::sms("p"), "SMS");
    channel(Inbound::whatsapp("p"), "WhatsApp");
    channel(Inbound::google_business("p"), "GMB");
    channel(Inbound::instagram("p"), "IG");
    channel(Inbound::facebook("p"), "FB");
    channel(Inbound::tiktok("p"), "TIKTOK");
    channel(Inbound::rcs("p"), "RCS");
    channel(Inbound::custom("p"), "Custom");
    channel(Inbound::web_chat("p"), "WebChat");
    channel(Inbound::live_chat("p"), "Live_Chat");
    channel(Inbound::all_in_one_chat("p"), "ALL_IN_ONE_CHAT");
    channel(Inbound::form_submission("p"), "FORM_SUBMISSION");
    channel(Inbound::email("p"), "Email");
    channel(Inbound::custom_email("p"), "Custom");
    channel(Inbound::call("p"), "Call");
    channel(Inbound::ivr_call("p"), "IVR_Call");
    channel(Inbound::campaign_call("p"), "Campaign_Call");
    channel(Inbound::campaign_voicemail("p"), "Campaign_VoiceMail");
    let sms = InboundMessageRequest::from(Inbound::default_sms().in_conversation("v"));
    check(&sms, &json!({ "type": "SMS", "conversationId": "v" }), &json!({}));
    for (message, channel) in
        [(Inbound::default_whatsapp(), "WhatsApp"), (Inbound::default_live_chat(), "Live_Chat")]
    {
        let message = InboundMessageRequest::from(message.in_conversation("v"));
        check(&message, &json!({ "type": channel, "conversationId": "v" }), &json!({}));
    }
    let email = InboundMessageRequest::from(Inbound::default_email().in_conversation("v"));
    check(&email, &json!({ "type": "Email", "conversationId": "v" }), &json!({}));
}

#[test]
fn inbound_methods_set_their_fields() {
    macro_rules! check {
        ($type:literal, $message:expr, $fields:tt) => {
            check(
                &InboundMessageRequest::from($message.from_contact("c")),
                &json!({ "type": $type, "contactId": "c", "conversationProviderId": "p" }),
                &json!($fields),
            )
        };
    }
    let sms = || Inbound::sms("p");
    check!("SMS", sms().in_conversation("v"), { "conversationId": "v" });
    check!("SMS", sms().text("t"), { "message": "t" });
    check!("SMS", sms().attachment("a").attachment("b"), { "attachments": ["a", "b"] });
    check!("SMS", sms().alt_id("x"), { "altId": "x" });
    check!("SMS", sms().at(time()), { "date": "2024-07-29T15:51:28.071Z" });
    check!("SMS", sms().direction(Direction::Inbound), { "direction": "inbound" });
    check!("SMS", sms().direction(Direction::Outbound), { "direction": "outbound" });

    let email = || Inbound::email("p");
    check!("Email", email().text("t"), { "message": "t" });
    check!("Email", email().html("<p>"), { "html": "<p>" });
    check!("Email", email().subject("s"), { "subject": "s" });
    check!("Email", email().from("a@b"), { "emailFrom": "a@b" });
    check!("Email", email().to("a@b"), { "emailTo": "a@b" });
    check!("Email", email().cc(["a@b"]).cc(["c@d"]), { "emailCc": ["a@b", "c@d"] });
    check!("Email", email().bcc(["a@b"]).bcc(["c@d"]), { "emailBcc": ["a@b", "c@d"] });
    check!("Email", email().reply_to("e"), { "emailMessageId": "e" });

    let call = || Inbound::call("p");
    check!("Call", call().from("+1"), { "call": { "from": "+1" } });
    check!("Call", call().to("+2"), { "call": { "to": "+2" } });
    check!("Call", call().status(CallStatus::NoAnswer), { "call": { "status": "no-answer" } });
    check!("Call", call().text("t"), { "message": "t" });
    check!("Call", call().duration(Duration::from_millis(95_900)), { "call": { "callDuration": 95 } });
}

#[test]
fn outbound_call_methods_set_their_fields() {
    let check = |call: OutboundCall, fields| {
        let base = json!({ "type": "Call", "contactId": "c", "conversationProviderId": "p" });
        check(&OutboundCallRequest::from(call), &base, &fields);
    };
    let call = || OutboundCall::to_contact("c", "p");
    check(call(), json!({}));
    check(call().from("+1"), json!({ "call": { "from": "+1" } }));
    check(call().to("+2"), json!({ "call": { "to": "+2" } }));
    check(call().alt_id("x"), json!({ "altId": "x" }));
    check(call().at(time()), json!({ "date": "2024-07-29T15:51:28.071Z" }));
    check(call().attachment("a").attachment("b"), json!({ "attachments": ["a", "b"] }));
    let statuses = [
        (CallStatus::Pending, "pending"),
        (CallStatus::Completed, "completed"),
        (CallStatus::Answered, "answered"),
        (CallStatus::Busy, "busy"),
        (CallStatus::NoAnswer, "no-answer"),
        (CallStatus::Failed, "failed"),
        (CallStatus::Canceled, "canceled"),
        (CallStatus::Voicemail, "voicemail"),
    ];
    for (status, text) in statuses {
        check(call().status(status), json!({ "call": { "status": text } }));
    }
    let timed = json!({ "call": { "status": "completed", "callStatus": "completed", "callDuration": 95 } });
    let duration = Duration::from_secs(95);
    check(call().status(CallStatus::Completed).duration(duration), timed.clone());
    check(call().duration(duration).status(CallStatus::Completed), timed);
    self::check(
        &OutboundCallRequest::from(OutboundCall::in_conversation("v", "p")),
        &json!({ "type": "Call", "conversationId": "v", "conversationProviderId": "p" }),
        &json!({}),
    );
}

#[test]
fn ids_are_accepted_as_text_and_as_ids() {
    let check = |message: Sms| check(&SendMessageRequest::from(message), &base("SMS"), &json!({}));
    let id = ContactId::from("c");
    check(Sms::to("c"));
    check(Sms::to("c".to_owned()));
    check(Sms::to(&id));
    check(Sms::to(id));
    let all = Email::to(ContactId::from("c"))
        .template(TemplateId::from("tp"))
        .reply_to(MessageId::from("m"))
        .appointment(AppointmentId::from("ap"))
        .user(UserId::from("u"))
        .thread(ThreadId::from("th"))
        .reply_to_email(EmailMessageId::from("e"))
        .forward(MessageId::from("m"), EmailMessageId::from("e"), "a@b");
    let all = serde_json::to_value(SendMessageRequest::from(all)).expect("JSON");
    assert_eq!(all["forward"]["emailMessageId"], "e");
    let inbound = Inbound::sms(ConversationProviderId::from("p"))
        .in_conversation(ConversationId::from("v"))
        .alt_id(AltId::from("x"));
    assert_eq!(InboundMessageRequest::from(inbound).conversation_id.expect("an id").as_str(), "v");
}
