-- Tokens of the app, and which events of webhooks were handled.

CREATE TABLE highlevel.token (
    client_id text COLLATE "C" NOT NULL,
    kind      text COLLATE "C" NOT NULL,
    id        text COLLATE "C" NOT NULL,
    tokens    bytea NOT NULL,                               -- sealed, if a key is configured
    version   bigint NOT NULL,                              -- random for each write
    PRIMARY KEY (client_id, kind, id)
);

-- A lease does not survive a crash of the database: its holders lost their connections as well.
CREATE UNLOGGED TABLE highlevel.token_lease (
    client_id text COLLATE "C" NOT NULL,
    kind      text COLLATE "C" NOT NULL,
    id        text COLLATE "C" NOT NULL,
    holder    text COLLATE "C" NOT NULL,
    until     timestamptz NOT NULL,
    PRIMARY KEY (client_id, kind, id)
) WITH (fillfactor = 50);

-- Returns NULL if the lease is granted, and otherwise the milliseconds until the lease of another holder ends. Raises HL001 as
-- `check_adopted_v1`: a refresh by the copy of a database would invalidate the tokens of the original.
CREATE FUNCTION highlevel.lease_v1(
    p_deployment text, p_client_id text, p_kind text, p_id text, p_holder text, p_length interval
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_longest CONSTANT interval := interval '60 seconds';
    v_until timestamptz;
BEGIN
    PERFORM highlevel.check_adopted_v1(p_deployment);
    INSERT INTO highlevel.token_lease AS l
        VALUES (p_client_id, p_kind, p_id, p_holder, clock_timestamp() + least(p_length, v_longest))
        ON CONFLICT (client_id, kind, id) DO UPDATE
            SET holder = p_holder, until = clock_timestamp() + least(p_length, v_longest)
            -- One that ends later than any can: the clock was set back.
            WHERE l.holder = p_holder OR l.until <= clock_timestamp() OR l.until > clock_timestamp() + v_longest;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    SELECT l.until INTO v_until FROM highlevel.token_lease l
        WHERE l.client_id = p_client_id AND l.kind = p_kind AND l.id = p_id;
    -- It may have been released in between.
    RETURN greatest(1, coalesce((extract(epoch FROM v_until - clock_timestamp()) * 1000)::bigint, 1));
END $$;

CREATE TABLE highlevel.event (
    id         text COLLATE "C" PRIMARY KEY,
    token      uuid NOT NULL,
    claimed_at timestamptz NOT NULL,
    handled    boolean NOT NULL DEFAULT false
) WITH (fillfactor = 80);
CREATE INDEX event_claimed_at ON highlevel.event (claimed_at);

-- Claims an event. Returns its token, or NULL and whether the event was handled.
CREATE FUNCTION highlevel.begin_event_v1(p_id text, p_token uuid, p_timeout interval, OUT token uuid, OUT handled boolean)
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO highlevel.event AS e (id, token, claimed_at) VALUES (p_id, p_token, clock_timestamp())
        ON CONFLICT (id) DO UPDATE SET token = p_token, claimed_at = clock_timestamp()
            WHERE NOT e.handled AND e.claimed_at < clock_timestamp() - p_timeout
        RETURNING e.token INTO token;
    IF token IS NULL THEN
        SELECT e.handled INTO handled FROM highlevel.event e WHERE e.id = p_id;
        handled := coalesce(handled, false);
    END IF;
END $$;
