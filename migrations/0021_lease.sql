-- Work that one instance does at a time, however many share the database.

CREATE TABLE lease (
    name TEXT NOT NULL PRIMARY KEY,         -- nightly_backup
    leased_by TEXT,                         -- id of the instance that holds it; NULL: nobody
    leased_until BIGINT                     -- an instance that has not renewed it by then is taken for dead; NULL: it is free
) /* WITHOUT ROWID */;
