//! A proxy between a program and its database, which cuts and delays connections.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// Cuts each connection after a number of bytes that the database has sent: between a commit and its response as well.
pub(crate) struct DatabaseProxy {
    port: u16,
    /// The next connections end after up to this many bytes.
    most: Arc<AtomicU64>,
    rules: Rules,
}

/// The action on the first response that contains a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// It is lost: the statement was executed.
    Cut,
    Delay(Duration),
}

type Rules = Arc<Mutex<Vec<(String, Action)>>>;

impl DatabaseProxy {
    pub(crate) async fn start(socket: PathBuf, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let most = Arc::new(AtomicU64::new(u64::MAX));
        let limit = Arc::clone(&most);
        let rules = Rules::default();
        let applied = Arc::clone(&rules);
        tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            while let Ok((program, _)) = listener.accept().await {
                let bytes = match limit.load(Ordering::Relaxed) {
                    u64::MAX => u64::MAX,
                    most => random.u64(500..most),
                };
                let (socket, rules) = (socket.clone(), Arc::clone(&applied));
                tokio::spawn(async move {
                    if let Ok(database) = UnixStream::connect(socket).await {
                        connect(program, database, bytes, rules).await;
                    }
                });
            }
        });
        Self { port, most, rules }
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname={database}", self.port)
    }

    /// Sets the largest number of bytes of the next connections, or lets them live.
    pub(crate) fn cut_after(&self, most: Option<u64>) {
        self.most.store(most.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Applies an action to the first response that contains the text.
    pub(crate) fn on_response(&self, text: &str, action: Action) {
        self.rules.lock().expect("the rules").push((text.to_owned(), action));
    }

    /// Returns `true` once all rules have been applied.
    pub(crate) fn has_applied_all(&self) -> bool {
        self.rules.lock().expect("the rules").is_empty()
    }
}

async fn connect(program: TcpStream, database: UnixStream, bytes: u64, rules: Rules) {
    let (program_reads, program_writes) = program.into_split();
    let (database_reads, database_writes) = database.into_split();
    // The last statement is processed, also if its response is cut.
    tokio::select! {
        () = copy(program_reads, database_writes, u64::MAX, Rules::default()) => {}
        () = copy(database_reads, program_writes, bytes, rules) => {}
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut left: u64,
    rules: Rules,
) {
    let mut buffer = vec![0; 16_384];
    while left > 0 {
        let Ok(read) = from.read(&mut buffer).await else { return };
        match action(&rules, &buffer[..read]) {
            Some(Action::Cut) => return,
            Some(Action::Delay(time)) => tokio::time::sleep(time).await,
            None => {}
        }
        let taken = read.min(usize::try_from(left).unwrap_or(usize::MAX));
        if read == 0 || to.write_all(&buffer[..taken]).await.is_err() {
            return;
        }
        left -= u64::try_from(taken).unwrap_or_default();
    }
}

/// Takes the first rule whose text is in the response.
fn action(rules: &Rules, response: &[u8]) -> Option<Action> {
    let mut rules = rules.lock().expect("the rules");
    let contains = |text: &str| response.windows(text.len()).any(|part| part == text.as_bytes());
    let index = rules.iter().position(|(text, _)| contains(text))?;
    Some(rules.remove(index).1)
}
