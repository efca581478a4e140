//! Makes the attempts: the one place that speaks to webhook targets.
//!
//! It speaks plain HTTP, takes no proxy of the environment, and follows no redirect.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request as HttpRequest;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::TokioExecutor;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::time::{sleep, timeout_at};

use super::delivery_store::MAX_PENDING;
use super::outbox::{Begun, Job, Outbox, Sending};
use super::queues::{Queues, Ticket};
use super::record::{DeliveryAttempt, DeliveryOutcome};
use super::tamper::Request;
use super::targets::{RemoteResolver, Targets};
use crate::clock::Clock;

/// How long one attempt may take unless it is said otherwise, by the machine's clock.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the next event to a target waits for the answer to the one before, by the machine's clock.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long an event is held back to go after another one, by the sandbox's clock.
const HELD: chrono::TimeDelta = chrono::TimeDelta::minutes(1);
/// How much of an answer's body and of its headers is kept, in bytes.
const KEPT_BODY: usize = 4 * 1024;
const KEPT_HEADERS: usize = 8 * 1024;

/// From how many attempts on those are looked for whose delivery is forgotten: twice as many as can be remembered.
const MOST_WAITING: usize = 2 * MAX_PENDING;

/// The clients for targets that may have any address, and for those that may not be this machine.
#[derive(Clone)]
struct Clients {
    open: Client<HttpConnector, Full<Bytes>>,
    remote: Client<HttpConnector<RemoteResolver>, Full<Bytes>>,
}

impl Clients {
    fn new() -> Self {
        Self {
            open: Client::builder(TokioExecutor::new()).build_http(),
            remote: Client::builder(TokioExecutor::new())
                .build(HttpConnector::new_with_resolver(RemoteResolver::new())),
        }
    }

    fn request(&self, targets: &Targets, request: HttpRequest<Full<Bytes>>) -> ResponseFuture {
        if targets.is_unrestricted(request.uri()) {
            self.open.request(request)
        } else {
            self.remote.request(request)
        }
    }
}

/// The sandbox whose events are delivered.
pub(crate) trait Host: Send + Sync + 'static {
    /// The clock by which deliveries are due.
    fn clock(&self) -> &Clock;

    /// The events to deliver.
    fn outbox(&self) -> &Outbox;

    /// The targets that may be reached.
    fn targets(&self) -> &Targets;

    /// Is called when deliveries have changed without an attempt that has ended.
    fn deliveries_changed(&self);

    /// Is called when an attempt has ended.
    fn attempt_ended(&self, attempt: Arc<DeliveryAttempt>);
}

/// What a task of the dispatcher tells it.
enum Signal {
    Ended(Ticket),
    TakesLong(Ticket),
    /// What is held back has been held long enough.
    Release,
}

/// Delivers what comes, for ever.
pub(crate) async fn run<H: Host>(host: Arc<H>, attempt_timeout: Duration, attempts: usize) {
    let clients = Clients::new();
    let mut queues = Queues::new(attempts);
    let (signals, mut told) = mpsc::unbounded_channel();
    loop {
        let (jobs, again, next_due) = host.outbox().take(host.clock().now());
        if again {
            // Of retries nobody else tells before they have ended.
            host.deliveries_changed();
        }
        for (target, job) in jobs {
            queues.push(&target, job);
        }
        if queues.waiting() > MOST_WAITING {
            queues.retain(|job| host.outbox().remembers(job));
        }
        while let Some((ticket, job)) = queues.start() {
            if let Some(sending) = begin(&host, &mut queues, &ticket, job, &signals) {
                queues.weigh(&ticket, sending.request.as_ref().map_or(0, |request| request.body.len()));
                let (clients, host, signals) = (clients.clone(), Arc::clone(&host), signals.clone());
                tokio::spawn(deliver(clients, host, sending, ticket, signals, attempt_timeout));
            }
        }
        let due = async {
            match next_due {
                Some(time) => host.clock().sleep_until(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = host.outbox().woken() => {}
            () = due => {}
            Some(signal) = told.recv() => match signal {
                Signal::Ended(ticket) => queues.end(&ticket),
                Signal::TakesLong(ticket) => queues.overtake(&ticket),
                Signal::Release => queues.release(),
            },
        }
    }
}

/// The attempt that a job becomes, if it becomes one now.
fn begin<H: Host>(
    host: &Arc<H>,
    queues: &mut Queues<Job>,
    ticket: &Ticket,
    job: Job,
    signals: &UnboundedSender<Signal>,
) -> Option<Box<Sending>> {
    let now = host.clock().now();
    match host.outbox().begin(job, !queues.holds(ticket), now) {
        Begun::Send(sending) => return Some(sending),
        Begun::Nothing => queues.skip(ticket),
        Begun::Hold(job) => {
            queues.hold(ticket, job);
            let (host, signals) = (Arc::clone(host), signals.clone());
            tokio::spawn(async move {
                host.clock().sleep_until(now + HELD).await;
                // The receiver is gone when the sandbox stops.
                let _ = signals.send(Signal::Release);
            });
        }
    }
    None
}

async fn deliver<H: Host>(
    clients: Clients,
    host: Arc<H>,
    sending: Box<Sending>,
    ticket: Ticket,
    signals: UnboundedSender<Signal>,
    attempt_timeout: Duration,
) {
    let began = Instant::now();
    let outcome = {
        let attempt = async {
            match &sending.request {
                Ok(request) => {
                    exchange(&clients, host.targets(), sending.url(), request, attempt_timeout).await
                }
                Err(reason) => DeliveryOutcome::Failed { reason: reason.clone() },
            }
        };
        tokio::pin!(attempt);
        tokio::select! {
            outcome = &mut attempt => outcome,
            () = sleep(PATIENCE) => {
                let _ = signals.send(Signal::TakesLong(ticket.clone()));
                attempt.await
            }
        }
    };
    host.outbox().end(*sending, outcome, began.elapsed(), |attempt| host.attempt_ended(attempt));
    // The receiver is gone when the sandbox stops.
    let _ = signals.send(Signal::Ended(ticket));
}

async fn exchange(
    clients: &Clients,
    targets: &Targets,
    url: &str,
    request: &Request,
    attempt_timeout: Duration,
) -> DeliveryOutcome {
    let mut builder = HttpRequest::post(url);
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let built = match builder.body(Full::from(Bytes::from_owner(Arc::clone(&request.body)))) {
        Ok(built) => built,
        Err(error) => return failed(&error),
    };
    if let Err(reason) = targets.check(built.uri()) {
        return DeliveryOutcome::Failed { reason };
    }
    let deadline = tokio::time::Instant::now() + attempt_timeout;
    match timeout_at(deadline, clients.request(targets, built)).await {
        Ok(Ok(response)) => {
            let status = response.status().as_u16();
            let headers = first_headers(crate::headers::readable(response.headers()));
            DeliveryOutcome::Answered {
                status,
                headers,
                body: beginning(response.into_body(), deadline).await,
            }
        }
        Ok(Err(error)) => failed(&error),
        Err(_) => DeliveryOutcome::Failed {
            reason: format!("no answer within {} seconds", attempt_timeout.as_secs_f64()),
        },
    }
}

/// As many headers as are kept.
fn first_headers(headers: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut length = 0;
    let fits = |(name, value): &(String, String)| {
        length += name.len() + value.len();
        length <= KEPT_HEADERS
    };
    headers.into_iter().take_while(fits).collect()
}

/// As much of the body as is kept. An answer that breaks off has been an answer: its status was read.
async fn beginning(mut answer: Incoming, deadline: tokio::time::Instant) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < KEPT_BODY {
        match timeout_at(deadline, answer.frame()).await {
            Ok(Some(Ok(frame))) => body.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            _ => break,
        }
    }
    body.truncate(KEPT_BODY);
    body
}

/// The error with its causes: the first one alone says "client error".
fn failed(error: &(dyn std::error::Error + 'static)) -> DeliveryOutcome {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !reason.contains(&words) {
            reason = format!("{reason}: {words}");
        }
        cause = error.source();
    }
    DeliveryOutcome::Failed { reason }
}
