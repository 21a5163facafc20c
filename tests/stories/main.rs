//! What the house does, told as stories: each on SQLite and on PostgreSQL, from one text, through the router.
//!
//! A list of these tests is a list of what callers and officers may rely on.

mod harness;

mod announcing;
mod architecture;
mod arriving;
mod backups;
mod callers;
mod calls;
mod crash;
mod desk;
mod dial_links;
mod dialling;
mod disk;
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
mod licences;
mod live;
mod machine;
mod official;
mod outage;
mod people;
mod recognise;
mod reconciling;
mod refused;
mod replaced;
mod replaying;
mod reports;
mod restoring;
mod retrying;
mod searching;
mod sessions;
mod siblings;
mod sign_in;
mod spool;
mod statements;
mod transcripts;
mod unmeasured;
mod verifying;
mod year;
