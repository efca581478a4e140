//! Migrations.

use highlevel_postgres::{ErrorKind, migration_sql, migrations};

use crate::support::TestDatabase;

#[tokio::test]
async fn migrations_are_applied_once_by_processes_that_start_together() {
    let Some(test) = TestDatabase::empty() else { return };
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let builder = test.builder();
        starting.spawn(async move {
            let database = builder.connect().await.expect("a connection");
            database.migrate().await.expect("migrations");
            assert_eq!(database.missing_migrations().await.expect("the schema"), &[]);
        });
    }
    starting.join_all().await;
    let count = i64::try_from(migrations().len()).expect("a small number");
    assert_eq!(test.number("SELECT count(*) FROM highlevel.migration"), count);
}

#[tokio::test]
async fn the_printed_script_makes_the_same_schema() {
    let Some(test) = TestDatabase::empty() else { return };
    let database = test.builder().connect().await.expect("a connection");
    assert_eq!(database.missing_migrations().await.expect("no schema"), migrations());
    test.sql(&migration_sql());
    assert_eq!(database.missing_migrations().await.expect("the schema"), &[]);
    // No deployment has adopted it.
    assert_eq!(database.check_fence().await.expect_err("not adopted").kind(), ErrorKind::NotAdopted);
    database.migrate().await.expect("nothing to apply");
    database.check_fence().await.expect("adopted");
}

#[tokio::test]
async fn a_schema_that_another_program_changed_is_an_error() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    test.sql("UPDATE highlevel.migration SET sha256 = 'another' WHERE version = 2");
    assert_eq!(database.migrate().await.expect_err("another checksum").kind(), ErrorKind::Schema);
}

#[tokio::test]
async fn a_missing_schema_is_named() {
    let Some(test) = TestDatabase::empty() else { return };
    let database = test.builder().connect().await.expect("a connection");
    let error = database.check_fence().await.expect_err("no schema");
    assert_eq!(error.kind(), ErrorKind::Schema);
    assert!(error.to_string().contains("Database::migrate"), "{error}");
}
