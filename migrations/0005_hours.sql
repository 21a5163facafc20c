-- What the school changed about its working hours while the service runs. Rows are only added and ended, never deleted:
-- they are the history of the hours.

CREATE TABLE hours_change (
    id BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,                     -- exception, week, closure, data
    line TEXT,                              -- NULL: all lines
    from_date TEXT,                         -- of an exception: local dates, both included, 2026-11-04
    to_date TEXT,
    starts_at BIGINT,                       -- of a closure: the instants between which the line is closed
    ends_at BIGINT,                         -- the end that was planned; ended_at, if earlier, is the true one
    data_set TEXT,                          -- of data: ru, ru-ce
    content TEXT NOT NULL,                  -- JSON: mode and hours of an exception, the week; the file of data; else empty
    reason TEXT NOT NULL,
    greeting TEXT,                          -- what callers hear on the dates of an exception, by name; NULL: as usual
    made_at BIGINT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    ended_at BIGINT,                        -- in force no longer: taken back or replaced
    ended_by_id TEXT,
    ended_by_name TEXT
);
CREATE INDEX hours_change_in_force ON hours_change (id) WHERE ended_at IS NULL AND kind <> 'closure';
CREATE INDEX hours_change_closure ON hours_change (id) WHERE kind = 'closure';
