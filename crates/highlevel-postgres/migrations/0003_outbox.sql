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

-- The locations that have a lane. Who adds or removes a lane locks its row here first.
CREATE TABLE highlevel.lane_name (location text COLLATE "C" PRIMARY KEY);

-- One row per location: when its messages are looked at next, and from where.
--
-- A long transaction elsewhere keeps all former versions of a row in the indexes. The hot statements therefore count the
-- versions, and find the last one first.
CREATE TABLE highlevel.lane (
    location   text COLLATE "C" NOT NULL,
    version    bigint NOT NULL DEFAULT 0,
    next_at    timestamptz NOT NULL,
    cursor_due timestamptz NOT NULL DEFAULT '-infinity',    -- no pending message is before the cursor
    cursor_id  bigint NOT NULL DEFAULT 0,
    held       text,                                        -- why nothing is sent
    held_by    text,
    held_until timestamptz,
    PRIMARY KEY (location, version)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX lane_next ON highlevel.lane (next_at);

-- Claims look at no lane whose `next_at` is before this, for the same reason. Recomputed about once a second.
CREATE TABLE highlevel.lane_floor (
    next_at timestamptz NOT NULL,
    at      timestamptz NOT NULL    -- when it was computed
);
INSERT INTO highlevel.lane_floor VALUES ('-infinity', '-infinity');

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

-- Locks the names of lanes, in the order of the array, so that their lanes can be added. Its caller looks for them with a
-- later snapshot.
CREATE FUNCTION highlevel.lock_lane_names_v1(p_locations text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- A change that changes nothing also locks a row that another transaction has just added.
    INSERT INTO highlevel.lane_name AS n (location) SELECT u FROM unnest(p_locations) u
        ON CONFLICT (location) DO UPDATE SET location = n.location;
END $$;

-- Tells lanes about messages that became pending. Returns their number, or 0 while another process does so.
--
-- A bitmap scan would read all versions of a lane, as far as the statistics know only one.
CREATE FUNCTION highlevel.stage_v1(p_max integer) RETURNS integer LANGUAGE plpgsql SET enable_bitmapscan = off AS $$
DECLARE
    v_count     bigint;
    v_locations text[];
    v_dues      timestamptz[];
    v_done      text[];
    v_new       text[];
    v_now       timestamptz;
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
    )
    -- In order, so that two of these cannot wait for each other.
    SELECT coalesce(sum(n.n), 0), array_agg(n.location ORDER BY n.location), array_agg(n.due_at ORDER BY n.location)
        INTO v_count, v_locations, v_dues FROM lanes n;
    UPDATE highlevel.lane_floor f SET next_at = d.due_at FROM (SELECT min(u) AS due_at FROM unnest(v_dues) u) d
        WHERE d.due_at < f.next_at;
    -- A lane that is changed meanwhile has another version, and is tried again.
    WHILE v_locations IS NOT NULL LOOP
        WITH changed AS (
            UPDATE highlevel.lane l SET
                    version = l.version + 1,
                    next_at = CASE WHEN l.held IS NULL THEN least(l.next_at, t.due_at) ELSE l.next_at END,
                    cursor_id = CASE WHEN t.due_at <= l.cursor_due THEN 0 ELSE l.cursor_id END,
                    cursor_due = least(l.cursor_due, t.due_at)
                FROM (SELECT s.location, s.due_at, (SELECT n.version FROM highlevel.lane n WHERE n.location = s.location
                        ORDER BY n.version DESC LIMIT 1) AS version FROM unnest(v_locations, v_dues) s(location, due_at)) t
                WHERE l.location = t.location AND l.version = t.version
                RETURNING l.location
        )
        SELECT array_agg(c.location) INTO v_done FROM changed c;
        v_new := ARRAY(SELECT u FROM unnest(v_locations) u WHERE u <> ALL (coalesce(v_done, '{}')) ORDER BY u);
        PERFORM highlevel.lock_lane_names_v1(v_new);
        WITH lanes AS (
            INSERT INTO highlevel.lane (location, next_at, cursor_due)
                SELECT s.location, s.due_at, s.due_at FROM unnest(v_locations, v_dues) s(location, due_at)
                    WHERE s.location = ANY (v_new)
                        AND NOT EXISTS (SELECT FROM highlevel.lane l WHERE l.location = s.location)
                RETURNING location
        )
        SELECT v_done || array_agg(l.location) INTO v_done FROM lanes l;
        SELECT array_agg(s.location ORDER BY s.location), array_agg(s.due_at ORDER BY s.location)
            INTO v_locations, v_dues FROM unnest(v_locations, v_dues) s(location, due_at)
            WHERE s.location <> ALL (coalesce(v_done, '{}'));
    END LOOP;
    -- Of a change that takes longer than these 5 seconds, the next computation learns.
    v_now := clock_timestamp();
    UPDATE highlevel.lane_floor f
        SET next_at = least(v_now - interval '5 s', (SELECT min(n.next_at) FROM highlevel.lane n)), at = v_now
        WHERE f.at NOT BETWEEN v_now - CASE WHEN v_count > 0 THEN interval '1 s' ELSE interval '10 s' END AND v_now;
    RETURN v_count;
END $$;
