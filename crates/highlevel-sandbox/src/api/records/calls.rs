//! Recordings and transcriptions of calls.

use serde_json::{Value, json};

use super::{Binary, ErrorResponse, RecordRequest, Reply};
use crate::fidelity::Refusal;
use crate::model::{Message, is_phone};

/// The duration of a completed call that has none, in seconds.
const DURATION: u32 = 60;
/// The maximum duration of a generated recording, in seconds.
pub(crate) const MAX_DURATION: u32 = 600;
/// The sentences of all transcriptions.
const SENTENCES: [&str; 3] =
    ["This call may be recorded.", "Hello, how can I help you?", "Thank you, that is all for today."];

/// Returns the duration of a call in seconds. `None` if it is not known.
pub(super) fn duration(message: &Message) -> Option<u32> {
    let duration = ["/call/duration", "/call/callDuration"].iter();
    let mut duration = duration.filter_map(|pointer| message.request.pointer(pointer)?.as_u64());
    duration.next().and_then(|seconds| u32::try_from(seconds).ok())
}

impl RecordRequest<'_> {
    /// The recording is silence of the duration of the call.
    pub(super) fn get_recording(&self) -> Result<Reply, ErrorResponse> {
        Ok(Reply::binary(Binary::Recording(self.recorded_call(0, 1)?)))
    }

    pub(super) fn get_transcription(&self) -> Result<Reply, ErrorResponse> {
        let milliseconds = u64::from(self.recorded_call(1, 0)?) * 1_000;
        let part = milliseconds / 3;
        let sentences = SENTENCES.iter().zip(0_u64..).map(|(sentence, index)| {
            // The live API returns numbers as texts.
            json!({
                "mediaChannel": (index % 2 + 1).to_string(),
                "sentenceIndex": index.to_string(),
                "startTime": (index * part).to_string(),
                "endTime": ((index + 1) * part).to_string(),
                "transcript": sentence,
                "confidence": "0.92",
            })
        });
        Ok(Reply::ok(sentences.collect::<Value>()))
    }

    /// Returns the duration of the call in the path, if it was recorded. The arguments are the positions of the message and
    /// of the location in the path.
    fn recorded_call(&self, message: usize, location: usize) -> Result<u32, ErrorResponse> {
        self.check_owner(self.parameter(location))?;
        let message = self.message(self.parameter(message))?;
        let is_recorded = is_phone(&message.channel) && matches!(&*message.status, "completed" | "voicemail");
        if !is_recorded && self.settings.refuses(Refusal::RecordingNotFound) {
            return Err(ErrorResponse::refused(Refusal::RecordingNotFound, ""));
        }
        Ok(duration(&message.parsed()).unwrap_or(DURATION).min(MAX_DURATION))
    }
}
