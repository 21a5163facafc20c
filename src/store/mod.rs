//! All SQL of the house, in one portable dialect for SQLite and PostgreSQL.
