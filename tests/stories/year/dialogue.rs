//! What happens in a call, step by step: the provider follows our documents as far as it hears them, and what it has to
//! report goes through a network that loses, repeats and delays.

use perezvon::time::{SignedDuration, Timestamp};

use super::callers::{Intent, Network};
use super::ledger::Rule;
use super::oddities::Oddity;
use super::provider::{ProviderCall, ProviderRecording};
use super::sounds::Sound;
use super::{Event, Year};
use crate::harness::{Answer, Form};

#[derive(Clone, Debug)]
pub enum Step {
    Arrives,
    /// An officer's phone has rung for long enough.
    RingingEnds(String),
    TalkEnds(String, i64),
    /// `None`: the document that plays is the provider's own.
    AtSignal(Option<String>),
    MessageLeft(Option<String>, String),
    Types(String),
    Ends,
}

/// A request that wants no document.
#[derive(Clone, Debug)]
pub struct Callback {
    /// `None`: only the worker wakes up.
    pub call: Option<usize>,
    endpoint: &'static str,
    form: Form,
    content: Content,
}

impl Callback {
    /// Time in which the worker does what it has to do.
    pub fn nothing() -> Self {
        Self { call: None, endpoint: "", form: Form(Vec::new()), content: Content::Nothing }
    }

    /// A request that no endpoint of ours understands.
    pub fn astray(call: usize) -> Self {
        Self { call: Some(call), endpoint: "nowhere", form: Form::call("CA-astray"), content: Content::Nothing }
    }
}

/// What a request tells the service, if it is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Nothing,
    /// A message was left.
    Message,
    /// The call is over, or has come to the signal, without a message as far as this request tells.
    Over,
}

impl Year<'_> {
    pub async fn step(&mut self, call: usize, step: Step) {
        match step {
            Step::Arrives => self.arrives(call).await,
            Step::RingingEnds(endpoint) => self.ringing_ends(call, endpoint).await,
            Step::TalkEnds(endpoint, seconds) => {
                let form = self.form(call).with("DialCallStatus", "completed").with("DialBridged", "true");
                let form = form.with("DialCallDuration", &seconds.to_string());
                self.ask(call, &endpoint, &form, Content::Nothing).await;
                self.ends_after(call, 1);
            }
            Step::AtSignal(endpoint) => self.at_signal(call, endpoint).await,
            Step::MessageLeft(endpoint, recording) => self.message_left(call, endpoint, recording).await,
            Step::Types(endpoint) => self.types(call, &endpoint).await,
            Step::Ends => self.ends(call),
        }
    }

    fn form(&self, call: usize) -> Form {
        let call = &self.calls[call];
        let form = Form::call(&call.sid).from(&call.from).to(&call.to).status("in-progress");
        match &call.forwarded_from {
            Some(number) => form.with("ForwardedFrom", number),
            None => form,
        }
    }

    fn ends_after(&mut self, call: usize, seconds: i64) {
        self.after(seconds, Event::Call(call, Step::Ends));
    }

    async fn arrives(&mut self, index: usize) {
        let call = self.calls[index].clone();
        self.provider.records().insert_call(ProviderCall {
            sid: call.sid,
            from: call.from,
            to: call.to,
            forwarded_from: call.forwarded_from,
            started_at: call.started_at,
            ended_at: None,
            direction: "inbound",
            parent: None,
            listed_at: None,
        });
        let form = self.form(index).status("ringing");
        let mut answer = self.ask(index, "voice", &form, Content::Nothing).await;
        if answer.is_none() {
            let form =
                form.with("ErrorCode", "11200").with("ErrorUrl", "https://calls.example.org/webhooks/twilio/voice");
            answer = self.ask(index, "fallback", &form, Content::Nothing).await;
        }
        match answer {
            Some(answer) => self.follow(index, &answer),
            // The provider has a document of its own for that, or the call breaks off.
            None if self.random.chance(600) => self.after(15, Event::Call(index, Step::AtSignal(None))),
            None => self.ends_after(index, 5),
        }
    }

    /// Goes where our document leads.
    fn follow(&mut self, call: usize, answer: &Answer) {
        if let Some(endpoint) = action(answer, "Dial") {
            let rings = self.random.between(3, 25);
            return self.after(rings, Event::Call(call, Step::RingingEnds(endpoint)));
        }
        match action(answer, "Record") {
            Some(_) if self.calls[call].intent == Intent::HangsUpInGreeting => {
                let patience = self.random.between(2, 15);
                self.ends_after(call, patience);
            }
            Some(endpoint) => {
                let greeting = self.random.between(12, 40);
                self.after(greeting, Event::Call(call, Step::AtSignal(Some(endpoint))));
            }
            None => self.ends_after(call, 4),
        }
    }

    async fn ringing_ends(&mut self, call: usize, endpoint: String) {
        let word = match self.random.weighted(&[40, 20, 32, 3, 5]) {
            0 => {
                let seconds = self.random.between(20, 600);
                self.calls[call].has_talked = true;
                self.talks_with_an_officer(call, seconds);
                return self.after(seconds, Event::Call(call, Step::TalkEnds(endpoint, seconds)));
            }
            1 => "busy",
            2 => "no-answer",
            3 => "failed",
            _ => {
                let form = self.form(call).status("completed").with("DialCallStatus", "no-answer");
                self.ask(call, &endpoint, &form, Content::Over).await;
                return self.ends_after(call, 0);
            }
        };
        let form = self.form(call).with("DialCallStatus", word);
        match self.ask(call, &endpoint, &form, Content::Nothing).await {
            Some(answer) => self.follow(call, &answer),
            None => self.ends_after(call, 2),
        }
    }

    /// The provider's records have the officer's leg beside the call.
    fn talks_with_an_officer(&mut self, call: usize, seconds: i64) {
        let (now, sid) = (self.now(), self.calls[call].sid.clone());
        self.provider.records().insert_call(ProviderCall {
            sid: format!("{sid}-leg"),
            from: self.calls[call].from.clone(),
            to: "+79280000055".to_owned(),
            forwarded_from: None,
            started_at: now,
            ended_at: Some(now + SignedDuration::from_secs(seconds)),
            direction: "outbound-dial",
            parent: Some(sid),
            listed_at: None,
        });
    }

    async fn at_signal(&mut self, call: usize, endpoint: Option<String>) {
        match self.calls[call].intent {
            Intent::HangsUpInGreeting => self.ends_after(call, 0),
            Intent::HangsUpAtSignal => {
                if endpoint.is_some() && self.random.chance(500) {
                    let form = Form::call(&self.calls[call].sid).without("From").without("To").without("CallStatus");
                    let sid = self.recording_sid(call, "RE0");
                    let form = form.with("RecordingSid", &sid).with("RecordingStatus", "absent");
                    self.call_back(call, "recording", form.with("ErrorCode", "16102"), 2, Content::Over);
                }
                self.ends_after(call, 1);
            }
            Intent::StaysSilent => {
                if let Some(endpoint) = endpoint {
                    let form = self.form(call);
                    self.ask(call, &endpoint, &form, Content::Over).await;
                }
                self.ends_after(call, 10);
            }
            Intent::Leaves { length_ms } => {
                let recording = self.record(call, length_ms);
                let ended_ms = i64::from(length_ms).div_euclid(1000) + 1;
                self.after(ended_ms, Event::Call(call, Step::MessageLeft(endpoint, recording)));
            }
        }
    }

    /// The provider records a message: good as a rule, sometimes late, cut or lost.
    fn record(&mut self, call: usize, length_ms: u32) -> String {
        let (now, random) = (self.now(), &mut self.random);
        let late = match random.weighted(&[70, 25, 5]) {
            0 => random.between(2, 5),
            1 => random.between(5, 600),
            _ => random.between(600, 12 * 3_600),
        };
        let cuts = match random.weighted(&[920, 50, 20, 10]) {
            0 => 0,
            1 => 1,
            2 => 2,
            _ => u32::MAX,
        };
        let is_lost = self.settings.has_faults && random.chance(3) && is_given_up_in_time(now);
        let sid = self.recording_sid(call, "RE");
        let sound = Sound::of(&sid, self.settings.odd_per_mille);
        self.provider.records().insert_recording(ProviderRecording {
            sid: sid.clone(),
            call_sid: self.calls[call].sid.clone(),
            started_at: now,
            length_ms,
            sound,
            ready_at: now + SignedDuration::from_secs(late),
            cuts: if self.settings.has_faults && sound.shows_a_cut() { cuts } else { 0 },
            is_lost,
            answers: 0,
            listed_at: None,
            deleted_at: None,
        });
        sid
    }

    /// The call's own, of as many characters as providers give it.
    fn recording_sid(&self, call: usize, prefix: &str) -> String {
        let sid = &self.calls[call].sid;
        format!("{prefix}{}", &sid[sid.len() + prefix.len() - 34..])
    }

    async fn message_left(&mut self, call: usize, endpoint: Option<String>, recording: String) {
        self.calls[call].messages.push(recording.clone());
        let Some(endpoint) = endpoint else { return self.ends_after(call, 0) };
        let (url, seconds, ready_at) = {
            let records = self.provider.records();
            let known = records.recording(&recording).expect("it was recorded");
            (self.provider.recording_url(&recording), known.seconds().to_string(), known.ready_at)
        };
        let with_recording = |form: Form| {
            form.with("RecordingSid", &recording).with("RecordingUrl", &url).with("RecordingDuration", &seconds)
        };
        let started_at = self.now().strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();
        let bare = Form::call(&self.calls[call].sid).without("From").without("To").without("CallStatus");
        let reported =
            with_recording(bare).with("RecordingStatus", "completed").with("RecordingStartTime", &started_at);
        // Some report a message that is not there yet.
        let ready_in = if self.random.chance(300) { 1 } else { ready_at.duration_since(self.now()).as_secs().max(1) };
        self.call_back(call, "recording", reported, ready_in, Content::Message);
        let hangs_up = self.calls[call].types.is_none();
        let form = with_recording(self.form(call));
        if hangs_up {
            let form = form.status("completed").with("Digits", "hangup");
            self.ask(call, &endpoint, &form, Content::Message).await;
            return self.ends_after(call, 0);
        }
        let answer = self.ask(call, &endpoint, &form.with("Digits", "#"), Content::Message).await;
        match answer.and_then(|answer| action(&answer, "Gather")) {
            Some(endpoint) => self.after(12, Event::Call(call, Step::Types(endpoint))),
            None => self.ends_after(call, 3),
        }
    }

    async fn types(&mut self, call: usize, endpoint: &str) {
        let number = self.calls[call].types.clone().filter(|number| number.starts_with("+7"));
        let digits = number.as_deref().map_or("000".to_owned(), |number| format!("8{}", &number[2..]));
        let form = self.form(call).with("Digits", &digits);
        if self.ask(call, endpoint, &form, Content::Nothing).await.is_some() {
            let is_durable = self.faults.is_durable();
            let call = &mut self.calls[call];
            *(if is_durable { &mut call.typed } else { &mut call.may_have_typed }) = number;
        }
        self.ends_after(call, 4);
    }

    fn ends(&mut self, index: usize) {
        let (now, sid) = (self.now(), self.calls[index].sid.clone());
        if std::mem::replace(&mut self.calls[index].is_over, true) {
            return;
        }
        self.provider.records().end_call(&sid, now);
        let seconds = now.duration_since(self.calls[index].started_at).as_secs();
        let form = self.form(index).status("completed").with("CallDuration", &seconds.to_string());
        let at = now.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();
        self.call_back(index, "status", form.with("Timestamp", &at), 1, Content::Over);
    }

    /// Whether a request about this call reaches the service now.
    fn is_heard(&mut self, call: usize) -> bool {
        let is_heard = !self.faults.is_down
            && !self.faults.is_unreachable
            && match self.calls[call].network {
                Network::Good => true,
                Network::Flaky => !self.random.chance(40),
                Network::Cut => false,
            };
        self.figures.unheard += u64::from(!is_heard);
        is_heard
    }

    /// Asks for the next document. `None`: the service was not heard.
    pub async fn ask(&mut self, call: usize, endpoint: &str, form: &Form, content: Content) -> Option<Answer> {
        if !self.is_heard(call) {
            return None;
        }
        let oddity = self.calls[call].oddity.filter(|_| matches!(endpoint, "voice" | "fallback"));
        let body = oddity.map_or_else(|| form.encoded().into_bytes(), |oddity| oddity.body(form));
        let answer = self.post(endpoint, &body).await;
        if !is_document(&answer) {
            self.report(Rule::CallerHearsNoFault, format!("{} at {endpoint}: {answer:?}", self.calls[call].sid));
        }
        match oddity {
            Some(Oddity::NoId) => self.nameless_call_begins(call, &body),
            _ => self.acknowledged(call, form, content),
        }
        Some(answer)
    }

    fn acknowledged(&mut self, call: usize, form: &Form, content: Content) {
        let (now, is_durable) = (self.now(), self.faults.is_durable());
        let names_the_line = form.0.iter().any(|(name, _)| name == "To");
        self.calls[call].is_line_known |= is_durable && names_the_line;
        self.begins_to_wait(call, content);
        let call = &mut self.calls[call];
        call.heard_at = call.heard_at.or(Some(now));
        if content == Content::Message {
            call.message_heard_at = call.message_heard_at.or(Some(now));
            call.message_kept_at = call.message_kept_at.or(is_durable.then_some(now));
        }
        if is_durable {
            call.is_reported = true;
        }
    }

    /// Sends a callback as well as the network of its call does it.
    fn call_back(&mut self, call: usize, endpoint: &'static str, form: Form, after: i64, content: Content) {
        let callback = Callback { call: Some(call), endpoint, form, content };
        let (is_lost, late, again) = match self.calls[call].network {
            Network::Good => (0, 0, 30),
            Network::Flaky => (350, 250, 250),
            Network::Cut => (1000, 0, 0),
        };
        if self.random.chance(again) {
            self.figures.repeated += 1;
            let pause = after + self.delay();
            self.after(pause, Event::Callback(callback.clone()));
        }
        if self.random.chance(is_lost) {
            self.figures.unheard += 1;
            return;
        }
        let pause = if self.random.chance(late) { after + self.delay() } else { after };
        self.after(pause, Event::Callback(callback));
    }

    /// Mostly minutes, sometimes hours, rarely days.
    fn delay(&mut self) -> i64 {
        match self.random.weighted(&[60, 35, 5]) {
            0 => self.random.between(1, 600),
            1 => self.random.between(600, 6 * 3_600),
            _ => self.random.between(6 * 3_600, 3 * 24 * 3_600),
        }
    }

    /// A callback arrives, or does not.
    pub async fn deliver(&mut self, callback: Callback) {
        let Callback { call: Some(call), endpoint, form, content } = callback else { return self.tick().await };
        if !self.is_heard(call) {
            return;
        }
        let answer = self.post(endpoint, form.encoded().as_bytes()).await;
        match answer.status {
            200 => self.acknowledged(call, &form, content),
            503 if !self.faults.is_durable() => self.figures.unsaved += 1,
            _ => self.report(Rule::CallerHearsNoFault, format!("{} at {endpoint}: {answer:?}", self.calls[call].sid)),
        }
    }
}

/// Whether somebody who is connected hears something: a document with verbs in it.
pub fn is_document(answer: &Answer) -> bool {
    answer.status == 200 && answer.content_type.starts_with("text/xml") && !answer.verbs().is_empty()
}

/// Whether a message that its provider loses now is given up within the time that is simulated: that takes sixty days.
fn is_given_up_in_time(now: Timestamp) -> bool {
    now < crate::harness::at("2026-12-20T00:00:00+03:00")
}

/// Where the verb of this name leads, below `/webhooks/twilio/`.
fn action(answer: &Answer, verb: &str) -> Option<String> {
    let (_, rest) = answer.body.split_once(&format!("<{verb} "))?;
    let (_, rest) = rest.split('>').next()?.split_once("action=\"")?;
    let (_, endpoint) = rest.split_once('"')?.0.split_once("/webhooks/twilio/")?;
    Some(endpoint.to_owned())
}
