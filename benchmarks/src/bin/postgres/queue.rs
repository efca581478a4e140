//! The outbox by its SQL functions, and a bare queue.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// The table of the bare queue.
pub const BARE: &str =
    "CREATE TABLE bare (id bigserial PRIMARY KEY, state \"char\" NOT NULL DEFAULT 'p', body jsonb NOT NULL);
    CREATE INDEX bare_ready ON bare (id) WHERE state = 'p'";

/// The queue that is measured.
#[derive(Clone, Copy)]
pub enum Queue {
    Outbox,
    Bare,
}

pub fn url() -> String {
    let value = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    format!(
        "host={} port={} user={} password='{}' dbname=postgres sslmode=disable",
        value("PGHOST", "localhost"),
        value("PGPORT", "5432"),
        value("PGUSER", "postgres"),
        value("PGPASSWORD", "")
    )
}

pub async fn connect() -> Connection {
    let (client, connection) = tokio_postgres::connect(&url(), NoTls).await.expect("a database");
    tokio::spawn(connection);
    Connection { client }
}

/// Returns a number per second.
#[allow(clippy::cast_precision_loss, reason = "counts are small")]
pub fn rate(count: i64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// A connection to the database.
pub struct Connection {
    client: Client,
}

fn request(contact: &str) -> Value {
    json!({ "type": "SMS", "contactId": contact, "message": "Your table is ready. See you at eight!",
        "status": "pending" })
}

impl Connection {
    pub async fn batch(&self, sql: &str) {
        self.client.batch_execute(sql).await.expect("a statement");
    }

    async fn number(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> i64 {
        self.client.query_typed(sql, parameters).await.expect("a statement")[0].get(0)
    }

    pub async fn count(&self, table: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM (SELECT FROM {table} LIMIT 1) t"), &[]).await
    }

    /// Returns the position in the write-ahead log.
    pub async fn wal(&self) -> i64 {
        self.number("SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint", &[]).await
    }

    /// Deletes all messages.
    pub async fn clear(&self) {
        self.batch(
            "TRUNCATE highlevel.outbox, highlevel.outbox_done, highlevel.arrival, highlevel.lane, highlevel.lane_name, highlevel.history, bare",
        )
        .await;
    }

    /// Enqueues a message in a transaction.
    pub async fn enqueue(&mut self, queue: Queue, contact: &str) {
        let transaction = self.client.transaction().await.expect("a transaction");
        let (sql, body) = match queue {
            Queue::Outbox => (
                "SELECT highlevel.enqueue_v1($1)",
                json!({ "location": "location", "order_key": contact, "operation": "send", "request": request(contact) }),
            ),
            Queue::Bare => ("INSERT INTO bare (body) VALUES ($1)", request(contact)),
        };
        transaction.query_typed(sql, &[(&body, Type::JSONB)]).await.expect("a statement");
        transaction.commit().await.expect("a commit");
    }

    /// Enqueues and stages many messages, each of a separate contact.
    pub async fn fill(&self, messages: i64, locations: i64) {
        self.fill_with(messages, locations, "contact").await;
    }

    /// Enqueues and stages many messages of the contact and the location of the sandbox.
    pub async fn fill_requests(&self, messages: i64, contact: &str) {
        self.fill_with(messages, 1, contact).await;
    }

    async fn fill_with(&self, messages: i64, locations: i64, contact: &str) {
        // Transactions of 1,000 messages, as a program that sends a campaign makes.
        for first in (0..messages).step_by(1_000) {
            self.enqueue_range(first, (first + 1_000).min(messages) - 1, locations, contact).await;
        }
        while self.stage().await > 0 {}
    }

    /// Enqueues these messages in one transaction, each of a separate contact.
    pub async fn enqueue_range(&self, first: i64, last: i64, locations: i64, contact: &str) {
        let body = request(contact);
        let sql = "SELECT count(highlevel.enqueue_v1(jsonb_build_object('location', 'location' || n % $3,
            'order_key', 'contact' || n, 'operation', 'send', 'request', $4::jsonb)))
            FROM generate_series($1::bigint, $2) n";
        let parameters: [(&(dyn ToSql + Sync), Type); 4] =
            [(&first, Type::INT8), (&last, Type::INT8), (&locations, Type::INT8), (&body, Type::JSONB)];
        self.number(sql, &parameters).await;
    }

    /// Stages up to 2,000 messages that are enqueued. Returns their number.
    pub async fn stage(&self) -> i64 {
        self.number("SELECT highlevel.stage_v1(2000)::bigint", &[]).await
    }

    /// Returns how many messages are enqueued and not completed.
    pub async fn waiting(&self) -> i64 {
        self.number(
            "SELECT (SELECT count(*) FROM highlevel.arrival) + (SELECT count(*) FROM highlevel.outbox)",
            &[],
        )
        .await
    }

    /// Claims messages without permits. Returns their ids and attempts.
    pub async fn claim(&self, lanes: i32, per_lane: i32) -> Vec<(i64, i32)> {
        let sql = "SELECT id, attempt FROM highlevel.claim_v1('benchmark', $1, 1, 100, $2, $3, interval '1 minute', NULL)";
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&Uuid::nil(), Type::UUID), (&lanes, Type::INT4), (&per_lane, Type::INT4)];
        let rows = self.client.query_typed(sql, &parameters).await.expect("a claim");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Completes claimed messages as sent.
    pub async fn complete(&self, claimed: &[(i64, i32)]) {
        let results = claimed.iter().map(|(id, attempt)| {
            json!({ "id": id, "attempt": attempt, "state": "s", "message_id": format!("message{id}"),
                "conversation_id": "conversation" })
        });
        let results = Value::Array(results.collect());
        let sql = "SELECT highlevel.settle_v1($1, NULL)";
        self.client.query_typed(sql, &[(&results, Type::JSONB)]).await.expect("a statement");
    }

    /// Claims and completes this many messages. Returns their number per second.
    pub async fn drain(&self, messages: i64, lanes: i32, per_lane: i32) -> f64 {
        let (start, mut left) = (Instant::now(), messages);
        while left > 0 {
            let claimed = self.claim(lanes, per_lane).await;
            if claimed.is_empty() {
                // The next look at a location is due in 20 ms.
                tokio::time::sleep(Duration::from_millis(1)).await;
                assert!(start.elapsed() < Duration::from_secs(300), "{left} messages are not claimed");
                continue;
            }
            left -= i64::try_from(claimed.len()).expect("a small number");
            self.complete(&claimed).await;
        }
        rate(messages, start.elapsed())
    }

    /// Fills, claims and completes messages of the bare queue. Returns their number per second, without the filling.
    pub async fn drain_bare(&self, messages: i64) -> f64 {
        let (body, sql) = (
            request("contact"),
            "INSERT INTO bare (body) SELECT $2::jsonb FROM generate_series(1, $1::bigint)",
        );
        let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&messages, Type::INT8), (&body, Type::JSONB)];
        self.client.query_typed(sql, &parameters).await.expect("a statement");
        let start = Instant::now();
        loop {
            let claim =
                "UPDATE bare SET state = 's' WHERE id = ANY (ARRAY(SELECT id FROM bare WHERE state = 'p'
                ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED)) RETURNING id, body";
            let rows = self.client.query_typed(claim, &[]).await.expect("a claim");
            if rows.is_empty() {
                return rate(messages, start.elapsed());
            }
            let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
            let parameter = (&ids as &(dyn ToSql + Sync), Type::INT8_ARRAY);
            self.client
                .query_typed("DELETE FROM bare WHERE id = ANY ($1)", &[parameter])
                .await
                .expect("a statement");
        }
    }
}
