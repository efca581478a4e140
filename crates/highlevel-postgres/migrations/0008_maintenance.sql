-- Deletes what is no longer needed, and prepares the partitions of the next days. Does nothing if another process does it.
--
-- p_retention: seconds for completed messages, for the keys of `once`, for history, and for events.
CREATE FUNCTION highlevel.maintain_v1(p_retention bigint[]) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_now  timestamptz := clock_timestamp();
    v_day  date;
    v_part record;
    v_idle text[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(7519063413227650918) THEN
        RETURN false;
    END IF;
    -- A partition is created before its first row: rows of its day in the default partition would forbid it.
    SET LOCAL lock_timeout = '1s';
    FOR v_day IN SELECT (v_now AT TIME ZONE 'UTC')::date + d FROM generate_series(1, 3) d LOOP
        CONTINUE WHEN to_regclass(format('highlevel.outbox_done_%s', to_char(v_day, 'YYYYMMDD'))) IS NOT NULL;
        EXECUTE format('CREATE TABLE highlevel.%I PARTITION OF highlevel.outbox_done FOR VALUES FROM (%L) TO (%L)',
            'outbox_done_' || to_char(v_day, 'YYYYMMDD'), v_day::timestamp AT TIME ZONE 'UTC',
            (v_day + 1)::timestamp AT TIME ZONE 'UTC');
    END LOOP;
    FOR v_part IN SELECT c.relname FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'highlevel.outbox_done'::regclass AND c.relname ~ '^outbox_done_[0-9]{8}$'
                AND (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC'
                    < v_now - p_retention[1] * interval '1 second' LOOP
        EXECUTE format('DROP TABLE highlevel.%I', v_part.relname);
    END LOOP;
    DELETE FROM highlevel.outbox_done_default WHERE done_at < v_now - p_retention[1] * interval '1 second';
    DELETE FROM highlevel.outbox_once o WHERE o.at < v_now - p_retention[2] * interval '1 second'
        AND NOT EXISTS (SELECT FROM highlevel.outbox m WHERE m.id = o.message);
    DELETE FROM highlevel.history h WHERE h.at < v_now - p_retention[3] * interval '1 second'
        AND NOT EXISTS (SELECT FROM highlevel.outbox m WHERE m.id = h.message);
    DELETE FROM highlevel.event WHERE claimed_at < v_now - p_retention[4] * interval '1 second'
        AND (handled OR claimed_at < v_now - interval '1 day');
    DELETE FROM highlevel.inbox_seen WHERE at < v_now - p_retention[4] * interval '1 second';
    -- Evidence is compared while messages are looked at: within a quarter of an hour by default.
    DELETE FROM highlevel.evidence e WHERE e.seen_at < v_now - interval '2 hours'
        AND NOT EXISTS (SELECT FROM highlevel.outbox m WHERE m.location = e.location AND m.lease_until IS NOT NULL)
        AND NOT EXISTS (SELECT FROM highlevel.outbox m WHERE m.location = e.location AND m.state = 'u');
    DELETE FROM highlevel.reading WHERE until < v_now - interval '1 hour';
    DELETE FROM highlevel.token_lease WHERE until < v_now - interval '1 hour';
    DELETE FROM highlevel.worker w WHERE w.seen_at < v_now - interval '1 day'
        AND NOT EXISTS (SELECT FROM highlevel.outbox m WHERE m.sender = w.id AND m.lease_until IS NOT NULL)
        AND NOT EXISTS (SELECT FROM highlevel.outbox m WHERE m.sender = w.id AND m.state = 'u');
    -- Locations that were not used for a day. A lane that is being changed is not idle.
    DELETE FROM highlevel.limiter WHERE location IN (SELECT l.location FROM highlevel.limiter l
        -- No interval is longer than an hour: the log of these has no entry that counts.
        WHERE greatest(l.day_ends_ms, l.blocked_ms) < highlevel.now_ms_v1() - 7200000 FOR UPDATE SKIP LOCKED);
    v_idle := ARRAY(SELECT l.location FROM highlevel.lane l JOIN highlevel.lane_name n USING (location)
        WHERE l.next_at = 'infinity' AND l.held IS NULL AND l.cursor_due < v_now - interval '1 day'
            AND NOT EXISTS (SELECT FROM highlevel.outbox m WHERE m.location = l.location AND m.state = 'p')
        FOR UPDATE SKIP LOCKED);
    DELETE FROM highlevel.lane WHERE location = ANY (v_idle);
    DELETE FROM highlevel.lane_name WHERE location = ANY (v_idle);
    RETURN true;
END $$;

-- Numbers for a dashboard. Counts of the backlog stop at `p_most`.
CREATE FUNCTION highlevel.stats_v1(p_most bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'pending', (SELECT count(*) FROM (SELECT FROM highlevel.outbox WHERE state = 'p' LIMIT p_most) s),
        'arrivals', (SELECT count(*) FROM (SELECT FROM highlevel.arrival LIMIT p_most) s),
        'oldest_due_ms', (SELECT (extract(epoch FROM clock_timestamp() - min(o.due_at)) * 1000)::bigint
            FROM highlevel.lane l CROSS JOIN LATERAL (SELECT m.due_at FROM highlevel.outbox m
                WHERE m.location = l.location AND m.state = 'p' AND (m.due_at, m.id) > (l.cursor_due, l.cursor_id)
                ORDER BY m.due_at, m.id LIMIT 1) o
            WHERE l.next_at < 'infinity' AND l.held IS NULL AND o.due_at <= clock_timestamp()),
        'sending', (SELECT count(*) FROM highlevel.outbox WHERE lease_until IS NOT NULL),
        'unknown', (SELECT count(*) FROM highlevel.outbox WHERE state = 'u'),
        'desk', (SELECT count(*) FROM (SELECT FROM highlevel.outbox WHERE desk_at IS NOT NULL LIMIT p_most) s),
        'oldest_desk_ms', (SELECT (extract(epoch FROM clock_timestamp() - min(desk_at)) * 1000)::bigint
            FROM highlevel.outbox WHERE desk_at IS NOT NULL),
        'held_locations', (SELECT coalesce(jsonb_object_agg(h.held, h.n), '{}') FROM
            (SELECT held, count(*) AS n FROM highlevel.lane WHERE held IS NOT NULL GROUP BY held LIMIT 100) h),
        'inbox_pending', (SELECT count(*) FROM (SELECT FROM highlevel.inbox WHERE state <> 'd' LIMIT p_most) s),
        'inbox_desk', (SELECT count(*) FROM (SELECT FROM highlevel.inbox WHERE state = 'd' LIMIT p_most) s),
        'workers', (SELECT count(*) FROM highlevel.worker
            WHERE gone_at IS NULL AND seen_at > clock_timestamp() - interval '30 seconds'),
        'claim_ms', (SELECT max(claim_ms) FROM highlevel.worker
            WHERE gone_at IS NULL AND seen_at > clock_timestamp() - interval '30 seconds'),
        'dead_rows', (SELECT coalesce(sum(n_dead_tup), 0) FROM pg_catalog.pg_stat_user_tables
            WHERE schemaname = 'highlevel'),
        'oldest_snapshot_ms', (SELECT (extract(epoch FROM clock_timestamp() - min(a.xact_start)) * 1000)::bigint
            FROM pg_catalog.pg_stat_activity a WHERE a.datname = current_database() AND a.backend_xmin IS NOT NULL
                AND a.pid <> pg_backend_pid()),
        'oldest_snapshot_holder', (SELECT left(concat_ws(' ', a.pid, a.usename, a.application_name, a.state), 200)
            FROM pg_catalog.pg_stat_activity a WHERE a.datname = current_database() AND a.backend_xmin IS NOT NULL
                AND a.pid <> pg_backend_pid() ORDER BY a.xact_start LIMIT 1)
    )
$$;
