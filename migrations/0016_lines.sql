-- One number that waits on several lines: its callbacks know each other, and nobody is called twice.

-- The callback of the same number whose outcome is proposed here too; NULL: none. What is proposed, and whether it still
-- holds, is read from that callback.
ALTER TABLE callback ADD COLUMN proposed_callback_id BIGINT;

CREATE INDEX callback_open_by_number ON callback (callback_number, id) WHERE closed_at IS NULL;

-- PostgreSQL only: who works on a number locks the row of its last three digits first, so that two instances never decide
-- about two callbacks of one number at the same instant. At most a thousand rows, and none of them names a caller.
CREATE TABLE number_lock (
    tail TEXT NOT NULL PRIMARY KEY
);
