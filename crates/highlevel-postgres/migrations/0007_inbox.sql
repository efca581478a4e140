-- Received events: committed before they are acknowledged, handled in a transaction that removes them as well.
-- The state of a row is p (pending), h (being handled) or d (on the desk).

CREATE TABLE highlevel.inbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id    text NOT NULL,
    location    text COLLATE "C",
    order_key   text COLLATE "C",                           -- events with equal keys are handled one after the other
    name        text NOT NULL,
    headers     jsonb NOT NULL,                             -- the signature: the event is verified again when it is read
    body        bytea NOT NULL,
    state       "char" NOT NULL DEFAULT 'p' CHECK (state IN ('p', 'h', 'd')),
    attempts    integer NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_until timestamptz,
    received_at timestamptz NOT NULL,                       -- by the clock of the process that verified it
    problem     text
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX inbox_ready ON highlevel.inbox (due_at, id) WHERE state = 'p';
CREATE INDEX inbox_lease ON highlevel.inbox (lease_until) WHERE state = 'h';
CREATE INDEX inbox_order ON highlevel.inbox (location, order_key, id) WHERE state <> 'd' AND order_key IS NOT NULL;
CREATE INDEX inbox_desk ON highlevel.inbox (id) WHERE state = 'd';

-- Outlives the events, so that a redelivery is a duplicate.
CREATE TABLE highlevel.inbox_seen (
    event_id text COLLATE "C" PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX inbox_seen_at ON highlevel.inbox_seen (at);

-- Stores an event, and the evidence that a message event is. Returns `false` for a duplicate.
CREATE FUNCTION highlevel.accept_v1(
    p_event_id text, p_is_unique boolean, p_location text, p_order_key text, p_name text, p_headers jsonb, p_body bytea,
    p_received_at timestamptz, p_message_id text, p_message jsonb
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    IF p_is_unique THEN
        INSERT INTO highlevel.inbox_seen (event_id) VALUES (p_event_id) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
    END IF;
    INSERT INTO highlevel.inbox (event_id, location, order_key, name, headers, body, received_at)
        VALUES (p_event_id, p_location, p_order_key, p_name, p_headers, p_body, p_received_at);
    IF p_message_id IS NOT NULL THEN
        PERFORM highlevel.observe_v1(p_location, p_message_id, p_message);
    END IF;
    RETURN true;
END $$;

-- Claims events. The attempt is counted before it starts: an event that kills its process gets to the desk as well.
CREATE FUNCTION highlevel.claim_events_v1(p_max integer, p_lease interval, p_attempts integer)
RETURNS TABLE (id bigint, attempts integer, headers jsonb, body bytea, received_at timestamptz)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    -- Their processes were killed, and their transactions rolled back. One that is still being handled is locked.
    WITH ended AS (
        SELECT i.id FROM highlevel.inbox i WHERE i.state = 'h' AND i.lease_until <= clock_timestamp()
            LIMIT 100 FOR UPDATE SKIP LOCKED
    ), changed AS (
        UPDATE highlevel.inbox i SET state = CASE WHEN i.attempts >= p_attempts THEN 'd' ELSE 'p' END::"char",
                lease_until = NULL, problem = 'the process that handled it ended, or its lease'
            FROM ended e WHERE i.id = e.id RETURNING i.id, i.attempts, i.state
    )
    INSERT INTO highlevel.history (event, attempt, what)
        SELECT c.id, c.attempts, CASE c.state WHEN 'd' THEN 'desk' ELSE 'lease ended' END FROM changed c;
    RETURN QUERY
        UPDATE highlevel.inbox i SET state = 'h', attempts = i.attempts + 1, lease_until = clock_timestamp() + p_lease
            WHERE i.id = ANY (ARRAY(
                SELECT r.id FROM highlevel.inbox r WHERE r.state = 'p' AND r.due_at <= clock_timestamp()
                    AND (r.order_key IS NULL OR NOT EXISTS (SELECT FROM highlevel.inbox e
                        WHERE e.location = r.location AND e.order_key = r.order_key AND e.id < r.id AND e.state <> 'd'))
                ORDER BY r.due_at, r.id LIMIT p_max FOR UPDATE SKIP LOCKED))
            RETURNING i.id, i.attempts, i.headers, i.body, i.received_at;
END $$;

-- Records that a handler failed: another attempt after a pause, or the desk if `p_pause` is NULL.
CREATE FUNCTION highlevel.failed_event_v1(p_id bigint, p_attempts integer, p_pause interval, p_problem text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE highlevel.inbox i SET state = CASE WHEN p_pause IS NULL THEN 'd' ELSE 'p' END::"char", lease_until = NULL,
            due_at = clock_timestamp() + coalesce(p_pause, interval '0'), problem = p_problem
        WHERE i.id = p_id AND i.attempts = p_attempts AND i.state = 'h';
    IF FOUND THEN
        INSERT INTO highlevel.history (event, attempt, what, detail)
            VALUES (p_id, p_attempts, CASE WHEN p_pause IS NULL THEN 'desk' ELSE 'failed' END,
                jsonb_build_object('text', p_problem));
    END IF;
END $$;

-- Carries out the decision of a person about an event on the desk: `again` or `discard`.
CREATE FUNCTION highlevel.decide_event_v1(p_id bigint, p_decision text, p_by text, p_reason text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF p_decision = 'again' THEN
        UPDATE highlevel.inbox i SET state = 'p', attempts = 0, due_at = clock_timestamp()
            WHERE i.id = p_id AND i.state = 'd';
    ELSE
        DELETE FROM highlevel.inbox i WHERE i.id = p_id AND i.state = 'd';
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'HL003', MESSAGE = format('event %s is not on the desk', p_id);
    END IF;
    INSERT INTO highlevel.history (event, what, by, detail)
        VALUES (p_id, p_decision, p_by, jsonb_build_object('reason', p_reason));
END $$;
