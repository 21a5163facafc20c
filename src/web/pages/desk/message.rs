//! One voice message, as the list and the log show it.

use crate::core::officer::Role;
use crate::core::phone::PhoneNumber;
use crate::recordings::{Folder, LEAST_SPEECH_MS, RecordingName};
use crate::store::{Person, StoredSound, Voicemail, VoicemailState};
use crate::time::elapsed_ms;
use crate::web::pages::dial_link::DialLink;
use crate::web::pages::waveform;
use crate::web::pages::words::{Wall, length};

/// A recording is there after this long as a rule: then officers are offered to try again.
const USUAL_DELAY_MS: i64 = 2 * 60_000;
/// Below this a message is labelled as very short (UX §2).
const SHORT_MS: i64 = 2_000;
/// Below −45 dBFS nothing can be heard on a telephone.
const SILENCE_CENTIBELS: i64 = -450;

#[derive(Clone)]
pub(in crate::web::pages) struct Message {
    pub id: i64,
    pub received: String,
    /// «0:14»; empty while unknown.
    pub length: String,
    /// Its length for a player that has not loaded the sound yet.
    pub seconds: i64,
    /// The address of the sound, if this person may listen.
    pub audio: Option<String>,
    /// Its file, if there is one.
    recording: Option<RecordingName>,
    /// The picture, if there is sound.
    pub wave: Option<String>,
    pub view_box: String,
    /// What is to be known about it, in a sentence.
    pub notes: Vec<String>,
    /// The address of the form that has it tried again, if not all of it is here and this person may.
    pub retry: Option<String>,
    /// Its words, if this person may listen.
    pub transcript: Option<String>,
    pub said_number: Option<SaidNumber>,
}

/// A number said in the message that is not the one the network showed.
#[derive(Clone)]
pub(in crate::web::pages) struct SaidNumber {
    pub number: PhoneNumber,
    /// «8 928 832-80-88».
    pub spaced: String,
    /// Whether the network showed one at all.
    pub differs: bool,
    /// Where «Звонить на него» leads; `None`: it is not to be dialled from here.
    pub dial: Option<DialLink>,
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

/// Says of messages that cannot be decrypted why, in the place of their player. While the key is in its place nothing is read.
pub(in crate::web::pages) async fn tell_locked(folder: &Folder, messages: &mut [Message]) {
    let Err(error) = folder.key_state().await else { return };
    for message in messages.iter_mut().filter(|message| message.audio.is_some()) {
        let Some(name) = &message.recording else { continue };
        if folder.is_encrypted(name).await {
            message.audio = None;
            let why = error.in_russian();
            message.notes.push(format!("Сообщение зашифровано и пока не звучит: {why}. Скажите администратору."));
        }
    }
}

/// Why a recording could not be had, from the words of the job that tried.
fn why_lost(failure: Option<&str>) -> String {
    let failure = failure.unwrap_or("");
    match failure.strip_prefix("the provider answered ") {
        Some(status) => format!("оператор связи: {}", status.split(' ').next().unwrap_or(status)),
        None if failure.starts_with("the recording is larger") => {
            "она слишком большая, послушайте её в кабинете оператора связи".to_owned()
        }
        None if failure.starts_with("the provider told no address") => "оператор связи не назвал её адреса".to_owned(),
        None => "файл не читается".to_owned(),
    }
}

impl Message {
    fn of(voicemail: &Voicemail, person: &Person, wall: &Wall<'_>, dialable: Option<bool>) -> Self {
        let stored = voicemail.state == VoicemailState::Stored;
        let sound = voicemail.sound.as_ref().filter(|_| stored);
        let measured_ms = sound.and_then(StoredSound::measured_ms);
        let may_listen = person.role >= Role::Officer;
        let mut notes = Vec::new();
        let is_late = elapsed_ms(voicemail.received_at, wall.now) >= USUAL_DELAY_MS;
        let may_be_tried = match voicemail.state {
            VoicemailState::Pending => is_late,
            VoicemailState::Failed => true,
            // The sound of an exchange, which has no address, is nowhere else.
            VoicemailState::Stored => voicemail.url.is_some() && voicemail.may_become_whole(),
            VoicemailState::Erased => false,
        };
        match voicemail.state {
            VoicemailState::Pending if is_late => {
                notes.push("Запись ещё передаётся от оператора связи. Попытки продолжаются.".to_owned());
            }
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
            VoicemailState::Erased => notes.push(match &voicemail.failure {
                Some(reason) => format!("Запись удалена: {reason}"),
                None => "Запись удалена по сроку хранения.".to_owned(),
            }),
            VoicemailState::Stored => {}
        }
        if let Some(sound) = sound {
            if measured_ms.is_none() {
                notes.push("Не удалось измерить, послушайте.".to_owned());
            } else if sound.speech_ms < LEAST_SPEECH_MS {
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
            seconds: measured_ms.map_or(0, |length_ms| (length_ms + 999) / 1000),
            received: wall.listed(voicemail.received_at),
            length: measured_ms.map_or_else(String::new, length),
            audio: sound.filter(|_| may_listen).map(|_| format!("/api/v1/voicemails/{}/audio", voicemail.id)),
            recording: sound.and_then(|sound| sound.name.parse().ok()),
            wave: sound.filter(|_| may_listen && measured_ms.is_some()).map(|sound| waveform::path(&sound.peaks)),
            view_box: waveform::view_box(),
            notes,
            retry: (may_be_tried && may_listen)
                .then(|| format!("/calls/{}/recordings/{}/retry", voicemail.call_id, voicemail.id)),
            transcript: sound.and(voicemail.transcript.as_ref()).filter(|_| may_listen).map(|it| it.text.clone()),
            said_number: sound.filter(|_| may_listen).and_then(|_| voicemail.said_number()).map(|number| SaidNumber {
                spaced: number.spaced(),
                number,
                dial: None,
                differs: voicemail.caller.is_some(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::line_scope::LineScope;
    use crate::core::officer::Actor;
    use crate::store::Transcript;
    use crate::time::{TimeZone, Timestamp};

    fn voicemail(caller: Option<&str>, text: &str) -> Voicemail {
        let at = Timestamp::UNIX_EPOCH;
        let sound = StoredSound {
            name: "1970/01/1.wav".to_owned(),
            format: "wav".to_owned(),
            content_type: "audio/wav".to_owned(),
            size_bytes: 1,
            sha256: Vec::new(),
            length_ms: 9_000,
            speech_ms: 5_000,
            loudness_centibels: -200,
            peaks: vec![0; 200],
            damage: String::new(),
        };
        Voicemail {
            id: 1,
            call_id: 1,
            provider: "twilio".to_owned(),
            provider_call_id: "CA1".to_owned(),
            recording_id: "RE1".to_owned(),
            url: None,
            received_at: at,
            provider_seconds: None,
            state: VoicemailState::Stored,
            sound: Some(sound),
            failure: None,
            deleted_at_provider_at: None,
            caller: caller.map(|number| PhoneNumber::parse(number).unwrap()),
            transcript: Some(Transcript { text: text.to_owned(), model: "small".to_owned(), made_at: at }),
        }
    }

    #[test]
    fn the_words_of_a_message_are_shown_to_those_who_may_listen() {
        let zone = TimeZone::UTC;
        let wall = Wall::new(&zone, Timestamp::UNIX_EPOCH);
        let shown = |role, caller| {
            let person = Person { actor: Actor::system(), role, telephone: None, lines: LineScope::all() };
            let message = Message::of(&voicemail(caller, "Мой номер 8 928 832-80-88"), &person, &wall, None);
            (message.transcript, message.said_number.map(|said| (said.spaced, said.number.to_string(), said.differs)))
        };
        let text = Some("Мой номер 8 928 832-80-88".to_owned());
        let said = |differs| Some(("8 928 832-80-88".to_owned(), "+79288328088".to_owned(), differs));
        assert_eq!(shown(Role::Officer, Some("89280000001")), (text.clone(), said(true)));
        assert_eq!(shown(Role::Officer, None), (text.clone(), said(false)));
        assert_eq!(shown(Role::Officer, Some("89288328088")), (text, None));
        assert_eq!(shown(Role::Observer, Some("89280000001")), (None, None));
    }
}
