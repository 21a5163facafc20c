-- Messages are never given up while their provider may have them; one slow host holds up nobody.

ALTER TABLE job ADD COLUMN planned_at BIGINT;           -- when run_at was decided, so that run_at - planned_at is the job's own pause; NULL in rows older than this column
ALTER TABLE job ADD COLUMN same_error BIGINT NOT NULL DEFAULT 0;    -- tries in a row that ended with last_error
ALTER TABLE job ADD COLUMN lane TEXT;                   -- host:port that does the work, or the configured name of the provider: only a few jobs of one lane run at once; NULL: no lane
ALTER TABLE job ADD COLUMN leased_by TEXT;              -- id of the instance that holds the lease; NULL: nobody, or leased before this column
