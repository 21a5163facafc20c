-- How many calls were placed within the last hour is counted before each one.
CREATE INDEX placed_call_asked ON placed_call (asked_at);

-- Numbers whose calls come to no list, until a senior takes that back. Who did what before is in the audit.
CREATE TABLE blocked_number (
    number TEXT NOT NULL PRIMARY KEY,       -- E.164
    blocked_at BIGINT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    reason TEXT NOT NULL
) /* WITHOUT ROWID */;

-- When its caller was found to be blocked, once, as it came; NULL: he was not.
ALTER TABLE call ADD COLUMN blocked_at BIGINT;
