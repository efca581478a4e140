-- Identifies the database, so that a copy of it, or a standby that was promoted, sends nothing by itself.

CREATE TABLE highlevel.fence (
    one               boolean PRIMARY KEY DEFAULT true CHECK (one),
    deployment        text NOT NULL,
    system_identifier bigint NOT NULL,
    database_oid      bigint NOT NULL,
    timeline          integer NOT NULL,
    adopted_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The identity of this database. The timeline is that of the WAL that is written now: the one in the control file is only
-- updated by the first checkpoint after a promotion.
CREATE FUNCTION highlevel.identity_v1(OUT system_identifier bigint, OUT database_oid bigint, OUT timeline integer)
LANGUAGE sql STABLE AS $$
    SELECT (SELECT c.system_identifier FROM pg_catalog.pg_control_system() c),
           (SELECT d.oid::bigint FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()),
           ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8))::bit(32)::integer
$$;

-- Raises HL001 if this database is not the one that the deployment adopted. Returns the adopted timeline, and the current one.
CREATE FUNCTION highlevel.check_adopted_v1(p_deployment text, OUT adopted integer, OUT current integer)
LANGUAGE plpgsql AS $$
DECLARE
    f highlevel.fence;
    i record;
BEGIN
    SELECT * INTO f FROM highlevel.fence;
    SELECT * INTO i FROM highlevel.identity_v1();
    IF f IS NULL OR f.deployment <> p_deployment OR f.system_identifier <> i.system_identifier
            OR f.database_oid <> i.database_oid THEN
        RAISE EXCEPTION USING ERRCODE = 'HL001', MESSAGE = format(
            'this database was not adopted by deployment "%s" (found: "%s")', p_deployment, f.deployment);
    END IF;
    adopted := f.timeline;
    current := i.timeline;
END $$;

-- Raises HL001 as `check_adopted_v1`, and HL002 if the database was failed over or restored.
CREATE FUNCTION highlevel.check_fence_v1(p_deployment text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t record;
BEGIN
    SELECT * INTO t FROM highlevel.check_adopted_v1(p_deployment);
    IF t.adopted <> t.current THEN
        RAISE EXCEPTION USING ERRCODE = 'HL002', MESSAGE = format(
            'the timeline of the database changed from %s to %s: it was failed over or restored', t.adopted, t.current);
    END IF;
END $$;

-- Processes that send or handle events. Another attempt of a message waits until its process is known to be gone.
CREATE TABLE highlevel.worker (
    id         uuid PRIMARY KEY,
    host       text NOT NULL,
    process    integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    claim_ms   bigint NOT NULL DEFAULT 0,                   -- the longest claim since it was seen before
    gone_at    timestamptz
) WITH (fillfactor = 50);

-- Decisions and exceptions: everything about a message or an event except the usual way from pending to sent.
CREATE TABLE highlevel.history (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message   bigint,
    event     bigint,
    attempt   integer,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    what      text NOT NULL,
    by        text,
    detail    jsonb
);
CREATE INDEX history_message ON highlevel.history (message, id) WHERE message IS NOT NULL;
CREATE INDEX history_event ON highlevel.history (event, id) WHERE event IS NOT NULL;
