-- Letters by e-mail, and what a speech model took from a message. The dialect is that of 0001.

-- Each letter to each reader once. It waits as a job 'send_mail' made in the same commit.
CREATE TABLE mail (
    id BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,                     -- morning, evening, overdue, alarm
    about TEXT NOT NULL,                    -- the day (2026-11-23), or the instant of planning in milliseconds
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,                     -- emptied once it is sent or given up: it may hold personal data
    attachment_name TEXT,
    attachment BYTEA,                       -- emptied with the body
    created_at BIGINT NOT NULL,
    sent_at BIGINT,
    UNIQUE (kind, about, recipient)
);

-- That a letter was planned, also one that had nothing to say. Written in the commit of the letters.
CREATE TABLE mail_plan (
    kind TEXT NOT NULL,
    about TEXT NOT NULL,                    -- the day; empty for what is collected: one row, the last time
    planned_at BIGINT NOT NULL,
    PRIMARY KEY (kind, about)
) /* WITHOUT ROWID */;

-- Callbacks whose passing of the due time was told.
CREATE TABLE overdue_told (
    callback_id BIGINT NOT NULL PRIMARY KEY,
    told_at BIGINT NOT NULL
);

ALTER TABLE alarm ADD COLUMN mailed_at BIGINT;      -- told by e-mail
ALTER TABLE alarm ADD COLUMN over_mailed_at BIGINT; -- told by e-mail that it is over
CREATE INDEX alarm_to_mail ON alarm (id) WHERE cleared_at IS NULL AND mailed_at IS NULL;
CREATE INDEX alarm_over_to_mail ON alarm (id)
    WHERE cleared_at IS NOT NULL AND mailed_at IS NOT NULL AND over_mailed_at IS NULL;

ALTER TABLE voicemail ADD COLUMN transcript TEXT;       -- NULL: none; may contain mistakes
ALTER TABLE voicemail ADD COLUMN transcript_model TEXT; -- which model wrote it
ALTER TABLE voicemail ADD COLUMN transcribed_at BIGINT;
