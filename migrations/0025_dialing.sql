-- How many calls were placed within the last hour is counted before each one.
CREATE INDEX placed_call_asked ON placed_call (asked_at);
