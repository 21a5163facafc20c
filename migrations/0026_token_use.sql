-- API tokens: until when they are good, and whether anybody still uses them.
ALTER TABLE token ADD COLUMN expires_at BIGINT;         -- NULL: good until it is revoked
ALTER TABLE token ADD COLUMN last_used_at BIGINT;       -- written every few minutes at most; NULL: never used
