-- A month of the reports is read by when its callers called, whatever the list they stood on.
CREATE INDEX callback_by_receipt ON callback (received_at, id);
