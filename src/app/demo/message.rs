//! The signal, what the caller leaves after it, and what the provider makes of that.

use super::dialogue::{Callback, Dialogue, Step, action};
use super::plan::{AtSignal, Ended, Ending, Purpose, Recorded};
use super::rest::{KeptRecording, rfc2822};
use super::sounds::{Sound, Voices};
use super::twiml::Element;
use super::wire::{Form, resolve};
use crate::recordings::tone;
use crate::time::Timestamp;

/// Shorter messages are no recordings (error 16101).
const SHORTEST_MS: u32 = 500;
/// Samples below this are silence (error 16102).
const QUIET: u16 = 300;
const SAMPLES_A_MS: usize = tone::SAMPLE_RATE as usize / 1_000;

/// One message as the recorder took it.
struct Take {
    samples: Vec<i16>,
    length_ms: u32,
    /// How long the recorder ran: the message, and the silence that ended it.
    ran_ms: u32,
    ending: Ending,
    /// Why it is no recording.
    absent: Option<u32>,
}

impl Take {
    fn new(verb: &Element, intent: AtSignal, voices: &Voices) -> Self {
        let (sound, wished) = match intent {
            AtSignal::Leaves { sound, then } => (sound, then),
            AtSignal::StaysSilent => (Sound::Silence { length_ms: 0 }, Ending::FallsSilent),
            AtSignal::HangsUp => (Sound::Silence { length_ms: 0 }, Ending::HangsUp),
        };
        let longest_ms = verb.number("maxLength", 3_600).saturating_mul(1_000);
        let mut samples = voices.samples(&sound);
        let runs_out = samples.len() > longest_ms as usize * SAMPLES_A_MS;
        samples.truncate(longest_ms as usize * SAMPLES_A_MS);
        let length_ms = (samples.len() / SAMPLES_A_MS) as u32;
        let finish_keys = verb.attribute("finishOnKey", "1234567890*#");
        let ending = match wished {
            _ if runs_out => Ending::FallsSilent,
            Ending::Presses(key) if !finish_keys.contains(key) => Ending::FallsSilent,
            wished => wished,
        };
        let silence_ms = match (ending, verb.number("timeout", 5)) {
            (Ending::FallsSilent, 0) => longest_ms,
            (Ending::FallsSilent, seconds) => seconds.saturating_mul(1_000),
            _ => 0,
        };
        let absent = match samples.iter().any(|sample| sample.unsigned_abs() > QUIET) {
            false => Some(16102),
            true if length_ms < SHORTEST_MS => Some(16101),
            true => None,
        };
        Self { samples, length_ms, ran_ms: length_ms.saturating_add(silence_ms).min(longest_ms), ending, absent }
    }

    /// Whole seconds, as the provider counts them.
    fn seconds(&self) -> String {
        self.length_seconds().to_string()
    }

    fn length_seconds(&self) -> u32 {
        (self.length_ms + 500) / 1_000
    }
}

impl Dialogue<'_> {
    /// Runs one `Record`. What is no recording passes over to the next verb, without a request.
    pub async fn record(&mut self, base: &str, verb: &Element) -> Step {
        self.report.was_offered = true;
        if verb.attribute("playBeep", "true") == "true" {
            self.pass(1_000);
        }
        let started_at = self.now;
        let sid = self.exchange.new_sid("RE", &self.report.sid, started_at);
        self.announce(base, verb, &sid, started_at, "in-progress", &[]).await;

        let intent = self.at_signals.pop_front().unwrap_or(AtSignal::HangsUp);
        let take = Take::new(verb, intent, &self.exchange.settings.voices);
        self.pass(take.ran_ms);
        if take.ending == Ending::HangsUp {
            self.status = "completed";
        }
        self.keep_recording(&sid, started_at, &take);
        self.report.recordings.push(Recorded { sid: sid.clone(), length_ms: take.length_ms, absent: take.absent });
        if let Some(code) = take.absent {
            self.announce(base, verb, &sid, started_at, "absent", &[("ErrorCode", code.to_string())]).await;
            return match take.ending {
                Ending::HangsUp => Step::Over(Ended::CallerHungUp),
                Ending::Presses(_) | Ending::FallsSilent => Step::NextVerb,
            };
        }
        self.announce(base, verb, &sid, started_at, "completed", &[("RecordingDuration", take.seconds())]).await;

        let mut extra = vec![
            ("RecordingUrl".to_owned(), self.recording_url(&sid)),
            ("RecordingDuration".to_owned(), take.seconds()),
            ("RecordingSid".to_owned(), sid),
        ];
        let digits = match take.ending {
            Ending::HangsUp => Some("hangup".to_owned()),
            Ending::Presses(key) => Some(key.to_string()),
            Ending::FallsSilent => None,
        };
        extra.extend(digits.map(|digits| ("Digits".to_owned(), digits)));
        match take.ending {
            Ending::HangsUp => Step::LastWord(action(base, verb, extra)),
            Ending::Presses(_) | Ending::FallsSilent => Step::Fetch(action(base, verb, extra)),
        }
    }

    fn recording_url(&self, sid: &str) -> String {
        let exchange = self.exchange;
        format!("{}/Accounts/{}/Recordings/{sid}", exchange.api_base(), exchange.settings.account_sid)
    }

    fn keep_recording(&self, sid: &str, started_at: Timestamp, take: &Take) {
        let recording = KeptRecording {
            sid: sid.to_owned(),
            call_sid: self.report.sid.clone(),
            started_at,
            duration_seconds: take.length_seconds(),
            absent: take.absent,
            wav: tone::wav_bytes(&take.samples).into(),
            asked: 0,
            deletions_asked: 0,
            is_deleted: false,
        };
        self.exchange.archive.kept().recordings.insert(sid.to_owned(), recording);
    }

    /// Tells the recording's state, if asked to: after the next document, as the file is ready a moment later, or
    /// before it when the plan says so.
    async fn announce(
        &mut self,
        base: &str,
        verb: &Element,
        sid: &str,
        started_at: Timestamp,
        state: &str,
        more: &[(&str, String)],
    ) {
        let Some(url) = verb.attributes.get("recordingStatusCallback") else { return };
        let events = verb.attribute("recordingStatusCallbackEvent", "completed");
        if !events.split_whitespace().any(|event| event == state) {
            return;
        }
        let mut form: Form = [
            ("AccountSid", self.exchange.settings.account_sid.clone()),
            ("CallSid", self.report.sid.clone()),
            ("RecordingSid", sid.to_owned()),
            ("RecordingUrl", self.recording_url(sid)),
            ("RecordingStatus", state.to_owned()),
            ("RecordingChannels", "1".to_owned()),
            ("RecordingStartTime", rfc2822(started_at)),
            ("RecordingSource", "RecordVerb".to_owned()),
            ("RecordingTrack", "inbound".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        form.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let method = verb.attribute("recordingStatusCallbackMethod", "POST").to_owned();
        let callback = Callback { purpose: Purpose::Recording, method, url: resolve(base, url), form };
        match self.report.plan.delivery.reversed || state == "in-progress" {
            true => self.call_back(callback).await,
            false => self.later.push(callback),
        }
    }
}
