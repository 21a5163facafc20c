-- Greetings that the school recorded itself, in all their versions. The sound lies in the recordings folder below
-- prompts/: name.wav as callers hear it, name-original.ext as it was uploaded.

CREATE TABLE prompt (
    id BIGINT NOT NULL PRIMARY KEY,
    line TEXT NOT NULL,
    kind TEXT NOT NULL,                     -- closed, holiday, busy, busy-late, thanks, fault
    name TEXT NOT NULL UNIQUE,              -- 32 random hexadecimal digits; the address providers fetch it from
    read_text TEXT NOT NULL,                -- what was to be read when it was recorded
    uploaded_at BIGINT NOT NULL,
    uploader_id TEXT NOT NULL,
    uploader_name TEXT NOT NULL,
    length_ms BIGINT NOT NULL,              -- as callers hear it
    sha256 BYTEA NOT NULL,                  -- of name.wav
    original_name TEXT NOT NULL,            -- name-original.ext
    original_type TEXT NOT NULL,            -- media type
    original_length_ms BIGINT NOT NULL,
    original_sha256 BYTEA NOT NULL,
    raised_centibels BIGINT NOT NULL,       -- dB times ten by which it was made louder; negative: softer
    clipped BIGINT NOT NULL,                -- places where the microphone was overdriven, 0 for none to be heard
    damage TEXT NOT NULL,                   -- what was wrong with the uploaded file, empty if nothing
    first_on_at BIGINT,                     -- NULL: a draft, never heard by a caller; its public address is closed
    on_since BIGINT                         -- NULL: switched off
);
CREATE INDEX prompt_by_text ON prompt (line, kind, id);
CREATE INDEX prompt_drafts ON prompt (line, kind) WHERE first_on_at IS NULL;
-- One recording at a time is heard.
CREATE UNIQUE INDEX prompt_switched_on ON prompt (line, kind) WHERE on_since IS NOT NULL;
