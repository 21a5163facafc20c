-- The first schema. One dialect for SQLite and PostgreSQL: TEXT, BIGINT, BYTEA; times in Unix milliseconds;
-- a flag is a time or NULL. Row ids are made from the time of their making (milliseconds * 1024 + a counter),
-- so that big indexes grow at their end.
-- SQLite gets this text with two changes (store/mod.rs), so that a row and its key are one tree and not two.

CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,          -- 'rehearsal'
    value TEXT NOT NULL
);

-- Every webhook as it came, forever or until retention: the durable inbox.
CREATE TABLE delivery (
    id BIGINT NOT NULL PRIMARY KEY,
    provider TEXT NOT NULL,                 -- configured name
    endpoint TEXT NOT NULL,                 -- what follows /webhooks/{provider}/
    method TEXT NOT NULL,                   -- GET, POST, or OWN for facts we asked the provider for
    target TEXT NOT NULL,                   -- raw request target
    content_type TEXT NOT NULL,
    body BYTEA NOT NULL,
    received_at BIGINT NOT NULL,
    call_id BIGINT                          -- NULL: tells of no call of ours
);
CREATE INDEX delivery_by_call ON delivery (call_id, id);

-- Which call a provider's id means. Small and hot; pruned after the longest time a provider may repeat itself.
CREATE TABLE call_key (
    provider TEXT NOT NULL,
    provider_call_id TEXT NOT NULL,
    call_id BIGINT NOT NULL,
    PRIMARY KEY (provider, provider_call_id)
) /* WITHOUT ROWID */;
-- Unique: two programs that make the same id in the same millisecond must not write over each other's call.
CREATE UNIQUE INDEX call_key_by_call ON call_key (call_id);

CREATE TABLE call (
    id BIGINT NOT NULL PRIMARY KEY,
    provider TEXT NOT NULL,
    provider_call_id TEXT NOT NULL,
    direction TEXT,                         -- inbound, outbound
    dialled TEXT,                           -- as the provider wrote it
    forwarded_from TEXT,
    caller TEXT,                            -- E.164; NULL if withheld or nothing that can be dialled
    caller_raw TEXT,                        -- the provider's word for the caller
    line TEXT,                              -- NULL until both parties are known; 'unknown' for R18
    started_at BIGINT NOT NULL,
    answered_at BIGINT,
    ended_at BIGINT,
    ringing TEXT,                           -- furthest outcome of ringing the officers
    talk_seconds BIGINT,
    keyed_digits TEXT,
    keyed_at BIGINT,
    message_over_at BIGINT,
    recordings TEXT NOT NULL,               -- JSON: what the provider holds, by its recording id
    outcome TEXT NOT NULL,
    day_rule TEXT,                          -- the decision, made once (R2)
    time_state TEXT,                        -- 'open' means open
    calendar_version TEXT,
    promise_starts_at BIGINT,               -- the working period told to the caller (R7)
    promise_ends_at BIGINT,
    waiting_since BIGINT,                   -- the caller was on the list already
    callback_id BIGINT
);
CREATE INDEX call_by_start ON call (started_at, id);
-- SQLite takes the first of those that seem equal, so the longest stands first.
CREATE INDEX call_by_line_and_outcome ON call (line, outcome, started_at, id);
CREATE INDEX call_by_line ON call (line, started_at, id);
CREATE INDEX call_by_outcome ON call (outcome, started_at, id);
CREATE INDEX call_by_caller ON call (caller, started_at, id) WHERE caller IS NOT NULL;
CREATE INDEX call_by_callback ON call (callback_id, id) WHERE callback_id IS NOT NULL;
CREATE INDEX call_going_on ON call (started_at, id) WHERE ended_at IS NULL;

CREATE TABLE voicemail (
    id BIGINT NOT NULL PRIMARY KEY,
    call_id BIGINT NOT NULL,
    recording_id TEXT NOT NULL,             -- the provider's
    url TEXT,                               -- from outside: checked before use
    received_at BIGINT NOT NULL,
    provider_seconds BIGINT,
    state TEXT NOT NULL,                    -- pending, stored, failed, erased
    name TEXT,                              -- file below the recordings folder
    format TEXT,
    content_type TEXT,
    size_bytes BIGINT,
    sha256 BYTEA,
    length_ms BIGINT,
    speech_ms BIGINT,
    loudness_centibels BIGINT,              -- dBFS * 10
    peaks BYTEA,                            -- 200 values 0-255 for the picture
    damage TEXT,                            -- what was wrong with the file, in words
    failure TEXT,                           -- why it could not be had, in words
    stored_at BIGINT,
    deleted_at_provider_at BIGINT,
    UNIQUE (call_id, recording_id)
);

CREATE TABLE callback (
    id BIGINT NOT NULL PRIMARY KEY,
    line TEXT NOT NULL,
    caller TEXT,                            -- E.164; NULL if withheld: those never merge (R6)
    callback_number TEXT,                   -- E.164 to dial
    channel TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    registered_at BIGINT,
    registration_number TEXT,               -- 2026-000123
    period_starts_at BIGINT,                -- the list it stands on
    period_ends_at BIGINT,
    due_at BIGINT NOT NULL,                 -- end of that period; the greatest number if no working hours exist
    term_due_at BIGINT,
    state TEXT NOT NULL,                    -- open, claimed, later, done, exceptional, declined
    actor_id TEXT,                          -- who brought it into this state, when, and until when it holds
    actor_name TEXT,
    acted_at BIGINT,
    until_at BIGINT,
    reason TEXT,
    note TEXT,
    asker TEXT,
    topic TEXT,
    summary TEXT,
    reference TEXT,
    proposed_call_id BIGINT,
    version BIGINT NOT NULL,
    closed_at BIGINT
);
-- One open callback for a line and a number, under any concurrency.
CREATE UNIQUE INDEX callback_one_open ON callback (line, caller) WHERE closed_at IS NULL AND caller IS NOT NULL;
CREATE UNIQUE INDEX callback_by_registration ON callback (registration_number) WHERE registration_number IS NOT NULL;
CREATE INDEX callback_open_by_due ON callback (due_at, received_at, id) WHERE closed_at IS NULL;
CREATE INDEX callback_by_due ON callback (due_at, received_at, id);
CREATE INDEX callback_by_state ON callback (state, due_at, received_at, id);
CREATE INDEX callback_by_closing ON callback (closed_at, id) WHERE closed_at IS NOT NULL;

CREATE TABLE callback_history (
    id BIGINT NOT NULL PRIMARY KEY,
    callback_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    outcome TEXT,
    note TEXT NOT NULL,
    before_desk TEXT,                       -- JSON of the desk before; NULL: cannot be undone
    undone_at BIGINT
);
CREATE INDEX callback_history_by_callback ON callback_history (callback_id, id);

CREATE TABLE registration (
    year BIGINT NOT NULL PRIMARY KEY,
    last_number BIGINT NOT NULL
);

CREATE TABLE job (
    id BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,                     -- fetch_recording, delete_recording, reconcile_call
    subject BIGINT NOT NULL,                -- voicemail or call
    created_at BIGINT NOT NULL,
    run_at BIGINT NOT NULL,
    leased_until BIGINT,
    attempts BIGINT NOT NULL,
    last_error TEXT,
    given_up_at BIGINT,
    UNIQUE (kind, subject)
);
CREATE INDEX job_waiting ON job (run_at, id) WHERE given_up_at IS NULL;

CREATE TABLE alarm (
    id BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,                     -- unknown_line, recording_late, recording_lost, no_space, …
    subject TEXT NOT NULL,
    told TEXT NOT NULL,                     -- a Russian sentence for the administrator
    raised_at BIGINT NOT NULL,
    cleared_at BIGINT
);
CREATE UNIQUE INDEX alarm_one_open ON alarm (kind, subject) WHERE cleared_at IS NULL;

CREATE TABLE audit (
    id BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,                   -- 'callback 7…', 'voicemail 7…'
    detail TEXT NOT NULL,
    address TEXT NOT NULL                   -- of the person's machine
);

CREATE TABLE officer (
    id BIGINT NOT NULL PRIMARY KEY,
    login TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    password_hash TEXT NOT NULL,            -- Argon2id, PHC text
    created_at BIGINT NOT NULL,
    disabled_at BIGINT
);

CREATE TABLE token (
    id BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    secret_sha256 BYTEA NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

CREATE TABLE session (
    id TEXT NOT NULL PRIMARY KEY,
    content TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX session_by_end ON session (expires_at);
