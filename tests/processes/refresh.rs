//! Several processes with one file store, which refresh and are killed.

use std::fs;
use std::thread;
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use highlevel::auth::TokenSet;
use highlevel::auth::store::{FileStore, Key, Precondition, PutResult, Resource, TokenStore, Version};
use highlevel_sandbox::{Sandbox, TokenRequests};
use highlevel_test_support::Directory;
use serde_json::json;

use crate::process::{Process, scratch};
use crate::proxy::{Point, Proxy};
use crate::store::{PROGRAM, time_of};

const KILLS: usize = 200;

/// The access token has expired, and four processes send eight messages each. There is one refresh per day, and
/// everything is sent.
#[tokio::test(flavor = "multi_thread")]
async fn four_processes_refresh_once() {
    let installed = Installed::start().await;
    let mut processes: Vec<_> = (0..4).map(|_| installed.process(&installed.sandbox.base_url())).collect();
    for day in 1..=5 {
        let now = installed.later(A_DAY);
        for process in &mut processes {
            process.tell(&format!("{now} 8"));
        }
        for process in &processes {
            assert_eq!(process.after("sending"), "8");
            assert_eq!(process.line(), "sent 8", "day {day}");
        }
        let requests = installed.token_requests();
        assert_eq!((requests.rotated, requests.refreshes()), (day, day), "{requests:?}");
    }
    assert_eq!(installed.sandbox.messages().len(), 5 * 4 * 8);
}

/// A process that refreshes every day is killed, 200 times: at a point that the proxy knows, or at any. The next process
/// sends with the tokens that it finds, 16 seconds later, when the lease of the killed one has ended and HighLevel still
/// repeats its response.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_leaves_tokens_that_work() {
    let installed = Installed::start().await;
    let proxy = Proxy::start(&installed.sandbox.base_url()).await;
    let mut random = Rng::with_seed(0x5eed_0002);

    let mut process = installed.process(&proxy.base_url());
    let one_day = time_of(10, || {
        let now = installed.later(A_DAY);
        process.tell(&format!("{now} 1"));
        assert_eq!(process.after("sent"), "1");
    });

    let store = installed.store();
    let mut found = Found::default();
    for kill in 0..KILLS {
        let point = match random.u8(..10) {
            0 => Some(Point::Sent),
            1 | 2 => Some(Point::Responded),
            3..7 => Some(Point::Received),
            _ => None,
        };
        proxy.stop_at(point);
        let before = installed.token_requests();
        let version = version(&store, &installed.key()).await;
        let now = installed.later(A_DAY);
        process.tell(&format!("{now} 1"));
        match point {
            Some(_) => proxy.wait(),
            None => drop(process.after("sending")),
        }
        // Any point after that. Machines differ in how long it takes, and nothing depends on it.
        thread::sleep(one_day.mul_f64(random.f64()));
        drop(process.kill());
        proxy.stop_at(None);
        let is_stored = self::version(&store, &installed.key()).await != version;
        let is_half_written = installed.is_half_written();

        process = installed.process(&proxy.base_url());
        let now = installed.later(Duration::from_secs(16));
        process.tell(&format!("{now} 1"));
        assert_eq!(process.after("sending"), "1");
        assert_eq!(process.line(), "sent 1", "kill {kill}, at {point:?}");

        // Both processes together have refreshed once; if the killed one lost the response, it was repeated.
        let after = installed.token_requests();
        let (rotated, repeated) = (after.rotated - before.rotated, after.repeated - before.repeated);
        assert!(rotated == 1 && repeated <= 1 && after.refused == 0, "kill {kill}, at {point:?}: {after:?}");
        match point {
            Some(Point::Sent) => {
                assert!(repeated == 0 && !is_stored, "kill {kill}: no process had refreshed");
            }
            Some(Point::Responded) => {
                assert!(repeated == 1 && !is_stored, "kill {kill}: the response was lost");
            }
            _ => assert!(repeated == 0 || !is_stored, "kill {kill}: the stored tokens were not used"),
        }
        found.stored += u32::from(is_stored);
        found.refreshed_and_not_stored += u32::from(repeated == 1);
        found.not_refreshed += u32::from(repeated == 0 && !is_stored);
        found.half_written += u32::from(is_half_written);
    }
    println!("of {KILLS} kills: {found:?}");
}

/// The progress of the killed processes.
#[derive(Debug, Default)]
struct Found {
    not_refreshed: u32,
    refreshed_and_not_stored: u32,
    stored: u32,
    /// Of all these: killed while it wrote the tokens.
    half_written: u32,
}

async fn version(store: &FileStore, key: &Key) -> Version {
    store.get(key).await.expect("a whole file").expect("tokens").version
}

const A_DAY: Duration = Duration::from_secs(86_460);

/// An app that is installed on a location of a sandbox whose clock stands still. Its tokens are in a file store.
struct Installed {
    sandbox: Sandbox,
    location: highlevel_sandbox::TokenResource,
    scratch: Directory,
}

impl Installed {
    async fn start() -> Self {
        let sandbox = Sandbox::start().await.expect("a sandbox");
        sandbox.set_clock_speed(0.0);
        let location = highlevel_sandbox::TokenResource::location(sandbox.location_id());
        let tokens = sandbox.issue_tokens(&location, ["conversations/message.write"]).expect("tokens");
        let now = milliseconds(sandbox.now());
        let tokens = json!({
            "format": 1,
            "access_token": tokens["access_token"],
            "refresh_token": tokens["refresh_token"],
            "obtained_at_unix_ms": now,
            "expires_at_unix_ms": now + 86_399_000,
            "scopes": [],
        });
        let installed = Self { sandbox, location, scratch: scratch() };
        let tokens = TokenSet::from_json(&tokens.to_string().into()).expect("tokens");
        let put = installed.store().put(&installed.key(), &tokens, Precondition::Nothing).await.expect("put");
        assert!(matches!(put, PutResult::Stored(_)), "{put:?}");
        installed
    }

    fn store(&self) -> FileStore {
        FileStore::open(self.scratch.path()).expect("a store")
    }

    fn key(&self) -> Key {
        Key::new(self.sandbox.client_id(), Resource::Location(self.sandbox.location_id().into()))
    }

    /// Starts a process of the app, which is ready to send.
    fn process(&self, base_url: &str) -> Process {
        let sandbox = &self.sandbox;
        let process = Process::start(
            PROGRAM,
            &[
                "send",
                self.scratch.text(),
                base_url,
                &sandbox.client_id(),
                &sandbox.client_secret(),
                sandbox.location_id(),
                sandbox.contact_id(),
            ],
        );
        assert_eq!(process.line(), "ready to send");
        process
    }

    /// Advances the clock, and returns the time.
    fn later(&self, by: Duration) -> u64 {
        self.sandbox.advance_clock(by);
        milliseconds(self.sandbox.now())
    }

    fn token_requests(&self) -> TokenRequests {
        self.sandbox.token_requests_of(&self.location)
    }

    /// Returns `true` if a process was killed while it wrote the file.
    fn is_half_written(&self) -> bool {
        let files = fs::read_dir(self.scratch.path()).expect("a directory");
        files.into_iter().any(|file| file.expect("a file").path().extension().is_some_and(|end| end == "tmp"))
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970");
    since.as_millis().try_into().expect("a time before the end of the world")
}
