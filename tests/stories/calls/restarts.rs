//! The real program is killed before, during and after a message: it is there once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{Connection, Row, SqliteConnection};

use super::{PARENTS, TOKEN, comes_to_the_signal, leaves_a_message, provider, write_dialplan};
use crate::harness::{Behind, Door, Exchange, Program, SAME_WORDS, likeness, patiently, words};

/// A program, an exchange, and the address under which they know each other.
struct School {
    folder: tempfile::TempDir,
    config: PathBuf,
    exchange: Exchange,
    door: Door,
}

impl School {
    /// Without officers' telephones everybody leaves a message, whatever the machine's clock says.
    async fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("perezvon-calls-").tempdir().expect("a temporary folder");
        let (exchange, door) = (Exchange::new().await, Door::new().await);
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://{}\"\n[storage]\ndatabase = \"sqlite:{1}/perezvon.db\"\n\
             recordings = \"{1}/recordings\"\n{2}",
            door.address,
            folder.path().display(),
            provider(TOKEN)
        );
        write_dialplan(&text, folder.path(), &exchange.etc());
        exchange.start().await;
        let config = folder.path().join("perezvon.toml");
        Self { folder, config, exchange, door }
    }

    async fn start(&self) -> Program {
        let program = tokio::task::block_in_place(|| Program::start(&self.config));
        self.door.leads_to(Behind::Service(program.address)).await;
        program
    }

    /// The file of the only message, when it is stored.
    async fn message(&self) -> Vec<i16> {
        let name = patiently("the message to be stored", async {
            loop {
                if let Some(name) = stored(self.folder.path()).await
                    && !self.exchange.has_something_to_tell()
                {
                    return name;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let file = self.folder.path().join("recordings").join(name.await);
        let mut wav = hound::WavReader::open(file).expect("the file is there");
        wav.samples::<i16>().collect::<Result<_, _>>().expect("a good file")
    }
}

/// The name of the stored message; calls, messages and rows of the list are never more than one.
async fn stored(folder: &Path) -> Option<String> {
    let database = format!("sqlite:{}", folder.join("perezvon.db").display());
    let mut database = SqliteConnection::connect(&database).await.ok()?;
    for table in ["call", "voicemail", "callback"] {
        let count = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}")));
        let count: i64 = count.fetch_one(&mut database).await.ok()?.get(0);
        assert!(count <= 1, "{count} rows in {table}");
    }
    let row = sqlx::query("SELECT name FROM voicemail WHERE state = 'stored'").fetch_optional(&mut database).await;
    Some(row.ok()??.get(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_a_message_and_started_after_it_the_house_has_the_message() {
    let school = School::new().await;
    let mut program = school.start().await;
    let call = school.exchange.dial(Some("79281234567"), PARENTS).await;
    call.is_answered().await;
    program.kill();
    let said = words(&["hello", "vm-tocallback"]);
    leaves_a_message(&call, &said).await;
    school.exchange.tries_in_vain(1).await;
    let _program = school.start().await;
    assert!(likeness(&said, &school.message().await) > SAME_WORDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_during_a_message_and_started_again_at_once_the_house_has_the_message() {
    let school = School::new().await;
    let mut program = school.start().await;
    let call = school.exchange.dial(Some("79281234567"), PARENTS).await;
    comes_to_the_signal(&call).await;
    let said = words(&["hello", "vm-tocallback"]);
    call.begins_to_say(&said);
    program.kill();
    let _program = school.start().await;
    call.has_said_all().await;
    call.hang_up().await;
    assert!(likeness(&said, &school.message().await) > SAME_WORDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_right_after_it_took_a_message_the_house_has_the_message() {
    let school = School::new().await;
    let mut program = school.start().await;
    let said = words(&["hello", "vm-tocallback"]);
    leaves_a_message(&school.exchange.dial(Some("79281234567"), PARENTS).await, &said).await;
    // As soon as the exchange has forgotten it.
    patiently("the exchange to tell all", async {
        while school.exchange.recorded_bytes() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    program.kill();
    let _program = school.start().await;
    assert!(likeness(&said, &school.message().await) > SAME_WORDS);
}
