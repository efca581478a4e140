-- The clock of the database was set back: times that were set before would be reached too late.

-- Moves these times to now. Another look at something is harmless, and the result of an attempt whose lease has ended is
-- still accepted. Rows that are being changed are set by the new clock.
CREATE FUNCTION highlevel.clock_set_back_v1(p_lease interval) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
BEGIN
    -- Messages that were not scheduled. Their order remains that of their ids.
    WITH due AS (
        UPDATE highlevel.outbox o SET due_at = v_now WHERE o.id = ANY (ARRAY(SELECT m.id FROM highlevel.outbox m
            WHERE m.state = 'p' AND m.due_at > v_now AND m.due_at = m.enqueued_at FOR UPDATE SKIP LOCKED))
            RETURNING o.id, o.location, o.due_at
    )
    INSERT INTO highlevel.arrival SELECT d.id, d.location, d.due_at FROM due d;
    UPDATE highlevel.lane_floor SET next_at = '-infinity', at = '-infinity';
    UPDATE highlevel.lane l SET next_at = v_now WHERE l.location = ANY (ARRAY(SELECT n.location FROM highlevel.lane n
        WHERE n.held IS NULL AND n.next_at > v_now AND n.next_at < 'infinity' ORDER BY n.location FOR UPDATE SKIP LOCKED));
    UPDATE highlevel.outbox o SET lease_until = v_now + p_lease WHERE o.id = ANY (ARRAY(SELECT m.id FROM highlevel.outbox m
        WHERE m.state = 's' AND m.lease_until > v_now + p_lease FOR UPDATE SKIP LOCKED));
    UPDATE highlevel.outbox o SET look_at = v_now, key_held_until = least(o.key_held_until, v_now + interval '15 minutes')
        WHERE o.id = ANY (ARRAY(SELECT m.id FROM highlevel.outbox m
            WHERE m.state = 'u' AND m.look_at > v_now FOR UPDATE SKIP LOCKED));
    DELETE FROM highlevel.reading r WHERE r.until > v_now + p_lease;
    UPDATE highlevel.inbox i SET due_at = v_now WHERE i.id = ANY (ARRAY(SELECT e.id FROM highlevel.inbox e
        WHERE e.state = 'p' AND e.due_at > v_now FOR UPDATE SKIP LOCKED));
    -- Those that are being handled are locked.
    UPDATE highlevel.inbox i SET lease_until = v_now + p_lease WHERE i.id = ANY (ARRAY(SELECT e.id FROM highlevel.inbox e
        WHERE e.state = 'h' AND e.lease_until > v_now + p_lease FOR UPDATE SKIP LOCKED));
END $$;
