//! A rate limiter whose permits are issued in another process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use highlevel::limit::{
    Acquire, AcquireError, AcquireErrorKind, Expiry, Permit, PermitHandler, RateLimitHeaders, RateLimited,
    RateLimiter,
};
use serde_json::{Value, json};

use super::remote::{self, Remote};

/// The limiter of a child process.
pub(crate) struct RemoteLimiter(Arc<Remote>);

impl RemoteLimiter {
    /// Starts the process with the role `limiter`.
    pub(crate) fn start(role: &Value) -> Self {
        Self(Arc::new(Remote::start(role)))
    }
}

fn time_to_json(time: Duration) -> Value {
    json!([time.as_secs(), time.subsec_nanos()])
}

fn time_from_json(json: &Value) -> Option<Duration> {
    let nanoseconds = json[1].as_u64().and_then(|it| u32::try_from(it).ok())?;
    Some(Duration::new(json[0].as_u64()?, nanoseconds))
}

impl RateLimiter for RemoteLimiter {
    fn acquire<'a>(&'a self, location: &'a str, timeout: Duration) -> Acquire<'a> {
        let request = json!({ "what": "acquire", "location": location, "timeout": time_to_json(timeout) });
        Box::pin(async move {
            let result = self.0.call(request).await.map_err(AcquireError::unavailable)?;
            let retry_after = || time_from_json(&result["retry_after"]).unwrap_or_default();
            match result["error"].as_str() {
                Some("burst") => return Err(AcquireError::burst(retry_after())),
                Some("daily") => return Err(AcquireError::daily(retry_after())),
                Some(other) => return Err(AcquireError::unavailable(other.to_owned())),
                None => {}
            }
            // The processes have the wall clock in common.
            let until = UNIX_EPOCH + time_from_json(&result["expiry"]).expect("an expiry");
            let (monotonic, wall) = (Instant::now(), SystemTime::now());
            let expiry = Expiry::after_at(until.duration_since(wall).unwrap_or_default(), monotonic, wall);
            let permit = result["permit"].clone();
            Ok(Permit::new(expiry, RemotePermit { remote: Arc::clone(&self.0), permit }))
        })
    }
}

struct RemotePermit {
    remote: Arc<Remote>,
    permit: Value,
}

impl PermitHandler for RemotePermit {
    fn observe(&self, headers: &RateLimitHeaders, rate_limited: Option<RateLimited>) {
        let retry_after = rate_limited.map(|it| json!([it.retry_after.map(time_to_json)]));
        self.remote.notify(&json!({
            "observe": self.permit,
            "headers": [
                headers.burst_limit, headers.burst_remaining, headers.interval_ms, headers.daily_limit,
                headers.daily_remaining, headers.daily_reset_ms,
            ],
            "rate_limited": retry_after,
        }));
    }

    fn no_response(&self) {
        self.remote.notify(&json!({ "drop": self.permit, "is_used": true }));
    }

    fn give_back(&self) {
        self.remote.notify(&json!({ "drop": self.permit }));
    }
}

/// The permits that other processes hold, by number.
type Permits = Arc<Mutex<HashMap<u64, Permit>>>;

/// Executes the operations that arrive, until the end of standard input.
pub(super) async fn serve(limiter: impl RateLimiter + 'static) {
    let (limiter, permits) = (Arc::new(limiter), Permits::default());
    remote::serve(move |request| {
        if request["what"] != "acquire" {
            report(&permits, &request);
            return None;
        }
        let (limiter, permits) = (Arc::clone(&limiter), Arc::clone(&permits));
        Some(Box::pin(async move { Ok(acquire(&*limiter, &permits, &request).await) }))
    })
    .await;
}

async fn acquire(limiter: &impl RateLimiter, permits: &Permits, request: &Value) -> Value {
    let location = request["location"].as_str().expect("a location");
    let timeout = time_from_json(&request["timeout"]).expect("a time");
    let error = match limiter.acquire(location, timeout).await {
        Ok(permit) => {
            let wall = permit.expiry().expect("an expiry").wall();
            let expiry = wall.duration_since(UNIX_EPOCH).expect("a time of this century");
            let number = request["number"].as_u64().expect("a number");
            permits.lock().expect("the permits").insert(number, permit);
            return json!({ "permit": number, "expiry": time_to_json(expiry) });
        }
        Err(error) => error,
    };
    let kind = match error.kind() {
        AcquireErrorKind::Burst => "burst".to_owned(),
        AcquireErrorKind::Daily => "daily".to_owned(),
        _ => error.to_string(),
    };
    json!({ "error": kind, "retry_after": error.retry_after().map(time_to_json) })
}

/// Reports the response of a request, or that there is none.
fn report(permits: &Permits, request: &Value) {
    let number = request["observe"].as_u64().or_else(|| request["drop"].as_u64());
    let permit = number.and_then(|number| permits.lock().expect("the permits").remove(&number));
    let Some(permit) = permit else { return };
    if request["is_used"] == true {
        // The other process has begun it: without this, it would be given back.
        permit.observe(&RateLimitHeaders::default(), None);
    }
    if !request["observe"].is_u64() {
        return;
    }
    let value = |index: usize| request["headers"][index].as_u64();
    let mut headers = RateLimitHeaders::default();
    (headers.burst_limit, headers.burst_remaining, headers.interval_ms) = (value(0), value(1), value(2));
    (headers.daily_limit, headers.daily_remaining, headers.daily_reset_ms) = (value(3), value(4), value(5));
    let rate_limited =
        request["rate_limited"].get(0).map(|retry_after| RateLimited::new(time_from_json(retry_after)));
    permit.observe(&headers, rate_limited);
}
