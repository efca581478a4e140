//! Cancelling scheduled messages. A failure is a 200 whose body has the status of the failure.

use serde_json::json;

use super::{RecordRequest, Reply};
use crate::model::{Kind, SCHEDULED, StoredMessage};

impl RecordRequest<'_> {
    pub(super) fn cancel_scheduled_message(&self) -> Reply {
        self.cancel(self.model.message(self.parameter(0)).map(AsRef::as_ref))
    }

    pub(super) fn cancel_scheduled_email(&self) -> Reply {
        self.cancel(self.model.email(self.parameter(0)).map(AsRef::as_ref))
    }

    fn cancel(&self, message: Option<&StoredMessage>) -> Reply {
        let scheduled = message.filter(|each| each.location_id == self.location && each.status == SCHEDULED);
        match scheduled {
            Some(message) => {
                let done = json!({ "status": 200, "message": "The scheduled message was cancelled." });
                Reply::ok(done).delete(Kind::Message, &message.id)
            }
            None => Reply::ok(json!({ "status": 404, "message": "Failed to cancel the scheduled message" })),
        }
    }
}
