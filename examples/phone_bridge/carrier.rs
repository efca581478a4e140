//! The phone system as the bridge sees it: it delivers text messages.

use std::future::Future;

use highlevel::Delivery;

/// A text message for a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutgoingText {
    /// Phone number of the contact.
    pub(crate) to: String,
    pub(crate) text: String,
    /// URLs of the attachments.
    pub(crate) files: Vec<String>,
}

/// A failure of the phone system, with the same four outcomes as a request to HighLevel.
#[derive(Debug, Clone)]
pub(crate) struct CarrierError {
    pub(crate) delivery: Delivery,
    pub(crate) reason: String,
}

/// Delivers text messages. A program implements it with the API of its phone system.
pub(crate) trait Carrier: Send + Sync + 'static {
    /// Delivers a message, and returns an error with the knowledge about it otherwise.
    fn send(&self, message: &OutgoingText) -> impl Future<Output = Result<(), CarrierError>> + Send;
}

/// Prints messages instead of delivering them. Numbers with 555 after the area code are not in service.
#[derive(Debug, Default)]
pub(crate) struct Console;

impl Carrier for Console {
    async fn send(&self, message: &OutgoingText) -> Result<(), CarrierError> {
        println!("   to {}: {} {}", message.to, message.text, message.files.join(" "));
        if message.to.get(5..8) == Some("555") {
            let reason = "the number is not in service".to_owned();
            return Err(CarrierError { delivery: Delivery::Rejected, reason });
        }
        Ok(())
    }
}
