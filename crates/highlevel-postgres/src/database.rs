//! The database: connections, statements, and their timeouts.
//!
//! Statements are typed and unnamed (`query_typed`): one round trip each, and they work behind PgBouncer in transaction
//! mode. The result of a statement is used only after the database has reported the end of its transaction.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::error::{Error, Result};
use crate::limiter_state::LocalState;
use crate::limits::Limits;
use crate::retention::Retention;
use crate::sealing::{Keyring, SealingKey};
use crate::tls::TlsConnector;

/// The time for one statement, with the wait for a connection.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// The default number of connections.
const CONNECTIONS: usize = 16;

/// A parameter of a statement, with its type in the database.
pub(crate) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// The tokens, limits, outgoing messages and received events of one app, in a PostgreSQL database.
///
/// Cheap to clone; clones share their connections, which belong to the tokio runtime that opened them.
///
/// ```no_run
/// # async fn example() -> highlevel_postgres::Result<()> {
/// use highlevel_postgres::Database;
///
/// let database = Database::builder("postgres://app@db.internal/app").deployment("production").connect().await?;
/// database.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Database {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pool: Pool,
    pub(crate) deployment: String,
    pub(crate) limits: Limits,
    pub(crate) limiter: LocalState,
    pub(crate) keyring: Keyring,
    pub(crate) retention: Retention,
    /// The longest window of the receivers, in seconds.
    pub(crate) event_retention: Arc<AtomicU64>,
}

impl Database {
    /// Starts building a database from its URL, or from key-value pairs like `host=/run/postgresql dbname=app`.
    ///
    /// The [deployment](DatabaseBuilder::deployment) is needed as well.
    pub fn builder(url: impl Into<String>) -> DatabaseBuilder {
        DatabaseBuilder::new(Source::Url(url.into()))
    }

    /// Starts building a database that uses a pool of the program.
    pub fn with_pool(pool: Pool) -> DatabaseBuilder {
        DatabaseBuilder::new(Source::Pool(pool))
    }

    /// Returns the pool of connections.
    pub fn pool(&self) -> &Pool {
        &self.inner.pool
    }

    /// Returns the name of the deployment.
    pub fn deployment(&self) -> &str {
        &self.inner.deployment
    }

    pub(crate) async fn client(&self) -> Result<Object> {
        match tokio::time::timeout(STATEMENT_TIMEOUT, self.inner.pool.get()).await {
            Ok(client) => Ok(client?),
            Err(_) => Err(Error::timeout("waiting for a connection")),
        }
    }

    /// Executes a statement. Its transaction has ended when this returns.
    pub(crate) async fn query(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>> {
        let client = self.client().await?;
        let Ok(rows) = tokio::time::timeout(STATEMENT_TIMEOUT, client.query_typed(sql, parameters)).await
        else {
            // The connection is busy with the statement, or broken.
            drop(Object::take(client));
            return Err(Error::timeout("a statement"));
        };
        Ok(rows?)
    }

    /// Executes a statement that returns one row.
    pub(crate) async fn query_one(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Row> {
        self.query_opt(sql, parameters).await?.ok_or_else(|| Error::conflict("the statement returned no row"))
    }

    /// Executes a statement that returns at most one row.
    pub(crate) async fn query_opt(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Option<Row>> {
        Ok(self.query(sql, parameters).await?.into_iter().next())
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("deployment", &self.inner.deployment).finish_non_exhaustive()
    }
}

enum Source {
    Url(String),
    Pool(Pool),
}

/// Builds a [`Database`].
#[must_use = "a builder does nothing until `connect` is called"]
pub struct DatabaseBuilder {
    source: Source,
    deployment: Option<String>,
    connections: usize,
    limits: Limits,
    keyring: Keyring,
    retention: Retention,
    root_certificates: Vec<Vec<u8>>,
}

impl DatabaseBuilder {
    fn new(source: Source) -> Self {
        Self {
            source,
            deployment: None,
            connections: CONNECTIONS,
            limits: Limits::default(),
            keyring: Keyring::default(),
            retention: Retention::default(),
            root_certificates: Vec::new(),
        }
    }

    /// Sets the name of the deployment, such as `production`. Messages are sent only from the database that this deployment
    /// has adopted, so that a copy of it in another environment sends nothing.
    pub fn deployment(mut self, name: impl Into<String>) -> Self {
        self.deployment = Some(name.into());
        self
    }

    /// Sets the largest number of connections. Defaults to 16. A [pool](Database::with_pool) has its own.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Sets the limits of each location. Defaults to the documented ones. All processes need the same limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Encrypts the tokens that are stored from now on. Tokens that were stored without a key stay readable.
    pub fn seal(mut self, key: SealingKey) -> Self {
        self.keyring.set_current(key);
        self
    }

    /// Adds a key that older tokens were encrypted with. Can be called several times.
    pub fn unseal_with(mut self, key: SealingKey) -> Self {
        self.keyring.add_older(key);
        self
    }

    /// Trusts a certificate authority that the platform does not know, in PEM format, such as the one of a hosted database.
    /// Can be called several times. A [pool](Database::with_pool) has its own TLS.
    ///
    /// TLS is used if the URL has `sslmode=require`, or if the server offers it and the URL does not have
    /// `sslmode=disable`. The certificate is always verified, with the name of the host.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// Sets the times after which completed things are deleted.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Builds the database and opens a connection to it.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if there is no deployment or the URL is not
    /// valid or a certificate cannot be read, and [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the database cannot be reached.
    pub async fn connect(self) -> Result<Database> {
        let deployment = self.deployment.filter(|name| !name.is_empty()).ok_or_else(|| {
            Error::configuration("no deployment: call `.deployment(..)` with a name such as `production`")
        })?;
        let pool = match self.source {
            Source::Pool(pool) => pool,
            Source::Url(url) => open(&url, self.connections, tls(&self.root_certificates)?)?,
        };
        let inner = Inner {
            pool,
            deployment,
            limits: self.limits,
            limiter: LocalState::default(),
            keyring: self.keyring,
            retention: self.retention,
            event_retention: Arc::default(),
        };
        let database = Database { inner: Arc::new(inner) };
        database.query("SELECT 1", &[]).await?;
        Ok(database)
    }
}

impl fmt::Debug for DatabaseBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseBuilder").field("deployment", &self.deployment).finish_non_exhaustive()
    }
}

fn tls(root_certificates: &[Vec<u8>]) -> Result<TlsConnector> {
    let mut tls = TlsConnector::default();
    for pem in root_certificates {
        if !tls.trust(pem) {
            return Err(Error::configuration(
                "a root certificate cannot be read; give certificates in PEM format",
            ));
        }
    }
    Ok(tls)
}

fn open(url: &str, connections: usize, tls: TlsConnector) -> Result<Pool> {
    let mut config: tokio_postgres::Config = url
        .parse()
        .map_err(|error| Error::configuration("the URL of the database is not valid").with_source(error))?;
    if config.get_application_name().is_none() {
        config.application_name("highlevel-postgres");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(5));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(STATEMENT_TIMEOUT);
    }
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(config, tls, recycling);
    Pool::builder(manager)
        .max_size(connections)
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| Error::configuration("the pool of connections cannot be built").with_source(error))
}
