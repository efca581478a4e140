use super::*;

async fn millis(millis: u64) {
    tokio::time::advance(Duration::from_millis(millis)).await;
}

fn is_closing(connection: &Connection) -> bool {
    connection.activity.is_closing.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn the_longest_stalled_connection_is_closed() {
    let traffic = Arc::new(Traffic::new(3));
    let busy = traffic.admit().await;
    busy.enter(Phase::Sandbox);
    let idle = traffic.admit().await;
    idle.enter(Phase::Idle);
    let slow = traffic.admit().await;
    millis(500).await;
    let (next, ()) = tokio::join!(traffic.admit(), async {
        slow.closed().await;
        assert!(!is_closing(&busy) && !is_closing(&idle));
        drop(slow);
    });
    // `next` is processing a request, so the idle connection is closed.
    next.enter(Phase::Sandbox);
    let (another, ()) = tokio::join!(traffic.admit(), async {
        idle.closed().await;
        assert!(!is_closing(&busy) && !is_closing(&next));
        drop(idle);
    });
    another.enter(Phase::Sandbox);
    // Connections that wait for the sandbox are not closed.
    assert!(timeout(Duration::from_secs(60), traffic.admit()).await.is_err());
    assert_eq!((traffic.usage().connections, traffic.usage().closed), (3, 2));
    drop((busy, next, another));
    traffic.all_closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_resumes_stays_open() {
    let traffic = Arc::new(Traffic::new(1));
    let slow = traffic.admit().await;
    millis(100).await;
    traffic.close_stalest(false);
    millis(1).await;
    slow.enter(Phase::Client);
    assert!(timeout(Duration::from_millis(10), slow.closed()).await.is_err());
    assert!(!is_closing(&slow));
    millis(100).await;
    traffic.close_stalest(false);
    slow.closed().await;
    assert_eq!(traffic.usage().closed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_response_is_reserved_even_above_the_limit() {
    let traffic = Arc::new(Traffic::new(2));
    let (large, small) = (traffic.admit().await, traffic.admit().await);
    large.enter(Phase::Sandbox);
    let received = large.reserve(MAX_BYTES).await;
    let response = small.reserve_response(None, 5).await;
    assert_eq!(traffic.usage().bytes, MAX_BYTES + 5);
    drop(response);
    let response = large.reserve_response(Some(received), MAX_BYTES + 7).await;
    assert_eq!(traffic.usage().bytes, MAX_BYTES + 7);
    drop(response);
    assert_eq!(traffic.usage().bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn bytes_are_limited_and_a_stalled_client_releases_its_bytes() {
    let traffic = Arc::new(Traffic::new(10));
    let (slow, quick, waiting) = (traffic.admit().await, traffic.admit().await, traffic.admit().await);
    let slow_bytes = slow.reserve(MAX_BYTES / 2).await;
    let quick_bytes = quick.reserve(MAX_BYTES / 2).await;
    millis(100).await;
    quick.enter(Phase::Client);
    let (waiting_bytes, ()) = tokio::join!(waiting.reserve(10), async {
        slow.closed().await;
        assert_eq!(traffic.usage().bytes, MAX_BYTES);
        drop(slow_bytes);
    });
    assert!(!is_closing(&quick) && !is_closing(&waiting));
    assert_eq!(traffic.usage().bytes, MAX_BYTES / 2 + 10);
    drop((quick_bytes, waiting_bytes));
    // A reservation above the limit is clamped to it.
    assert_eq!(waiting.reserve(usize::MAX).await.bytes, MAX_BYTES);
    assert_eq!(traffic.usage().bytes, 0);
}
