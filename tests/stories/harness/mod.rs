//! What every story is told with: a house on an empty database of either engine, a clock that stands, a simulated
//! provider beside it, and nothing left behind.

mod app;
mod browser;
mod call;
mod door;
mod exchange;
mod form;
mod postgres;
mod program;
mod rtp;
mod sip;
mod small_disk;
mod smtp;
mod sound;
mod telephone;

use std::fs::File;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::pin::Pin;

use futures_util::FutureExt;
use perezvon::time::Timestamp;

pub use app::{ACCOUNT, App, PARENTS, STAFF, TECHNICAL, TOKEN, lease_jobs};
pub use browser::{Browser, Page, hidden_fields};
pub use call::{Call, Ending, patiently};
pub use door::{Behind, Door};
pub use exchange::{ARI_PASSWORD, ARI_USER, Exchange};
pub use form::{Answer, Form};
pub use postgres::{database as fresh_postgres_database, drop_database as drop_postgres_database};
pub use program::Program;
pub use small_disk::SmallDisk;
pub use smtp::{MailServer, Manners, Received};
pub use sound::{SAME_WORDS, likeness, words};

/// The two databases that every story runs on, from one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// Leaves word for `tests/run`, which prints it after the figures: the output of a test that passes is not shown.
pub fn not_tried(what: &str) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("not-tried");
    let mut file = File::options().create(true).append(true).open(file).unwrap();
    writeln!(file, "{what}").unwrap();
}

pub type Story = for<'a> fn(&'a App) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Makes two tests of each story: `sqlite::name` and `postgres::name`.
macro_rules! stories {
    ($($(#[doc = $doc:literal])* async fn $name:ident($app:ident) $body:block)*) => {
        $crate::harness::stories_on_sqlite! { $($(#[doc = $doc])* async fn $name($app) $body)* }

        mod postgres {
            $(#[test]
            fn $name() {
                $crate::harness::tell($crate::harness::Engine::Postgres, |app| Box::pin(super::$name(app)));
            })*
        }
    };
}
pub(crate) use stories;

/// Makes one test of each story, `sqlite::name`: of stories that are not about the database.
macro_rules! stories_on_sqlite {
    ($($(#[doc = $doc:literal])* async fn $name:ident($app:ident) $body:block)*) => {
        $($(#[doc = $doc])* async fn $name($app: &$crate::harness::App) $body)*

        mod sqlite {
            $(#[test]
            fn $name() {
                $crate::harness::tell($crate::harness::Engine::Sqlite, |app| Box::pin(super::$name(app)));
            })*
        }
    };
}
pub(crate) use stories_on_sqlite;

/// Runs one story on one engine, looks for what it left undone, and cleans up however it ended.
pub fn tell(engine: Engine, story: Story) {
    run(tokio::runtime::Builder::new_multi_thread().worker_threads(2), engine, story);
}

/// The same with all tasks on one thread: a long story wakes another one millions of times otherwise.
pub fn tell_on_one_thread(engine: Engine, story: Story) {
    run(&mut tokio::runtime::Builder::new_current_thread(), engine, story);
}

/// The same on threads of this runtime.
pub fn tell_on(runtime: &mut tokio::runtime::Builder, engine: Engine, story: Story) {
    run(runtime, engine, story);
}

fn run(runtime: &mut tokio::runtime::Builder, engine: Engine, story: Story) {
    runtime.enable_all().build().unwrap().block_on(async {
        let app = App::start(engine).await;
        let told = AssertUnwindSafe(story(&app)).catch_unwind().await;
        let (left, wordless) = match &told {
            Ok(()) => (app.unfinished_jobs().await, app.wordless_actions().await),
            Err(_) => Default::default(),
        };
        app.end().await;
        if let Err(panic) = told {
            std::panic::resume_unwind(panic);
        }
        assert!(left.is_empty(), "the story ends with unfinished jobs: {left:?}");
        assert!(wordless.is_empty(), "the audit has no words for {wordless:?}");
    });
}

/// An instant written out.
pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|_| panic!("{text} is no instant"))
}

/// The Friday of the stories at this Moscow time, `19:30` or `19:30:59`.
pub fn friday(time: &str) -> Timestamp {
    let seconds = if time.len() == 5 { ":00" } else { "" };
    at(&format!("2026-11-20T{time}{seconds}+03:00"))
}

/// The Monday after it.
pub fn monday(time: &str) -> Timestamp {
    let seconds = if time.len() == 5 { ":00" } else { "" };
    at(&format!("2026-11-23T{time}{seconds}+03:00"))
}
