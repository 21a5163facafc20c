//! What the house does, told as stories: each on SQLite and on PostgreSQL, from one text, through the router.
//!
//! A list of these tests is a list of what callers and officers may rely on.

mod harness;

mod announcing;
mod architecture;
mod arriving;
mod audit_chain;
mod backups;
mod blocklist;
mod callers;
mod calls;
mod crash;
mod dependencies;
mod desk;
mod dial_links;
mod dialling;
mod disk;
mod entrances;
mod evening;
mod exchange;
mod fast_clock;
mod fetching;
mod first_start;
mod greetings;
mod heard;
mod hours;
mod house;
mod late;
mod letters;

mod live;
mod machine;
mod official;
mod outage;
mod people;
mod privacy;
mod recognise;
mod reconciling;
mod refused;
mod replaced;
mod replaying;
mod reports;
mod restoring;
mod retrying;
mod searching;
mod security;
mod sessions;
mod siblings;
mod sign_in;
mod spool;
mod statements;
mod strangers;
mod transcripts;
mod unmeasured;
mod verifying;
mod year;
