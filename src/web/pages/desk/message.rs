//! One voice message, as the list and the log show it.

use crate::core::officer::Role;
use crate::recordings::LEAST_SPEECH_MS;
use crate::store::{Person, Voicemail, VoicemailState};
use crate::web::pages::waveform;
use crate::web::pages::words::{Wall, length};

/// Below this a message is labelled as very short (UX §2).
const SHORT_MS: i64 = 2_000;
/// Below −45 dBFS nothing can be heard on a telephone.
const SILENCE_CENTIBELS: i64 = -450;

pub(in crate::web::pages) struct Message {
    pub id: i64,
    pub received: String,
    /// «0:14»; empty while unknown.
    pub length: String,
    /// Its length for a player that has not loaded the sound yet.
    pub seconds: i64,
    /// The address of the sound, if this person may listen.
    pub audio: Option<String>,
    /// The picture, if there is sound.
    pub wave: Option<String>,
    pub view_box: String,
    /// What is to be known about it, in a sentence.
    pub notes: Vec<String>,
    /// What a machine has understood; it may be wrong.
    pub transcript: Option<String>,
}

pub(in crate::web::pages) fn messages(voicemails: &[Voicemail], person: &Person, wall: &Wall<'_>) -> Vec<Message> {
    messages_of(voicemails, person, wall, None)
}

/// `dialable`: whether there is a number to call back; `None`: it does not matter here.
pub(super) fn messages_of(
    voicemails: &[Voicemail],
    person: &Person,
    wall: &Wall<'_>,
    dialable: Option<bool>,
) -> Vec<Message> {
    voicemails.iter().map(|voicemail| Message::of(voicemail, person, wall, dialable)).collect()
}

/// Why a recording could not be had, from the words of the job that tried.
fn why_lost(failure: Option<&str>) -> String {
    let failure = failure.unwrap_or("");
    match failure.strip_prefix("the provider answered ") {
        Some(status) => format!("оператор связи: {}", status.split(' ').next().unwrap_or(status)),
        None if failure.starts_with("the provider cannot be reached") => "оператор связи не отвечает".to_owned(),
        None => "файл не читается".to_owned(),
    }
}

impl Message {
    fn of(voicemail: &Voicemail, person: &Person, wall: &Wall<'_>, dialable: Option<bool>) -> Self {
        let stored = voicemail.state == VoicemailState::Stored;
        let sound = voicemail.sound.as_ref().filter(|_| stored);
        let may_listen = person.role >= Role::Officer;
        let mut notes = Vec::new();
        match voicemail.state {
            VoicemailState::Pending => {
                notes.push("Запись ещё передаётся от оператора связи. Появится сама, обычно до 2 минут.".to_owned());
            }
            VoicemailState::Failed => {
                let why = why_lost(voicemail.failure.as_deref());
                notes.push(match dialable {
                    Some(true) => {
                        format!("Запись получить не удалось ({why}). Перезвоните по номеру, он определён.")
                    }
                    _ => format!("Запись получить не удалось ({why})."),
                });
            }
            VoicemailState::Erased => notes.push("Запись удалена по сроку хранения.".to_owned()),
            VoicemailState::Stored => {}
        }
        if let Some(sound) = sound {
            if sound.speech_ms < LEAST_SPEECH_MS {
                let what = if sound.loudness_centibels < SILENCE_CENTIBELS {
                    "тишины"
                } else {
                    "гудков или шума"
                };
                notes.push(format!("В сообщении не слышно речи ({} с {what}).", (sound.length_ms + 500) / 1000));
            } else if sound.length_ms < SHORT_MS {
                notes.push("Очень короткое сообщение.".to_owned());
            }
            if !sound.damage.is_empty() {
                notes.push("Запись повреждена: слышно может быть не всё.".to_owned());
            }
            if !may_listen {
                notes.push("Слушать записи может роль «Сотрудник».".to_owned());
            }
        }
        Self {
            id: voicemail.id,
            seconds: sound.map_or(0, |sound| (sound.length_ms + 999) / 1000),
            transcript: None,
            received: wall.listed(voicemail.received_at),
            length: sound.map_or_else(String::new, |sound| length(sound.length_ms)),
            audio: sound.filter(|_| may_listen).map(|_| format!("/api/v1/voicemails/{}/audio", voicemail.id)),
            wave: sound.filter(|_| may_listen).map(|sound| waveform::path(&sound.peaks)),
            view_box: waveform::view_box(),
            notes,
        }
    }
}
