//! A PostgreSQL cluster of the tests: made in a temporary directory from the installed server, reachable by its socket only.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A hang guard, far longer than any step takes.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(60);

const SETTINGS: &str = "listen_addresses = ''\nfsync = off\nmax_connections = 200\nshared_buffers = 64MB\n\
    max_wal_senders = 4\nwal_level = replica\nlog_min_messages = fatal\n";

/// Set this to the program `pgbouncer` to connect through it.
pub(crate) const POOLER: &str = "HIGHLEVEL_POSTGRES_PGBOUNCER";
const POOLER_PORT: u16 = 6432;
/// Few connections, so that a session changes them all the time.
const POOLER_SETTINGS: &str = "[databases]\n* = host=DIRECTORY user=postgres\n[pgbouncer]\npool_mode = transaction\n\
    default_pool_size = 3\nmax_client_conn = 500\nauth_type = any\nlisten_addr =\nlisten_port = 6432\n\
    unix_socket_dir = DIRECTORY\npidfile = DIRECTORY/pgbouncer.pid\nlogfile = DIRECTORY/pgbouncer.log\n";

fn pooler() -> Option<PathBuf> {
    std::env::var_os(POOLER).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// A running cluster. It ends with this value, and also if the process of the test is killed.
pub(crate) struct Cluster {
    directory: PathBuf,
    programs: PathBuf,
    /// The script that stops the server reads from it until it is closed.
    lifeline: Option<ChildStdin>,
    script: Child,
    has_clock: bool,
}

/// Returns the cluster that the tests of this process share, or `None` if PostgreSQL is not installed. In continuous
/// integration it has to be.
pub(crate) fn shared() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    CLUSTER.get_or_init(|| programs().map(|programs| Cluster::start(&programs))).as_ref()
}

/// Finds the library that changes the clock of the processes that load it.
fn faketime() -> Option<PathBuf> {
    let directories = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let paths = directories.map(|entry| entry.path().join("faketime/libfaketime.so.1"));
    paths.into_iter().find(|path| path.exists())
}

/// Starts a separate cluster whose clock can be set, or returns `None` if libfaketime is not installed.
pub(crate) fn with_clock() -> Option<Cluster> {
    let programs = programs()?;
    if faketime().is_none() {
        let text = "libfaketime is not installed: install it (Debian: `apt-get install libfaketime`)";
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{text}");
        let _ = writeln!(std::io::stderr(), "SKIPPED: a test of the clock. {text}");
        return None;
    }
    Some(Cluster::start_with(&programs, true))
}

/// Starts a separate cluster, for tests that crash it or fail over from it.
pub(crate) fn separate() -> Option<Cluster> {
    programs().map(|programs| Cluster::start(&programs))
}

/// Finds the programs of the server.
fn programs() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(find_programs).clone()
}

fn find_programs() -> Option<PathBuf> {
    let named = std::env::var_os("POSTGRES_BIN").map(PathBuf::from);
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()))
        .filter(|path| ["initdb", "pg_ctl", "postgres", "psql"].iter().all(|name| path.join(name).exists()))
        .collect();
    found.sort();
    // An empty path skips the tests.
    if let Some(path) = named.or_else(|| found.pop()).filter(|path| !path.as_os_str().is_empty()) {
        return Some(path);
    }
    let text = "PostgreSQL 15 or later is not installed, or POSTGRES_BIN is empty: install it (Debian: `apt-get \
                install postgresql`), or set POSTGRES_BIN to the directory of `initdb`";
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{text}");
    // Not captured by the test harness: a skipped test has to be seen.
    let _ = writeln!(std::io::stderr(), "SKIPPED: the tests of highlevel-postgres. {text}");
    None
}

impl Cluster {
    fn start(programs: &Path) -> Self {
        Self::start_with(programs, false)
    }

    fn start_with(programs: &Path, has_clock: bool) -> Self {
        let directory = new_directory();
        let data = directory.join("data");
        let mut initdb = as_user(&programs.join("initdb"));
        run(initdb
            .args(["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data));
        let socket = format!("unix_socket_directories = '{}'\n", directory.display());
        let mut settings = std::fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .expect("the configuration of the cluster");
        write!(settings, "\n{SETTINGS}{socket}").expect("the configuration of the cluster");
        if pooler().is_some() {
            let text = POOLER_SETTINGS.replace("DIRECTORY", &directory.display().to_string());
            std::fs::write(directory.join("pgbouncer.ini"), text).expect("the configuration of the pooler");
        }
        if has_clock {
            std::fs::write(directory.join("clock"), "+0").expect("the clock of the cluster");
        }
        Self::serve(programs, directory, has_clock)
    }

    /// Starts the server, with a script that stops it once this process has ended.
    fn serve(programs: &Path, directory: PathBuf, has_clock: bool) -> Self {
        let script = r#"trap '' INT TERM
            if [ -f "$2/clock" ]; then
                export LD_PRELOAD="$4" FAKETIME_TIMESTAMP_FILE="$2/clock" FAKETIME_NO_CACHE=1
            fi
            "$1/pg_ctl" -D "$2/data" -l "$2/log" -w start >/dev/null || { cat "$2/log" >&2; exit 1; }
            if [ -f "$2/pgbouncer.ini" ]; then "$3" -q -d "$2/pgbouncer.ini" || exit 1; fi
            echo ready
            read -r line
            if [ -f "$2/pgbouncer.pid" ]; then kill "$(cat "$2/pgbouncer.pid")"; fi
            "$1/pg_ctl" -D "$2/data" -m immediate stop >/dev/null 2>&1
            rm -rf "$2""#;
        let mut script = as_user(Path::new("sh"))
            .args(["-c", script, "sh"])
            .arg(programs)
            .arg(&directory)
            .arg(pooler().unwrap_or_default())
            .arg(faketime().unwrap_or_default())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut line = String::new();
        let output = script.stdout.take().expect("a piped standard output");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line)
            .expect("the script's output");
        assert_eq!(line.trim(), "ready", "the server does not start");
        Self { directory, programs: programs.to_owned(), lifeline: script.stdin.take(), script, has_clock }
    }

    /// Sets the clock of the server, relative to that of the machine.
    pub(crate) fn set_clock(&self, seconds: f64) {
        assert!(self.has_clock, "a cluster of `with_clock`");
        // In one step: the server reads it all the time.
        let new = self.directory.join("clock.new");
        std::fs::write(&new, format!("{seconds:+}")).expect("the clock of the cluster");
        std::fs::rename(new, self.directory.join("clock")).expect("the clock of the cluster");
    }

    /// Returns the key-value pairs that connect to a database.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("host={} user=postgres dbname={database}", self.directory.display())
    }

    /// Creates an empty database. Returns its name.
    pub(crate) fn create_database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// Returns the key-value pairs that connect through the connection pooler, or directly if there is none.
    pub(crate) fn pooled_url(&self, database: &str) -> String {
        let url = self.url(database);
        if pooler().is_some() { format!("{url} port={POOLER_PORT}") } else { url }
    }

    /// Executes SQL with `psql`. Returns its output, without headers.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let output = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .arg(self.url(database))
            .output()
            .expect("psql");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Cluster {
    /// Returns the path of the socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join(".s.PGSQL.5432")
    }

    fn control(&self, arguments: &[&str]) {
        let mut command = as_user(&self.programs.join("pg_ctl"));
        command.arg("-D").arg(self.directory.join("data")).arg("-l").arg(self.directory.join("log"));
        run(command.args(arguments));
    }

    /// Stops the server as a crash does, without a checkpoint.
    pub(crate) fn crash(&self) {
        self.control(&["-m", "immediate", "-w", "stop"]);
    }

    /// Starts the server after it was stopped.
    pub(crate) fn restart(&self) {
        self.control(&["-w", "start"]);
    }

    /// Lets the server offer TLS on a port of loopback. Returns the port.
    pub(crate) fn serve_tls(&self, certificate_and_key: &str) -> u16 {
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
        let data = self.directory.join("data");
        std::fs::write(data.join("server.pem"), certificate_and_key).expect("the certificate");
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(data.join("server.pem")));
        }
        run(Command::new("chmod").arg("600").arg(data.join("server.pem")));
        let settings = format!(
            "\nlisten_addresses = '127.0.0.1'\nport = {port}\nssl = on\nssl_cert_file = 'server.pem'\n\
             ssl_key_file = 'server.pem'\n"
        );
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .expect("the configuration of the cluster");
        file.write_all(settings.as_bytes()).expect("the configuration of the cluster");
        self.crash();
        self.restart();
        port
    }

    /// Starts a standby of this cluster, with asynchronous replication.
    pub(crate) fn standby(&self) -> Self {
        let directory = new_directory();
        let data = directory.join("data");
        let mut backup = as_user(&self.programs.join("pg_basebackup"));
        backup.args(["-X", "stream", "-c", "fast", "-R", "--no-sync", "-d", &self.url("postgres"), "-D"]);
        run(backup.arg(&data));
        let mut settings = std::fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .expect("the configuration of the standby");
        // The last setting counts.
        writeln!(settings, "unix_socket_directories = '{}'", directory.display()).expect("the configuration");
        let standby = Self::serve(&self.programs, directory, false);
        let end = Instant::now() + TEST_TIMEOUT;
        while self.sql("postgres", "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
            == "0"
        {
            assert!(Instant::now() < end, "the standby does not replicate");
            std::thread::sleep(Duration::from_millis(20));
        }
        standby
    }

    /// Lets commits wait for the standby.
    pub(crate) fn make_synchronous(&self) {
        self.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("postgres", "SELECT pg_reload_conf()");
        let end = Instant::now() + TEST_TIMEOUT;
        while self.sql("postgres", "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")
            == "0"
        {
            assert!(Instant::now() < end, "the standby is not synchronous");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Dumps a database that may be in use, and restores it into a new one of another cluster, or of this one. Returns the
    /// name of the new database.
    pub(crate) fn restore_dump(&self, database: &str, target: &Self) -> String {
        let restored = target.create_database();
        let dump = std::env::temp_dir().join(format!("pg-{}-{restored}.dump", std::process::id()));
        let mut command = Command::new(self.programs.join("pg_dump"));
        run(command.arg("--format=custom").arg("--file").arg(&dump).arg(self.url(database)));
        let mut command = Command::new(self.programs.join("pg_restore"));
        command.args(["--exit-on-error", "--single-transaction", "--dbname", &target.url(&restored)]);
        run(command.arg(&dump));
        std::fs::remove_file(dump).expect("a dump to delete");
        restored
    }

    /// Stops the replication to standbys without breaking it, as a slow network does.
    pub(crate) fn stall_replication(&self) {
        for process in self.sql("postgres", "SELECT pid FROM pg_stat_replication").lines() {
            run(Command::new("kill").args(["-STOP", process]));
        }
    }

    /// Promotes this standby at the address of its primary, which has crashed.
    pub(crate) fn take_over(&self, primary: &Self) {
        self.control(&["-m", "fast", "-w", "stop"]);
        let mut settings = std::fs::OpenOptions::new()
            .append(true)
            .open(self.directory.join("data").join("postgresql.conf"))
            .expect("the configuration of the standby");
        let (own, other) = (self.directory.display(), primary.directory.display());
        writeln!(settings, "unix_socket_directories = '{own},{other}'").expect("the configuration");
        self.restart();
        self.sql("postgres", "SELECT pg_promote()");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.lifeline.take();
        let end = Instant::now() + TEST_TIMEOUT;
        while Instant::now() < end && self.script.try_wait().is_ok_and(|status| status.is_none()) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn new_directory() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    // Short: the path of a socket has at most 107 bytes.
    let name = format!("pg-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir(&directory).expect("a temporary directory");
    if is_root() {
        // The server refuses to run as root.
        run(Command::new("chown").arg("postgres").arg(&directory));
    }
    directory
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}

/// A command of the user who may run the server.
fn as_user(program: &Path) -> Command {
    if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn run(command: &mut Command) {
    let output = command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
