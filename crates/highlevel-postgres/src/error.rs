//! The error of this crate.

use std::error::Error as StdError;
use std::fmt;

use tokio_postgres::error::SqlState;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the database, or of a request to it.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    text: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kind of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration is not valid.
    Configuration,
    /// The database cannot be reached, or did not respond in time. The statement may have been executed.
    Unavailable,
    /// The schema of the database is missing, or is not the one that this version needs.
    Schema,
    /// The database was not adopted by this deployment: it may be a copy of another one.
    NotAdopted,
    /// The database was failed over or restored since it was adopted.
    Quarantined,
    /// The message, event or location is not in the state that the operation requires, or does not exist.
    Conflict,
    /// A stored value or an argument cannot be used.
    Invalid,
    /// The database rejected a statement.
    Database,
}

impl Error {
    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, text: text.into(), source: None }))
    }

    pub(crate) fn configuration(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Configuration, text)
    }

    pub(crate) fn conflict(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, text)
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, text)
    }

    pub(crate) fn timeout(what: &str) -> Self {
        Self::new(ErrorKind::Unavailable, format!("{what} took too long; check the load of the database"))
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let (kind, text) = match error.as_db_error() {
            None if is_certificate(&error) => (
                ErrorKind::Configuration,
                "the certificate of the database is not trusted; add its authority with `root_certificate`, or set \
                 `sslmode=disable` in a trusted network"
                    .to_owned(),
            ),
            None => (ErrorKind::Unavailable, "the connection to the database failed".to_owned()),
            Some(database) => (kind_of(database.code()), text_of(database.code(), database.message())),
        };
        Self::new(kind, text).with_source(error)
    }
}

impl From<deadpool_postgres::PoolError> for Error {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => error.into(),
            error => Self::new(ErrorKind::Unavailable, "no connection to the database is available in time")
                .with_source(error),
        }
    }
}

#[cfg(feature = "sqlx")]
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let database = error.as_database_error();
        let code = database.and_then(sqlx::error::DatabaseError::code);
        let (kind, text) = match (database, code) {
            (Some(database), Some(code)) => {
                let code = SqlState::from_code(&code);
                (kind_of(&code), text_of(&code, database.message()))
            }
            _ => (ErrorKind::Unavailable, "the connection to the database failed".to_owned()),
        };
        Self::new(kind, text).with_source(error)
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::invalid("a value cannot be converted to or from JSON").with_source(error)
    }
}

/// Returns `true` if TLS has failed because of the server's certificate.
fn is_certificate(error: &tokio_postgres::Error) -> bool {
    let mut source: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = source {
        // The source of an I/O error is not the error in it.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = inner.map_or_else(|| error.downcast_ref(), |inner| inner.downcast_ref::<rustls::Error>());
        if matches!(tls, Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        source = error.source();
    }
    false
}

fn kind_of(code: &SqlState) -> ErrorKind {
    match code.code() {
        "HL001" => ErrorKind::NotAdopted,
        "HL002" => ErrorKind::Quarantined,
        "HL003" => ErrorKind::Conflict,
        _ if *code == SqlState::INVALID_SCHEMA_NAME
            || *code == SqlState::UNDEFINED_FUNCTION
            || *code == SqlState::UNDEFINED_TABLE =>
        {
            ErrorKind::Schema
        }
        // Data exceptions, and values that exceed a limit.
        code if ["22", "54"].iter().any(|class| code.starts_with(class)) => ErrorKind::Invalid,
        // Connection exceptions, lack of resources, and interventions such as a shutdown.
        code if ["08", "53", "57"].iter().any(|class| code.starts_with(class)) => ErrorKind::Unavailable,
        _ => ErrorKind::Database,
    }
}

fn text_of(code: &SqlState, message: &str) -> String {
    match kind_of(code) {
        ErrorKind::Schema => format!("{message}; run `Database::migrate`"),
        ErrorKind::NotAdopted | ErrorKind::Quarantined => {
            format!("{message}; see `Database::adopt`")
        }
        _ => message.to_owned(),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}
