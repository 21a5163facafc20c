-- What was never reported is asked for: how far the lists of each provider have been compared with ours.

ALTER TABLE call ADD COLUMN restored_at BIGINT;         -- a provider's list brought in the call or a message of it; NULL: webhooks did

CREATE TABLE reconciliation (
    id BIGINT NOT NULL PRIMARY KEY,         -- subject of the job reconcile_provider
    provider TEXT NOT NULL UNIQUE,          -- configured name
    service_since BIGINT NOT NULL,          -- first day of service: nothing older is brought in unless somebody asks for it
    covered_until BIGINT,                   -- all that began before is compared; NULL: no look has come to its end
    widely_covered_at BIGINT,               -- when the last look over several days ended; NULL: one is wanted
    lease_id BIGINT,                        -- whose look is under way, so that two never run at once
    leased_until BIGINT,                    -- a look that has not gone on by then is taken for dead
    look_from BIGINT,                       -- span of the last look, or of the one that is not finished
    look_to BIGINT,
    next_list TEXT,                         -- calls, recordings; NULL: the last look is finished
    next_address TEXT,                      -- the page to go on with; NULL: the first one of next_list
    listed BIGINT NOT NULL,                 -- calls of ours in the lists of that look
    known BIGINT NOT NULL,                  -- those of them that we had
    restored BIGINT NOT NULL,               -- those that it brought in, or a message of them
    ended_at BIGINT,                        -- when the last good look ended
    failing_since BIGINT,                   -- the first failure since then; NULL: it did not fail
    error TEXT                              -- the last failure, in words
);
