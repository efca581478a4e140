//! Refreshes in processes that end, or that are stopped, before the response has arrived.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use highlevel::auth::TokenSet;
use highlevel::auth::store::{FileStore, Key, Precondition, PutResult, Resource, TokenStore};
use highlevel_test_support::Directory;
use secrecy::ExposeSecret;

use crate::process::{Process, TEST_TIMEOUT, scratch};
use crate::server::{Request, Server, receipt, response};

/// Refresh tokens that work once: the latest is the only one that HighLevel accepts, and an identical refresh gets the same
/// response for 30 seconds.
struct Issuer {
    state: Mutex<State>,
    /// The time until a response is sent.
    delay: Duration,
}

struct State {
    latest: usize,
    refreshed_at: Option<Instant>,
    requests: usize,
    rejected: usize,
}

impl Issuer {
    fn respond(&self, request: &Request) -> Vec<u8> {
        if !request.head.starts_with("POST /oauth/token ") {
            return receipt();
        }
        let issued = {
            let mut state = self.state.lock().expect("no panic");
            state.requests += 1;
            let is_repeated = state.refreshed_at.is_some_and(|at| at.elapsed() < Duration::from_secs(30));
            let is = |number: usize| request.text().contains(&format!("refresh_token=refresh-{number}&"));
            if is(state.latest) {
                state.latest += 1;
                state.refreshed_at = Some(Instant::now());
                Some(state.latest)
            } else if is_repeated && is(state.latest - 1) {
                Some(state.latest)
            } else {
                state.rejected += 1;
                None
            }
        };
        thread::sleep(self.delay);
        match issued {
            Some(number) => response(
                "200 OK",
                &format!(
                    r#"{{"access_token":"access-{number}","refresh_token":"refresh-{number}","expires_in":86399,"userType":"Location","locationId":"ve9EPM428h8vShlRW1KT"}}"#
                ),
            ),
            None => response("400 Bad Request", r#"{"error":"invalid_grant"}"#),
        }
    }
}

/// An installation whose access token expires after a while, and the server that issues its tokens.
struct Installed {
    server: Server,
    issuer: Arc<Issuer>,
    scratch: Directory,
}

impl Installed {
    async fn expiring_in(left: Duration, delay: Duration) -> Self {
        let state = State { latest: 1, refreshed_at: None, requests: 0, rejected: 0 };
        let issuer = Arc::new(Issuer { state: Mutex::new(state), delay });
        let server = Server::start({
            let issuer = Arc::clone(&issuer);
            move |_, request| issuer.respond(request)
        });
        let installed = Self { server, issuer, scratch: scratch() };
        let tokens = TokenSet::new("access-1")
            .with_refresh_token("refresh-1")
            .with_expiry(SystemTime::now() + left)
            .with_location_id("ve9EPM428h8vShlRW1KT");
        let put = installed.store().put(&Self::key(), &tokens, Precondition::Nothing).await.expect("a store");
        assert!(matches!(put, PutResult::Stored(_)), "{put:?}");
        installed
    }

    fn store(&self) -> FileStore {
        FileStore::open(self.scratch.path()).expect("a store")
    }

    fn key() -> Key {
        Key::new("6650-app", Resource::Location("ve9EPM428h8vShlRW1KT".into()))
    }

    fn process(&self, flavour: &str, messages: usize) -> Process {
        let program = env!("CARGO_BIN_EXE_refresh-process");
        let url = self.server.url();
        let process = Process::start(program, &[flavour, self.scratch.text(), &url, &messages.to_string()]);
        assert_eq!(process.line(), "ready");
        process
    }

    fn requests(&self) -> usize {
        self.issuer.state.lock().expect("no panic").requests
    }

    /// The refresh token in the store is the one that HighLevel accepts next.
    async fn is_sound(&self) {
        let stored = self.store().get(&Self::key()).await.expect("a store").expect("tokens");
        let stored = stored.tokens.refresh_token.expect("a refresh token").expose_secret().to_owned();
        let state = self.issuer.state.lock().expect("no panic");
        assert_eq!((stored, state.rejected), (format!("refresh-{}", state.latest), 0));
    }
}

/// The access token is valid for another minute and a half, so no call needs the new one.
#[tokio::test]
async fn a_program_that_makes_two_calls_and_ends_keeps_its_installation() {
    for flavour in ["current", "multi"] {
        let installed = Installed::expiring_in(Duration::from_secs(90), Duration::from_millis(1_500)).await;
        let mut process = installed.process(flavour, 2);
        process.tell("");
        assert_eq!((process.line(), process.line()), ("sent".to_owned(), "sent".to_owned()), "{flavour}");
        assert!(process.wait().success(), "{flavour}");
        assert_eq!(installed.requests(), 1, "{flavour}");
        installed.is_sound().await;
    }
}

/// The process is stopped after it has sent the request, for longer than the timeout of an attempt: the response is in the
/// socket, or is repeated.
#[tokio::test]
async fn a_process_that_is_stopped_during_a_refresh_keeps_its_installation() {
    for flavour in ["current", "multi"] {
        let installed = Installed::expiring_in(Duration::ZERO, Duration::from_millis(300)).await;
        let mut process = installed.process(flavour, 1);
        process.tell("");
        let end = Instant::now() + TEST_TIMEOUT;
        while installed.requests() == 0 {
            assert!(Instant::now() < end, "no request for tokens");
            thread::sleep(Duration::from_millis(1));
        }
        process.stop();
        thread::sleep(Duration::from_secs(11));
        process.resume();
        assert_eq!(process.line(), "sent", "{flavour}");
        assert!(process.wait().success(), "{flavour}");
        installed.is_sound().await;
    }
}
