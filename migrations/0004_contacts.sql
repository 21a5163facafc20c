-- Who calls: the names the school gives to numbers, and what the search of the log finds calls by.

-- The name and note of a number.
CREATE TABLE contact (
    number TEXT NOT NULL PRIMARY KEY,       -- E.164
    name TEXT NOT NULL,
    note TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- The words of each name and note, small letters as UTF-8: bytes are ordered alike by every engine and locale.
CREATE TABLE contact_word (
    word BYTEA NOT NULL,
    number TEXT NOT NULL,
    PRIMARY KEY (word, number)
) /* WITHOUT ROWID */;
CREATE INDEX contact_word_by_number ON contact_word (number);

-- The words of what officers wrote about a callback.
CREATE TABLE callback_word (
    word BYTEA NOT NULL,
    callback_id BIGINT NOT NULL,
    PRIMARY KEY (word, callback_id)
) /* WITHOUT ROWID */;

-- Every number that called or was called, once for each of its digits that has two or more after it: its digits from there
-- on, filled up with zeros to 15. What contains some digits is then one range. Small beside the calls: a caller is here once.
CREATE TABLE number_tail (
    tail BIGINT NOT NULL,
    number TEXT NOT NULL,                   -- E.164
    PRIMARY KEY (tail, number)
) /* WITHOUT ROWID */;
INSERT INTO number_tail (tail, number)
    SELECT DISTINCT CAST(substr(substr(caller.number, places.place) || '000000000000000', 1, 15) AS BIGINT), caller.number
    FROM (SELECT DISTINCT caller AS number FROM call WHERE caller IS NOT NULL) AS caller
    JOIN (SELECT 2 AS place UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8
          UNION SELECT 9 UNION SELECT 10 UNION SELECT 11 UNION SELECT 12 UNION SELECT 13 UNION SELECT 14) AS places
        ON places.place <= length(caller.number) - 2;

-- How far the two growing tables have been gone through for the search.
CREATE TABLE search_progress (
    part TEXT NOT NULL PRIMARY KEY,         -- 'delivery': numbers; 'callback_history': words
    up_to BIGINT NOT NULL                   -- id of the last row seen
);
INSERT INTO search_progress (part, up_to) SELECT 'delivery', COALESCE(MAX(id), 0) FROM delivery;
INSERT INTO search_progress (part, up_to) VALUES ('callback_history', 0);

-- Calls that we made.
CREATE INDEX call_out ON call (started_at, id) WHERE direction = 'outbound';

-- All about one number.
CREATE INDEX call_to_number ON call (dialled, started_at, id) WHERE direction = 'outbound';
CREATE INDEX callback_by_number ON callback (callback_number, received_at, id) WHERE callback_number IS NOT NULL;

-- Messages that were erased and whose file is still to be taken away.
CREATE INDEX voicemail_to_erase ON voicemail (id) WHERE state = 'erased' AND name IS NOT NULL;
