-- Each row of the audit carries the hash of the one before, so that a row that is changed, taken out or put in is found.

ALTER TABLE audit ADD COLUMN seq BIGINT;            -- place in the chain, 1, 2, …; NULL: from before there was a chain
ALTER TABLE audit ADD COLUMN salt BYTEA;            -- of the digest of the content; NULL in the chain: the content was erased
ALTER TABLE audit ADD COLUMN content_sha256 BYTEA;  -- of salt, actor_name, object, detail and address
ALTER TABLE audit ADD COLUMN sha256 BYTEA;          -- of the row, with that of the row before

CREATE UNIQUE INDEX audit_by_seq ON audit (seq) WHERE seq IS NOT NULL;

-- The end of the chain, in the only row. Whoever adds to the chain holds it.
CREATE TABLE audit_chain (
    id BIGINT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL,                    -- of the newest row; 0: there is none yet
    sha256 BYTEA,                           -- of the newest row
    older_rows BIGINT NOT NULL,             -- rows from before there was a chain, and the id of the newest of them
    newest_older_id BIGINT NOT NULL
);

INSERT INTO audit_chain (id, seq, older_rows, newest_older_id)
SELECT 1, 0, COUNT(*), COALESCE(MAX(id), 0) FROM audit;
