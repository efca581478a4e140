-- Claims messages to send: permits and the state `sending` in one transaction. The caller sends after its commit.
--
-- p_limits as in `take_v1`; NULL claims without permits. `expires_ms` is the time until the message expires. Raises HL001 and HL002 as `check_fence_v1`.
CREATE FUNCTION highlevel.claim_v1(
    p_deployment text, p_sender uuid, p_claim bigint, p_max integer, p_lanes integer, p_per_lane integer,
    p_lease interval, p_limits bigint[]
) RETURNS TABLE (
    id bigint, location text, attempt integer, operation text, request jsonb, trace text, expires_ms bigint, now_ms bigint,
    grant_id bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    l          record;
    c          record;
    v_wait     bigint;
    v_grant    bigint;
    v_now      timestamptz;
    v_floor    timestamptz;
    v_left     integer := p_max;
    v_want     integer;
    v_seen     integer;
    v_window   integer;
    v_granted  integer;
    v_ids      bigint[];
    v_expired  bigint[];
    v_keys     text[];
    v_busy     text[];
    v_sending  boolean;
    v_due      timestamptz;
    v_id       bigint;
    v_early    boolean;
    v_next_due timestamptz;
    v_next_id  bigint;
    -- Changes of all lanes, made by one statement at the end. The lanes are locked.
    v_claimed  bigint[] := '{}';
    v_lanes    text[] := '{}';
    v_versions bigint[] := '{}';
    v_dues     timestamptz[] := '{}';
    v_cursors  bigint[] := '{}';
    v_nexts    timestamptz[] := '{}';
    v_grants   bigint[] := '{}';
BEGIN
    PERFORM highlevel.check_fence_v1(p_deployment);
    -- The claim must survive a crash of the database, and a failover to a synchronous standby, whatever the role's default.
    IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    SELECT f.next_at INTO v_floor FROM highlevel.lane_floor f;
    v_now := clock_timestamp();
    FOR l IN SELECT n.location, n.version, n.cursor_due, n.cursor_id FROM highlevel.lane n
            WHERE n.next_at BETWEEN v_floor AND v_now
            ORDER BY n.next_at LIMIT p_lanes FOR UPDATE SKIP LOCKED LOOP
        EXIT WHEN v_left <= 0;
        v_want := least(v_left, p_per_lane);
        v_window := 4 * v_want + 64;
        v_due := l.cursor_due;
        v_id := l.cursor_id;
        LOOP
            v_ids := '{}';
            v_expired := '{}';
            v_keys := '{}';
            v_seen := 0;
            SELECT coalesce(array_agg(b.order_key), '{}'), coalesce(bool_or(b.is_sending), false) INTO v_busy, v_sending
                FROM (SELECT o.order_key, true AS is_sending FROM highlevel.outbox o
                        WHERE o.location = l.location AND o.state = 's' AND o.order_key IS NOT NULL
                    UNION ALL SELECT o.order_key, false FROM highlevel.outbox o
                        WHERE o.location = l.location AND o.state = 'u' AND o.order_key IS NOT NULL
                            AND o.key_held_until > v_now) b;
            FOR c IN SELECT o.id, o.order_key, o.expires_at FROM highlevel.outbox o
                    WHERE o.location = l.location AND o.state = 'p' AND (o.due_at, o.id) > (v_due, v_id)
                        AND o.due_at <= v_now AND (o.order_key IS NULL OR NOT o.order_key = ANY (v_busy))
                    ORDER BY o.due_at, o.id LIMIT v_window LOOP
                v_seen := v_seen + 1;
                IF c.expires_at <= v_now THEN
                    v_expired := v_expired || c.id;
                ELSIF c.order_key IS NULL OR NOT c.order_key = ANY (v_keys) THEN
                    v_ids := v_ids || c.id;
                    v_keys := v_keys || c.order_key;
                END IF;
                EXIT WHEN cardinality(v_ids) = v_want;
            END LOOP;
            -- After the messages above were read: a message before the cursor that became pending since may be an earlier one
            -- of the same key. Its arrival is visible by now: `stage_v1` waits for the lane.
            SELECT v_due > '-infinity' AND EXISTS (SELECT FROM highlevel.arrival a
                    WHERE a.location = l.location AND a.due_at <= v_due), n.due_at, n.id
                INTO v_early, v_next_due, v_next_id
                FROM (SELECT) one LEFT JOIN LATERAL (SELECT o.due_at, o.id FROM highlevel.outbox o
                    WHERE o.location = l.location AND o.state = 'p' AND (o.due_at, o.id) > (v_due, v_id)
                        AND NOT o.id = ANY (v_ids || v_expired)
                    ORDER BY o.due_at, o.id LIMIT 1) n ON true;
            EXIT WHEN NOT v_early;
            v_due := '-infinity';
            v_id := 0;
        END LOOP;
        IF cardinality(v_expired) > 0 THEN
            PERFORM highlevel.close_v1(v_expired, 'x', NULL, NULL);
        END IF;
        v_granted := cardinality(v_ids);
        v_grant := NULL;
        IF v_granted > 0 AND p_limits IS NOT NULL THEN
            SELECT t.granted, t.grant_id, t.wait_ms, t.now_ms INTO v_granted, v_grant, v_wait, now_ms
                FROM highlevel.take_v1(l.location, v_granted, p_limits, NULL) t;
            IF v_granted < cardinality(v_ids) THEN
                SELECT o.due_at, o.id INTO v_next_due, v_next_id FROM highlevel.outbox o
                    WHERE o.location = l.location AND o.state = 'p' AND (o.due_at, o.id) > (v_due, v_id)
                        AND NOT o.id = ANY (v_ids[1:v_granted])
                    ORDER BY o.due_at, o.id LIMIT 1;
            END IF;
        END IF;
        v_claimed := v_claimed || v_ids[1:v_granted];
        v_left := v_left - v_granted;
        -- The first message that is still pending, and when it can be sent.
        v_lanes := v_lanes || l.location;
        v_versions := v_versions || l.version;
        v_grants := v_grants || v_grant;
        v_dues := v_dues || v_next_due;
        v_cursors := v_cursors || (v_next_id - 1);
        v_nexts := v_nexts || CASE
            WHEN v_next_id IS NULL THEN 'infinity'
            WHEN v_granted < cardinality(v_ids) THEN clock_timestamp() + greatest(v_wait, 1) * interval '1 ms'
            WHEN v_next_due > v_now THEN v_next_due
            WHEN cardinality(v_ids) = v_want OR v_seen = v_window THEN clock_timestamp()
            -- Others of its key are being sent, or unknown.
            WHEN v_sending OR v_granted > 0 THEN clock_timestamp() + interval '20 ms'
            ELSE clock_timestamp() + interval '1 s' END;
    END LOOP;
    -- Without a pending message, the cursor stays where it is.
    UPDATE highlevel.lane n SET version = n.version + 1, cursor_due = coalesce(t.due_at, n.cursor_due),
            cursor_id = coalesce(t.id, n.cursor_id), next_at = t.next_at, held = NULL, held_by = NULL, held_until = NULL
        FROM unnest(v_lanes, v_versions, v_dues, v_cursors, v_nexts) AS t(location, version, due_at, id, next_at)
        WHERE n.location = t.location AND n.version = t.version;
    -- Some may have been cancelled meanwhile. Not `state = 'p'`: with statistics of a time without a backlog, all pending
    -- messages would be read.
    RETURN QUERY
        UPDATE highlevel.outbox o SET state = 's', attempt = o.attempt + 1, sender = p_sender, claim = p_claim,
                begun_at = clock_timestamp(), lease_until = clock_timestamp() + p_lease, problem = NULL
            WHERE o.id = ANY (v_claimed) AND o.state NOT IN ('s', 'u', 'r')
            RETURNING o.id, o.location, o.attempt, o.operation, o.request, o.trace,
                (extract(epoch FROM o.expires_at - clock_timestamp()) * 1000)::bigint, now_ms,
                v_grants[array_position(v_lanes, o.location)];
END $$;

-- Moves messages that are pending or on the desk to the completed ones. Returns those that were.
CREATE FUNCTION highlevel.close_v1(p_ids bigint[], p_outcome "char", p_by text, p_reason text) RETURNS SETOF bigint
LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM highlevel.outbox o WHERE o.id = ANY (p_ids)
                AND CASE p_outcome WHEN 'n' THEN o.desk_at IS NOT NULL ELSE o.state = 'p' END
            RETURNING o.*
    ), done AS (
        INSERT INTO highlevel.outbox_done (id, location, order_key, outcome, attempt, operation, enqueued_at, begun_at)
            SELECT id, location, order_key, p_outcome, attempt, operation, enqueued_at, begun_at FROM gone
    ), noted AS (
        INSERT INTO highlevel.history (message, attempt, what, by, detail)
            SELECT id, attempt, CASE p_outcome WHEN 'x' THEN 'expired' WHEN 'c' THEN 'cancelled' ELSE 'was not sent' END,
                p_by, jsonb_build_object('reason', p_reason) FROM gone
    )
    SELECT id FROM gone
$$;

-- Records the results of attempts, each once: a result is ignored if its attempt is not the current one.
--
-- p_results: [{id, attempt, state, message_id, conversation_id, problem, hold_ms, look_ms}], where `state` is s (sent),
-- a (accepted), p (proven not done), r (rejected) or u (unknown). Returns the ids whose state changed.
--
-- p_sender: the sender that made the attempts, or NULL for evidence. A failover may lose attempts, and their numbers are
-- given again.
CREATE FUNCTION highlevel.settle_v1(p_results jsonb, p_sender uuid) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_ids bigint[];
BEGIN
    -- Sent or accepted.
    WITH r AS (
        SELECT * FROM jsonb_to_recordset(p_results) AS r(id bigint, attempt integer, state "char", message_id text,
            conversation_id text) WHERE r.state IN ('s', 'a')
    ), gone AS (
        DELETE FROM highlevel.outbox o USING r WHERE o.id = r.id AND o.attempt = r.attempt AND o.state IN ('s', 'u')
                AND (p_sender IS NULL OR o.sender = p_sender)
            RETURNING o.id, o.location, o.order_key, o.state AS was, r.state, o.attempt, o.operation, r.message_id,
                r.conversation_id, o.enqueued_at, o.begun_at
    ), done AS (
        INSERT INTO highlevel.outbox_done (id, location, order_key, outcome, attempt, operation, message_id,
                conversation_id, enqueued_at, begun_at)
            SELECT id, location, order_key, state, attempt, operation, message_id, conversation_id, enqueued_at, begun_at
            FROM gone
    ), noted AS (
        INSERT INTO highlevel.history (message, attempt, what, detail)
            SELECT id, attempt, CASE state WHEN 's' THEN 'sent' ELSE 'accepted' END,
                jsonb_build_object('message_id', message_id, 'was', was)
            FROM gone WHERE was = 'u' OR state = 'a'
    )
    SELECT array_agg(id) INTO v_ids FROM gone;
    RETURN QUERY SELECT unnest(v_ids);

    -- Not done, rejected or unknown.
    WITH r AS (
        SELECT * FROM jsonb_to_recordset(p_results) AS r(id bigint, attempt integer, state "char", problem jsonb,
            hold_ms bigint, look_ms bigint) WHERE r.state IN ('p', 'r', 'u') ORDER BY r.id
    ), changed AS (
        UPDATE highlevel.outbox o SET
                state = r.state,
                problem = r.problem,
                not_done = CASE WHEN r.state IN ('p', 'r') THEN o.attempt ELSE o.not_done END,
                lease_until = NULL,
                key_held_until = CASE WHEN r.state = 'u' THEN clock_timestamp() + r.hold_ms * interval '1 ms' END,
                look_at = CASE WHEN r.state = 'u' THEN clock_timestamp() + r.look_ms * interval '1 ms' END,
                looks = 0,
                evidence_at = NULL,
                desk_at = CASE WHEN r.state = 'r' THEN clock_timestamp() END
            FROM r WHERE o.id = r.id AND o.attempt = r.attempt
                AND (o.state = 's' OR o.state = 'u' AND r.state <> 'u')
                AND (p_sender IS NULL OR o.sender = p_sender)
            RETURNING o.id, o.location, o.due_at, o.attempt, o.state, o.problem
    ), again AS (
        INSERT INTO highlevel.arrival SELECT id, location, due_at FROM changed WHERE state = 'p'
    ), noted AS (
        INSERT INTO highlevel.history (message, attempt, what, detail)
            SELECT id, attempt, CASE state WHEN 'p' THEN 'not done' WHEN 'r' THEN 'rejected' ELSE 'unknown' END, problem
            FROM changed
    )
    SELECT array_agg(id) INTO v_ids FROM changed;
    RETURN QUERY SELECT unnest(v_ids);
END $$;

-- Attempts whose lease has ended are unknown: their process may have been killed after the first byte.
CREATE FUNCTION highlevel.end_leases_v1(p_hold interval) RETURNS SETOF bigint LANGUAGE sql AS $$
    WITH ended AS (
        UPDATE highlevel.outbox o SET state = 'u', lease_until = NULL, look_at = clock_timestamp(), looks = 0,
                key_held_until = clock_timestamp() + p_hold,
                problem = jsonb_build_object('kind', 'lease', 'text',
                    'the process that sent it did not report the result in time')
            WHERE o.id = ANY (ARRAY(SELECT e.id FROM highlevel.outbox e
                    WHERE e.state = 's' AND e.lease_until <= clock_timestamp() LIMIT 1000 FOR UPDATE SKIP LOCKED))
            RETURNING o.id, o.attempt, o.problem
    ), noted AS (
        INSERT INTO highlevel.history (message, attempt, what, detail) SELECT id, attempt, 'unknown', problem FROM ended
    )
    SELECT id FROM ended
$$;

-- Holds a location: nothing of it is sent until then, or until it is resumed if `p_for` is NULL.
CREATE FUNCTION highlevel.hold_v1(p_location text, p_reason text, p_by text, p_for interval) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_until timestamptz := coalesce(clock_timestamp() + p_for, 'infinity');
BEGIN
    LOOP
        -- A hold by a person is not shortened by one of a sender.
        UPDATE highlevel.lane l SET next_at = v_until, held = p_reason, held_by = p_by, held_until = v_until
            WHERE l.location = p_location AND (l.held_by IS NULL OR p_by IS NOT NULL);
        EXIT WHEN FOUND OR EXISTS (SELECT FROM highlevel.lane l WHERE l.location = p_location);
        PERFORM highlevel.lock_lane_names_v1(ARRAY[p_location]);
        INSERT INTO highlevel.lane (location, next_at, held, held_by, held_until)
            SELECT p_location, v_until, p_reason, p_by, v_until
            WHERE NOT EXISTS (SELECT FROM highlevel.lane l WHERE l.location = p_location);
        EXIT WHEN FOUND;
    END LOOP;
    IF p_by IS NOT NULL THEN
        INSERT INTO highlevel.history (what, by, detail)
            VALUES ('paused', p_by, jsonb_build_object('location', p_location, 'reason', p_reason));
    END IF;
END $$;

CREATE FUNCTION highlevel.resume_v1(p_location text, p_by text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE highlevel.lane l SET next_at = clock_timestamp(), cursor_due = '-infinity', cursor_id = 0,
        held = NULL, held_by = NULL, held_until = NULL WHERE l.location = p_location AND l.held IS NOT NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO highlevel.history (what, by, detail)
        VALUES ('resumed', p_by, jsonb_build_object('location', p_location));
    RETURN true;
END $$;
