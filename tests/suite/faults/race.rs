//! A server that ends an idle connection at the moment at which a request is put on it.

use highlevel::wire::types::SendMessageRequest;
use highlevel::{Client, Delivery, Sms};

use super::fault::{Bench, Endpoint, Fault, Setting};
use super::server::{Act, receipt};

const ROUNDS: usize = 150;

/// Lets other tasks run, so that the connection ends a little earlier or later in each round.
async fn wait(round: usize) {
    for _ in 0..round % 30 {
        tokio::task::yield_now().await;
    }
}

/// Every other round finds a connection in the pool.
async fn warm_up(round: usize, client: &Client) {
    if round.is_multiple_of(2) {
        Endpoint::Send.call(client, "warm-up").await.expect("a receipt");
    }
}

async fn bench() -> Bench {
    Bench::set_up(Fault::Script(|_| Act::Answer(receipt())), true, Setting::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_connection_ends_is_made_once_and_never_said_to_be_unsent_if_it_was_not() {
    let Bench { server, client } = bench().await;
    for round in 0..ROUNDS {
        let key = format!("round-{round}");
        warm_up(round, &client).await;
        let end = async {
            wait(round).await;
            server.begin_to_hang_up();
        };
        let (result, ()) = tokio::join!(Endpoint::ALL[round % 3].call(&client, &key), end);
        // The connection that was told to end does so, and whatever was sent on it has been read.
        server.hang_up().await;
        let deliveries = server.deliveries(&key).len();
        match result {
            Ok(_) => assert_eq!(deliveries, 1, "{key}"),
            Err(error) if error.delivery() == Delivery::Unknown => assert!(deliveries <= 1, "{key}: {error}"),
            // The connection ended before the request was put on it, and the budget for retries is used up.
            Err(error) => {
                assert_eq!((error.delivery(), deliveries), (Delivery::NotSent, 0), "{key}: {error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_to_be_unwritten_was_not_read() {
    let Bench { server, client } = bench().await;
    for round in 0..ROUNDS {
        let key = format!("round-{round}");
        warm_up(round, &client).await;
        server.count_anew();
        let request = SendMessageRequest::from(Sms::to("abc123def456").text(&key));
        let (wire, exchange) = client.wire().await.expect("a token");
        let end = async {
            wait(round).await;
            server.begin_to_hang_up();
        };
        let (result, ()) = tokio::join!(wire.send_message(&request), end);
        server.hang_up().await;
        let (deliveries, written) = (server.deliveries(&key).len(), exchange.take().written);
        assert!(deliveries <= 1, "{key}: delivered {deliveries} times");
        assert!(deliveries == 1 || result.is_err(), "{key}: a receipt for nothing");
        assert!(written || server.bytes() == 0, "{key}: {} bytes", server.bytes());
    }
}
