-- Adoption of a database by a deployment, and what senders know about attempts that a failover has lost.

-- Lets a deployment send from this database. Unless `p_release` is true, messages that were due get to the desk: they may
-- have been sent before the failover. In a copy, scheduled messages do as well: the original will send them.
CREATE FUNCTION highlevel.adopt_v1(p_deployment text, p_release boolean, p_by text, p_reason text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_held bigint := 0;
    v_copy boolean;
BEGIN
    SELECT f.deployment <> p_deployment OR f.system_identifier <> i.system_identifier OR f.database_oid <> i.database_oid
        INTO v_copy FROM highlevel.fence f, highlevel.identity_v1() i;
    INSERT INTO highlevel.fence AS f (deployment, system_identifier, database_oid, timeline)
        SELECT p_deployment, i.* FROM highlevel.identity_v1() i
        ON CONFLICT (one) DO UPDATE SET deployment = excluded.deployment, system_identifier = excluded.system_identifier,
            database_oid = excluded.database_oid, timeline = excluded.timeline, adopted_at = clock_timestamp();
    IF NOT p_release THEN
        WITH held AS (
            UPDATE highlevel.outbox o SET state = 'r', desk_at = clock_timestamp(),
                    problem = jsonb_build_object('kind', 'adopted', 'text', CASE WHEN v_copy
                        THEN 'the database was copied; the original may send it'
                        ELSE 'it was due when the database was adopted; it may have been sent before' END)
                WHERE o.state = 'p' AND (v_copy OR o.due_at <= clock_timestamp()) RETURNING o.id, o.attempt, o.problem
        ), noted AS (
            INSERT INTO highlevel.history (message, attempt, what, by, detail)
                SELECT h.id, h.attempt, 'desk', p_by, h.problem FROM held h
        )
        SELECT count(*) INTO v_held FROM held;
    END IF;
    INSERT INTO highlevel.history (what, by, detail)
        VALUES ('adopted', p_by, jsonb_build_object('reason', p_reason, 'released', p_release, 'held', v_held));
    RETURN v_held;
END $$;

-- Records attempts that a sender made before a failover which lost them: a pending message whose attempt is older was
-- sent meanwhile. Returns the ids of those messages.
--
-- p_attempts: [{id, attempt}]. Their results are settled afterwards.
CREATE FUNCTION highlevel.reassert_v1(p_sender uuid, p_attempts jsonb) RETURNS SETOF bigint LANGUAGE sql AS $$
    WITH r AS (
        SELECT * FROM jsonb_to_recordset(p_attempts) AS r(id bigint, attempt integer)
    ), changed AS (
        UPDATE highlevel.outbox o SET state = 's', attempt = r.attempt, sender = p_sender, begun_at = clock_timestamp(),
                lease_until = clock_timestamp() + interval '1 minute'
            FROM r WHERE o.id = r.id AND o.state = 'p' AND o.attempt < r.attempt RETURNING o.id, o.attempt
    ), noted AS (
        INSERT INTO highlevel.history (message, attempt, what) SELECT id, attempt, 'reasserted' FROM changed
    )
    SELECT id FROM changed
$$;
