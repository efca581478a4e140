//! The operations of the generated client that have a request type.

use std::time::SystemTime;

use highlevel_wire::ResponseValue;
use highlevel_wire::types::{
    AddMessageResponse, InboundMessageRequest, OutboundCallRequest, SendMessageRequest, SendMessageResponse,
};

use crate::executor::Operation;
use crate::receipt::message_ids;
use crate::{Fingerprint, Result};

impl Operation for SendMessageRequest {
    type Response = SendMessageResponse;

    const NAME: &'static str = "send_message";

    fn is_receipt(response: &SendMessageResponse) -> bool {
        message_ids(response).next().is_some()
    }

    fn fingerprint(&self, attempted: SystemTime) -> Option<Fingerprint> {
        Some(Fingerprint::of(self, attempted))
    }

    async fn send(
        &self,
        wire: &highlevel_wire::Client,
    ) -> Result<ResponseValue<SendMessageResponse>, highlevel_wire::Error<()>> {
        wire.send_message(self).await
    }
}

impl Operation for InboundMessageRequest {
    type Response = AddMessageResponse;

    const NAME: &'static str = "add_inbound_message";

    fn fingerprint(&self, attempted: SystemTime) -> Option<Fingerprint> {
        Some(Fingerprint::of(self, attempted))
    }

    async fn send(
        &self,
        wire: &highlevel_wire::Client,
    ) -> Result<ResponseValue<AddMessageResponse>, highlevel_wire::Error<()>> {
        wire.add_inbound_message(self).await
    }
}

impl Operation for OutboundCallRequest {
    type Response = AddMessageResponse;

    const NAME: &'static str = "add_outbound_call";

    fn fingerprint(&self, attempted: SystemTime) -> Option<Fingerprint> {
        Some(Fingerprint::of(self, attempted))
    }

    async fn send(
        &self,
        wire: &highlevel_wire::Client,
    ) -> Result<ResponseValue<AddMessageResponse>, highlevel_wire::Error<()>> {
        wire.add_outbound_call(self).await
    }
}
