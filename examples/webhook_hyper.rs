//! A webhook server on hyper, without a framework. It also works behind layers of tower and tower-http.
//!
//! `cargo run --example webhook_hyper` starts a sandbox, receives one event and ends. With `HIGHLEVEL_APP_ID` and
//! `HIGHLEVEL_LISTEN=0.0.0.0:8080` it receives the events of that app until it is stopped.

use std::convert::Infallible;
use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use highlevel::webhook::{Event, Receiver};
use highlevel::{Client, Sms};
use highlevel_examples::Environment;
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::timeout;

/// Webhooks arrive within milliseconds from a sandbox.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The time limit for reading a body: a client may send it byte by byte.
const READING: Duration = Duration::from_secs(30);

/// Returns the response to the request of a webhook. Accepts any body of the `http` ecosystem: hyper's, and those of the
/// layers of tower-http.
async fn webhook<B: Body>(receiver: &Receiver, request: Request<B>) -> (u16, &'static str) {
    let (parts, body) = request.into_parts();
    let body = match timeout(READING, read(body, receiver.body_limit())).await {
        Ok(Ok(Some(body))) => body,
        Ok(Ok(None)) => return (413, "too large"),
        Ok(Err(_)) | Err(_) => return (429, "the body was not complete"),
    };
    let event = match receiver.receive(&parts.headers, body, SystemTime::now()).await {
        Ok(event) => event,
        Err(error) => {
            eprintln!("a webhook was not handled: {error}");
            return (error.status(), error.kind().public_message());
        }
    };
    if let Err(error) = handle(event.event()) {
        eprintln!("a webhook could not be handled: {error}");
        return (429, "not now");
    }
    match event.commit().await {
        Ok(()) => (200, ""),
        Err(error) => {
            eprintln!("a webhook was handled, but not committed: {error}");
            (error.status(), error.kind().public_message())
        }
    }
}

/// Reads the body into one buffer. Returns `None` if it is too large. Collecting its frames takes many times the memory if
/// each frame is a byte.
async fn read<B: Body>(body: B, limit: usize) -> Result<Option<Bytes>, B::Error> {
    let mut body = std::pin::pin!(body);
    if body.size_hint().lower() > limit as u64 {
        return Ok(None);
    }
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if data.remaining() > limit - bytes.len() {
            return Ok(None);
        }
        bytes.put(data);
    }
    Ok(Some(bytes.freeze()))
}

fn handle(event: &Event) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "received: {} {:?}", event.name(), event.content())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let environment = Environment::load().await?;
    let receiver = environment.receiver()?;
    let listener = TcpListener::bind(environment.listen()?).await?;
    let url = format!("http://{}/webhook", listener.local_addr()?);
    println!("{url} receives the events of the app {}", environment.get("HIGHLEVEL_APP_ID")?);
    let server = tokio::spawn(serve(listener, Arc::new(receiver)));
    let Some(sandbox) = environment.sandbox() else { match server.await?? {} };

    sandbox.set_webhook_url(&url)?;
    let client = Client::builder().base_url(sandbox.base_url()).token(sandbox.token()).build()?;
    client.messages().send(Sms::to(sandbox.contact_id()).text("Your table is ready")).await?;
    let delivery = sandbox.wait_for_deliveries(1, TIMEOUT).await?.swap_remove(0);
    println!("response: {:?}", delivery.status());
    if delivery.status() == Some(200) { Ok(()) } else { Err("the event was not handled".into()) }
}

async fn serve(listener: TcpListener, receiver: Arc<Receiver>) -> Result<Infallible, std::io::Error> {
    loop {
        let (stream, _) = listener.accept().await?;
        let receiver = Arc::clone(&receiver);
        let service = service_fn(move |request| {
            let receiver = Arc::clone(&receiver);
            async move {
                let (status, text) = webhook(&receiver, request).await;
                Response::builder().status(status).body(text.to_owned())
            }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}
