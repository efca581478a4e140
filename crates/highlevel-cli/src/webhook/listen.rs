//! `webhook listen`: receives, verifies, prints and forwards events.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use clap::Args;
use highlevel::Timestamp;
use highlevel::webhook::{Content, Event, Receiver, Verified};
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::accepted::AcceptedEventArgs;
use crate::failure::CommandError;
use crate::interrupt::Interrupts;
use crate::output::Printer;
use crate::server::{LocalServer, response};

/// The time that a client may take to send a body, and the program behind `--forward` to respond.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest response of the program behind `--forward` that is returned, in bytes.
const MAX_RESPONSE: usize = 1024 * 1024;

/// The longest time to complete the events in progress before the program ends.
const DRAIN: Duration = Duration::from_secs(5);

/// Headers that belong to a connection, and are not forwarded. Hyper sets those of the new one.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

#[derive(Debug, Args)]
pub(super) struct ListenArgs {
    /// Port to listen on; 0 chooses a free one
    #[arg(long)]
    port: u16,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    address: IpAddr,
    /// URL that receives the headers and the body of verified events, plain http; its response is returned to HighLevel
    #[arg(long, value_name = "URL", value_parser = target)]
    forward: Option<Uri>,
    #[command(flatten)]
    accepted: AcceptedEventArgs,
}

/// Parses the URL to forward to.
fn target(text: &str) -> Result<Uri, String> {
    let uri = text.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
    uri.ok_or_else(|| "expected a URL of this machine, for example http://127.0.0.1:3000/webhooks".to_owned())
}

/// The parts that all connections share.
struct EventRelay {
    receiver: Receiver,
    forward: Option<Uri>,
    printer: Printer,
    /// Receives the error of an output that cannot be written.
    failed: mpsc::UnboundedSender<io::Error>,
}

impl ListenArgs {
    pub(super) async fn run(self, printer: Printer) -> Result<(), CommandError> {
        let receiver = self.accepted.receiver()?;
        let mut interrupts = Interrupts::new()?;
        let mut server = LocalServer::bind(SocketAddr::new(self.address, self.port)).await?;
        let url = format!("http://{}/", server.address());
        let json = || {
            let forward = self.forward.as_ref().map(ToString::to_string);
            json!({ "event": "listening", "url": url, "forward": forward })
        };
        let forward = self.forward.as_ref().map(|uri| format!(", and forwards verified events to {uri}"));
        printer.result(json, || format!("{url} receives events{}", forward.unwrap_or_default()))?;
        let (failed, mut failures) = mpsc::unbounded_channel();
        let relay = Arc::new(EventRelay { receiver, forward: self.forward.clone(), printer, failed });
        let handle = move |request| Arc::clone(&relay).receive(request);
        let failure = tokio::select! {
            never = server.serve(handle) => match never {},
            failure = failures.recv() => failure,
            () = interrupts.next() => None,
        };
        server.drain(DRAIN).await;
        match failure {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}

impl EventRelay {
    /// Handles a request, and prints its result.
    async fn receive(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::POST {
            return response(StatusCode::METHOD_NOT_ALLOWED, "events are sent by POST\n");
        }
        let (parts, body) = request.into_parts();
        let limited = Limited::new(body, self.receiver.body_limit()).collect();
        let body = match tokio::time::timeout(TIMEOUT, limited).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                let message = format!("the body is longer than {} bytes", self.receiver.body_limit());
                return self.rejected(StatusCode::PAYLOAD_TOO_LARGE, &message, "too large");
            }
            Ok(Err(error)) => {
                return self.rejected(StatusCode::BAD_REQUEST, &error.to_string(), "unreadable");
            }
            Err(_) => {
                return self.rejected(
                    StatusCode::REQUEST_TIMEOUT,
                    "the body did not arrive in time",
                    "timeout",
                );
            }
        };
        let event = match self.receiver.verify(&parts.headers, body, SystemTime::now()) {
            Ok(event) => event,
            Err(error) => {
                let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
                return self.rejected(status, &error.to_string(), error.kind().public_message());
            }
        };
        let (status, forwarded) = match &self.forward {
            None => (response(StatusCode::OK, ""), None),
            Some(target) => match tokio::time::timeout(TIMEOUT, forward(target, parts, &event)).await {
                Ok(Ok(response)) => {
                    let forwarded = Ok(response.status());
                    (response, Some(forwarded))
                }
                // HighLevel redelivers an event after a 429, and after no other status.
                failed => {
                    let message = match failed {
                        Ok(Err(error)) => error.to_string(),
                        _ => format!("no response within {} s", TIMEOUT.as_secs()),
                    };
                    (response(StatusCode::TOO_MANY_REQUESTS, "not forwarded\n"), Some(Err(message)))
                }
            },
        };
        self.print_event(&event, status.status(), forwarded.as_ref());
        status
    }

    fn print_event(
        &self,
        event: &Verified<Event>,
        status: StatusCode,
        forwarded: Option<&Result<StatusCode, String>>,
    ) {
        let json = || {
            let body: Value = serde_json::from_slice(event.body()).unwrap_or_default();
            let error = forwarded.and_then(|forwarded| forwarded.as_ref().err());
            let forwarded = forwarded.and_then(|forwarded| forwarded.as_ref().ok());
            json!({
                "event": "webhook",
                "verified": true,
                "status": status.as_u16(),
                "name": event.event().name(),
                "id": event.id().as_str(),
                "keyId": event.key_id(),
                "forwardedStatus": forwarded.map(StatusCode::as_u16),
                "forwardError": error,
                "body": body,
            })
        };
        let text = || {
            let summary = summary(event.event()).replace('\n', " ");
            let forwarded = match forwarded {
                None => String::new(),
                Some(Ok(status)) => format!("  forwarded: {}", status.as_u16()),
                Some(Err(error)) => format!("  not forwarded: {error}"),
            };
            format!("{}  {}  {}{summary}{forwarded}", now(), status.as_u16(), event.event().name())
        };
        self.report(self.printer.result(json, text));
    }

    /// Prints that an event is rejected, and returns the response, which reveals less.
    fn rejected(&self, status: StatusCode, message: &str, public: &'static str) -> Response<Full<Bytes>> {
        let json =
            || json!({ "event": "webhook", "verified": false, "status": status.as_u16(), "error": message });
        let text = || format!("{}  {}  rejected: {message}", now(), status.as_u16()).replace('\n', " ");
        self.report(self.printer.result(json, text));
        response(status, format!("{public}\n"))
    }

    fn report(&self, printed: io::Result<()>) {
        if let Err(error) = printed {
            // The receiver ends with the program.
            let _ = self.failed.send(error);
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// Returns the content of an event for a line.
fn summary(event: &Event) -> String {
    let text = match event.content() {
        Some(Content::Text(text)) => text.text.unwrap_or_default().to_string(),
        Some(Content::Email(email)) => email.subject.unwrap_or_default().to_string(),
        Some(Content::Call(call)) => format!("{:?}", call.outcome),
        _ => return String::new(),
    };
    format!("  “{text}”")
}

/// Sends the event to the target: the body and the headers byte for byte, except for the headers of the connection.
async fn forward(
    target: &Uri,
    parts: Parts,
    event: &Verified<Event>,
) -> Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let host = target.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, target.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) =
        http1::Builder::new().preserve_header_case(true).handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::new(Full::new(Bytes::copy_from_slice(event.body())));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.path_and_query().map_or_else(|| "/".parse(), |path| path.as_str().parse())?;
    *request.headers_mut() = end_to_end(parts.headers);
    // They contain the case of the names.
    *request.extensions_mut() = parts.extensions;
    let authority = target.authority().map_or("", |authority| authority.as_str());
    request.headers_mut().insert(HOST, HeaderValue::from_str(authority)?);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let content_type = response.headers().get(CONTENT_TYPE).cloned();
    let body = Limited::new(response.into_body(), MAX_RESPONSE).collect().await?.to_bytes();
    let mut returned = Response::new(Full::new(body));
    *returned.status_mut() = status;
    if let Some(content_type) = content_type {
        returned.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    Ok(returned)
}

/// Removes the headers of a connection, and those that its `Connection` header names.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    headers
}
