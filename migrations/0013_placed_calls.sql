-- Calls that the school's own exchange places for an officer: his telephone rings first, then the caller's.

ALTER TABLE officer ADD COLUMN telephone TEXT;          -- extension of the exchange, or E.164; NULL: dials by hand

CREATE TABLE placed_call (
    id BIGINT NOT NULL PRIMARY KEY,         -- the exchange knows the call as 'perezvon-' and this
    callback_id BIGINT NOT NULL,
    actor_id TEXT NOT NULL,                 -- the officer
    actor_name TEXT NOT NULL,
    telephone TEXT NOT NULL,                -- the officer's, as it was then
    number TEXT NOT NULL,                   -- E.164: who is called
    line_number TEXT NOT NULL,              -- E.164: what the caller sees
    provider TEXT NOT NULL,                 -- configured name of the exchange
    asked_at BIGINT NOT NULL,
    placed_at BIGINT,                       -- written before the one request goes out: it is never sent again
    answered_at BIGINT,                     -- the officer was seen to have taken up the receiver
    over_at BIGINT,                         -- his telephone is free again
    ending TEXT,                            -- NULL: goes on, or nobody has told yet how it ended
    talk_seconds BIGINT
);
-- However often somebody asks, one telephone rings once at a time, and one caller is called by one officer.
CREATE UNIQUE INDEX placed_call_of_officer ON placed_call (actor_id) WHERE over_at IS NULL;
CREATE UNIQUE INDEX placed_call_of_callback ON placed_call (callback_id) WHERE over_at IS NULL;
CREATE INDEX placed_call_by_callback ON placed_call (callback_id, id);
