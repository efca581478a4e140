-- Messages whose outcome is unknown: evidence, the desk, and decisions of persons.

-- Messages that HighLevel reported, by events of webhooks or read back. One belongs to at most one message of the outbox.
CREATE TABLE highlevel.evidence (
    location    text COLLATE "C" NOT NULL,
    message_id  text COLLATE "C" NOT NULL,
    body        jsonb NOT NULL,
    seen_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    assigned_to bigint UNIQUE,
    PRIMARY KEY (location, message_id)
);
CREATE INDEX evidence_seen_at ON highlevel.evidence (seen_at);
CREATE INDEX evidence_location ON highlevel.evidence (location, seen_at);

-- Stores evidence. The unknown messages of its contact are compared with it at once.
CREATE FUNCTION highlevel.observe_v1(p_location text, p_message_id text, p_body jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO highlevel.evidence (location, message_id, body) VALUES (p_location, p_message_id, p_body)
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- In order, so that two of these cannot wait for each other.
    UPDATE highlevel.outbox SET evidence_at = clock_timestamp()
        WHERE id = ANY (ARRAY(SELECT o.id FROM highlevel.outbox o
            WHERE o.location = p_location AND o.state = 'u'
                AND coalesce(o.request ->> 'contactId' = p_body ->> 'contactId', true)
            ORDER BY o.id LIMIT 100 FOR UPDATE));
    RETURN true;
END $$;

-- Assigns evidence to a message. Returns `false` if it belongs to another one.
CREATE FUNCTION highlevel.assign_v1(p_location text, p_message_id text, p_id bigint) RETURNS boolean LANGUAGE sql AS $$
    WITH assigned AS (
        UPDATE highlevel.evidence e SET assigned_to = p_id
            WHERE e.location = p_location AND e.message_id = p_message_id
                AND (e.assigned_to IS NULL OR e.assigned_to = p_id)
            RETURNING 1
    )
    SELECT EXISTS (SELECT FROM assigned)
$$;

-- Records that there was no proof among the evidence that was stored since `p_evidence_at`.
CREATE FUNCTION highlevel.compared_v1(p_id bigint, p_attempt integer, p_evidence_at timestamptz, p_found jsonb)
RETURNS void LANGUAGE sql AS $$
    -- Evidence that was stored meanwhile is still to be compared.
    UPDATE highlevel.outbox m SET evidence_at = NULL,
            problem = coalesce(m.problem, '{}') || jsonb_build_object('evidence', p_found)
        WHERE m.id = p_id AND m.attempt = p_attempt AND m.state = 'u' AND m.evidence_at = p_evidence_at
$$;

-- Records that a look found no proof among the evidence up to `p_newest`. Without a next time, or with `p_desk`, a person has
-- to decide.
CREATE FUNCTION highlevel.looked_v1(
    p_id bigint, p_attempt integer, p_look integer, p_newest timestamptz, p_next interval, p_desk boolean, p_found jsonb
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    o highlevel.outbox;
BEGIN
    SELECT * INTO o FROM highlevel.outbox m
        WHERE m.id = p_id AND m.attempt = p_attempt AND m.state = 'u' AND m.looks = p_look FOR UPDATE;
    IF NOT FOUND OR EXISTS (SELECT FROM highlevel.evidence e
            WHERE e.location = o.location AND e.seen_at > coalesce(p_newest, '-infinity')) THEN
        -- It was decided, or there is evidence that was not looked at: it is still due.
        RETURN;
    END IF;
    UPDATE highlevel.outbox m SET looks = p_look + 1, look_at = clock_timestamp() + p_next,
            desk_at = CASE WHEN p_next IS NULL OR p_desk THEN coalesce(m.desk_at, clock_timestamp()) ELSE m.desk_at END,
            problem = coalesce(m.problem, '{}') || jsonb_build_object('evidence', p_found)
        WHERE m.id = p_id;
    IF (p_next IS NULL OR p_desk) AND o.desk_at IS NULL THEN
        INSERT INTO highlevel.history (message, attempt, what, detail) VALUES (p_id, p_attempt, 'desk', p_found);
    END IF;
END $$;

-- Locations whose messages are read back from the API, or were a moment ago. One message of a location is read back at a time,
-- by one process, so that the limits of the location remain for sending.
CREATE TABLE highlevel.reading (
    location text COLLATE "C" PRIMARY KEY,
    reader   uuid NOT NULL,
    until    timestamptz NOT NULL
);

-- Claims unknown messages whose next look reads back from the API: those with at least `p_looks` looks, one of a location.
CREATE FUNCTION highlevel.claim_readings_v1(p_reader uuid, p_max integer, p_lease interval, p_looks integer)
RETURNS SETOF bigint LANGUAGE sql AS $$
    WITH first AS (
        SELECT DISTINCT ON (o.location) o.id, o.location, o.look_at FROM highlevel.outbox o
            WHERE o.state = 'u' AND o.look_at <= clock_timestamp() AND o.looks >= p_looks
                AND NOT EXISTS (SELECT FROM highlevel.reading r
                    WHERE r.location = o.location AND r.until > clock_timestamp())
            ORDER BY o.location, o.look_at, o.id
    ), due AS (
        SELECT f.id, f.location FROM first f ORDER BY f.look_at, f.id LIMIT p_max
    ), claimed AS (
        -- In order, so that two of these cannot wait for each other.
        INSERT INTO highlevel.reading AS r (location, reader, until)
            SELECT d.location, p_reader, clock_timestamp() + p_lease FROM due d ORDER BY d.location
            ON CONFLICT (location) DO UPDATE SET reader = excluded.reader, until = excluded.until
                WHERE r.until <= clock_timestamp()
            RETURNING r.location
    )
    SELECT d.id FROM due d JOIN claimed c ON c.location = d.location
$$;

-- Ends the claim of a location, which is read back again after a pause at the earliest.
CREATE FUNCTION highlevel.end_reading_v1(p_location text, p_reader uuid, p_pause interval) RETURNS void LANGUAGE sql AS $$
    UPDATE highlevel.reading r SET until = clock_timestamp() + p_pause WHERE r.location = p_location AND r.reader = p_reader
$$;

-- Carries out the decision of a person: `sent`, `not sent` or `again`. Raises HL003 if the message cannot be decided so.
CREATE FUNCTION highlevel.decide_v1(
    p_id bigint, p_decision text, p_message_id text, p_by text, p_reason text, p_gone_after interval
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    o highlevel.outbox;
BEGIN
    SELECT * INTO o FROM highlevel.outbox m WHERE m.id = p_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'HL003', MESSAGE = format('message %s is completed, or does not exist', p_id);
    END IF;
    IF o.desk_at IS NULL AND (o.state <> 'u' OR p_decision <> 'sent') THEN
        RAISE EXCEPTION USING ERRCODE = 'HL003', MESSAGE = format('message %s is not on the desk', p_id);
    END IF;
    IF p_decision = 'again' THEN
        -- The process of an unknown attempt may still be sending.
        IF o.state = 'u' AND EXISTS (SELECT FROM highlevel.worker w WHERE w.id = o.sender AND w.gone_at IS NULL
                AND w.seen_at > clock_timestamp() - p_gone_after) THEN
            RAISE EXCEPTION USING ERRCODE = 'HL003', MESSAGE = format(
                'the process that sent message %s is still alive: stop it, or wait until it reports the outcome', p_id);
        END IF;
        UPDATE highlevel.outbox m SET state = 'p', not_done = m.attempt, desk_at = NULL, look_at = NULL,
            evidence_at = NULL,
            key_held_until = NULL, expires_at = NULL WHERE m.id = p_id;
        INSERT INTO highlevel.arrival VALUES (o.id, o.location, o.due_at);
    ELSE
        DELETE FROM highlevel.outbox m WHERE m.id = p_id;
        INSERT INTO highlevel.outbox_done (id, location, order_key, outcome, attempt, operation, message_id, enqueued_at,
                begun_at)
            VALUES (o.id, o.location, o.order_key, CASE p_decision WHEN 'sent' THEN 's' ELSE 'n' END::"char", o.attempt,
                o.operation, p_message_id, o.enqueued_at, o.begun_at);
        UPDATE highlevel.lane l SET next_at = clock_timestamp()
            WHERE l.location = o.location AND l.held IS NULL AND l.next_at > clock_timestamp();
    END IF;
    INSERT INTO highlevel.history (message, attempt, what, by, detail)
        VALUES (o.id, o.attempt, CASE p_decision WHEN 'again' THEN 'send again' ELSE 'was ' || p_decision END, p_by,
            jsonb_build_object('reason', p_reason, 'message_id', p_message_id, 'problem', o.problem));
END $$;
