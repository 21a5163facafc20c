//! The school's own greetings: heard by the very next caller once they are switched on, and never a reason to hear nothing.

use perezvon::app::verify;
use perezvon::core::greetings::GreetingKind;
use perezvon::core::line::LineId;
use perezvon::core::officer::Actor;
use perezvon::recordings::prompt::prepare;
use perezvon::recordings::{Folder, RecordingName, tone};
use perezvon::store::{MOST_DRAFTS, NewPrompt, PromptError};

use crate::harness::{App, Form, stories};

pub const ADDRESS: &str = "192.0.2.7";

pub fn senior() -> Actor {
    Actor::officer(1, "Мадина И.")
}

fn folder(app: &App) -> Folder {
    Folder::open(app.folder.path().join("recordings")).unwrap()
}

async fn write(app: &App, name: RecordingName, bytes: &[u8]) -> Vec<u8> {
    let mut incoming = folder(app).begin(name, bytes.len() as u64).await.unwrap();
    incoming.write(bytes).await.unwrap();
    incoming.finish().await.unwrap().sha256.0.to_vec()
}

/// A draft on the parents' line: its id and the address of its sound.
pub async fn draft(app: &App, kind: GreetingKind, seed: u64) -> (i64, String) {
    let bytes = tone::wav_bytes(&tone::speech_like(2_000, seed));
    let prepared = prepare(&bytes).unwrap();
    let name = format!("{seed:032x}");
    let original = RecordingName::of_uploaded_prompt(&name, "wav").unwrap();
    let new = NewPrompt {
        line: LineId::new("parents"),
        kind,
        name: name.clone(),
        read_text: "Здравствуйте!".to_owned(),
        length_ms: prepared.sound.length_ms(),
        sha256: write(app, RecordingName::of_prompt(&name).unwrap(), &prepared.sound.wav()).await,
        original_name: original.to_string(),
        original_type: "audio/wav".to_owned(),
        original_length_ms: 2_000,
        original_sha256: write(app, original, &bytes).await,
        raised_centibels: 0,
        clipped: 0,
        damage: String::new(),
    };
    let id = app.store().add_prompt(new, &senior(), ADDRESS, app.now()).await.unwrap();
    (id, format!("/greetings/{name}.wav"))
}

/// What the next caller hears first: the verbs, and the whole document.
async fn next_caller(app: &App, sid: &str) -> (Vec<String>, String) {
    let answer = app.post("voice", &Form::call(sid).from(&format!("+7928000{:04}", sid.len()))).await;
    app.leave_the_jobs().await;
    (answer.verbs().iter().map(ToString::to_string).collect(), answer.body)
}

stories! {
    async fn a_greeting_is_heard_by_the_next_caller_once_it_is_switched_on_and_no_sooner(app) {
        let (id, address) = draft(app, GreetingKind::Closed, 1).await;
        assert_eq!(next_caller(app, "1").await.0[..2], ["Gather", "Say"]);
        assert_eq!(app.get(&address).await.status, 404, "nobody hears a draft");

        app.store().switch_prompt_on(id, &senior(), ADDRESS, app.now()).await.unwrap();
        let (verbs, heard) = next_caller(app, "22").await;
        assert_eq!(verbs[..3], ["Gather", "Play", "Say"]);
        assert!(heard.contains(&format!("<Play>https://calls.example.org{address}</Play>")), "{heard}");
        assert!(heard.contains("Мы перезвоним в понедельник, 23 ноября"), "the date is promised all the same: {heard}");
        let sound = app.get(&address).await;
        assert_eq!((sound.status, sound.content_type.as_str()), (200, "audio/wav"));

        app.store().switch_prompt_off(id, &senior(), ADDRESS, app.now()).await.unwrap();
        assert_eq!(next_caller(app, "333").await.0[..2], ["Gather", "Say"]);
        assert_eq!(app.get(&address).await.status, 200, "a caller may be hearing it still");
        let actions = app.rows("SELECT action FROM audit ORDER BY id").await;
        let actions: Vec<String> = actions.iter().map(|row| sqlx::Row::get(row, 0)).collect();
        assert_eq!(actions, ["prompt_upload", "prompt_on", "prompt_off"]);
    }

    async fn one_version_at_a_time_is_heard_and_an_old_one_can_come_back(app) {
        let (old, _) = draft(app, GreetingKind::Closed, 1).await;
        let (new, new_address) = draft(app, GreetingKind::Closed, 2).await;
        let (store, by) = (app.store(), senior());
        for id in [old, new, new] {
            store.switch_prompt_on(id, &by, ADDRESS, app.now()).await.unwrap();
        }
        assert!(next_caller(app, "1").await.1.contains(&new_address));
        assert_eq!(app.number("SELECT COUNT(*) FROM prompt WHERE on_since IS NOT NULL").await, 1);
        assert_eq!(app.number("SELECT COUNT(*) FROM audit WHERE action = 'prompt_on'").await, 2, "once for each");
        let back = store.switch_prompt_on(old, &by, ADDRESS, app.now()).await.unwrap();
        assert!(back.on_since.is_some());
        assert!(!next_caller(app, "22").await.1.contains(&new_address));
        let heard = store.drop_prompt(new, &by, ADDRESS, app.now()).await;
        assert!(matches!(heard, Err(PromptError::WasHeard)), "{heard:?}");
    }

    async fn a_restart_keeps_what_is_switched_on(app) {
        let (id, address) = draft(app, GreetingKind::Closed, 1).await;
        app.store().switch_prompt_on(id, &senior(), ADDRESS, app.now()).await.unwrap();
        app.restart(|_| ()).await;
        assert!(next_caller(app, "1").await.1.contains(&address));
    }

    async fn a_greeting_is_given_out_while_the_database_is_away(app) {
        let (id, address) = draft(app, GreetingKind::Closed, 1).await;
        app.store().switch_prompt_on(id, &senior(), ADDRESS, app.now()).await.unwrap();
        app.take_the_database_away().await;
        assert_eq!(app.get(&address).await.status, 200);
        app.bring_the_database_back().await;
    }

    async fn a_greeting_whose_file_is_lost_is_spoken_and_an_alarm_is_raised(app) {
        let (id, address) = draft(app, GreetingKind::Closed, 1).await;
        app.store().switch_prompt_on(id, &senior(), ADDRESS, app.now()).await.unwrap();
        let name = RecordingName::of_prompt(&format!("{:032x}", 1)).unwrap();
        folder(app).remove(&name).await.unwrap();
        let (verbs, heard) = next_caller(app, "1").await;
        assert_eq!(verbs[..2], ["Gather", "Say"]);
        assert!(heard.contains("Сейчас нерабочее время"), "{heard}");
        assert_eq!(app.get(&address).await.status, 404);
        for _ in 0..1_000 {
            if !app.alarms().await.is_empty() { break }
            tokio::task::yield_now().await;
        }
        assert_eq!(app.alarm_kinds().await, ["we_failed"]);
    }

    async fn a_lost_or_changed_greeting_is_told_by_the_check_of_all_files(app) {
        draft(app, GreetingKind::Closed, 1).await;
        draft(app, GreetingKind::Thanks, 2).await;
        let mut out = Vec::new();
        assert!(verify::run(&app.store(), &folder(app), &mut out).await.unwrap());
        assert_eq!(String::from_utf8(out).unwrap(), "✓ Записей проверено: 4, все целы.\n");
        write(app, RecordingName::of_prompt(&format!("{:032x}", 1)).unwrap(), b"another").await;
        folder(app).remove(&RecordingName::of_uploaded_prompt(&format!("{:032x}", 2), "wav").unwrap()).await.unwrap();
        let mut out = Vec::new();
        assert!(!verify::run(&app.store(), &folder(app), &mut out).await.unwrap());
        let told = String::from_utf8(out).unwrap();
        assert!(told.contains("000001.wav: файл изменился") && told.contains("2-original.wav: файла нет"), "{told}");
    }

    async fn drafts_are_bounded_and_can_be_thrown_away(app) {
        let mut last = 0;
        for seed in 0..MOST_DRAFTS {
            last = draft(app, GreetingKind::Busy, seed as u64 + 1).await.0;
        }
        let (store, by) = (app.store(), senior());
        let prompt = store.prompt(last).await.unwrap().unwrap();
        let one_more = || NewPrompt {
            line: prompt.line.clone(),
            kind: prompt.kind,
            name: format!("{:032x}", 99),
            read_text: String::new(),
            length_ms: 1_000,
            sha256: vec![1],
            original_name: "prompts/x".to_owned(),
            original_type: "audio/wav".to_owned(),
            original_length_ms: 1_000,
            original_sha256: vec![1],
            raised_centibels: 0,
            clipped: 0,
            damage: String::new(),
        };
        let refused = store.add_prompt(one_more(), &by, ADDRESS, app.now()).await;
        assert!(matches!(refused, Err(PromptError::TooManyDrafts)), "{refused:?}");
        store.drop_prompt(last, &by, ADDRESS, app.now()).await.unwrap();
        assert!(matches!(store.drop_prompt(last, &by, ADDRESS, app.now()).await, Err(PromptError::NotFound)));
        store.add_prompt(one_more(), &by, ADDRESS, app.now()).await.unwrap();
        assert_eq!(store.prompt_drafts().await.unwrap(), [(prompt.line, GreetingKind::Busy, MOST_DRAFTS)]);
    }

    async fn a_greeting_of_another_name_is_not_here(app) {
        for address in [
            "/greetings/x.wav",
            "/greetings/0123456789abcdef0123456789abcdef",
            "/greetings/0123456789abcdef0123456789abcdef.wav",
            "/greetings/..%2f..%2fperezvon.db",
            "/greetings/0123456789abcdef0123456789abcdef-original.wav",
        ] {
            assert_eq!(app.get(address).await.status, 404, "{address}");
        }
    }
}
