//! A server that closes an idle connection at the moment at which the client writes a request to it.

use highlevel::wire::types::SendMessageRequest;
use highlevel::{Client, Delivery, Sms};

use super::fault::{Bench, Endpoint, Fault, Settings};
use super::server::{Action, receipt};

const ROUNDS: usize = 150;

/// Lets other tasks run, so that the connection is closed at a different moment in each round.
async fn wait(round: usize) {
    for _ in 0..round % 30 {
        tokio::task::yield_now().await;
    }
}

/// Puts a connection into the pool in every second round.
async fn warm_up(round: usize, client: &Client) {
    if round.is_multiple_of(2) {
        Endpoint::Send.call(client, "warm-up").await.expect("a receipt");
    }
}

async fn bench() -> Bench {
    Bench::set_up(Fault::Script(|_| Action::Respond(receipt())), true, Settings::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_on_closing_connections_are_read_at_most_once_and_never_wrongly_reported_as_unsent() {
    let Bench { server, client } = bench().await;
    for round in 0..ROUNDS {
        let key = format!("round-{round}");
        warm_up(round, &client).await;
        let close = async {
            wait(round).await;
            server.start_to_close_idle();
        };
        let (result, ()) = tokio::join!(Endpoint::ALL[round % 3].call(&client, &key), close);
        // Once the connection is closed, the server has read everything that was written to it.
        server.close_idle().await;
        let deliveries = server.deliveries(&key).len();
        match result {
            Ok(_) => assert_eq!(deliveries, 1, "{key}"),
            Err(error) if error.delivery() == Delivery::Unknown => assert!(deliveries <= 1, "{key}: {error}"),
            // The connection was closed before the request was written, and the retry budget is used up.
            Err(error) => {
                assert_eq!((error.delivery(), deliveries), (Delivery::NotSent, 0), "{key}: {error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_reported_as_unwritten_were_not_read() {
    let Bench { server, client } = bench().await;
    for round in 0..ROUNDS {
        let key = format!("round-{round}");
        warm_up(round, &client).await;
        server.reset_counts();
        let request = SendMessageRequest::from(Sms::to("abc123def456").text(&key));
        let (wire, context) = client.wire().await.expect("a token");
        let close = async {
            wait(round).await;
            server.start_to_close_idle();
        };
        let (result, ()) = tokio::join!(wire.send_message(&request), close);
        server.close_idle().await;
        let (deliveries, written) = (server.deliveries(&key).len(), context.take().written);
        assert!(deliveries <= 1, "{key}: delivered {deliveries} times");
        assert!(deliveries == 1 || result.is_err(), "{key}: a receipt for a request that was not read");
        assert!(written || server.bytes() == 0, "{key}: {} bytes", server.bytes());
    }
}
