//! Root certificates that a program adds.

use highlevel::{Client, Delivery, ErrorKind, RetryPolicy, Sms, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::tls::{Certificate, acceptor};

/// Responds to every request of every connection with a receipt, over TLS.
async fn serve(certificate: Certificate) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
    let acceptor = acceptor(certificate);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = Vec::new();
                while !request.ends_with(b"}") {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let body = r#"{"conversationId":"c1","messageId":"m1"}"#;
                let response =
                    format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(response.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    url
}

#[tokio::test]
async fn added_root_certificates_are_trusted() {
    let trusting = Transport::builder().root_certificates_pem(include_bytes!("trusted.pem")).build();
    let trusting = trusting.expect("a transport");
    let default = Transport::builder().build().expect("a transport");
    for (certificate, transport, is_trusted) in [
        (Certificate::Trusted, &trusting, true),
        (Certificate::Trusted, &default, false),
        (Certificate::Untrusted, &trusting, false),
    ] {
        let builder =
            Client::builder().token("pit-1").base_url(serve(certificate).await).transport(transport);
        let client = builder.retry_policy(RetryPolicy::none()).build().expect("a client");
        match client.messages().send(Sms::to("c").text("t")).await {
            Ok(sent) => assert!(is_trusted && sent.message_id().as_str() == "m1", "{certificate:?}"),
            Err(error) => {
                assert!(!is_trusted, "{certificate:?}: {error:?}");
                assert_eq!((error.delivery(), error.kind()), (Delivery::NotSent, ErrorKind::Connect));
            }
        }
    }
}
