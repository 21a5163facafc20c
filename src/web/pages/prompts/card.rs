//! One text of one line: what callers hear now, what to read, how to record it, and all versions there were.

use super::View;
use crate::core::greetings::{GreetingKind, PATIENCE_MS};
use crate::core::line::Line;
use crate::core::wording;
use crate::recordings::prompt::{LARGEST_UPLOAD, LONGEST_UPLOAD_MS};
use crate::store::Prompt;
use crate::web::pages::words::{Wall, counted};

/// From this on the microphone was too far away, dB times ten: half as high a wave as it should have been.
const TOO_SOFT_CENTIBELS: i64 = 60;

pub(super) struct Card {
    pub id: String,
    /// In the address of its forms.
    pub query: String,
    pub link: String,
    pub title: &'static str,
    pub is_on: bool,
    /// «файл загружен 12.11, 23 с», «говорит робот».
    pub status: String,
    /// «1 черновик».
    pub drafts: Option<String>,
    pub body: Option<Body>,
}

pub(super) struct Body {
    pub text: String,
    pub note: Option<String>,
    pub refused: Option<String>,
    pub said: Option<&'static str>,
    pub versions: Vec<Version>,
    pub largest_bytes: usize,
    pub longest_seconds: i64,
}

pub(super) struct Version {
    pub id: i64,
    pub is_on: bool,
    pub was_heard: bool,
    /// «12.11, 10:40».
    pub when: String,
    pub uploader: String,
    pub length: String,
    pub original_length: String,
    pub state: &'static str,
    pub warnings: Vec<String>,
    /// What was read where the text is another one now.
    pub old_text: Option<String>,
}

impl Card {
    pub fn folded(line: &Line, kind: GreetingKind, on: Option<&Prompt>, drafts: i64, wall: &Wall<'_>) -> Self {
        let view = View::of(&line.id, kind, "");
        Self {
            id: format!("{}-{}", line.id, kind.as_str()),
            query: view.query(),
            link: view.address(),
            title: kind.title(),
            is_on: on.is_some(),
            status: match on {
                Some(on) => format!("файл загружен {}, {}", wall.day(on.uploaded_at), seconds(on.length_ms)),
                None => "говорит робот".to_owned(),
            },
            drafts: (drafts > 0).then(|| counted(drafts, ["черновик", "черновика", "черновиков"])),
            body: None,
        }
    }

    pub fn unfold(
        &mut self,
        line: &Line,
        versions: &[Prompt],
        refused: Option<String>,
        said: Option<&'static str>,
        wall: &Wall<'_>,
    ) {
        let Some(kind) = GreetingKind::ALL.into_iter().find(|kind| kind.title() == self.title) else { return };
        let text = wording::to_read(kind, line);
        self.body = Some(Body {
            note: note(kind, line, wall),
            refused,
            said,
            versions: versions.iter().map(|prompt| Version::of(prompt, &text, wall)).collect(),
            text,
            largest_bytes: LARGEST_UPLOAD,
            longest_seconds: LONGEST_UPLOAD_MS / 1_000,
        });
    }
}

impl Version {
    fn of(prompt: &Prompt, text: &str, wall: &Wall<'_>) -> Self {
        Self {
            id: prompt.id,
            is_on: prompt.on_since.is_some(),
            was_heard: prompt.first_on_at.is_some(),
            when: wall.moment(prompt.uploaded_at),
            uploader: prompt.uploader.clone(),
            length: seconds(prompt.length_ms),
            original_length: seconds(prompt.original_length_ms),
            state: match (prompt.on_since, prompt.first_on_at) {
                (Some(_), _) => "звучит сейчас",
                (None, Some(_)) => "звучало раньше",
                (None, None) => "черновик, звонящие его не слышат",
            },
            warnings: warnings(prompt),
            old_text: (prompt.read_text != text).then(|| prompt.read_text.clone()),
        }
    }
}

/// What is worth recording anew, in words.
fn warnings(prompt: &Prompt) -> Vec<String> {
    let mut told = Vec::new();
    if prompt.length_ms > PATIENCE_MS {
        told.push(format!("Длиннее {} секунд: звонящие вешают трубку", PATIENCE_MS / 1_000));
    }
    if prompt.raised_centibels >= TOO_SOFT_CENTIBELS {
        told.push(format!("Слишком тихо, подняли на {} дБ", (prompt.raised_centibels + 5) / 10));
    }
    if prompt.clipped > 0 {
        told.push("Слышно обрезание (клиппинг), запишите дальше от микрофона".to_owned());
    }
    if !prompt.damage.is_empty() {
        told.push("Файл повреждён: послушайте, всё ли на месте".to_owned());
    }
    told
}

/// What is heard besides, or instead.
fn note(kind: GreetingKind, line: &Line, wall: &Wall<'_>) -> Option<String> {
    match kind {
        GreetingKind::Closed | GreetingKind::Holiday => {
            let calendar = &line.calendar;
            let next = calendar.answer(wall.now).next_period?;
            let promise = wording::promise_on(&next, calendar.time_zone(), wall.now);
            Some(format!("После записи робот называет день, например: «{promise}»"))
        }
        GreetingKind::Fault => Some(
            "Звучит, только если записывает АТС школы и записать она не может. Операторы связи записывают сами: у них \
             вместо этого текста звучит предложение оставить сообщение."
                .to_owned(),
        ),
        GreetingKind::Busy | GreetingKind::BusyLate | GreetingKind::Thanks => None,
    }
}

/// What has just been done, told once.
pub(super) fn said(did: &str) -> Option<&'static str> {
    match did {
        "new" => Some("Загружено. Послушайте и включите: пока всё звучит, как раньше."),
        "on" => Some("Включено. Звучит со следующего звонка."),
        "off" => Some("Выключено. Со следующего звонка говорит робот."),
        "dropped" => Some("Черновик удалён."),
        "kept" => Some("Это приветствие звонящие уже слышали, поэтому оно хранится. Выключить его можно."),
        _ => None,
    }
}

/// «23 с», never 0.
fn seconds(ms: i64) -> String {
    format!("{}\u{a0}с", ((ms + 500) / 1_000).max(1))
}
