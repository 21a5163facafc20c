-- The desk: an officer's own last steps, so that the last one can be taken back wherever the entry stands now.
CREATE INDEX callback_history_by_actor ON callback_history (actor_id, id) WHERE before_desk IS NOT NULL;
