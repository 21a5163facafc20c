-- People: the way in by a one-time link, the second factor, and sessions that are known to be somebody's.

ALTER TABLE officer ADD COLUMN last_sign_in_at BIGINT;
ALTER TABLE officer ADD COLUMN factor_secret BYTEA;     -- shared with the authenticator app; NULL: no second factor
ALTER TABLE officer ADD COLUMN factor_step BIGINT;      -- number of the last 30 s step whose code was taken: each counts once

-- The way back in without the app, each good for one time.
CREATE TABLE recovery_code (
    sha256 BYTEA NOT NULL PRIMARY KEY,
    officer_id BIGINT NOT NULL
);
CREATE INDEX recovery_code_by_officer ON recovery_code (officer_id);

-- The one-time link with which somebody chooses a password. At most one for each.
CREATE TABLE invitation (
    officer_id BIGINT NOT NULL PRIMARY KEY,
    secret_sha256 BYTEA NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Sessions made before have ids of another form, which nothing reads any more.
DELETE FROM session;
ALTER TABLE session ADD COLUMN officer_id BIGINT;       -- whose; id is now the SHA-256 of the cookie's value, in hex
CREATE INDEX session_by_officer ON session (officer_id, id);
