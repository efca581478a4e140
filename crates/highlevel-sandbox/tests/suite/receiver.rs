//! A webhook receiver that responds with a configured status and stores the received bytes.

use std::sync::{Arc, Mutex};

use http::{Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

pub(crate) struct Receiver {
    pub(crate) url: String,
    events: Arc<Mutex<Vec<Received>>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) signature: String,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl Receiver {
    pub(crate) async fn start(status: StatusCode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks", listener.local_addr().unwrap());
        let events = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&events);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let kept = Arc::clone(&kept);
                    async move {
                        let (head, body) = request.into_parts();
                        let text = |name: &str| head.headers[name].to_str().unwrap().to_owned();
                        let (signature, content_type) = (text("x-ghl-signature"), text("content-type"));
                        let body = body.collect().await?.to_bytes().to_vec();
                        kept.lock().unwrap().push(Received { signature, content_type, body });
                        // Following it would lead back here.
                        let response = Response::builder().status(status).header("location", "/webhooks");
                        hyper::Result::Ok(response.body(Empty::<Bytes>::new()).unwrap())
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { url, events }
    }

    pub(crate) fn events(&self) -> Vec<Received> {
        self.events.lock().unwrap().clone()
    }
}
