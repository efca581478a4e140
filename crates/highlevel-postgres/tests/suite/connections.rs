//! Connections to the database: TLS, and the transactions of other drivers.

use highlevel_postgres::{Database, ErrorKind};

use crate::support::cluster;

const CERTIFICATE_AND_KEY: &str = include_str!("../data/server.pem");

#[tokio::test]
async fn certificates_of_the_database_are_verified() {
    struct Row {
        name: &'static str,
        host: &'static str,
        mode: &'static str,
        is_trusted: bool,
        error: Option<ErrorKind>,
    }
    let Some(cluster) = cluster::separate() else { return };
    let port = cluster.serve_tls(CERTIFICATE_AND_KEY);
    let url = |host: &str, mode: &str| {
        format!("host={host} hostaddr=127.0.0.1 port={port} user=postgres dbname=postgres sslmode={mode}")
    };
    let row = |name, host, mode, is_trusted, error| Row { name, host, mode, is_trusted, error };
    let untrusted = Some(ErrorKind::Configuration);
    let rows = [
        row("a trusted certificate", "localhost", "require", true, None),
        row("TLS is used if the server offers it", "localhost", "prefer", false, untrusted),
        row("an unknown authority", "localhost", "require", false, untrusted),
        row("a certificate of another host", "db.internal", "require", true, untrusted),
        row("no TLS", "localhost", "disable", false, None),
    ];
    for Row { name, host, mode, is_trusted, error } in rows {
        let mut builder = Database::builder(url(host, mode)).deployment("test");
        if is_trusted {
            builder = builder.root_certificate(CERTIFICATE_AND_KEY);
        }
        match (builder.connect().await, error) {
            (Ok(database), None) => {
                let client = database.pool().get().await.expect("a connection");
                let sql = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
                let rows = client.query_typed(sql, &[]).await.expect("a response");
                assert_eq!(rows[0].get::<_, String>(0), (mode != "disable").to_string(), "{name}");
            }
            (Err(actual), Some(expected)) => assert_eq!(actual.kind(), expected, "{name}: {actual}"),
            (actual, expected) => panic!("{name}: {actual:?}, expected {expected:?}"),
        }
    }
    let error = Database::builder(url("localhost", "require")).deployment("test").root_certificate("no PEM");
    assert_eq!(error.connect().await.expect_err("no certificate").kind(), ErrorKind::Configuration);
}

#[cfg(feature = "sqlx")]
#[tokio::test]
async fn messages_are_enqueued_in_transactions_of_sqlx() {
    use highlevel_postgres::Outgoing;
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

    use crate::support::{TestDatabase, sms};

    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let options = PgConnectOptions::new()
        .socket(test.cluster.socket().parent().expect("a directory"))
        .username("postgres")
        .database(&test.name);
    let pool = PgPoolOptions::new().max_connections(2).connect_with(options).await.expect("a connection");
    let message = |text: &str| Outgoing::new("location", sms("contact", text)).once("booking-7");
    let mut transaction = pool.begin().await.expect("a transaction");
    message("rolled back").enqueue(&mut transaction).await.expect("enqueued");
    transaction.rollback().await.expect("rolled back");
    assert_eq!(test.number("SELECT count(*) FROM highlevel.outbox"), 0);

    let mut transaction = pool.begin().await.expect("a transaction");
    {
        let mut savepoint = sqlx::Acquire::begin(&mut transaction).await.expect("a savepoint");
        message("rolled back").enqueue(&mut savepoint).await.expect("enqueued");
        savepoint.rollback().await.expect("rolled back");
    }
    let first = message("committed").enqueue(&mut transaction).await.expect("enqueued");
    let second = message("a second time").enqueue(&mut transaction).await.expect("enqueued");
    transaction.commit().await.expect("committed");
    assert_eq!((first.is_new, second.is_new, first.id), (true, false, second.id));
    assert_eq!(test.sql("SELECT request ->> 'message' FROM highlevel.outbox"), "committed");

    // A rejected statement: the schema is missing.
    test.sql("DROP SCHEMA highlevel CASCADE");
    let mut transaction = pool.begin().await.expect("a transaction");
    let error = message("no schema").enqueue(&mut transaction).await.expect_err("no schema");
    assert_eq!(error.kind(), ErrorKind::Schema);
}
