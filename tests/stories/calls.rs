//! Real calls: callers and officers at SIP telephones, the real exchange between them with the dialplan of
//! `perezvon pbx config`, and at the end the right row of the callback list.

mod after_hours;
mod called_back;
mod in_hours;
mod outages;
mod restarts;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use perezvon::recordings::PhoneSound;
use perezvon::store::{CallbackView, Voicemail, VoicemailState};
use tower::ServiceExt;

use crate::harness::{App, Behind, Call, Door, Exchange, at, patiently};

const TOKEN: &str = "token-of-the-exchange";
/// The number of the parents' line, as the telephone company sends it.
const PARENTS: &str = "89288328088";
/// The number of the staff's line, as who is called back sees it.
const STAFF_AS_SHOWN: &str = "79288036355";

/// A house and the exchange before it.
struct School<'a> {
    app: &'a App,
    exchange: Exchange,
    door: Door,
}

impl<'a> School<'a> {
    /// On a Friday at this time, with two telephones of officers.
    ///
    /// Long ago: the exchange goes by the machine's clock, the house by one that stands. A time that has not come yet the
    /// house does not believe, and takes that of its own clock.
    async fn on_friday(app: &'a App, time: &str) -> Self {
        Self::with(app, time, &["101", "102"], "").await
    }

    /// Everything is as short as the configuration allows. `hours` are those of the configuration; they alone count for the exchange while the house does not answer, by the
    /// machine's clock. Without telephones that is never.
    async fn with(app: &'a App, time: &str, ring: &[&'static str], hours: &str) -> Self {
        let (exchange, door) = (Exchange::new().await, Door::new().await);
        app.clock.set(at(&format!("2025-11-21T{time}:00+03:00")));
        app.restart(|setup| {
            setup.public_url = format!("http://{}", door.address);
            setup.ring = ring.to_vec();
            setup.hours = hours.to_owned();
            setup.line_keys = "ring_seconds = 5\nmax_message_seconds = 10".to_owned();
            setup.tables = provider(TOKEN);
        })
        .await;
        write_dialplan(&app.config_text(), app.folder.path(), &exchange.etc());
        door.leads_to(Behind::Service(app.address)).await;
        exchange.start().await;
        Self { app, exchange, door }
    }

    /// Returns when so many calls have ended, the exchange has told all, and the house has done what followed.
    async fn knows_of(&self, calls: i64) {
        patiently("the exchange to tell all", async {
            while self.exchange.has_something_to_tell()
                || self.app.number("SELECT COUNT(*) FROM call WHERE ended_at IS NOT NULL").await < calls
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        self.app.run_jobs().await;
        assert_eq!(self.app.count("call").await, calls);
    }

    /// The only one who waits.
    async fn row(&self) -> CallbackView {
        let mut waiting = self.app.callbacks().await;
        assert_eq!(waiting.len(), 1, "{waiting:?}");
        waiting.remove(0)
    }

    /// What became of each call, in their order.
    async fn outcomes(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for row in self.app.rows("SELECT id FROM call ORDER BY started_at, id").await {
            ids.push(sqlx::Row::get::<i64, _>(&row, 0));
        }
        let mut outcomes = Vec::new();
        for id in ids {
            let view = self.app.store().call(id).await.expect("calls can be read").expect("it is there");
            outcomes.push(view.call.outcome().as_str().to_owned());
        }
        outcomes
    }

    /// The sound of a message as it is kept.
    fn sound_of(&self, message: &Voicemail) -> Vec<i16> {
        assert_eq!(message.state, VoicemailState::Stored, "{message:?}");
        let name = &message.sound.as_ref().expect("it is stored").name;
        let file = std::fs::read(self.app.folder.path().join("recordings").join(name)).expect("the file is there");
        PhoneSound::read(&file, 600_000).expect("an exchange brings telephone sound").0
    }

    /// What the house lets the callers of this number hear.
    async fn greeting(&self, number: &str, reason: &str) -> Vec<i16> {
        let path = format!("/greetings/{number}/{reason}.wav");
        let request = Request::get(path).body(Body::empty()).expect("a good request");
        let response = self.app.router().oneshot(request).await.expect("routers do not fail");
        assert_eq!(response.status(), 200);
        let wav = to_bytes(response.into_body(), 1 << 24).await.expect("answers come whole");
        PhoneSound::read(&wav, 600_000).expect("an exchange plays nothing else").0
    }
}

fn provider(token: &str) -> String {
    let mut text = String::from("[[providers]]\nname = \"asterisk\"\nkind = \"asterisk\"\n");
    let _ = writeln!(text, "tokens = [{token:?}]");
    text
}

/// As the administrator does it.
fn write_dialplan(config: &str, folder: &Path, into: &Path) {
    let file = folder.join("perezvon.toml");
    std::fs::write(&file, config).expect("the folder is ours");
    let program = env!("CARGO_BIN_EXE_perezvon");
    let done = Command::new(program).args(["pbx", "config", "--config"]).arg(file).arg("--into").arg(into).output();
    let done = done.expect("the program is there");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Goes past the greeting with a key, and speaks after the signal.
async fn leaves_a_message(call: &Call, said: &[i16]) {
    comes_to_the_signal(call).await;
    call.say(said).await;
    call.hang_up().await;
}

async fn comes_to_the_signal(call: &Call) {
    call.is_answered().await;
    call.hears_for(300).await;
    call.press("1").await;
    call.the_beep_is_over().await;
}
