//! The sound of a message: fetched from the provider, checked, measured, kept; only then deleted there (R5).

use reqwest::{Response, StatusCode, Url};

use super::http::HttpError;
use super::{Ended, Worker};
use crate::core::call::{CallKey, Fact};
use crate::providers::{ApiRequest, Archive, ForbiddenUrl};
use crate::recordings::{self, Analysis, KeepError, Kept, RecordingName, Unplayable};
use crate::store::{Job, JobKind, StoredSound, Voicemail, VoicemailState};
use crate::time::{SignedDuration, Timestamp};

/// The largest recording, bytes: an hour of 8 kHz stereo. The longest message a line may take is ten minutes.
pub(super) const LARGEST_RECORDING: u64 = 128 * 1024 * 1024;
/// After this long without the sound somebody is told.
const LATE_MS: i64 = 3_600_000;
/// After this long the sound is given up: Telnyx's addresses live ten minutes, Twilio keeps its copy until we delete it.
const HOPELESS_MS: i64 = 7 * 24 * 3_600_000;
/// Tries at least before a damaged or shortened file is kept as it is, with the provider's copy left alone.
const TRIES_FOR_A_WHOLE_FILE: i64 = 3;
/// How much shorter than the provider said a file may be: its seconds are rounded.
const ROUNDING_MS: i64 = 2_000;

/// Why the sound is not here yet.
pub(super) enum Missed {
    Forbidden(ForbiddenUrl),
    Http(HttpError),
    /// The answer was no sound, or the download broke off.
    NotSound(String),
    Disk(KeepError),
    /// It was kept and cannot be read again.
    Unreadable(String),
}

impl Worker {
    pub(super) async fn fetch_recording(&self, job: &Job) -> Ended {
        let now = self.clock.now();
        let voicemail = match self.store.voicemail(job.subject).await {
            Ok(Some(voicemail)) if voicemail.state == VoicemailState::Pending => voicemail,
            // Also after a crash between the commit that stored it and the end of the alarm.
            Ok(_) => {
                self.clear_alarm("recording_late", job.subject, now).await;
                return Ended::Done;
            }
            Err(failed) => return failed.into(),
        };
        match self.arrived(&voicemail).await {
            Ok(Some((kept, broke_off))) => return self.keep(job, &voicemail, None, kept, broke_off, now).await,
            Ok(None) => {}
            Err(missed) => return self.missed(job, &voicemail, missed, now).await,
        }
        let Some(provider) = self.providers.get(&voicemail.provider) else {
            let told =
                format!("Запись осталась у оператора связи «{}», которого нет в настройках.", voicemail.provider);
            self.alarm("recording_late", voicemail.id, &told, now).await;
            return Ended::After(SignedDuration::from_hours(1), "the provider is configured no longer".to_owned());
        };
        let Some(archive) = provider.archive() else {
            // Between the commit that made its row and the writing of the file, or the provider sends it once more.
            let not_yet = Missed::NotSound("the sound has not come yet".to_owned());
            return self.missed(job, &voicemail, not_yet, now).await;
        };
        match self.download(archive, &voicemail, now).await {
            Ok(kept) => self.keep(job, &voicemail, Some(archive), kept, String::new(), now).await,
            Err(missed) => self.missed(job, &voicemail, missed, now).await,
        }
    }

    async fn download(&self, archive: &dyn Archive, voicemail: &Voicemail, now: Timestamp) -> Result<Kept, Missed> {
        let mut response = self.begin_download(archive, voicemail, now).await?;
        let broke_off = |error: reqwest::Error| Missed::Http(error.into());
        let mut beginning = Vec::new();
        while beginning.len() < 64 {
            match response.chunk().await.map_err(broke_off)? {
                Some(chunk) => beginning.extend_from_slice(&chunk),
                None => break,
            }
        }
        let container = recordings::sniff(&beginning).map_err(|unplayable| Missed::NotSound(unplayable.to_string()))?;
        let name = RecordingName::of(voicemail.id, voicemail.received_at, container.extension())
            .map_err(|bad| Missed::NotSound(bad.to_string()))?;
        let mut incoming = self.folder.begin(name, LARGEST_RECORDING).await.map_err(Missed::Disk)?;
        incoming.write(&beginning).await.map_err(Missed::Disk)?;
        while let Some(chunk) = response.chunk().await.map_err(broke_off)? {
            incoming.write(&chunk).await.map_err(Missed::Disk)?;
        }
        incoming.finish().await.map_err(Missed::Disk)
    }

    /// The answer with the sound. Telnyx's addresses live ten minutes: one that has expired, or was never told, is asked
    /// for anew.
    async fn begin_download(
        &self,
        archive: &dyn Archive,
        voicemail: &Voicemail,
        now: Timestamp,
    ) -> Result<Response, Missed> {
        let call_id = &voicemail.provider_call_id;
        let told = archive.recording_request(call_id, &voicemail.recording_id, voicemail.url.as_deref());
        let (missed, ask_anew) = match told {
            Ok(mut request) => {
                let ask_anew = request.fallback.take();
                match self.http.fetch(archive, request).await {
                    Ok(response) => return Ok(response),
                    Err(HttpError::Status(status)) if may_have_expired(status) => {
                        (Missed::Http(HttpError::Status(status)), ask_anew)
                    }
                    Err(failed) => return Err(Missed::Http(failed)),
                }
            }
            Err(missing @ ForbiddenUrl::Missing) => {
                (Missed::Forbidden(missing), Some(archive.recordings_of_call_request(call_id)))
            }
            Err(forbidden) => return Err(Missed::Forbidden(forbidden)),
        };
        let Some(ask_anew) = ask_anew else { return Err(missed) };
        let Some(fresh) = self.fresh_address(archive, voicemail, ask_anew, now).await? else { return Err(missed) };
        let request =
            archive.recording_request(call_id, &voicemail.recording_id, Some(&fresh)).map_err(Missed::Forbidden)?;
        self.http.fetch(archive, request).await.map_err(Missed::Http)
    }

    /// Where the recording lies now, among the recordings of its call. Its id may be one of our making, the end of the
    /// address; then the address is the same but for its signature.
    async fn fresh_address(
        &self,
        archive: &dyn Archive,
        voicemail: &Voicemail,
        ask_anew: ApiRequest,
        now: Timestamp,
    ) -> Result<Option<String>, Missed> {
        let list = self.http.ask(ask_anew).await.map_err(Missed::Http)?;
        let key = CallKey {
            provider: voicemail.provider.as_str().into(),
            provider_call_id: voicemail.provider_call_id.clone(),
        };
        let events = archive.parse_recordings(&list, &key, now).map_err(|bad| Missed::NotSound(bad.to_string()))?;
        let place = |url: &str| Url::parse(url).ok().map(|url| (url.origin(), url.path().to_owned()));
        let told_place = voicemail.url.as_deref().and_then(place);
        Ok(events.into_iter().find_map(|event| match event.fact {
            Fact::Recording { id, url: Some(url), .. }
                if id == voicemail.recording_id || told_place.is_some() && place(&url) == told_place =>
            {
                Some(url)
            }
            _ => None,
        }))
    }

    /// The file is on our disk: measured, written down, and the provider's copy to be deleted if ours is whole. Without an
    /// archive there is no other copy, and nothing to try again.
    async fn keep(
        &self,
        job: &Job,
        voicemail: &Voicemail,
        archive: Option<&dyn Archive>,
        kept: Kept,
        broke_off: String,
        now: Timestamp,
    ) -> Ended {
        let analysis = match self.analyse(&kept.name).await {
            Ok(analysis) => analysis,
            Err(reason) => return self.missed(job, voicemail, Missed::Unreadable(reason), now).await,
        };
        let length_ms = analysis.as_ref().map_or(0, |analysis| analysis.sound.length_ms);
        let is_short = is_short(voicemail, length_ms);
        let damage = if broke_off.is_empty() { damage(&analysis, is_short) } else { broke_off };
        // Tries that never got a file say nothing about it: only the same damage twice in a row is the file's own.
        let is_lasting = job.attempts + 1 >= TRIES_FOR_A_WHOLE_FILE && job.last_error.as_ref() == Some(&damage);
        if !damage.is_empty() && archive.is_some() && !is_lasting && self.age_ms(job) < HOPELESS_MS {
            return Ended::Later(damage);
        }
        let is_whole = damage.is_empty();
        if !is_whole {
            let told = match archive {
                Some(_) => format!("Запись сохранена, но повреждена ({damage}). Копия у оператора связи не удалена."),
                None => format!("Запись сохранена такой, какой пришла, но она повреждена ({damage})."),
            };
            self.alarm("recording_damaged", voicemail.id, &told, now).await;
        }
        let delete_there =
            is_whole && archive.is_some_and(|archive| archive.deletion_request(&voicemail.recording_id).is_some());
        let sound = stored_sound(kept, analysis.ok(), damage);
        let next: &[JobKind] = match (delete_there, self.is_worth_transcribing(&sound)) {
            (true, true) => &[JobKind::DeleteRecording, JobKind::Transcribe],
            (true, false) => &[JobKind::DeleteRecording],
            (false, true) => &[JobKind::Transcribe],
            (false, false) => &[],
        };
        match self.store.voicemail_stored(voicemail.id, sound, next, now).await {
            Ok(()) => {
                self.forget_arrived(voicemail.id).await;
                self.clear_alarm("recording_late", voicemail.id, now).await;
                self.clear_alarm("recording_lost", voicemail.id, now).await;
                if is_whole {
                    self.clear_alarm("recording_damaged", voicemail.id, now).await;
                }
                self.clear_alarm("no_space", 0, now).await;
                Ended::Done
            }
            Err(failed) => failed.into(),
        }
    }

    async fn analyse(&self, name: &RecordingName) -> Result<Result<Analysis, Unplayable>, String> {
        let bytes = self.folder.read(name).await.map_err(|error| error.to_string())?;
        measured_apart(move || recordings::analyse(&bytes)).await
    }

    async fn missed(&self, job: &Job, voicemail: &Voicemail, missed: Missed, now: Timestamp) -> Ended {
        let age_ms = self.age_ms(job);
        let (reason, is_final) = match &missed {
            Missed::Forbidden(forbidden) => (forbidden.to_string(), age_ms > HOPELESS_MS),
            Missed::Http(error) => (error.to_string(), age_ms > HOPELESS_MS),
            Missed::NotSound(what) => (what.clone(), age_ms > HOPELESS_MS),
            Missed::Disk(error @ KeepError::TooLarge { .. }) => (error.to_string(), true),
            Missed::Disk(error) => (error.to_string(), false),
            Missed::Unreadable(why) => (why.clone(), false),
        };
        if is_final {
            let told = format!("Запись получить не удалось: {reason}. Обращение осталось в списке.");
            self.alarm("recording_lost", voicemail.id, &told, now).await;
            return match self.store.voicemail_failed(voicemail.id, &reason).await {
                Ok(()) => {
                    self.clear_alarm("recording_late", voicemail.id, now).await;
                    Ended::GivenUp(reason)
                }
                Err(failed) => failed.into(),
            };
        }
        match missed {
            Missed::Disk(KeepError::NoSpace(_)) => {
                let told = "Нет места для записей. Сообщения ждут у оператора связи: освободите диск.";
                self.alarm("no_space", 0, told, now).await;
                Ended::After(SignedDuration::from_mins(5), reason)
            }
            Missed::Http(HttpError::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) => {
                let told = format!(
                    "Оператор связи не отдаёт запись: {reason}. Проверьте account_sid, auth_tokens и api_token."
                );
                self.alarm("recording_late", voicemail.id, &told, now).await;
                Ended::Later(reason)
            }
            // Most often the storage's host is missing in the configuration: the message waits until somebody adds it.
            Missed::Forbidden(
                ForbiddenUrl::UnlistedHost(_)
                | ForbiddenUrl::Private(_)
                | ForbiddenUrl::NotHttps
                | ForbiddenUrl::WithCredentials
                | ForbiddenUrl::Unreadable,
            )
            | Missed::Http(HttpError::ForbiddenRedirect(_)) => {
                let told = format!(
                    "Запись лежит там, откуда её брать не разрешено: {reason}. \
                     Если это хранилище оператора связи, добавьте его в recording_hosts."
                );
                self.alarm("recording_late", voicemail.id, &told, now).await;
                Ended::After(SignedDuration::from_hours(1), reason)
            }
            Missed::Forbidden(ForbiddenUrl::Missing)
            | Missed::Http(_)
            | Missed::NotSound(_)
            | Missed::Disk(_)
            | Missed::Unreadable(_) => {
                if age_ms >= LATE_MS {
                    let told = format!("Записи нет уже час: {reason}. Попытки продолжаются.");
                    self.alarm("recording_late", voicemail.id, &told, now).await;
                }
                Ended::Later(reason)
            }
        }
    }

    /// Deletes the provider's copy. Not there any more counts as done.
    pub(super) async fn delete_recording(&self, job: &Job) -> Ended {
        let voicemail = match self.store.voicemail(job.subject).await {
            Ok(Some(voicemail)) => voicemail,
            Ok(None) => return Ended::Done,
            Err(failed) => return failed.into(),
        };
        let now = self.clock.now();
        let Some(provider) = self.providers.get(&voicemail.provider) else {
            let told = format!(
                "Копия записи не удалена у оператора связи «{}», которого нет в настройках.",
                voicemail.provider
            );
            self.alarm("recording_not_deleted", voicemail.id, &told, now).await;
            return Ended::After(SignedDuration::from_hours(1), "the provider is configured no longer".to_owned());
        };
        let request = provider.archive().and_then(|archive| archive.deletion_request(&voicemail.recording_id));
        let Some(request) = request else {
            self.clear_alarm("recording_not_deleted", voicemail.id, now).await;
            return Ended::Done;
        };
        let deleted = self.http.ask(request).await;
        match deleted {
            Ok(_) | Err(HttpError::Status(StatusCode::NOT_FOUND | StatusCode::GONE)) => {
                match self.store.voicemail_deleted_at_provider(voicemail.id, now).await {
                    Ok(()) => {
                        self.clear_alarm("recording_not_deleted", voicemail.id, now).await;
                        Ended::Done
                    }
                    Err(failed) => failed.into(),
                }
            }
            Err(failed) if self.age_ms(job) > HOPELESS_MS => {
                let told = format!("Запись не удаляется у оператора связи: {failed}. Удалите её в его кабинете.");
                self.alarm("recording_not_deleted", voicemail.id, &told, now).await;
                Ended::GivenUp(failed.to_string())
            }
            Err(failed) => Ended::Later(failed.to_string()),
        }
    }
}

/// Storages answer an expired signature in any of these ways.
fn may_have_expired(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE)
}

/// Measuring is work for a thread of its own: tens of milliseconds per minute of sound. A file that brings the decoder
/// down is a broken file, and the next try would bring it down again.
pub(super) async fn measured_apart(
    measure: impl FnOnce() -> Result<Analysis, Unplayable> + Send + 'static,
) -> Result<Result<Analysis, Unplayable>, String> {
    match tokio::task::spawn_blocking(measure).await {
        Ok(analysis) => Ok(analysis),
        Err(died) if died.is_panic() => Ok(Err(Unplayable::Broken("measuring it failed".to_owned()))),
        Err(cancelled) => Err(cancelled.to_string()),
    }
}

/// Whether clearly less came than the provider said there was.
pub(super) fn is_short(voicemail: &Voicemail, length_ms: i64) -> bool {
    voicemail
        .provider_seconds
        .is_some_and(|seconds| length_ms + ROUNDING_MS < seconds.saturating_mul(1000).saturating_mul(9) / 10)
}

/// What is wrong with the file, in words; empty if nothing.
pub(super) fn damage(analysis: &Result<Analysis, Unplayable>, is_short: bool) -> String {
    let mut found: Vec<String> = match analysis {
        Ok(analysis) => analysis.sound.damage.iter().map(ToString::to_string).collect(),
        Err(unplayable) => vec![unplayable.to_string()],
    };
    if is_short {
        found.push("the sound is shorter than the provider said".to_owned());
    }
    found.join("; ")
}

pub(super) fn stored_sound(kept: Kept, analysis: Option<Analysis>, damage: String) -> StoredSound {
    let (size_bytes, sha256) = (kept.size_bytes.try_into().unwrap_or(i64::MAX), kept.sha256.0.to_vec());
    let name = kept.name.to_string();
    match analysis {
        Some(Analysis { sound, speech_ms, .. }) => StoredSound {
            name,
            format: sound.format.to_string(),
            content_type: sound.content_type.to_owned(),
            size_bytes,
            sha256,
            length_ms: sound.length_ms,
            speech_ms,
            loudness_centibels: (sound.loudness_dbfs * 10.0).round() as i64,
            peaks: sound.peaks,
            damage,
        },
        None => StoredSound {
            name,
            format: "unknown".to_owned(),
            content_type: "application/octet-stream".to_owned(),
            size_bytes,
            sha256,
            length_ms: 0,
            speech_ms: 0,
            loudness_centibels: 0,
            peaks: Vec::new(),
            damage,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_brings_the_decoder_down_is_a_broken_file_and_no_reason_to_try_for_ever() {
        let analysis = measured_apart(|| panic!("as a decoder may")).await.expect("an answer about the file");
        assert!(matches!(analysis, Err(Unplayable::Broken(_))));
        assert!(!damage(&analysis, false).is_empty());
    }
}
