-- Personal data that goes: by the terms of the school, or because one caller asks for it.
-- Callers who asked to be forgotten, so that a backup of before does not bring them back. No number can be read out of it.
CREATE TABLE forgotten (
    salt BYTEA NOT NULL PRIMARY KEY,        -- 16 random bytes, the key of the digest
    digest BYTEA NOT NULL,                  -- HMAC-SHA256 of the number as E.164
    forgotten_at BIGINT NOT NULL,
    stand_in TEXT                           -- what stands in the place of the number while it is being erased; NULL: it is erased
);
-- Messages whose sound may still be there, oldest first.
CREATE INDEX voicemail_not_erased ON voicemail (id) WHERE state <> 'erased';
