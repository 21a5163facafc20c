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

#[derive(Clone)]
pub(in crate::web::pages) struct Message {
    pub received: String,
    /// «0:14»; empty while unknown.
    pub length: String,
    /// The address of the sound, if this person may listen.
    pub audio: Option<String>,
    /// The picture, if there is sound.
    pub wave: Option<String>,
    pub view_box: String,
    /// What is to be known about it, in a sentence.
    pub notes: Vec<String>,
}

pub(in crate::web::pages) fn messages(voicemails: &[Voicemail], person: &Person, wall: &Wall<'_>) -> Vec<Message> {
    voicemails.iter().map(|voicemail| Message::of(voicemail, person, wall)).collect()
}

impl Message {
    fn of(voicemail: &Voicemail, person: &Person, wall: &Wall<'_>) -> Self {
        let stored = voicemail.state == VoicemailState::Stored;
        let sound = voicemail.sound.as_ref().filter(|_| stored);
        let may_listen = person.role >= Role::Officer;
        let mut notes = Vec::new();
        match voicemail.state {
            VoicemailState::Pending => {
                notes.push("Запись ещё передаётся от оператора связи. Появится сама, обычно до 2 минут.".to_owned());
            }
            VoicemailState::Failed => {
                notes.push("Запись получить не удалось. Перезвоните по номеру, если он определён.".to_owned());
            }
            VoicemailState::Erased => notes.push(match &voicemail.failure {
                Some(reason) => format!("Запись удалена: {reason}"),
                None => "Запись удалена по сроку хранения.".to_owned(),
            }),
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
            received: wall.listed(voicemail.received_at),
            length: sound.map_or_else(String::new, |sound| length(sound.length_ms)),
            audio: sound.filter(|_| may_listen).map(|_| format!("/api/v1/voicemails/{}/audio", voicemail.id)),
            wave: sound.filter(|_| may_listen).map(|sound| waveform::path(&sound.peaks)),
            view_box: waveform::view_box(),
            notes,
        }
    }
}
