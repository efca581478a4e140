//! Exporting the messages of a location.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::contact_view::milliseconds;
use super::messages::PAGE_BYTES;
use super::{ErrorResponse, RecordRequest, Reply, message_view};
use crate::model::{StoredMessage, is_email, is_phone};

/// The lifetime of a cursor, in milliseconds.
const LIFETIME: i64 = 2 * 60 * 1_000;

impl RecordRequest<'_> {
    /// The order is that of creation, the newest first by default.
    pub(super) fn export_messages(&self) -> Result<Reply, ErrorResponse> {
        let now = milliseconds(&self.generated.now);
        let cursor = self.query.get("cursor").map(|cursor| read_cursor(cursor, now)).transpose()?;
        let dates = (self.date("startDate")?, self.date("endDate")?);
        let invalid =
            || ErrorResponse::bad_request("cursor is invalid; start the export from the first page");
        let all: Vec<&StoredMessage> = if self.query.get("sortOrder") == Some("asc") {
            let mut all = self.model.messages().map(AsRef::as_ref).peekable();
            if let Some(after) = &cursor {
                self.model.message(after).ok_or_else(invalid)?;
                while all.next_if(|message| message.id != *after).is_some() {}
                all.next();
            }
            all.filter(|message| self.is_exported(message, dates)).collect()
        } else {
            let all = self.model.newest_after(cursor.as_deref()).ok_or_else(invalid)?;
            all.map(AsRef::as_ref).filter(|message| self.is_exported(message, dates)).collect()
        };
        let (limit, mut bytes) = (self.query.limit(20, 500), 0);
        let page = all.iter().take(limit).take_while(|message| {
            let is_in = bytes <= PAGE_BYTES;
            bytes += message.weight();
            is_in
        });
        let page: Vec<&StoredMessage> = page.copied().collect();
        let views: Value = page.iter().map(|message| message_view::message(message, self.model)).collect();
        let mut body = json!({ "messages": views, "total": all.len() });
        if let Some(last) = page.last().filter(|_| page.len() < all.len()) {
            body["nextCursor"] = json!(cursor_after(&last.id, now));
        }
        Ok(Reply::ok(body))
    }

    fn is_exported(&self, message: &StoredMessage, (start, end): (Option<i64>, Option<i64>)) -> bool {
        let same = |name: &str, id: &str| self.query.get(name).is_none_or(|wanted| wanted == id);
        let date = milliseconds(&message.date_added);
        message.location_id == self.location
            && same("contactId", &message.contact_id)
            && same("conversationId", &message.conversation_id)
            && is_of_channel(&message.channel, self.query.get("channel"))
            && start.is_none_or(|start| date >= start)
            && end.is_none_or(|end| date <= end)
    }

    /// Returns a date of the query, in milliseconds since 1970.
    fn date(&self, name: &str) -> Result<Option<i64>, ErrorResponse> {
        let Some(text) = self.query.get(name) else { return Ok(None) };
        let day = || chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
        let time = chrono::DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis()).ok();
        time.or_else(|| Some(day()?.and_utc().timestamp_millis()))
            .map(Some)
            .ok_or_else(|| ErrorResponse::bad_request(&format!("{name} must be a date, RFC 3339")))
    }
}

/// Without a channel, all messages but emails are exported.
fn is_of_channel(channel: &str, wanted: Option<&str>) -> bool {
    match wanted {
        None => !is_email(channel),
        Some("Call") => is_phone(channel),
        Some("Instagram") => channel == "IG",
        Some("Facebook") => channel == "FB",
        Some(wanted) => channel == wanted,
    }
}

fn cursor_after(id: &str, now: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{now}:{id}"))
}

/// Returns the ID of the last message of the previous page.
fn read_cursor(cursor: &str, now: i64) -> Result<String, ErrorResponse> {
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let parts = text.as_deref().and_then(|text| text.split_once(':'));
    let parts = parts.and_then(|(issued, id)| Some((issued.parse::<i64>().ok()?, id)));
    match parts {
        Some((issued, id)) if (0..=LIFETIME).contains(&now.saturating_sub(issued)) => Ok(id.to_owned()),
        Some(_) => Err(ErrorResponse::bad_request("cursor has expired; a cursor is valid for 2 minutes")),
        None => Err(ErrorResponse::bad_request("cursor is invalid; start the export from the first page")),
    }
}
