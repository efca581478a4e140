//! Sends webhook attempts. The only module that connects to webhook targets.
//!
//! Uses plain HTTP, ignores proxy settings of the environment, and follows no redirects.

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
use super::outbox::{Job, JobDecision, Outbox, Sending};
use super::queues::{Queues, Ticket};
use super::record::{DeliveryAttempt, DeliveryOutcome};
use super::tamper::WebhookRequest;
use super::targets::{RemoteResolver, Targets};
use crate::clock::Clock;

/// The default timeout of one attempt, by the machine's clock.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the next event to a target waits for the response to the one before, by the machine's clock.
const PATIENCE: Duration = Duration::from_millis(500);
/// The maximum time that an event is held back for out-of-order delivery, by the sandbox's clock.
const HELD: chrono::TimeDelta = chrono::TimeDelta::minutes(1);
/// The stored bytes of a response's body and of its headers.
const MAX_RETAINED_BODY: usize = 4 * 1024;
const MAX_RETAINED_HEADERS: usize = 8 * 1024;

/// The queue length from which attempts of evicted deliveries are removed: twice the maximum of deliveries.
const MOST_WAITING: usize = 2 * MAX_PENDING;

/// HTTP clients: one for targets with any address, one that refuses addresses of this machine.
#[derive(Clone)]
struct HttpClients {
    open: Client<HttpConnector, Full<Bytes>>,
    remote: Client<HttpConnector<RemoteResolver>, Full<Bytes>>,
}

impl HttpClients {
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

/// The interface of the dispatcher to the sandbox.
pub(crate) trait Host: Send + Sync + 'static {
    /// Returns the clock of due times.
    fn clock(&self) -> &Clock;

    /// Returns the pending events.
    fn outbox(&self) -> &Outbox;

    /// Returns the allowed targets.
    fn targets(&self) -> &Targets;

    /// Called when deliveries have changed without a completed attempt.
    fn deliveries_changed(&self);

    /// Called when an attempt has completed.
    fn attempt_completed(&self, attempt: Arc<DeliveryAttempt>);
}

/// A message from a task of the dispatcher.
enum Signal {
    Ended(Ticket),
    TakesLong(Ticket),
    /// The maximum time of a held event has passed.
    Release,
}

/// Delivers events until the runtime stops.
pub(crate) async fn run<H: Host>(host: Arc<H>, attempt_timeout: Duration, attempts: usize) {
    let clients = HttpClients::new();
    let mut queues = Queues::new(attempts);
    let (signals, mut told) = mpsc::unbounded_channel();
    loop {
        let (jobs, again, next_due) = host.outbox().take(host.clock().now());
        if again {
            // Retries produce no other log line before they complete.
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

/// Starts the attempt of a job, unless the job is held back or obsolete.
fn begin<H: Host>(
    host: &Arc<H>,
    queues: &mut Queues<Job>,
    ticket: &Ticket,
    job: Job,
    signals: &UnboundedSender<Signal>,
) -> Option<Box<Sending>> {
    let now = host.clock().now();
    match host.outbox().begin(job, !queues.holds(ticket), now) {
        JobDecision::Send(sending) => return Some(sending),
        JobDecision::Nothing => queues.skip(ticket),
        JobDecision::Hold(job) => {
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
    clients: HttpClients,
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
    host.outbox().end(*sending, outcome, began.elapsed(), |attempt| host.attempt_completed(attempt));
    // The receiver is gone when the sandbox stops.
    let _ = signals.send(Signal::Ended(ticket));
}

async fn exchange(
    clients: &HttpClients,
    targets: &Targets,
    url: &str,
    request: &WebhookRequest,
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
            DeliveryOutcome::Responded {
                status,
                headers,
                body: beginning(response.into_body(), deadline).await,
            }
        }
        Ok(Err(error)) => failed(&error),
        Err(_) => DeliveryOutcome::Failed {
            reason: format!("no response within {} seconds", attempt_timeout.as_secs_f64()),
        },
    }
}

/// Returns the headers to store.
fn first_headers(headers: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut length = 0;
    let fits = |(name, value): &(String, String)| {
        length += name.len() + value.len();
        length <= MAX_RETAINED_HEADERS
    };
    headers.into_iter().take_while(fits).collect()
}

/// Returns the bytes of the body to store. A response whose body breaks off still counts, because its status was read.
async fn beginning(mut response: Incoming, deadline: tokio::time::Instant) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < MAX_RETAINED_BODY {
        match timeout_at(deadline, response.frame()).await {
            Ok(Some(Ok(frame))) => body.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            _ => break,
        }
    }
    body.truncate(MAX_RETAINED_BODY);
    body
}

/// Formats an error with its causes. The first one alone is "client error".
fn failed(error: &(dyn std::error::Error + 'static)) -> DeliveryOutcome {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !reason.contains(&text) {
            reason = format!("{reason}: {text}");
        }
        cause = error.source();
    }
    DeliveryOutcome::Failed { reason }
}
