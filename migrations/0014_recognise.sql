-- One open callback for a line and a number to dial, whether the network showed the number or the caller typed it.

ALTER TABLE callback ADD COLUMN dial_number TEXT;       -- E.164: caller, or else callback_number; NULL: never merges (R6)

UPDATE callback SET dial_number = caller WHERE caller IS NOT NULL;
-- Where two open ones of a number stand side by side from before, they stay so until they are closed.
UPDATE callback SET dial_number = callback_number
WHERE caller IS NULL AND callback_number IS NOT NULL
  AND (closed_at IS NOT NULL
       OR NOT EXISTS (
           SELECT 1 FROM callback AS other
           WHERE other.line = callback.line AND other.closed_at IS NULL AND other.id <> callback.id
             AND (other.caller = callback.callback_number
                  OR (other.caller IS NULL AND other.callback_number = callback.callback_number))));

CREATE UNIQUE INDEX callback_one_open_number ON callback (line, dial_number)
    WHERE closed_at IS NULL AND dial_number IS NOT NULL;
-- The one above says the same and more.
DROP INDEX callback_one_open;
