//! The reports of a phone system: forms as Twilio sends them, and JSON as Telnyx does.

use std::collections::BTreeMap;
use std::time::Duration;

use highlevel::{CallStatus, Timestamp};
use serde::Deserialize;
use serde_json::Value;

/// An inbound text message, or a call that has ended.
#[derive(Debug)]
pub(crate) struct Report {
    /// The id in the phone system, equal for all deliveries of the report.
    pub(crate) id: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    Text { text: String, files: Vec<String> },
    Call { status: CallStatus, duration: Option<Duration> },
}

/// Reads a form of Twilio: the webhook of an incoming message, or the status callback of a call. Returns `None` if there is
/// nothing to add, for example while a call is ringing.
pub(crate) fn twilio(body: &[u8]) -> Result<Option<Report>, String> {
    let fields: BTreeMap<_, _> = form_urlencoded::parse(body).into_owned().collect();
    let field = |name: &str| fields.get(name).cloned();
    let required = |name: &str| field(name).ok_or_else(|| format!("the form has no field {name}"));
    let (from, to) = (required("From")?, required("To")?);
    if let Some(id) = field("CallSid") {
        let status = required("CallStatus")?;
        // The names of Twilio for calls that have ended are those of HighLevel.
        if !["completed", "busy", "no-answer", "failed", "canceled"].contains(&status.as_str()) {
            return Ok(None);
        }
        let seconds = field("CallDuration").and_then(|seconds| seconds.parse().ok());
        let duration = seconds.map(Duration::from_secs);
        let content = Content::Call { status: CallStatus::from(status.as_str()), duration };
        return Ok(Some(Report { id, from, to, content }));
    }
    let files = (0..).map_while(|index| field(&format!("MediaUrl{index}"))).collect();
    let content = Content::Text { text: field("Body").unwrap_or_default(), files };
    Ok(Some(Report { id: required("MessageSid")?, from, to, content }))
}

/// Reads JSON of Telnyx: `message.received` and `call.hangup`. Returns `None` for all other events.
pub(crate) fn telnyx(body: &[u8]) -> Result<Option<Report>, String> {
    #[derive(Deserialize)]
    struct Webhook {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        event_type: String,
        payload: Value,
    }
    #[derive(Deserialize)]
    struct Message {
        id: String,
        from: Party,
        to: Vec<Party>,
        #[serde(default)]
        text: String,
        #[serde(default)]
        media: Vec<Media>,
    }
    #[derive(Deserialize)]
    struct Party {
        phone_number: String,
    }
    #[derive(Deserialize)]
    struct Media {
        url: String,
    }
    #[derive(Deserialize)]
    struct EndedCall {
        call_leg_id: String,
        from: String,
        to: String,
        hangup_cause: String,
        start_time: Option<Timestamp>,
        end_time: Option<Timestamp>,
    }

    let Webhook { data } = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    match data.event_type.as_str() {
        "message.received" => {
            let message = Message::deserialize(data.payload).map_err(|error| error.to_string())?;
            let to = message.to.into_iter().next().ok_or("the message has no recipient")?.phone_number;
            let files = message.media.into_iter().map(|file| file.url).collect();
            let content = Content::Text { text: message.text, files };
            Ok(Some(Report { id: message.id, from: message.from.phone_number, to, content }))
        }
        "call.hangup" => {
            let call = EndedCall::deserialize(data.payload).map_err(|error| error.to_string())?;
            let status = match call.hangup_cause.as_str() {
                "normal_clearing" | "time_limit" => CallStatus::Completed,
                "user_busy" => CallStatus::Busy,
                "timeout" => CallStatus::NoAnswer,
                "originator_cancel" => CallStatus::Canceled,
                _ => CallStatus::Failed,
            };
            let time = |time: Option<Timestamp>| time.as_ref().and_then(Timestamp::to_system_time);
            let duration = match (time(call.start_time), time(call.end_time)) {
                (Some(start), Some(end)) => end.duration_since(start).ok(),
                _ => None,
            };
            let content = Content::Call { status, duration };
            Ok(Some(Report { id: call.call_leg_id, from: call.from, to: call.to, content }))
        }
        _ => Ok(None),
    }
}
