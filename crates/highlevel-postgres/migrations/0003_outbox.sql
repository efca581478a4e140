-- Outgoing messages. The state of a row is p (pending), s (sending), u (unknown) or r (rejected; a person decides).
--
-- A row is committed as `s` before the first byte of its request is sent. It returns to `p` only with proof that this
-- attempt was not done. A lease that ends leads to `u` and nowhere else.

CREATE SEQUENCE highlevel.outbox_id;

CREATE TABLE highlevel.outbox (
    -- What changes is first: the write-ahead log of a change then lacks the rest, if the new version is on the same page.
    id             bigint PRIMARY KEY DEFAULT nextval('highlevel.outbox_id'),
    state          "char" NOT NULL DEFAULT 'p',
    attempt        integer NOT NULL DEFAULT 0,
    sender         uuid,                                    -- of the current attempt, as the next three
    claim          bigint,                                  -- the number that the sender gave to its claim
    begun_at       timestamptz,
    lease_until    timestamptz,
    not_done       integer,                                 -- the last attempt that is proven not to have been done
    key_held_until timestamptz,                             -- while it is unknown, others of its key wait until then
    look_at        timestamptz,                             -- when evidence for an unknown outcome is looked for next
    looks          integer NOT NULL DEFAULT 0,
    evidence_at    timestamptz,                             -- since when there is evidence that was not compared with it
    desk_at        timestamptz,                             -- since when a person has to decide
    problem        jsonb,
    due_at         timestamptz NOT NULL,
    expires_at     timestamptz,                             -- not sent if it was not started before
    enqueued_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    location       text COLLATE "C" NOT NULL,
    order_key      text COLLATE "C",                        -- messages with equal keys are sent one after the other
    operation      text NOT NULL,
    request        jsonb NOT NULL,
    trace          text,
    CONSTRAINT outbox_state CHECK (state IN ('p', 's', 'u', 'r')),
    CONSTRAINT outbox_attempt CHECK (state IN ('p', 'r') OR (attempt > 0 AND begun_at IS NOT NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX outbox_ready ON highlevel.outbox (location, due_at, id) WHERE state = 'p';
CREATE UNIQUE INDEX outbox_one_per_key ON highlevel.outbox (location, order_key)
    WHERE state = 's' AND order_key IS NOT NULL;
CREATE INDEX outbox_unknown ON highlevel.outbox (location) WHERE state = 'u';
-- Of messages that are being sent. Not `state = 's'`: that would offer this index to statements about one location.
CREATE INDEX outbox_lease ON highlevel.outbox (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX outbox_look ON highlevel.outbox (look_at) WHERE state = 'u' AND look_at IS NOT NULL;
CREATE INDEX outbox_evidence ON highlevel.outbox (evidence_at) WHERE state = 'u' AND evidence_at IS NOT NULL;
CREATE INDEX outbox_desk ON highlevel.outbox (desk_at, id) WHERE desk_at IS NOT NULL;

-- The rule of this table, whatever program changes it.
CREATE FUNCTION highlevel.outbox_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.not_done IS DISTINCT FROM OLD.attempt OR NEW.attempt <> OLD.attempt THEN
        RAISE EXCEPTION 'message % cannot be pending again: attempt % is not proven to be not done', OLD.id, OLD.attempt;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER outbox_guard BEFORE UPDATE OF state ON highlevel.outbox FOR EACH ROW
    WHEN (OLD.state IN ('s', 'u') AND NEW.state = 'p') EXECUTE FUNCTION highlevel.outbox_guard();

-- Messages that became pending, until `stage_v1` has told their lanes. Enqueueing locks no row that others use.
CREATE TABLE highlevel.arrival (
    id       bigint NOT NULL,
    location text COLLATE "C" NOT NULL,
    due_at   timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX arrival_location ON highlevel.arrival (location, due_at);

-- One row per location: when its messages are looked at next, and from where.
CREATE TABLE highlevel.lane (
    location   text COLLATE "C" PRIMARY KEY,
    next_at    timestamptz NOT NULL,
    cursor_due timestamptz NOT NULL DEFAULT '-infinity',    -- no pending message is before the cursor
    cursor_id  bigint NOT NULL DEFAULT 0,
    held       text,                                        -- why nothing is sent
    held_by    text,
    held_until timestamptz
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX lane_next ON highlevel.lane (next_at);

-- The callers' own keys. They outlive their messages, so that enqueueing twice is enqueueing once.
CREATE TABLE highlevel.outbox_once (
    key     text COLLATE "C" PRIMARY KEY,
    message bigint NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX outbox_once_at ON highlevel.outbox_once (at);

-- Completed messages: s (sent), a (accepted, without a readable receipt), n (a person decided that it was not sent),
-- x (expired), c (cancelled).
CREATE TABLE highlevel.outbox_done (
    id              bigint NOT NULL,
    location        text COLLATE "C" NOT NULL,
    order_key       text COLLATE "C",
    outcome         "char" NOT NULL,
    attempt         integer NOT NULL,
    operation       text NOT NULL,
    message_id      text COLLATE "C",
    conversation_id text,
    enqueued_at     timestamptz NOT NULL,
    begun_at        timestamptz,
    done_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT outbox_done_outcome CHECK (outcome IN ('s', 'a', 'n', 'x', 'c'))
) PARTITION BY RANGE (done_at);
CREATE TABLE highlevel.outbox_done_default PARTITION OF highlevel.outbox_done DEFAULT;
CREATE INDEX outbox_done_location ON highlevel.outbox_done (location, done_at);
CREATE INDEX outbox_done_id ON highlevel.outbox_done (id);

-- Enqueues a message, in the caller's transaction. Waits only for another transaction that enqueues the same key.
CREATE FUNCTION highlevel.enqueue_v1(p_message jsonb, OUT id bigint, OUT is_new boolean) LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_due timestamptz := greatest(v_now, (p_message ->> 'due_at')::timestamptz);
    v_key text := p_message ->> 'once';
BEGIN
    id := nextval('highlevel.outbox_id');
    is_new := true;
    IF v_key IS NOT NULL THEN
        INSERT INTO highlevel.outbox_once (key, message) VALUES (v_key, id) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            SELECT o.message INTO STRICT id FROM highlevel.outbox_once o WHERE o.key = v_key;
            is_new := false;
            RETURN;
        END IF;
    END IF;
    INSERT INTO highlevel.outbox (id, location, order_key, due_at, expires_at, operation, request, trace, enqueued_at)
        VALUES (id, p_message ->> 'location', p_message ->> 'order_key', v_due,
                (p_message ->> 'expires_at')::timestamptz, p_message ->> 'operation', p_message -> 'request',
                p_message ->> 'trace', v_now);
    INSERT INTO highlevel.arrival VALUES (id, p_message ->> 'location', v_due);
END $$;

-- Tells lanes about messages that became pending. Returns their number, or 0 while another process does so.
CREATE FUNCTION highlevel.stage_v1(p_max integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_count integer;
BEGIN
    -- One transaction at a time, until it ends. Locking each row would add to the write-ahead log.
    IF NOT pg_try_advisory_xact_lock(7519063413227650918) THEN
        RETURN 0;
    END IF;
    WITH taken AS (
        DELETE FROM highlevel.arrival a
            WHERE a.ctid = ANY (ARRAY(SELECT b.ctid FROM highlevel.arrival b LIMIT p_max))
            RETURNING a.location, a.due_at
    ), lanes AS (
        SELECT t.location, min(t.due_at) AS due_at, count(*) AS n FROM taken t GROUP BY t.location
    ), changed AS (
        -- In order, so that two of these cannot wait for each other.
        INSERT INTO highlevel.lane AS l (location, next_at, cursor_due, cursor_id)
            SELECT n.location, n.due_at, n.due_at, 0 FROM lanes n ORDER BY n.location
            ON CONFLICT (location) DO UPDATE SET
                next_at = CASE WHEN l.held IS NULL THEN least(l.next_at, excluded.next_at) ELSE l.next_at END,
                cursor_id = CASE WHEN excluded.cursor_due <= l.cursor_due THEN 0 ELSE l.cursor_id END,
                cursor_due = least(l.cursor_due, excluded.cursor_due)
    )
    SELECT coalesce(sum(n.n), 0) INTO v_count FROM lanes n;
    RETURN v_count;
END $$;
