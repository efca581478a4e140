-- The rate limits that all processes share: a sliding log per location, by the clock of the database. The tables are
-- unlogged: after a crash or a promotion they are empty, and no permit is issued for one period.

CREATE UNLOGGED TABLE highlevel.limiter_birth (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    born_ms bigint NOT NULL
);

CREATE UNLOGGED TABLE highlevel.limiter (
    location           text COLLATE "C" PRIMARY KEY,
    at_ms              bigint[] NOT NULL DEFAULT '{}',      -- when permits were granted, and how many each time
    granted            integer[] NOT NULL DEFAULT '{}',
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
-- p_limits: {burst, interval_ms, margin_ms, daily}.
-- p_seen: what the process has learned from responses, each optional: `burst` and `interval_ms` as reported, `block_ms`
--   until the next request, `day_block_ms` until the next day, requests `left_today`, and `remaining` requests, reported `age_ms` ago.
--
-- Returns the number of permits granted, the time until the next one, and the clock of the database.
CREATE FUNCTION highlevel.take_v1(
    p_location text, p_want integer, p_limits bigint[], p_seen jsonb,
    OUT granted integer, OUT wait_ms bigint, OUT is_daily boolean, OUT now_ms bigint
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
            v_n := v_n || r.granted[i];
            v_used := v_used + r.granted[i];
            v_changed := v_changed OR r.at_ms[i] > v_now;
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
    v_free := greatest(r.blocked_ms, v_born + v_period);
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
        v_at := v_at || v_now;
        v_n := v_n || granted;
        v_used := v_used + granted;
        r.left_today := r.left_today - granted;
    END IF;
    IF granted > 0 OR v_changed THEN
        UPDATE highlevel.limiter l SET at_ms = v_at, granted = v_n, blocked_from_ms = r.blocked_from_ms,
            blocked_ms = r.blocked_ms, server_burst = r.server_burst, server_interval_ms = r.server_interval_ms,
            left_today = r.left_today, day_from_ms = r.day_from_ms, day_ends_ms = r.day_ends_ms
            WHERE l.location = p_location;
    END IF;
    IF is_daily THEN
        wait_ms := r.day_ends_ms - v_now;
    ELSIF v_free > v_now THEN
        wait_ms := v_free - v_now;
    ELSIF v_used >= v_burst THEN
        wait_ms := greatest(1, v_at[1] + v_period - v_now);
    ELSE
        wait_ms := 0;
    END IF;
END $$;
