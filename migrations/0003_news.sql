-- What each house (one running program) has told about the list of callbacks, for the others on the same PostgreSQL
-- database. A row of its own, so that no house waits for another's commit. SQLite has one house and no rows here.

CREATE TABLE news (
    house BIGINT NOT NULL PRIMARY KEY,      -- random, new at each start
    generation BIGINT NOT NULL              -- grows with each commit of that house that changed the list
);
