//! Requests for tokens, retried until there is a response, there is no time left, or a retry is of no use.

use highlevel_wire::Gate;

use super::task_lease::TaskLease;
use crate::auth::lease::{ATTEMPT, Lease, Leased};
use crate::auth::oauth::{self, Request, RequestFailure};
use crate::auth::shared::Shared;
use crate::auth::time::{ClockReading, Deadline};
use crate::auth::token_error::{TokenAttempts, TokenFailure, retry_pause};
use crate::auth::token_response::TokenResponse;
use crate::retry::random;

/// The reason why a request returned no tokens.
pub(in crate::auth) enum TokenRequestError {
    Failed(RequestFailure),
    /// The lease has ended and another holder has it, or another task has taken over: nothing may be sent any more.
    LeaseLost,
}

impl Shared {
    /// Requests tokens. A lease that would not outlive an attempt is extended before it.
    ///
    /// The deadline ends a request whose code or refresh token works once only until it may have been processed. After that,
    /// its response can be obtained for a short time only, and without it the app must be reinstalled.
    pub(in crate::auth) async fn request_tokens(
        &self,
        request: &Request<'_>,
        deadline: &Deadline,
        lease: Option<(&TaskLease, Lease)>,
    ) -> Result<TokenResponse, TokenRequestError> {
        let (task, mut lease) = lease.unzip();
        let mut progress = TokenAttempts::default();
        // A previous task may have sent it.
        let in_flight = task.and_then(TaskLease::in_flight).filter(|sent| request.uses(&sent.token));
        let mut sent: Option<ClockReading> = in_flight.map(|sent| sent.since);
        loop {
            let mut gate = None;
            if let (Some(task), Some(lease)) = (task, &mut lease) {
                match task.for_attempt(*lease).await {
                    Ok(Leased::Granted(granted)) => {
                        *lease = granted;
                        // If the process is suspended here, another may have refreshed when it resumes: it must not send.
                        gate = Some(Gate::new(move || !granted.has_ended()));
                    }
                    Ok(Leased::Held(_) | Leased::TakenOver) => return Err(TokenRequestError::LeaseLost),
                    // A retry gets the same response, and the store may have recovered when it arrives.
                    Err(_) if sent.is_some() => {}
                    Err(error) => return Err(not_sent(error)),
                }
            }
            let started = self.moment();
            let left = deadline.left();
            if left.is_zero() && sent.is_none() {
                return Err(TokenRequestError::Failed(oauth::out_of_time(request)));
            }
            let timeout = if request.works_once() { ATTEMPT } else { ATTEMPT.min(left) };
            if let (Some(task), Request::Refresh(token, _)) = (task, request) {
                task.will_send(token, sent.unwrap_or(started));
            }
            let result = self.oauth.send(request, timeout, gate, sent.is_some()).await;
            let failure = result.as_ref().err().map(|failed| failed.failure);
            tracing::debug!(
                operation = request.name(),
                attempt = progress.retries + 1,
                ?failure,
                "requested tokens"
            );
            let failed = match result {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            if let TokenFailure::Lost(_) = failed.failure {
                sent.get_or_insert(started);
            }
            progress.sent = sent.map(|sent| self.moment().since(sent));
            let left = (!request.works_once() || sent.is_none()).then(|| deadline.left());
            let pause = retry_pause(failed.failure, progress, request.works_once(), left, random());
            progress.retries += 1;
            if let Some(task) = task
                && (sent.is_none() || pause.is_none())
            {
                task.nothing_in_flight();
            }
            let Some(pause) = pause else {
                let error = failed.error.after(progress.retries, sent.is_some(), None);
                return Err(TokenRequestError::Failed(RequestFailure { error, ..failed }));
            };
            tokio::time::sleep(pause).await;
        }
    }
}

fn not_sent(error: crate::Error) -> TokenRequestError {
    TokenRequestError::Failed(RequestFailure { failure: TokenFailure::NotSent, error })
}
