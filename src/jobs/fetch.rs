//! The sound of a message: fetched from the provider, checked, measured, kept; only then deleted there (R5).

use std::fmt;

use bytes::Bytes;
use reqwest::{Response, StatusCode, Url};
use tracing::{info, warn};

use super::http::HttpError;
use super::{Ended, JobEnd, Worker};
use crate::core::call::{CallKey, Fact};
use crate::providers::{ApiRequest, Archive, ForbiddenUrl};
use crate::recordings::{
    self, Analysis, Container, Damaged, Incoming, KeepError, Kept, KeyError, ReadError, RecordingName, Unplayable,
};
use crate::store::{Job, JobKind, StoredSound, Voicemail, VoicemailState};
use crate::time::{SignedDuration, Timestamp};

/// The largest recording, bytes: an hour of 8 kHz stereo. The longest message a line may take is ten minutes.
pub(super) const LARGEST_RECORDING: u64 = 128 * 1024 * 1024;
/// After this long without the sound somebody is told.
const LATE_MS: i64 = 3_600_000;
/// A provider that says for this long that it has no such recording is believed. Any other reason may be mended some day,
/// and Twilio keeps its copy until it is told to delete it (provider contract, TwiML §9): such a message is never given up.
const GONE_FOR_MS: i64 = 60 * 24 * 3_600_000;
/// Equal answers in a row before a file that is not whole, or that nobody can measure, is kept as it came, with the
/// provider's copy left alone.
const EQUAL_ANSWERS: i64 = 3;
/// Answers that are never equal are no reason to keep a caller's message from the officers for longer. The tries go on.
const UNEQUAL_FOR_MS: i64 = 24 * 3_600_000;
/// After this long somebody is told that a provider's copy is still there.
const NOT_DELETED_MS: i64 = 24 * 3_600_000;
/// Kinds of the alarms that jobs share.
const LATE: &str = "recording_late";
const NOT_DELETED: &str = "recording_not_deleted";
/// How much shorter than the provider said a file may be: its seconds are rounded.
const ROUNDING_MS: i64 = 1_000;

/// Why the sound is not here yet.
pub(super) enum Missed {
    Forbidden(ForbiddenUrl),
    Http(HttpError),
    /// The answer was no sound, or the download broke off.
    NotSound(String),
    Disk(KeepError),
    /// It was kept and cannot be read again.
    Unreadable(String),
    /// It was kept, and what it is encrypted to is not here.
    Locked(KeyError),
}

impl From<ReadError> for Missed {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Locked { error, .. } => Self::Locked(error),
            error => Self::Unreadable(error.to_string()),
        }
    }
}

/// A file of ours and what is known of it.
pub(super) struct Examined {
    file: Kept,
    analysis: Result<Analysis, Unplayable>,
    /// Some of the sound is not there, in words; empty if all of it is, as far as can be told.
    damage: String,
}

impl Examined {
    /// Measures a file and looks for what is missing in it.
    async fn of(voicemail: &Voicemail, file: Kept, bytes: &Bytes) -> Result<Self, Missed> {
        let measured = bytes.clone();
        let analysis = measured_apart(move || recordings::analyse(&measured)).await.map_err(Missed::Unreadable)?;
        let damage = damage(&analysis, voicemail.provider_seconds);
        Ok(Self { file, analysis, damage })
    }

    /// Only then may the provider delete its copy.
    fn is_whole(&self) -> bool {
        self.damage.is_empty() && self.analysis.is_ok()
    }

    /// Whether there is more of the message in it. Where one of the two cannot be measured their bytes are compared.
    fn holds_more_than(&self, other: &Self) -> bool {
        match (&self.analysis, &other.analysis) {
            (Ok(ours), Ok(theirs)) => ours.sound.length_ms > theirs.sound.length_ms,
            _ => self.file.size_bytes > other.file.size_bytes,
        }
    }

    /// What is the matter with it.
    fn doubt(&self) -> String {
        match &self.analysis {
            Err(unplayable) if self.damage.is_empty() => unplayable.to_string(),
            _ => self.damage.clone(),
        }
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::Http(error) => error.fmt(f),
            Self::Disk(error) => error.fmt(f),
            Self::NotSound(why) | Self::Unreadable(why) => f.write_str(why),
            Self::Locked(error) => write!(f, "what is kept cannot be decrypted: {error}"),
        }
    }
}

impl Missed {
    /// For alarms.
    fn in_russian(&self) -> String {
        match self {
            Self::Http(error) => error.in_russian(),
            Self::Disk(KeepError::Io { source, .. }) => format!("папка записей не пишется ({source})"),
            Self::Disk(KeepError::TooLarge { max_bytes }) => {
                format!("она больше {}\u{a0}МБ", max_bytes / (1024 * 1024))
            }
            Self::Disk(KeepError::NoSpace(_)) => "на диске нет места".to_owned(),
            Self::Disk(KeepError::NoKey(error)) | Self::Locked(error) => error.in_russian().to_owned(),
            Self::Unreadable(_) => "файл не читается".to_owned(),
            Self::NotSound(_) => "вместо звука пришло другое".to_owned(),
            Self::Forbidden(forbidden) => forbidden.in_russian(),
        }
    }

    /// The subject and the text of an alarm that does not wait for an hour: somebody has to change the configuration.
    fn told_at_once(&self, provider: &str) -> Option<(String, String)> {
        match self {
            Self::Http(error) if matches!(error.status(), Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) => {
                let told = format!(
                    "Записи сообщений не приходят: {}. Проверьте account_sid, auth_tokens и api_token.",
                    error.in_russian()
                );
                Some((format!("{provider} refuses access"), told))
            }
            // Most often the storage's host is missing in the configuration: the message waits until somebody adds it.
            Self::Forbidden(
                ForbiddenUrl::UnlistedHost(_)
                | ForbiddenUrl::Private(_)
                | ForbiddenUrl::NotHttps
                | ForbiddenUrl::WithCredentials
                | ForbiddenUrl::Unreadable,
            )
            | Self::Http(HttpError::ForbiddenRedirect(_)) => {
                let told = format!(
                    "Запись лежит там, откуда её брать не разрешено: {}. \
                     Если это хранилище оператора связи, добавьте его в recording_hosts.",
                    self.in_russian()
                );
                // The host is in the reason: each is to be added.
                Some((format!("{provider}: {self}"), told))
            }
            _ => None,
        }
    }
}

impl Worker {
    pub(super) async fn fetch_recording(&self, job: &Job) -> JobEnd {
        let now = self.clock.now();
        let voicemail = match self.store.voicemail(job.subject).await {
            Ok(Some(voicemail)) if voicemail.may_become_whole() => voicemail,
            Ok(_) => return Ended::Done.into(),
            Err(failed) => return failed.into(),
        };
        match self.arrived(&voicemail).await {
            Ok(Some((file, broke_off))) => {
                let examined = match self.examine(&voicemail, file, broke_off).await {
                    Ok(examined) => examined,
                    Err(missed) => return self.missed(job, &voicemail, missed, now).await,
                };
                return self.keep(&voicemail, examined, None, now).await.into();
            }
            Ok(None) => {}
            Err(missed) => return self.missed(job, &voicemail, missed, now).await,
        }
        let provider = self.providers.get(&voicemail.provider);
        let archive = provider.and_then(|provider| provider.archive());
        // Nobody has more of what its provider does not keep.
        if provider.is_some() && archive.is_none() && voicemail.state == VoicemailState::Stored {
            return Ended::Done.into();
        }
        let ours = match self.in_the_folder(&voicemail).await {
            Ok(Some(ours)) if ours.is_whole() => {
                info!(voicemail.id, "The sound of a message is in our own folder already");
                return self.keep(&voicemail, ours, archive, now).await.into();
            }
            Ok(ours) => ours,
            Err(missed) => return self.missed(job, &voicemail, missed, now).await,
        };
        if provider.is_none() {
            let told = format!(
                "Записи сообщений остались у оператора связи «{}», которого нет в настройках.",
                voicemail.provider
            );
            return not_configured().with_alarm(LATE, format!("{} is not configured", voicemail.provider), told);
        }
        let Some(archive) = archive else {
            // Between the commit that made its row and the writing of the file, or the provider sends it once more.
            let not_yet = Missed::NotSound("the sound has not come yet".to_owned());
            return self.missed(job, &voicemail, not_yet, now).await;
        };
        match (self.download(archive, &voicemail, now).await, ours) {
            (Ok(sent), ours) => match self.better_of(&voicemail, sent, ours).await {
                Ok((answer, better)) => {
                    self.keep_if_it_stays_so(job, &voicemail, answer, better, archive, now).await.into()
                }
                Err(missed) => self.missed(job, &voicemail, missed, now).await,
            },
            // What we have is all there is for the time being; officers have waited long enough.
            (Err(Missed::Http(error)), Some(ours)) if error.is_gone() || self.age_ms(job) >= LATE_MS => {
                let next_try =
                    if error.is_gone() && self.age_ms(job) >= GONE_FOR_MS { Ended::Done } else { self.later(&error) };
                let ended = self.keep_for_now(&voicemail, ours, archive, next_try, now).await;
                match Missed::Http(error).told_at_once(&voicemail.provider) {
                    Some((subject, told)) => ended.with_alarm(LATE, subject, told),
                    None => ended.into(),
                }
            }
            (Err(missed), _) => self.missed(job, &voicemail, missed, now).await,
        }
    }

    /// The file that lies under the name of this message: kept before the database was restored from a backup, or by an
    /// earlier try. A whole one is preferred, else the one that holds most.
    async fn in_the_folder(&self, voicemail: &Voicemail) -> Result<Option<Examined>, Missed> {
        let mut found = None;
        for extension in recordings::extensions() {
            let name = RecordingName::of(voicemail.id, voicemail.received_at, extension)
                .map_err(|bad| Missed::Unreadable(bad.to_string()))?;
            let file = match self.folder.kept(&name).await {
                Ok(file) => file,
                Err(ReadError::Missing(_)) => continue,
                // Nothing can be had of it: its provider may have the whole message.
                Err(ReadError::Io { source, .. }) if Damaged::is_in(&source) => continue,
                Err(failed) => return Err(failed.into()),
            };
            let examined = self.examine(voicemail, file, String::new()).await?;
            if examined.is_whole() {
                return Ok(Some(examined));
            }
            if found.as_ref().is_none_or(|other| examined.holds_more_than(other)) {
                found = Some(examined);
            }
        }
        Ok(found)
    }

    /// Measures a file of ours and looks for what is missing. `broke_off`: what is known of that already.
    pub(super) async fn examine(
        &self,
        voicemail: &Voicemail,
        file: Kept,
        broke_off: String,
    ) -> Result<Examined, Missed> {
        let bytes = Bytes::from(self.read(&file.name).await?);
        let mut examined = Examined::of(voicemail, file, &bytes).await?;
        if !broke_off.is_empty() {
            examined.damage = broke_off;
        }
        self.set_lengths_right(examined, &bytes).await
    }

    /// Sets a header right that is silent about the length, or too modest: no player finds the rest otherwise, and the
    /// original goes.
    async fn set_lengths_right(&self, mut examined: Examined, bytes: &[u8]) -> Result<Examined, Missed> {
        if examined.is_whole()
            && let Some(mended) = recordings::with_true_lengths(bytes)
        {
            let mut incoming = self.folder.begin(examined.file.name, u64::MAX).await.map_err(Missed::Disk)?;
            incoming.write(&mended.bytes).await.map_err(Missed::Disk)?;
            examined.file = incoming.finish().await.map_err(Missed::Disk)?;
        }
        Ok(examined)
    }

    /// What the provider has sent, in words, and the better one of that and what we have, in its place. Only a whole file, or
    /// one that holds more, replaces another: half a message may be all that officers will ever hear of it.
    async fn better_of(
        &self,
        voicemail: &Voicemail,
        mut sent: Incoming,
        ours: Option<Examined>,
    ) -> Result<(String, Examined), Missed> {
        let bytes = Bytes::from(sent.read().await.map_err(Missed::Disk)?);
        let examined = Examined::of(voicemail, sent.so_far(), &bytes).await?;
        let answer = format!("{} (sha256 {})", examined.doubt(), examined.file.sha256);
        match ours {
            Some(ours) if !examined.is_whole() && !examined.holds_more_than(&ours) => Ok((answer, ours)),
            _ => {
                sent.finish().await.map_err(Missed::Disk)?;
                Ok((answer, self.set_lengths_right(examined, &bytes).await?))
            }
        }
    }

    async fn read(&self, name: &RecordingName) -> Result<Vec<u8>, Missed> {
        Ok(self.folder.read(name).await?)
    }

    /// All that the provider sends, not yet in the place of what we have.
    async fn download(&self, archive: &dyn Archive, voicemail: &Voicemail, now: Timestamp) -> Result<Incoming, Missed> {
        let mut response = self.begin_download(archive, voicemail, now).await?;
        if response.content_length().is_some_and(|length| length > LARGEST_RECORDING) {
            return Err(Missed::Disk(KeepError::TooLarge { max_bytes: LARGEST_RECORDING }));
        }
        let broke_off = |error: reqwest::Error| Missed::Http(error.into());
        let mut beginning = Vec::new();
        let only_zeros = |beginning: &[u8]| beginning.iter().all(|byte| *byte == 0);
        while beginning.len() < 64 || (beginning.len() < recordings::MAX_ZEROS && only_zeros(&beginning)) {
            match response.chunk().await.map_err(broke_off)? {
                Some(chunk) => beginning.extend_from_slice(&chunk),
                None => break,
            }
        }
        // An error page is no recording, whatever its status. What nobody knows may be one.
        let extension = match recordings::sniff(&beginning) {
            Ok(container) => container.extension(),
            Err(unplayable @ (Unplayable::Empty | Unplayable::NotSound(_))) => {
                return Err(Missed::NotSound(unplayable.to_string()));
            }
            Err(_) => recordings::UNKNOWN_EXTENSION,
        };
        let name = RecordingName::of(voicemail.id, voicemail.received_at, extension)
            .map_err(|bad| Missed::NotSound(bad.to_string()))?;
        let mut incoming = self.folder.begin(name, LARGEST_RECORDING).await.map_err(Missed::Disk)?;
        incoming.write(&beginning).await.map_err(Missed::Disk)?;
        while let Some(chunk) = response.chunk().await.map_err(broke_off)? {
            incoming.write(&chunk).await.map_err(Missed::Disk)?;
        }
        Ok(incoming)
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
                match self.http.fetch(archive, request, LARGEST_RECORDING).await {
                    Ok(response) => return Ok(response),
                    Err(failed) if failed.status().is_some_and(may_have_expired) => (Missed::Http(failed), ask_anew),
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
        self.http.fetch(archive, request, LARGEST_RECORDING).await.map_err(Missed::Http)
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

    /// A file that is not whole, or that nobody can measure, may be another one a moment later. `answer`: what the provider
    /// has sent, which may be less than the file.
    async fn keep_if_it_stays_so(
        &self,
        job: &Job,
        voicemail: &Voicemail,
        answer: String,
        examined: Examined,
        archive: &dyn Archive,
        now: Timestamp,
    ) -> Ended {
        if examined.is_whole() {
            return self.keep(voicemail, examined, Some(archive), now).await;
        }
        // Tries that never got a file say nothing about it: only the same file again and again is what there is.
        let equal = if job.last_error.as_ref() == Some(&answer) { job.same_error + 1 } else { 1 };
        if equal >= EQUAL_ANSWERS || self.age_ms(job) >= GONE_FOR_MS {
            return self.keep_for_now(voicemail, examined, archive, Ended::Done, now).await;
        }
        if self.age_ms(job) < UNEQUAL_FOR_MS && voicemail.state != VoicemailState::Stored {
            return Ended::Later(answer);
        }
        self.keep_for_now(voicemail, examined, archive, Ended::Later(answer), now).await
    }

    /// Officers hear what there is. Unless `next_try` says otherwise the tries go on: the provider may have the whole of it.
    async fn keep_for_now(
        &self,
        voicemail: &Voicemail,
        examined: Examined,
        archive: &dyn Archive,
        next_try: Ended,
        now: Timestamp,
    ) -> Ended {
        let is_kept = voicemail.state == VoicemailState::Stored
            && voicemail.sound.as_ref().is_some_and(|sound| sound.sha256 == examined.file.sha256.0);
        if is_kept {
            return next_try;
        }
        match self.keep(voicemail, examined, Some(archive), now).await {
            Ended::Done => next_try,
            failed => failed,
        }
    }

    /// The file is on our disk: written down, and the provider's copy to be deleted if ours is whole. Without an archive
    /// there is no other copy.
    pub(super) async fn keep(
        &self,
        voicemail: &Voicemail,
        examined: Examined,
        archive: Option<&dyn Archive>,
        now: Timestamp,
    ) -> Ended {
        let is_whole = examined.is_whole();
        if !is_whole {
            warn!(voicemail.id, "A recording is not whole: {}", examined.doubt());
        }
        let name = examined.file.name.clone();
        let is_damaged = !examined.damage.is_empty();
        let delete_there =
            is_whole && archive.is_some_and(|archive| archive.deletion_request(&voicemail.recording_id).is_some());
        if !is_whole {
            let copy = if archive.is_some() {
                " Копия у оператора связи не удалена."
            } else {
                ""
            };
            let (kind, told) = if is_damaged {
                ("recording_damaged", format!("Запись сохранена такой, какой пришла, но она повреждена.{copy}"))
            } else {
                ("recording_unmeasured", format!("Запись сохранена, но измерить её не удалось. Послушайте её.{copy}"))
            };
            self.alarm(kind, voicemail.id, &told, now).await;
        }
        let sound = stored_sound(examined);
        let next: &[JobKind] = match (delete_there, self.is_worth_transcribing(&sound)) {
            (true, true) => &[JobKind::DeleteRecording, JobKind::Transcribe],
            (true, false) => &[JobKind::DeleteRecording],
            (false, true) => &[JobKind::Transcribe],
            (false, false) => &[],
        };
        match self.store.voicemail_stored(voicemail.id, sound, next, now).await {
            Ok(()) => {
                self.forget_arrived(voicemail.id).await;
                self.forget_other_files(voicemail, &name).await;
                let over =
                    [("recording_lost", true), ("recording_damaged", !is_damaged), ("recording_unmeasured", is_whole)];
                for (kind, _) in over.into_iter().filter(|(_, is_over)| *is_over) {
                    self.clear_alarm(kind, voicemail.id, now).await;
                }
                self.clear_alarm("no_space", 0, now).await;
                Ended::Done
            }
            Err(failed) => failed.into(),
        }
    }

    /// Takes away what earlier tries have left under the other names of the message that is kept as `name`.
    async fn forget_other_files(&self, voicemail: &Voicemail, name: &RecordingName) {
        for extension in recordings::extensions() {
            let Ok(other) = RecordingName::of(voicemail.id, voicemail.received_at, extension) else { continue };
            if other != *name
                && let Err(failed) = self.folder.remove(&other).await
            {
                warn!(voicemail.id, error = %failed, "A file that is not needed any more stays");
            }
        }
    }

    async fn missed(&self, job: &Job, voicemail: &Voicemail, missed: Missed, now: Timestamp) -> JobEnd {
        let age_ms = self.age_ms(job);
        let (reason, told) = match &missed {
            Missed::Disk(error @ KeepError::TooLarge { max_bytes }) => {
                let megabytes = max_bytes / (1024 * 1024);
                let told = format!(
                    "Запись больше {megabytes} МБ и осталась у оператора связи: послушайте её в его кабинете. \
                     Обращение осталось в списке."
                );
                (error.to_string(), Some(told))
            }
            missed => {
                let is_gone = match missed {
                    Missed::Http(error) => error.is_gone(),
                    Missed::Forbidden(forbidden) => matches!(forbidden, ForbiddenUrl::Missing),
                    _ => false,
                };
                let reason = missed.to_string();
                let told = format!("Запись получить не удалось: {}. Обращение осталось в списке.", missed.in_russian());
                (reason, (is_gone && age_ms >= GONE_FOR_MS).then_some(told))
            }
        };
        if let Some(told) = told {
            self.alarm("recording_lost", voicemail.id, &told, now).await;
            return match self.store.voicemail_failed(voicemail.id, &reason).await {
                Ok(()) => Ended::GivenUp(reason).into(),
                Err(failed) => failed.into(),
            };
        }
        if let Some((subject, told)) = missed.told_at_once(&voicemail.provider) {
            return Ended::Later(reason).with_alarm(LATE, subject, told);
        }
        match missed {
            Missed::Disk(KeepError::NoSpace(_)) => {
                let told = "Нет места для записей. Сообщения ждут у оператора связи: освободите диск.";
                self.alarm("no_space", 0, told, now).await;
                Ended::After(SignedDuration::from_mins(5), reason).into()
            }
            // The worker raises an alarm about the key. Once it is back nobody should wait for long.
            Missed::Disk(KeepError::NoKey(_)) | Missed::Locked(_) => {
                Ended::After(SignedDuration::from_mins(5), reason).into()
            }
            Missed::Forbidden(_) | Missed::Http(_) | Missed::NotSound(_) | Missed::Disk(_) | Missed::Unreadable(_) => {
                let told = format!(
                    "Есть сообщения, записи которых нет больше часа: {}. Попытки продолжаются.",
                    missed.in_russian()
                );
                let ended = match missed {
                    Missed::Http(error) => self.later(&error),
                    _ => Ended::Later(reason),
                };
                // Half a message is here, and an alarm of its own tells that.
                if age_ms < LATE_MS || voicemail.state == VoicemailState::Stored {
                    return ended.into();
                }
                ended.with_alarm(LATE, voicemail.provider.clone(), told)
            }
        }
    }

    /// Deletes the provider's copy. Not there any more counts as done.
    pub(super) async fn delete_recording(&self, job: &Job) -> JobEnd {
        let voicemail = match self.store.voicemail(job.subject).await {
            Ok(Some(voicemail)) => voicemail,
            Ok(None) => return Ended::Done.into(),
            Err(failed) => return failed.into(),
        };
        let now = self.clock.now();
        let Some(provider) = self.providers.get(&voicemail.provider) else {
            let told = format!(
                "Копии записей не удалены у оператора связи «{}», которого нет в настройках.",
                voicemail.provider
            );
            return not_configured().with_alarm(NOT_DELETED, voicemail.provider, told);
        };
        let request = provider.archive().and_then(|archive| archive.deletion_request(&voicemail.recording_id));
        let Some(request) = request else { return Ended::Done.into() };
        let failed = match self.http.ask(request).await {
            Err(failed) if !failed.is_gone() => failed,
            _ => {
                return match self.store.voicemail_deleted_at_provider(voicemail.id, now).await {
                    Ok(()) => Ended::Done.into(),
                    Err(failed) => failed.into(),
                };
            }
        };
        let ended = self.later(&failed);
        if self.age_ms(job) < NOT_DELETED_MS {
            return ended.into();
        }
        let told = format!("Записи не удаляются у оператора связи: {}. Попытки продолжаются.", failed.in_russian());
        ended.with_alarm(NOT_DELETED, voicemail.provider, told)
    }
}

/// Its secrets may come back with it.
fn not_configured() -> Ended {
    Ended::After(SignedDuration::from_hours(1), "the provider is configured no longer".to_owned())
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

/// What is missing in the file, in words; empty if nothing is, or nobody can tell. Quirks of whoever wrote it lose nothing.
fn damage(analysis: &Result<Analysis, Unplayable>, provider_seconds: Option<i64>) -> String {
    let analysis = match analysis {
        Ok(analysis) => analysis,
        Err(broken @ (Unplayable::Broken(_) | Unplayable::NoSoundTrack)) => return broken.to_string(),
        Err(_) => return String::new(),
    };
    let losses = analysis.sound.damage.iter().filter(|damage| damage.is_loss());
    let mut found: Vec<String> = losses.map(ToString::to_string).collect();
    let told_ms = provider_seconds.map_or(0, |seconds| seconds.saturating_mul(1000));
    if analysis.sound.length_ms.saturating_add(ROUNDING_MS) < told_ms {
        found.push("the sound is shorter than the provider said".to_owned());
    }
    found.join("; ")
}

fn stored_sound(examined: Examined) -> StoredSound {
    let Examined { file, analysis, damage } = examined;
    let (size_bytes, sha256) = (file.size_bytes.try_into().unwrap_or(i64::MAX), file.sha256.0.to_vec());
    let name = file.name.to_string();
    match analysis {
        Ok(Analysis { sound, speech_ms, .. }) => StoredSound {
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
        Err(unplayable) => {
            let container = Container::of_extension(file.name.extension());
            StoredSound {
                name,
                format: match (unplayable, container) {
                    (Unplayable::Unsupported(format), _) => format,
                    (_, Some(container)) => container.extension().to_owned(),
                    (_, None) => "unknown".to_owned(),
                },
                content_type: container.map_or("application/octet-stream", Container::content_type).to_owned(),
                size_bytes,
                sha256,
                length_ms: 0,
                speech_ms: 0,
                loudness_centibels: 0,
                peaks: Vec::new(),
                damage,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_brings_the_decoder_down_is_a_broken_file_and_no_reason_to_try_for_ever() {
        let analysis = measured_apart(|| panic!("as a decoder may")).await.expect("an answer about the file");
        assert!(matches!(analysis, Err(Unplayable::Broken(_))));
        assert!(!damage(&analysis, None).is_empty());
    }

    #[test]
    fn sound_shorter_than_told_by_over_a_second_is_damaged() {
        let analysis = Ok(recordings::analyse(&recordings::tone::wav_bytes(&[900; 8_000 * 7 / 2])).unwrap());
        for (seconds, is_whole) in [(None, true), (Some(3), true), (Some(4), true), (Some(5), false), (Some(6), false)]
        {
            assert_eq!(damage(&analysis, seconds).is_empty(), is_whole, "{seconds:?}");
        }
    }
}
