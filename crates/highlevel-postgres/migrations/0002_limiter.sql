-- The rate limits that all processes share: a sliding log per location, by the clock of the database. The tables are
-- unlogged: after a crash or a promotion they are empty, and no permit is issued for one period.
--
-- A permit counts from when it is granted until one period after the response to its request was received, which is when its
-- process returns it. The server counts the request at some time in between, however long it was on its way. So no window of
-- the server has more requests than the limit, also on a busy machine and a slow network.

CREATE UNLOGGED TABLE highlevel.limiter_birth (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    born_ms bigint NOT NULL
);

CREATE UNLOGGED TABLE highlevel.limiter (
    location           text COLLATE "C" PRIMARY KEY,
    at_ms              bigint[] NOT NULL DEFAULT '{}',      -- when permits were completed, in order, and how many each time
    completed          integer[] NOT NULL DEFAULT '{}',
    open_grant         bigint[] NOT NULL DEFAULT '{}',      -- grants of which permits were not returned, and how many
    open_n             integer[] NOT NULL DEFAULT '{}',
    open_until_ms      bigint[] NOT NULL DEFAULT '{}',      -- when they count as completed, because their process has ended
    blocked_from_ms    bigint NOT NULL DEFAULT 0,           -- when the block was set: the clock may be set back
    blocked_ms         bigint NOT NULL DEFAULT 0,
    server_burst       integer,                             -- the lowest limit that the server reported
    server_interval_ms bigint,                              -- the longest interval that the server reported
    left_today         integer,
    day_from_ms        bigint NOT NULL DEFAULT 0,
    day_ends_ms        bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200,
        autovacuum_vacuum_cost_delay = 0);

CREATE FUNCTION highlevel.now_ms_v1() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;

-- Starts a pause of one period for all locations, because the clock of the database was set forward.
CREATE FUNCTION highlevel.pause_limiter_v1() RETURNS void LANGUAGE sql AS $$
    INSERT INTO highlevel.limiter_birth AS b VALUES (true, highlevel.now_ms_v1())
        ON CONFLICT (one) DO UPDATE SET born_ms = excluded.born_ms
$$;

-- Takes up to `p_want` permits of a location.
--
-- p_limits: {burst, interval_ms, margin_ms, daily, validity_ms, return_ms}: a permit can be used until `validity_ms` after it was
--   asked for, and counts as completed `return_ms` after it was granted if it was not returned.
-- p_seen: what the process has learned from responses, each optional: `burst` and `interval_ms` as reported, `block_ms`
--   until the next request, `day_block_ms` until the next day, requests `left_today`, and `remaining` requests, reported `age_ms` ago.
--
-- Returns the number of permits granted, the number of the grant for `return_permits_v1`, the time until the next permit, and
-- the clock of the database.
CREATE FUNCTION highlevel.take_v1(
    p_location text, p_want integer, p_limits bigint[], p_seen jsonb,
    OUT granted integer, OUT grant_id bigint, OUT wait_ms bigint, OUT is_daily boolean, OUT now_ms bigint
) LANGUAGE plpgsql AS $$
DECLARE
    r          highlevel.limiter;
    v_now      bigint;
    v_born     bigint;
    v_burst    bigint;
    v_period   bigint;
    v_used     bigint := 0;
    v_foreign  bigint;
    v_free     bigint;
    v_at       bigint[] := '{}';
    v_n        integer[] := '{}';
    v_grants   bigint[] := '{}';
    v_open     integer[] := '{}';
    v_until    bigint[] := '{}';
    v_changed  boolean := false;
BEGIN
    SELECT b.born_ms INTO v_born FROM highlevel.limiter_birth b;
    IF NOT FOUND THEN
        INSERT INTO highlevel.limiter_birth VALUES (true, highlevel.now_ms_v1()) ON CONFLICT DO NOTHING;
        SELECT b.born_ms INTO v_born FROM highlevel.limiter_birth b;
    END IF;
    SELECT * INTO r FROM highlevel.limiter l WHERE l.location = p_location FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO highlevel.limiter (location) VALUES (p_location) ON CONFLICT DO NOTHING;
        SELECT * INTO r FROM highlevel.limiter l WHERE l.location = p_location FOR UPDATE;
    END IF;
    -- After the lock: the log is ordered.
    v_now := highlevel.now_ms_v1();
    now_ms := v_now;
    IF v_born > v_now THEN
        -- The clock was set back.
        PERFORM highlevel.pause_limiter_v1();
        v_born := v_now;
    END IF;
    IF p_seen IS NOT NULL THEN
        r.server_burst := least(r.server_burst, (p_seen ->> 'burst')::bigint);
        r.server_interval_ms := greatest(r.server_interval_ms, (p_seen ->> 'interval_ms')::bigint);
        IF v_now + (p_seen ->> 'block_ms')::bigint > r.blocked_ms THEN
            r.blocked_from_ms := v_now;
            r.blocked_ms := v_now + (p_seen ->> 'block_ms')::bigint;
        END IF;
        IF (p_seen ->> 'day_block_ms')::bigint > 0 THEN
            r.day_from_ms := v_now;
            r.day_ends_ms := v_now + (p_seen ->> 'day_block_ms')::bigint;
            r.left_today := 0;
        END IF;
        v_changed := true;
    END IF;
    v_burst := least(p_limits[1], r.server_burst);
    v_period := greatest(p_limits[2], r.server_interval_ms) + p_limits[3];
    -- A time in the future: the clock was set back. It counts from now, which is stored so that it ends.
    FOR i IN 1 .. cardinality(r.at_ms) LOOP
        IF r.at_ms[i] + v_period > v_now THEN
            v_at := v_at || least(r.at_ms[i], v_now);
            v_n := v_n || r.completed[i];
            v_used := v_used + r.completed[i];
            v_changed := v_changed OR r.at_ms[i] > v_now;
        END IF;
    END LOOP;
    FOR i IN 1 .. cardinality(r.open_n) LOOP
        IF r.open_until_ms[i] > v_now THEN
            v_grants := v_grants || r.open_grant[i];
            v_open := v_open || r.open_n[i];
            v_until := v_until || least(r.open_until_ms[i], v_now + p_limits[6]);
            v_used := v_used + r.open_n[i];
            v_changed := v_changed OR r.open_until_ms[i] > v_now + p_limits[6];
        ELSIF r.open_until_ms[i] + v_period > v_now THEN
            v_at := v_at || r.open_until_ms[i];
            v_n := v_n || r.open_n[i];
            v_used := v_used + r.open_n[i];
            v_changed := true;
        END IF;
    END LOOP;
    -- Requests of other programs: those that the server has counted and this log has not.
    IF (p_seen ->> 'age_ms')::bigint < p_limits[2] / 4 THEN
        v_foreign := v_burst - v_used - (p_seen ->> 'remaining')::bigint;
        IF v_foreign > 0 THEN
            v_at := v_at || v_now;
            v_n := v_n || v_foreign::integer;
            v_used := v_used + v_foreign;
        END IF;
    END IF;
    IF r.blocked_from_ms > v_now THEN
        r.blocked_ms := v_now + (r.blocked_ms - r.blocked_from_ms);
        r.blocked_from_ms := v_now;
        v_changed := true;
    END IF;
    -- Permits that were granted before may be used for a moment.
    v_free := greatest(r.blocked_ms, v_born + v_period + p_limits[5]);
    IF r.day_from_ms > v_now THEN
        r.day_ends_ms := v_now + (r.day_ends_ms - r.day_from_ms);
        r.day_from_ms := v_now;
    END IF;
    IF v_now >= r.day_ends_ms THEN
        r.left_today := p_limits[4];
        r.day_from_ms := v_now;
        r.day_ends_ms := v_now + 86400000;
    END IF;
    r.left_today := least(r.left_today, (p_seen ->> 'left_today')::integer);
    is_daily := r.left_today <= 0;
    granted := CASE WHEN v_free > v_now THEN 0
                    ELSE greatest(0, least(p_want, v_burst - v_used, r.left_today)) END;
    IF granted > 0 THEN
        grant_id := greatest(v_now, v_grants[cardinality(v_grants)] + 1);
        v_grants := v_grants || grant_id;
        v_open := v_open || granted;
        v_until := v_until || (v_now + p_limits[6]);
        v_used := v_used + granted;
        r.left_today := r.left_today - granted;
    END IF;
    IF granted > 0 OR v_changed THEN
        UPDATE highlevel.limiter l SET at_ms = v_at, completed = v_n, open_grant = v_grants, open_n = v_open,
            open_until_ms = v_until, blocked_from_ms = r.blocked_from_ms,
            blocked_ms = r.blocked_ms, server_burst = r.server_burst, server_interval_ms = r.server_interval_ms,
            left_today = r.left_today, day_from_ms = r.day_from_ms, day_ends_ms = r.day_ends_ms
            WHERE l.location = p_location;
    END IF;
    IF is_daily THEN
        wait_ms := r.day_ends_ms - v_now;
    ELSIF v_free > v_now THEN
        wait_ms := v_free - v_now;
    ELSIF v_used >= v_burst THEN
        -- Those that are open are not available sooner than if they had just been completed. Their return may be on its way.
        wait_ms := greatest(1, coalesce((SELECT min(a) FROM unnest(v_at) a), v_now - 50) + v_period - v_now);
    ELSE
        wait_ms := 0;
    END IF;
END $$;

-- Returns permits.
--
-- p_returned: [{location, grant_id, used, unused, age_ms}]: permits of a grant whose requests were completed `age_ms` ago, and
--   permits that were not used.
--
-- Returns the locations that another transaction has locked. None of their permits was returned. It never waits for them: a
-- claim locks locations in the order in which they are due, so that the two could wait for each other.
CREATE FUNCTION highlevel.return_permits_v1(p_returned jsonb) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    v_locks  boolean := false;
    p        record;
    r        highlevel.limiter;
    v_now    bigint;
    v_index  integer;
BEGIN
    FOR p IN SELECT j.location, jsonb_agg(to_jsonb(j)) AS returned
            FROM jsonb_to_recordset(p_returned) AS j(location text, grant_id bigint, used integer, unused integer, age_ms bigint)
            GROUP BY j.location ORDER BY j.location COLLATE "C" LOOP
        SELECT * INTO r FROM highlevel.limiter l WHERE l.location = p.location FOR UPDATE SKIP LOCKED;
        -- The tables were emptied by a crash. The requests count nevertheless. An insertion may wait for one of another
        -- transaction, so it is made before any row is locked.
        IF NOT FOUND AND NOT v_locks AND NOT EXISTS (SELECT FROM highlevel.limiter l WHERE l.location = p.location) THEN
            INSERT INTO highlevel.limiter (location) VALUES (p.location) ON CONFLICT DO NOTHING;
            SELECT * INTO r FROM highlevel.limiter l WHERE l.location = p.location FOR UPDATE SKIP LOCKED;
        END IF;
        IF NOT FOUND THEN
            RETURN NEXT p.location;
            CONTINUE;
        END IF;
        v_locks := true;
        v_now := highlevel.now_ms_v1();
        FOR i IN 0 .. jsonb_array_length(p.returned) - 1 LOOP
            v_index := array_position(r.open_grant, (p.returned -> i ->> 'grant_id')::bigint);
            IF v_index IS NOT NULL THEN
                r.open_n[v_index] := r.open_n[v_index] - (p.returned -> i ->> 'used')::integer
                    - (p.returned -> i ->> 'unused')::integer;
                r.left_today := r.left_today + (p.returned -> i ->> 'unused')::integer;
            END IF;
            IF (p.returned -> i ->> 'used')::integer > 0 THEN
                -- In steps, so that the log stays short. Never earlier than the response.
                r.at_ms := r.at_ms || ((v_now - (p.returned -> i ->> 'age_ms')::bigint) / 20 + 1) * 20;
                r.completed := r.completed || (p.returned -> i ->> 'used')::integer;
            END IF;
        END LOOP;
        SELECT coalesce(array_agg(c.at_ms ORDER BY c.at_ms), '{}'), coalesce(array_agg(c.n ORDER BY c.at_ms), '{}')
            INTO r.at_ms, r.completed
            FROM (SELECT u.at_ms, sum(u.n)::integer AS n FROM unnest(r.at_ms, r.completed) u(at_ms, n) GROUP BY u.at_ms) c;
        SELECT coalesce(array_agg(o.grant_id ORDER BY o.grant_id), '{}'), coalesce(array_agg(o.n ORDER BY o.grant_id), '{}'),
                coalesce(array_agg(o.until_ms ORDER BY o.grant_id), '{}')
            INTO r.open_grant, r.open_n, r.open_until_ms
            FROM unnest(r.open_grant, r.open_n, r.open_until_ms) o(grant_id, n, until_ms) WHERE o.n > 0;
        UPDATE highlevel.limiter l SET at_ms = r.at_ms, completed = r.completed, open_grant = r.open_grant, open_n = r.open_n,
            open_until_ms = r.open_until_ms, left_today = r.left_today WHERE l.location = p.location;
    END LOOP;
END $$;
