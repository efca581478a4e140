//! Several processes with one file store, and processes that are killed.

mod process;
mod proxy;

use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;
use highlevel::auth::TokenSet;
use highlevel::auth::store::{
    FileStore, Key, Precondition, PutResult, Resource, StoredTokens, TokenStore, Version,
};
use highlevel_sandbox::{Sandbox, TokenRequests};
use serde_json::json;

use self::process::{Process, Scratch};
use self::proxy::{Point, Proxy};

const KILLS: usize = 200;
const CLIENT_ID: &str = "6650-app";
const LOCATION: &str = "ve9EPM428h8vShlRW1KT";

/// A process writes one set of tokens after the other and is killed, 200 times. What is stored then is whole, and either
/// the latest that was written or the one that was being written.
#[tokio::test]
async fn a_killed_process_leaves_the_latest_tokens_or_those_before() {
    let scratch = Scratch::new();
    let arguments = ["write", scratch.text(), CLIENT_ID, LOCATION];
    let key = Key::new(CLIENT_ID, Resource::Location(LOCATION.into()));
    let mut random = Rng::with_seed(0x5eed_0001);

    let first = Process::start(&arguments);
    assert_eq!(first.after("has"), "0");
    let one_writing = time_of(20, || first.after("written"));
    drop(first);

    let store = FileStore::open(scratch.path()).expect("a store");
    let leftover = format!("{}.tmp", store.path_of(&key).display());
    let (mut leftovers, mut latest) = (0, 0);
    for kill in 0..KILLS {
        let before = number_throughout(&store.get(&key).await.expect("a whole file").expect("tokens"));
        let victim = Process::start(&arguments);
        assert_eq!(victim.after("has"), before.to_string(), "kill {kill}");

        for _ in 0..=random.usize(..3) {
            victim.after("writing");
        }
        // Any point of a writing. How long it takes differs between machines, and nothing depends on it.
        thread::sleep(one_writing.mul_f64(random.f64() * 1.3));
        let said = victim.kill();

        let last = |word| said.iter().filter_map(|line| line.strip_prefix(word)?.parse().ok()).next_back();
        let (written, begun) = (last("written ").unwrap_or(before), last("writing ").expect("a number"));
        leftovers += usize::from(fs::exists(&leftover).expect("an answer"));
        let stored = store.get(&key).await.expect("a whole file").expect("tokens");
        let stored = number_throughout(&stored);
        assert!(
            stored == written || stored == begun,
            "kill {kill}: {written} was written and {begun} begun, but {stored} is stored"
        );
        latest += usize::from(stored == begun);
    }
    println!(
        "of {KILLS}, {leftovers} were killed while the file was written, and {latest} after the last was whole"
    );
    assert!(leftovers > 0, "no process was killed while it wrote: this has shown nothing");
}

/// Four processes want to send, eight messages each, when the access token has expired. There is one refresh, each day
/// again, and everything is sent.
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
/// sends with what it finds, 16 seconds later, when the lease of the killed one has ended and HighLevel still repeats
/// its answer.
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
            0 => Some(Point::Asked),
            1 | 2 => Some(Point::Answered),
            3..7 => Some(Point::Told),
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
        // Any point after that. How long it takes differs between machines, and nothing depends on it.
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

        // Both processes together have refreshed once; if the killed one lost the answer, it was repeated.
        let after = installed.token_requests();
        let (rotated, repeated) = (after.rotated - before.rotated, after.repeated - before.repeated);
        assert!(rotated == 1 && repeated <= 1 && after.refused == 0, "kill {kill}, at {point:?}: {after:?}");
        match point {
            Some(Point::Asked) => assert!(repeated == 0 && !is_stored, "kill {kill}: nobody had refreshed"),
            Some(Point::Answered) => assert!(repeated == 1 && !is_stored, "kill {kill}: the answer was lost"),
            _ => assert!(repeated == 0 || !is_stored, "kill {kill}: what was stored was not used"),
        }
        found.stored += u32::from(is_stored);
        found.refreshed_and_not_stored += u32::from(repeated == 1);
        found.not_refreshed += u32::from(repeated == 0 && !is_stored);
        found.half_written += u32::from(is_half_written);
    }
    println!("of {KILLS} kills: {found:?}");
}

/// What the killed processes had done.
#[derive(Debug, Default)]
struct Found {
    not_refreshed: u32,
    refreshed_and_not_stored: u32,
    stored: u32,
    /// Of all these: killed while it wrote a file, be it for tokens or for a lease.
    half_written: u32,
}

async fn version(store: &FileStore, key: &Key) -> Version {
    store.get(key).await.expect("a whole file").expect("tokens").version
}

const A_DAY: Duration = Duration::from_secs(86_460);

/// An app that is installed on a location of a sandbox whose clock stands still, with its tokens in a file store.
struct Installed {
    sandbox: Sandbox,
    location: highlevel_sandbox::Resource,
    scratch: Scratch,
}

impl Installed {
    async fn start() -> Self {
        let sandbox = Sandbox::start().await.expect("a sandbox");
        sandbox.set_clock_speed(0.0);
        let location = highlevel_sandbox::Resource::location(sandbox.location_id());
        let tokens = sandbox.give_tokens(&location, ["conversations/message.write"]).expect("tokens");
        let now = milliseconds(sandbox.now());
        let tokens = json!({
            "format": 1,
            "access_token": tokens["access_token"],
            "refresh_token": tokens["refresh_token"],
            "obtained_at_unix_ms": now,
            "expires_at_unix_ms": now + 86_399_000,
            "scopes": [],
        });
        let installed = Self { sandbox, location, scratch: Scratch::new() };
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

    /// A process of the app, which is ready to send.
    fn process(&self, base_url: &str) -> Process {
        let sandbox = &self.sandbox;
        let process = Process::start(&[
            "send",
            self.scratch.text(),
            base_url,
            &sandbox.client_id(),
            &sandbox.client_secret(),
            sandbox.location_id(),
            sandbox.contact_id(),
        ]);
        assert_eq!(process.line(), "ready to send");
        process
    }

    /// Makes it later, and says what time it is.
    fn later(&self, by: Duration) -> u64 {
        self.sandbox.advance_clock(by);
        milliseconds(self.sandbox.now())
    }

    fn token_requests(&self) -> TokenRequests {
        self.sandbox.token_requests_of(&self.location)
    }

    /// Whether a process was killed while it wrote the file.
    fn is_half_written(&self) -> bool {
        let files = fs::read_dir(self.scratch.path()).expect("a directory");
        files.into_iter().any(|file| file.expect("a file").path().extension().is_some_and(|end| end == "tmp"))
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970");
    since.as_millis().try_into().expect("a time before the end of the world")
}

/// The number that the tokens say in each field, see `numbered` in `token_process.rs`.
fn number_throughout(stored: &StoredTokens) -> u64 {
    use highlevel::SecretString;
    use secrecy::ExposeSecret;

    let tokens = &stored.tokens;
    let number: u64 = tokens.scopes[0].parse().expect("a number");
    let padding = "x".repeat(if number.is_multiple_of(2) { 20_000 } else { 10 });
    let refresh_token = tokens.refresh_token.as_ref().map(SecretString::expose_secret);
    assert!(tokens.access_token.expose_secret() == format!("access-{number}-{padding}"), "{stored:?}");
    assert!(refresh_token == Some(&format!("refresh-{number}-{padding}")), "{stored:?}");
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(number);
    assert_eq!((tokens.obtained_at, tokens.expires_at), (time, time), "{stored:?}");
    number
}

/// How long something takes, done that many times.
fn time_of<T>(times: u32, mut work: impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        work();
    }
    start.elapsed() / times
}
