//! The token store that all processes share.

use std::time::Duration;

use highlevel::SecretString;
use highlevel::auth::TokenSet;
use highlevel::auth::store::{
    Key, LeaseResult, MAX_LEASE, Precondition, PutResult, Resource, StoreError, StoreFuture, StoredTokens,
    TokenStore, Version,
};
use secrecy::ExposeSecret;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::database::{Database, Parameter};

/// A [`TokenStore`] in the database, for any number of processes. From [`Database::tokens`].
///
/// Leases use the clock of the database.
#[derive(Debug, Clone)]
pub struct DatabaseTokenStore {
    database: Database,
}

impl Database {
    /// Returns the store of the app's tokens.
    pub fn tokens(&self) -> DatabaseTokenStore {
        DatabaseTokenStore { database: self.clone() }
    }
}

/// The columns of a key.
struct Columns<'a> {
    client_id: &'a str,
    kind: &'static str,
    id: &'a str,
}

impl<'a> Columns<'a> {
    fn of(key: &'a Key) -> Self {
        Self { client_id: &key.client_id, kind: key.resource.kind(), id: key.resource.id() }
    }

    fn parameters(&self) -> [Parameter<'_>; 3] {
        [(&self.client_id, Type::TEXT), (&self.kind, Type::TEXT), (&self.id, Type::TEXT)]
    }

    /// The context that sealed tokens are bound to.
    fn context(&self) -> Vec<u8> {
        [self.client_id, self.kind, self.id].join("\0").into_bytes()
    }
}

/// A random version: a counter would repeat itself after a restore.
fn new_version() -> i64 {
    i64::from_ne_bytes(fastrand::u64(..).to_ne_bytes())
}

fn version(stored: i64) -> Version {
    Version(u64::from_ne_bytes(stored.to_ne_bytes()))
}

fn stored_version(version: Version) -> i64 {
    i64::from_ne_bytes(version.0.to_ne_bytes())
}

impl DatabaseTokenStore {
    async fn read(&self, columns: &Columns<'_>) -> Result<Option<StoredTokens>, StoreError> {
        let sql =
            "SELECT tokens, version FROM highlevel.token WHERE client_id = $1 AND kind = $2 AND id = $3";
        let row = self.database.query_opt(sql, &columns.parameters()).await?;
        row.map(|row| self.stored(&row, columns)).transpose()
    }

    fn stored(&self, row: &Row, columns: &Columns<'_>) -> Result<StoredTokens, StoreError> {
        let bytes: Vec<u8> = row.try_get(0)?;
        let json = self.database.inner.keyring.open(bytes, &columns.context())?;
        let tokens = TokenSet::from_json(&SecretString::from(json))?;
        Ok(StoredTokens::new(tokens, version(row.try_get(1)?)))
    }

    async fn write(
        &self,
        columns: &Columns<'_>,
        tokens: &TokenSet,
        precondition: Precondition,
    ) -> Result<PutResult, StoreError> {
        let json = tokens.to_json();
        let bytes = self.database.inner.keyring.seal(json.expose_secret(), &columns.context())?;
        let (new, expected) = (new_version(), expected(precondition));
        let sql = match precondition {
            Precondition::Anything => {
                "INSERT INTO highlevel.token VALUES ($1, $2, $3, $4, $5) ON CONFLICT (client_id, kind, id)
                     DO UPDATE SET tokens = excluded.tokens, version = excluded.version RETURNING 1"
            }
            Precondition::Nothing => {
                "INSERT INTO highlevel.token VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING 1"
            }
            Precondition::Version(_) => {
                "UPDATE highlevel.token SET tokens = $4, version = $5
                     WHERE client_id = $1 AND kind = $2 AND id = $3 AND version = $6 RETURNING 1"
            }
        };
        let mut parameters = columns.parameters().to_vec();
        parameters.extend([(&bytes as _, Type::BYTEA), (&new as _, Type::INT8)]);
        if expected.is_some() {
            parameters.push((&expected, Type::INT8));
        }
        match self.database.query_opt(sql, &parameters).await? {
            Some(_) => Ok(PutResult::Stored(version(new))),
            None => Ok(PutResult::Conflict(self.read(columns).await?)),
        }
    }

    async fn delete(&self, columns: &Columns<'_>, precondition: Precondition) -> Result<bool, StoreError> {
        let expected = expected(precondition);
        if precondition == Precondition::Nothing {
            return Ok(false);
        }
        let sql = "DELETE FROM highlevel.token WHERE client_id = $1 AND kind = $2 AND id = $3
                       AND ($4::bigint IS NULL OR version = $4) RETURNING 1";
        let mut parameters = columns.parameters().to_vec();
        parameters.push((&expected, Type::INT8));
        Ok(self.database.query_opt(sql, &parameters).await?.is_some())
    }

    async fn lease_for(
        &self,
        columns: &Columns<'_>,
        holder: &str,
        length: Duration,
    ) -> Result<LeaseResult, StoreError> {
        let seconds = length.min(MAX_LEASE).as_secs_f64();
        let deployment = self.database.deployment();
        let mut parameters = columns.parameters().to_vec();
        parameters.extend([
            (&holder as _, Type::TEXT),
            (&seconds as _, Type::FLOAT8),
            (&deployment as _, Type::TEXT),
        ]);
        let sql = "SELECT highlevel.lease_v1($6, $1, $2, $3, $4, $5 * interval '1 second')";
        let remaining: Option<i64> = self.database.query_one(sql, &parameters).await?.try_get(0)?;
        Ok(match remaining {
            None => LeaseResult::Granted,
            Some(ms) => {
                LeaseResult::Held { remaining: Duration::from_millis(u64::try_from(ms).unwrap_or_default()) }
            }
        })
    }
}

/// The version that an entry has to have.
fn expected(precondition: Precondition) -> Option<i64> {
    match precondition {
        Precondition::Version(version) => Some(stored_version(version)),
        Precondition::Anything | Precondition::Nothing => None,
    }
}

impl TokenStore for DatabaseTokenStore {
    fn get<'a>(&'a self, key: &'a Key) -> StoreFuture<'a, Option<StoredTokens>> {
        Box::pin(async move { self.read(&Columns::of(key)).await })
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        tokens: &'a TokenSet,
        precondition: Precondition,
    ) -> StoreFuture<'a, PutResult> {
        Box::pin(async move { self.write(&Columns::of(key), tokens, precondition).await })
    }

    fn remove<'a>(&'a self, key: &'a Key, precondition: Precondition) -> StoreFuture<'a, bool> {
        Box::pin(async move { self.delete(&Columns::of(key), precondition).await })
    }

    fn resources<'a>(&'a self, client_id: &'a str) -> StoreFuture<'a, Vec<Resource>> {
        Box::pin(async move {
            let sql = "SELECT kind, id FROM highlevel.token WHERE client_id = $1";
            let rows = self.database.query(sql, &[(&client_id, Type::TEXT)]).await?;
            let resource = |row: &Row| {
                let (kind, id): (String, String) = (row.try_get(0)?, row.try_get(1)?);
                Resource::from_kind_and_id(&kind, id).ok_or_else(|| format!("unknown kind `{kind}`").into())
            };
            rows.iter().map(resource).collect()
        })
    }

    fn lease<'a>(&'a self, key: &'a Key, holder: &'a str, length: Duration) -> StoreFuture<'a, LeaseResult> {
        Box::pin(async move { self.lease_for(&Columns::of(key), holder, length).await })
    }

    fn release<'a>(&'a self, key: &'a Key, holder: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let columns = Columns::of(key);
            let mut parameters = columns.parameters().to_vec();
            parameters.push((&holder, Type::TEXT));
            let sql = "DELETE FROM highlevel.token_lease
                           WHERE client_id = $1 AND kind = $2 AND id = $3 AND holder = $4";
            self.database.query(sql, &parameters).await?;
            Ok(())
        })
    }
}
