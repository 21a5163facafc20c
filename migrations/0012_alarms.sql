-- Whoever has read an alarm is not told of it again while its cause goes on.
ALTER TABLE alarm ADD COLUMN seen_at BIGINT;        -- read by somebody; NULL again when the cause is gone
CREATE INDEX alarm_seen ON alarm (kind, subject) WHERE seen_at IS NOT NULL;
