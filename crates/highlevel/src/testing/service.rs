//! The place of the connections in a mock.

use std::future::{pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use serde_json::json;
use tower_service::Service;

use super::SentRequest;
use super::outcome::{MockResponse, MockStep, StepKind};
use super::state::MockState;
use crate::middleware::{BoxError, RequestBody, RequestInfo, ResponseBody};

/// Responds as the expectations of a mock specify.
#[derive(Clone)]
pub(super) struct MockService {
    state: Arc<MockState>,
}

impl MockService {
    pub(super) fn new(state: Arc<MockState>) -> Self {
        Self { state }
    }
}

impl Service<Request<RequestBody>> for MockService {
    type Response = Response<ResponseBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let state = Arc::clone(&self.state);
        Box::pin(async move {
            let sent = sent_request(&request);
            let conversation =
                sent.json().and_then(|json| Some(json.get("conversationId")?.as_str()?.to_owned()));
            let MockStep { delay, kind } = state.receive(sent);
            if let StepKind::NotSent = kind {
                tokio::time::sleep(delay).await;
                return Err(refused().into());
            }
            read(request.into_body()).await?;
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            match kind {
                StepKind::NotSent => Err(refused().into()),
                StepKind::Unknown => Err(broken().into()),
                StepKind::Silent => pending().await,
                StepKind::Accepted(id) => {
                    let conversation = conversation.as_deref().unwrap_or("mock-conversation");
                    let body = json!({ "success": true, "conversationId": conversation, "messageId": id });
                    Ok(response(MockResponse::new(StatusCode::CREATED, &body)))
                }
                StepKind::Respond(mock) => Ok(response(mock)),
            }
        })
    }
}

fn sent_request(request: &Request<RequestBody>) -> SentRequest {
    let info = request.extensions().get::<RequestInfo>();
    SentRequest {
        operation: info.map_or("", RequestInfo::operation),
        attempt: info.map_or(1, RequestInfo::attempt),
        call: info.map_or(0, RequestInfo::call),
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().map(str::to_owned),
        content: request.body().content().cloned(),
        message_id: None,
    }
}

/// Reads a request as a connection does: it asks for the end first, and then for each part.
async fn read(body: RequestBody) -> Result<(), BoxError> {
    let mut body = pin!(body);
    while !body.is_end_stream() {
        match poll_fn(|context| body.as_mut().poll_frame(context)).await {
            Some(frame) => frame?,
            None => break,
        };
    }
    Ok(())
}

fn response(MockResponse { status, headers, body, is_cut }: MockResponse) -> Response<ResponseBody> {
    let body = if is_cut {
        ResponseBody::new(Cut { content: Some(body.into()), error: Some(broken()) })
    } else {
        ResponseBody::from(body)
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, "the mock refuses the connection")
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the mock breaks the connection")
}

/// A body that breaks after its content.
struct Cut {
    content: Option<Bytes>,
    error: Option<io::Error>,
}

impl Body for Cut {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let content = self.content.take().map(|content| Ok(Frame::data(content)));
        Poll::Ready(content.or_else(|| self.error.take().map(Err)))
    }
}
