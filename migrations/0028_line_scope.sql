-- The lines to which an officer, or the program of a token, is limited: `,parents,staff,`; NULL: all lines.
ALTER TABLE officer ADD COLUMN lines TEXT;
ALTER TABLE token ADD COLUMN lines TEXT;
