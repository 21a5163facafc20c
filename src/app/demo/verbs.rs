//! What the caller hears and answers: speech, sounds, keys, and the officers' phones.

use super::dialogue::{Dialogue, Step, action};
use super::plan::{AtPrompt, Ended, Officer, Purpose, Sent};
use super::twiml::Element;
use super::wire::{Form, resolve};
use crate::time::elapsed_ms;

/// A calm voice says about 14 characters a second.
const MS_A_CHARACTER: u32 = 70;
/// A key pressed into the prompt, and each key typed after it.
const BARGES_IN_MS: u32 = 3_000;
const KEY_MS: u32 = 400;

impl Dialogue<'_> {
    pub async fn listen(&mut self, base: &str, verb: &Element) -> Step {
        let (text, length_ms) = match verb.name.as_str() {
            "Say" => (verb.text.trim().to_owned(), verb.text.trim().chars().count() as u32 * MS_A_CHARACTER),
            "Play" => self.play(&resolve(base, verb.text.trim())).await,
            _ => (String::new(), verb.number("length", 1).saturating_mul(1_000)),
        };
        let waited = self.wait(length_ms);
        if !text.is_empty() {
            let whole = matches!(waited, Step::NextVerb);
            self.report.heard.push(if whole { text } else { format!("{text}…") });
        }
        waited
    }

    /// Fetches a prompt; gives what to call it, and its length.
    async fn play(&mut self, url: &str) -> (String, u32) {
        let token = self.token();
        let reply = self.exchange.wire.fetch_sound(url, &token).await;
        let status = reply.as_ref().ok().map(|reply| reply.status);
        self.report.requests.push(Sent { purpose: Purpose::Sound, url: url.to_owned(), form: Form::new(), status });
        let length_ms = reply.ok().filter(|reply| reply.status == 200).and_then(|reply| {
            let wav = hound::WavReader::new(std::io::Cursor::new(reply.body)).ok()?;
            u32::try_from(u64::from(wav.duration()) * 1_000 / u64::from(wav.spec().sample_rate.max(1))).ok()
        });
        if length_ms.is_none() {
            self.warn(12400, &format!("{url}: not a WAV file that can be played"));
        }
        (format!("[{url}]"), length_ms.unwrap_or(0))
    }

    pub async fn gather(&mut self, base: &str, verb: &Element) -> Step {
        let intent = self.at_prompts.pop_front().unwrap_or(AtPrompt::HearsOut);
        if let AtPrompt::Skips(_) = intent {
            self.report.verbs.extend(verb.children.iter().map(|child| child.name.clone()));
            let prompt = verb.children.iter().map(|child| child.text.trim()).collect::<Vec<_>>().join(" ");
            self.report.heard.push(format!("{prompt}…"));
            if let Step::Over(ended) = self.wait(BARGES_IN_MS) {
                return Step::Over(ended);
            }
        } else {
            for child in &verb.children {
                self.report.verbs.push(child.name.clone());
                if let Step::Over(ended) = self.listen(base, child).await {
                    return Step::Over(ended);
                }
            }
        }
        let timeout_ms = verb.number("timeout", 5).saturating_mul(1_000);
        let (keys, finish) = match intent {
            AtPrompt::HearsOut => (String::new(), false),
            AtPrompt::Skips(key) => accepted(verb, &key.to_string()),
            AtPrompt::Types(keys) => accepted(verb, &keys),
        };
        let typing_ms = keys.len() as u32 * KEY_MS;
        let waited = self.wait(if finish { typing_ms } else { typing_ms.saturating_add(timeout_ms) });
        match waited {
            Step::NextVerb if keys.is_empty() && verb.attribute("actionOnEmptyResult", "false") != "true" => {
                Step::NextVerb
            }
            Step::NextVerb => Step::Fetch(action(base, verb, vec![("Digits".to_owned(), keys)])),
            over => over,
        }
    }

    pub fn dial(&mut self, base: &str, verb: &Element) -> Step {
        let timeout = verb.number("timeout", 30);
        let (rings, talk, status) = match self.officers.pop_front().unwrap_or(Officer::NoAnswer) {
            Officer::Answers { seconds } => (timeout.min(6), Some(seconds), "completed"),
            Officer::Busy => (2, None, "busy"),
            Officer::NoAnswer => (timeout, None, "no-answer"),
            Officer::Dead => (1, None, "failed"),
        };
        let has_action = verb.attributes.contains_key("action");
        if let Step::Over(ended) = self.wait(rings.saturating_mul(1_000)) {
            self.status = "completed";
            return match has_action {
                true => Step::LastWord(action(base, verb, dialled(self, "canceled", None))),
                false => Step::Over(ended),
            };
        }
        self.pass(talk.unwrap_or(0).min(verb.number("timeLimit", 14_400)).saturating_mul(1_000));
        if talk.is_some() {
            // Who has talked has what he called for.
            self.patience_ms = None;
        }
        match has_action {
            true => Step::Fetch(action(base, verb, dialled(self, status, talk))),
            false => Step::NextVerb,
        }
    }

    /// Lets so much time pass, unless the caller loses patience before.
    fn wait(&mut self, length_ms: u32) -> Step {
        let left = self.patience_ms.map(|patience| {
            let listened = self.answered_at.map_or(0, |at| elapsed_ms(at, self.now));
            u32::try_from(i64::from(patience) - listened).unwrap_or(0)
        });
        match left {
            Some(left) if left < length_ms => {
                self.pass(left);
                Step::Over(Ended::CallerHungUp)
            }
            _ => {
                self.pass(length_ms);
                Step::NextVerb
            }
        }
    }
}

/// What of the typed keys the verb takes, and whether it stops waiting for more.
fn accepted(verb: &Element, typed: &str) -> (String, bool) {
    let finish_keys = verb.attribute("finishOnKey", "#");
    let wanted = verb.number("numDigits", u32::MAX) as usize;
    let keys: String = typed.chars().take_while(|key| !finish_keys.contains(*key)).take(wanted).collect();
    let finish = keys.len() >= wanted || typed.chars().any(|key| finish_keys.contains(key));
    (keys, finish)
}

fn dialled(dialogue: &Dialogue<'_>, status: &str, talk_seconds: Option<u32>) -> Form {
    let sid = dialogue.exchange.new_sid("CA", "officer", dialogue.now);
    let mut form = vec![
        ("DialCallStatus".to_owned(), status.to_owned()),
        ("DialCallSid".to_owned(), sid),
        ("DialBridged".to_owned(), talk_seconds.is_some().to_string()),
    ];
    form.extend(talk_seconds.map(|seconds| ("DialCallDuration".to_owned(), seconds.to_string())));
    form
}
