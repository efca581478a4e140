//! Calls with lapsed permits and deadlines, with limiters that do not limit or that panic, and calls that are dropped.

use std::collections::VecDeque;
use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use crate::secrets::Captured;
use crate::server::{Action, Server, TOKEN, nowhere, receipt, response};
use highlevel::limit::{Acquire, AcquireError, Expiry, Permit, PermitHandler, RateLimited};
use highlevel::{
    Client, ClientBuilder, Delivery, Error, ErrorKind, Fingerprint, RateLimitHeaders, RateLimiter,
    SecretString, Sms, TokenResult, TokenSource,
};

/// Much longer than any test takes: it only ends a test that hangs.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const MANY: &str = "429 Too Many Requests";

fn builder(url: impl Into<String>) -> ClientBuilder {
    Client::builder().token(TOKEN).base_url(url).location("location")
}

async fn send(client: &Client) -> Result<u32, Error> {
    let messages = client.messages();
    let call = messages.send(Sms::to("abc123def456").text("Your table is ready"));
    let result = tokio::time::timeout(TEST_TIMEOUT, call).await.expect("an end within the hang guard");
    result.map(|receipt| receipt.attempts())
}

/// Issues permits that are valid for these times, then permits that do not lapse.
#[derive(Default)]
struct Limiter {
    valid: Mutex<VecDeque<Duration>>,
    issued: AtomicU32,
    /// The calls of all grants, in order.
    calls: Arc<Mutex<Vec<&'static str>>>,
}

struct Recorder(Arc<Mutex<Vec<&'static str>>>);

impl Recorder {
    fn note(&self, call: &'static str) {
        self.0.lock().expect("no panic").push(call);
    }
}

impl PermitHandler for Recorder {
    fn begin(&self) -> bool {
        self.note("begin");
        true
    }

    fn observe(&self, _: &RateLimitHeaders, limited: Option<RateLimited>) {
        self.note(if limited.is_some() { "limited" } else { "observe" });
    }

    fn no_response(&self) {
        self.note("no response");
    }

    fn give_back(&self) {
        self.note("give back");
    }
}

impl Limiter {
    fn valid_for(times: impl IntoIterator<Item = Duration>) -> Arc<Self> {
        Arc::new(Self { valid: Mutex::new(times.into_iter().collect()), ..Self::default() })
    }

    fn calls(&self) -> Vec<&'static str> {
        self.calls.lock().expect("no panic").clone()
    }
}

impl RateLimiter for Limiter {
    fn acquire<'a>(&'a self, _: &'a str, _: Duration) -> Acquire<'a> {
        self.issued.fetch_add(1, Ordering::SeqCst);
        let time = self.valid.lock().expect("no panic").pop_front().unwrap_or(HOUR);
        Box::pin(ready(Ok(Permit::new(Expiry::after(time), Recorder(Arc::clone(&self.calls))))))
    }
}

#[tokio::test]
async fn a_lapsed_permit_is_returned_and_replaced() {
    let server = Server::always(Action::Respond(receipt())).await;
    let limiter = Limiter::valid_for([Duration::ZERO; 3]);
    let client = builder(server.url()).rate_limiter(limiter.clone()).build().expect("a client");
    assert_eq!(send(&client).await.expect("a receipt"), 1, "a lapsed permit is no attempt");
    assert_eq!((limiter.issued.load(Ordering::SeqCst), server.requests().len()), (4, 1));
    assert_eq!(limiter.calls(), ["give back", "give back", "give back", "begin", "observe"]);
}

/// Connecting takes longer than the first permit is valid. The gate before the first byte detects it.
#[tokio::test]
async fn a_permit_that_lapses_while_connecting_is_replaced() {
    use reqwest::dns::{Addrs, Name, Resolve, Resolving};

    struct Slow(std::net::SocketAddr);

    impl Resolve for Slow {
        fn resolve(&self, _: Name) -> Resolving {
            let address = self.0;
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(400)).await;
                Ok(Box::new(std::iter::once(address)) as Addrs)
            })
        }
    }

    let server = Server::always(Action::Respond(receipt())).await;
    let address: std::net::SocketAddr = server.url()["http://".len()..].parse().expect("an address");
    let limiter = Limiter::valid_for([Duration::from_millis(100)]);
    let client = builder(format!("http://localhost:{}", address.port()))
        .rate_limiter(limiter.clone())
        .http_client(move |http| http.no_proxy().dns_resolver(Arc::new(Slow(address))))
        .build()
        .expect("a client");
    assert_eq!(send(&client).await.expect("a receipt"), 1);
    assert_eq!((limiter.issued.load(Ordering::SeqCst), server.requests().len()), (2, 1));
    let mut calls = limiter.calls();
    calls.sort_unstable();
    assert_eq!(calls, ["begin", "give back", "observe"]);

    // The deadline of the caller ends the call.
    let limiter = Limiter::valid_for([]);
    let client = builder(format!("http://localhost:{}", address.port()))
        .rate_limiter(limiter.clone())
        .http_client(move |http| http.no_proxy().dns_resolver(Arc::new(Slow(address))))
        .build()
        .expect("a client");
    let late = client.with_begin_before(Instant::now() + Duration::from_millis(100));
    let error = send(&late).await.expect_err("it is too late");
    assert_eq!(
        (error.delivery(), error.kind(), error.attempts()),
        (Delivery::NotSent, ErrorKind::Timeout, 0)
    );
    assert_eq!(limiter.calls(), ["give back"]);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_call_that_starts_after_its_deadline_is_not_sent() {
    let server = Server::always(Action::Respond(receipt())).await;
    let limiter = Limiter::valid_for([]);
    let client = builder(server.url()).rate_limiter(limiter.clone()).build().expect("a client");
    let error = send(&client.clone().with_begin_before(Instant::now())).await.expect_err("it is too late");
    assert_eq!(
        (error.delivery(), error.kind(), error.attempts()),
        (Delivery::NotSent, ErrorKind::Timeout, 0)
    );
    assert_eq!(
        error.to_string(),
        "send_message: the deadline for the start of the request has passed; nothing was sent"
    );
    assert_eq!((limiter.issued.load(Ordering::SeqCst), server.connections()), (0, 0));

    let early = client.with_begin_before(Instant::now() + HOUR);
    assert_eq!(send(&early).await.expect("a receipt"), 1);
}

/// The deadline is earlier than the timeout of the call.
#[tokio::test]
async fn the_wait_for_a_permit_ends_at_the_deadline() {
    struct Stuck;

    impl RateLimiter for Stuck {
        fn acquire<'a>(&'a self, _: &'a str, _: Duration) -> Acquire<'a> {
            Box::pin(pending())
        }
    }

    let server = Server::silent().await;
    let client =
        builder(server.url()).rate_limiter(Arc::new(Stuck)).call_timeout(HOUR).build().expect("a client");
    let error = send(&client.with_begin_before(Instant::now() + Duration::from_millis(50))).await;
    let error = error.expect_err("it is too late");
    assert_eq!((error.delivery(), error.kind()), (Delivery::NotSent, ErrorKind::Timeout));
    assert_eq!(server.connections(), 0);
}

/// A limiter whose permits have always lapsed causes pauses instead of a hot loop.
#[tokio::test]
async fn permits_that_always_lapse_end_the_call_at_its_deadline() {
    let server = Server::silent().await;
    let limiter = Limiter::valid_for(std::iter::repeat_n(Duration::ZERO, 100_000));
    let client = builder(server.url()).rate_limiter(limiter.clone()).build().expect("a client");
    let error = send(&client.with_call_timeout(Duration::from_secs(2))).await.expect_err("no valid permit");
    assert_eq!(
        (error.delivery(), error.kind(), error.attempts()),
        (Delivery::NotSent, ErrorKind::Timeout, 0)
    );
    // At least 0 + 0.125 + 0.25 + 0.5 + 1 s between them.
    let issued = limiter.issued.load(Ordering::SeqCst);
    assert!((2..=7).contains(&issued), "{issued} permits in 2 s");
}

/// A limiter that issues all permits at once.
#[derive(Default)]
struct Careless;

impl RateLimiter for Careless {
    fn acquire<'a>(&'a self, _: &'a str, _: Duration) -> Acquire<'a> {
        Box::pin(ready(Ok(Permit::unlimited())))
    }
}

#[tokio::test]
async fn a_429_is_never_retried_in_a_hot_loop() {
    // The pauses grow with any header: this is the maximum of attempts in 2 seconds.
    for header in
        ["", "retry-after: 0\r\n", "retry-after: soon\r\n", "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n"]
    {
        let server = Server::always(Action::Respond(response(MANY, header, ""))).await;
        let client = builder(server.url()).rate_limiter(Arc::new(Careless)).build().expect("a client");
        let error =
            send(&client.with_call_timeout(Duration::from_secs(2))).await.expect_err("429 throughout");
        assert_eq!((error.delivery(), error.status()), (Delivery::Rejected, Some(429)), "{header}");
        let attempts = server.requests().len();
        assert!((2..=6).contains(&attempts), "{header}: {attempts} attempts in 2 s");
    }
}

#[tokio::test]
async fn retry_after_is_respected_with_any_limiter() {
    for header in [
        "retry-after: 1\r\n",
        "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:49:38 GMT\r\n",
    ] {
        let count = AtomicU32::new(0);
        let server = Server::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
            0 => Action::Respond(response(MANY, header, "")),
            _ => Action::Respond(receipt()),
        })
        .await;
        let client = builder(server.url()).rate_limiter(Arc::new(Careless)).build().expect("a client");
        let start = Instant::now();
        assert_eq!(send(&client).await.expect("a receipt"), 2, "{header}");
        // A pause never ends early. It may end late on a busy machine.
        assert!(start.elapsed() >= Duration::from_secs(1), "{header}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_huge_retry_after_is_limited_to_a_year() {
    for wait in ["18446744073709551615", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let server =
            Server::always(Action::Respond(response(MANY, &format!("retry-after: {wait}\r\n"), ""))).await;
        let client = builder(server.url()).rate_limiter(Arc::new(Careless)).build().expect("a client");
        let error = send(&client).await.expect_err("a wait beyond the deadline");
        assert_eq!((error.delivery(), error.attempts()), (Delivery::Rejected, 1), "{wait}");
        let wait = error.retry_after().expect("a wait");
        assert!(wait > 24 * HOUR && Instant::now().checked_add(wait).is_some(), "{wait:?}");
        assert!(SystemTime::now().checked_add(wait).is_some(), "{wait:?}");
    }
}

/// The point at which custom code panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PanicIn {
    Acquire,
    AcquirePoll,
    Begin,
    Observe,
    GiveBack,
}

struct Panicking(PanicIn);

impl RateLimiter for Panicking {
    fn acquire<'a>(&'a self, _: &'a str, _: Duration) -> Acquire<'a> {
        assert!(self.0 != PanicIn::Acquire, "a limiter that panics");
        Box::pin(async {
            tokio::task::yield_now().await;
            assert!(self.0 != PanicIn::AcquirePoll, "a limiter that panics");
            Ok(Permit::new(Expiry::after(HOUR), PanickingHandler(self.0)))
        })
    }
}

struct PanickingHandler(PanicIn);

impl PermitHandler for PanickingHandler {
    fn begin(&self) -> bool {
        assert!(self.0 != PanicIn::Begin, "a limiter that panics");
        true
    }

    fn observe(&self, _: &RateLimitHeaders, _: Option<RateLimited>) {
        assert!(self.0 != PanicIn::Observe, "a limiter that panics");
    }

    fn give_back(&self) {
        assert!(self.0 != PanicIn::GiveBack, "a limiter that panics");
    }
}

#[tokio::test]
async fn a_receipt_is_returned_even_if_the_limiter_panics() {
    for place in [PanicIn::Begin, PanicIn::Observe] {
        let server = Server::always(Action::Respond(receipt())).await;
        let client =
            builder(server.url()).rate_limiter(Arc::new(Panicking(place))).build().expect("a client");
        for _ in 0..2 {
            assert_eq!(send(&client).await.unwrap_or_else(|error| panic!("{place:?}: {error}")), 1);
        }
        assert_eq!(server.requests().len(), 2, "{place:?}");
    }
}

#[tokio::test]
async fn a_limiter_that_panics_before_the_request_is_an_error_with_not_sent() {
    for place in [PanicIn::Acquire, PanicIn::AcquirePoll] {
        let server = Server::always(Action::Respond(receipt())).await;
        let client =
            builder(server.url()).rate_limiter(Arc::new(Panicking(place))).build().expect("a client");
        for _ in 0..2 {
            let error = send(&client).await.expect_err("no permit");
            assert_eq!(
                (error.delivery(), error.kind()),
                (Delivery::NotSent, ErrorKind::Limiter),
                "{place:?}"
            );
            assert_eq!(error.attempts(), 0, "{place:?}");
        }
        assert_eq!(server.connections(), 0, "{place:?}");
    }
    let unused = builder(format!("http://{}", nowhere().await));
    let client = unused.rate_limiter(Arc::new(Panicking(PanicIn::GiveBack))).build().expect("a client");
    assert_eq!(send(&client).await.expect_err("nothing listens").delivery(), Delivery::NotSent);
}

/// A source of tokens that panics: always, or when a token was rejected.
#[derive(Debug)]
struct PanickingTokens {
    always: bool,
}

impl TokenSource for PanickingTokens {
    fn token<'a>(
        &'a self,
        rejected: Option<&'a SecretString>,
    ) -> Pin<Box<dyn Future<Output = TokenResult> + Send + 'a>> {
        assert!(!self.always && rejected.is_none(), "a token source that panics");
        Box::pin(ready(Ok(TOKEN.into())))
    }
}

#[tokio::test]
async fn a_token_source_that_panics_is_an_error() {
    let server =
        Server::always(Action::Respond(response("401 Unauthorized", "", r#"{"message":"Invalid JWT"}"#)))
            .await;
    let client = |always| {
        let builder = Client::builder().base_url(server.url()).location("location");
        builder.token_source(PanickingTokens { always }).build().expect("a client")
    };
    for _ in 0..2 {
        let error = send(&client(true)).await.expect_err("no token");
        assert_eq!(
            (error.delivery(), error.kind(), error.attempts()),
            (Delivery::NotSent, ErrorKind::Token, 0)
        );
    }
    assert_eq!(server.connections(), 0);
    // The response is reported together with the panic.
    let error = send(&client(false)).await.expect_err("the token is rejected");
    assert_eq!((error.delivery(), error.status(), error.attempts()), (Delivery::Rejected, Some(401), 1));
}

/// Returns the lines at the level of warnings since the last call.
fn warnings(log: &Captured) -> Vec<String> {
    log.take().lines().filter(|line| line.contains("WARN")).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_log_of_a_dropped_call_specifies_whether_it_may_have_been_sent() {
    let log = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let subscriber = tracing::Dispatch::new(subscriber);
    // With a single subscriber in the process, the thread of another test could disable a callsite for this one.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let _guard = tracing::dispatcher::set_default(&subscriber);

    let message = || Sms::to("abc123def456").text("Your table is ready");
    let before = SystemTime::now();
    let fingerprint = Fingerprint::of(&message(), before);

    // The request was written: the server has read it.
    let stalling = Server::always(Action::Stall(Vec::new())).await;
    let client = builder(stalling.url()).build().expect("a client");
    let messages = client.messages();
    tokio::select! {
        biased;
        _ = messages.send(message()) => panic!("there is no response"),
        () = stalling.arrived(1) => {}
    }
    let logged = warnings(&log);
    let [line] = logged.as_slice() else { panic!("{logged:?}") };
    for part in ["operation=\"send_message\"", "attempt=1", "may_have_been_sent=true"] {
        assert!(line.contains(part), "{line}");
    }
    assert!(!line.contains("table") && !line.contains("abc123def456") && !line.contains(TOKEN), "{line}");

    // The request was not written: no permit is issued.
    let stuck = Arc::new(Never);
    let client = builder(stalling.url()).rate_limiter(stuck).build().expect("a client");
    let messages = client.messages();
    tokio::time::timeout(Duration::from_millis(20), messages.send(message())).await.expect_err("no permit");
    let logged = warnings(&log);
    let [line] = logged.as_slice() else { panic!("{logged:?}") };
    assert!(line.contains("attempt=0") && line.contains("may_have_been_sent=false"), "{line}");
    assert_eq!(stalling.requests().len(), 1);

    // A completed call is not logged in this way, with a receipt or without.
    let server = Server::always(Action::Respond(receipt())).await;
    send(&builder(server.url()).build().expect("a client")).await.expect("a receipt");
    let refused = builder(format!("http://{}", nowhere().await)).build().expect("a client");
    send(&refused).await.expect_err("nothing listens");
    assert_eq!(warnings(&log), Vec::<String>::new());

    // The fingerprint that a caller has taken before it dropped the call matches the request.
    assert_eq!(fingerprint, Fingerprint::of(&message(), before));
}

/// A limiter that never issues a permit.
struct Never;

impl RateLimiter for Never {
    fn acquire<'a>(&'a self, _: &'a str, _: Duration) -> Acquire<'a> {
        Box::pin(pending::<Result<Permit, AcquireError>>())
    }
}
