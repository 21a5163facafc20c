//! One call, from the first ringing to the last callback: fetches documents and goes through their verbs.

use std::collections::VecDeque;

use super::exchange::Exchange;
use super::plan::{AtPrompt, AtSignal, CallPlan, CallReport, Ended, Officer, Purpose};
use super::rest::KeptCall;
use super::twiml::{self, Element};
use super::wire::{Form, Reply, Unanswered, resolve};
use crate::time::{SignedDuration, Timestamp};

/// A sane dialogue needs ten at the most.
const DOCUMENTS_AT_MOST: usize = 30;

/// A call under way.
pub(super) struct Dialogue<'a> {
    pub exchange: &'a Exchange,
    pub report: CallReport,
    pub now: Timestamp,
    pub answered_at: Option<Timestamp>,
    /// `CallStatus` of the requests.
    pub status: &'static str,
    /// Number of the next status callback.
    pub sequence: u32,
    /// Callbacks that are sent after the next document, or after the call.
    pub later: Vec<Callback>,
    /// Status callbacks kept back to be sent in the wrong order.
    pub kept_back: Vec<Callback>,
    pub at_signals: VecDeque<AtSignal>,
    pub at_prompts: VecDeque<AtPrompt>,
    pub officers: VecDeque<Officer>,
    /// How long the caller stays on the line, from the answer on.
    pub patience_ms: Option<u32>,
}

/// A request whose answer does not matter.
pub(super) struct Callback {
    pub purpose: Purpose,
    pub method: String,
    pub url: String,
    pub form: Form,
}

/// A document to fetch.
pub(super) struct Hop {
    pub purpose: Purpose,
    pub method: String,
    pub url: String,
    /// What is sent beside the call's own parameters.
    pub extra: Form,
}

/// What comes after a verb.
pub(super) enum Step {
    NextVerb,
    Fetch(Hop),
    /// The caller is gone; the request is made, its answer is not played.
    LastWord(Hop),
    Over(Ended),
}

/// Why there is no document, as Twilio counts errors.
struct Fault {
    code: u32,
    why: String,
}

impl<'a> Dialogue<'a> {
    pub fn new(exchange: &'a Exchange, plan: CallPlan) -> Self {
        let now = plan.starts_at.unwrap_or_else(|| exchange.settings.clock.now());
        let sid = exchange.new_sid("CA", &plan.caller, now);
        Self {
            exchange,
            now,
            answered_at: None,
            status: "ringing",
            sequence: 0,
            later: Vec::new(),
            kept_back: Vec::new(),
            at_signals: plan.at_signals.clone().into(),
            at_prompts: plan.at_prompts.clone().into(),
            officers: plan.officers.clone().into(),
            patience_ms: plan.patience_ms,
            report: CallReport {
                sid,
                plan,
                started_at: now,
                ended_at: now,
                heard: Vec::new(),
                verbs: Vec::new(),
                requests: Vec::new(),
                warnings: Vec::new(),
                was_offered: false,
                recordings: Vec::new(),
                ended: Ended::NothingLeft,
            },
        }
    }

    pub async fn run(mut self) -> CallReport {
        self.pass(0);
        self.keep();
        self.tell_status("initiated").await;
        self.tell_status("ringing").await;
        self.report.ended = self.talk().await;
        self.status = "completed";
        self.report.ended_at = self.now;
        self.keep();
        self.tell_status("completed").await;
        self.pass(1_000);
        self.send_later().await;
        self.send_kept_back().await;
        self.report
    }

    async fn talk(&mut self) -> Ended {
        let url = self.exchange.wire.webhook("voice");
        let mut hop = Hop { purpose: Purpose::Voice, method: "POST".to_owned(), url, extra: Form::new() };
        for _ in 0..DOCUMENTS_AT_MOST {
            let (base, document) = match self.document(hop).await {
                Ok(found) => found,
                Err(code) => return Ended::Failed { code },
            };
            self.send_later().await;
            match self.follow(&base, document).await {
                Step::NextVerb => return Ended::NothingLeft,
                Step::Over(ended) => return ended,
                Step::Fetch(next) => hop = next,
                Step::LastWord(last) => {
                    let is_lost = self.report.plan.delivery.lost.contains(&last.purpose);
                    if !is_lost && let Err(fault) = self.fetch(&last).await {
                        self.warn(fault.code, &fault.why);
                    }
                    return Ended::CallerHungUp;
                }
            }
        }
        self.warn(0, "more documents than any dialogue needs");
        Ended::Looped
    }

    /// The document, or the fallback's, with the address its references are relative to.
    async fn document(&mut self, hop: Hop) -> Result<(String, Element), u32> {
        let fault = match self.fetch(&hop).await {
            Ok(document) => return Ok((hop.url, document)),
            Err(fault) => fault,
        };
        self.warn(fault.code, &fault.why);
        let extra = [("ErrorCode", fault.code.to_string()), ("ErrorUrl", hop.url)];
        let url = self.exchange.wire.webhook("fallback");
        let extra = extra.map(|(name, value)| (name.to_owned(), value)).into();
        let fallback = Hop { purpose: Purpose::Fallback, method: "POST".to_owned(), url, extra };
        match self.fetch(&fallback).await {
            Ok(document) => Ok((fallback.url, document)),
            Err(fault) => {
                self.warn(fault.code, &fault.why);
                Err(fault.code)
            }
        }
    }

    async fn fetch(&mut self, hop: &Hop) -> Result<Element, Fault> {
        let mut form = self.parameters();
        form.extend(hop.extra.iter().cloned());
        let reply = self.post(hop.purpose, &hop.method, &hop.url, form).await.map_err(|unanswered| Fault {
            code: if matches!(unanswered, Unanswered::TooLarge(_)) { 11750 } else { 11200 },
            why: format!("{}: {unanswered}", hop.url),
        })?;
        let document =
            read_document(&reply).map_err(|(code, why)| Fault { code, why: format!("{}: {why}", hop.url) })?;
        for doubt in document.doubts() {
            self.warn(12200, &format!("{}: {doubt}", hop.url));
        }
        Ok(document)
    }

    async fn follow(&mut self, base: &str, document: Element) -> Step {
        for verb in &document.children {
            self.report.verbs.push(verb.name.clone());
            if verb.name != "Reject" && self.answered_at.is_none() {
                self.answered_at = Some(self.now);
                self.status = "in-progress";
                self.keep();
                self.tell_status("in-progress").await;
            }
            let step = match verb.name.as_str() {
                "Say" | "Play" | "Pause" => self.listen(base, verb).await,
                "Gather" => self.gather(base, verb).await,
                "Record" => self.record(base, verb).await,
                "Dial" => self.dial(base, verb),
                "Redirect" => Step::Fetch(hop(verb, resolve(base, verb.text.trim()), Form::new())),
                "Hangup" | "Reject" => Step::Over(Ended::ServiceHungUp),
                _ => Step::NextVerb,
            };
            if !matches!(step, Step::NextVerb) {
                return step;
            }
        }
        Step::NextVerb
    }

    pub fn pass(&mut self, length_ms: u32) {
        self.now += SignedDuration::from_millis(length_ms.into());
        let settings = &self.exchange.settings;
        if settings.advances_clock && settings.clock.now() < self.now {
            settings.clock.set(self.now);
        }
    }

    pub fn warn(&mut self, code: u32, why: &str) {
        self.report.warnings.push(format!("{code}: {why}"));
    }

    /// Writes the call down as the REST side shows it.
    fn keep(&self) {
        let plan = &self.report.plan;
        let call = KeptCall {
            sid: self.report.sid.clone(),
            from: plan.caller.clone(),
            to: plan.called.clone(),
            forwarded_from: plan.forwarded_from.clone(),
            status: self.status,
            started_at: self.report.started_at,
            ended_at: (self.status == "completed").then_some(self.now),
            direction: "inbound",
            parent_sid: None,
        };
        self.exchange.archive.kept().calls.insert(call.sid.clone(), call);
    }
}

/// The verb's `action`; without one, the current document again.
pub(super) fn action(base: &str, verb: &Element, extra: Form) -> Hop {
    hop(verb, resolve(base, verb.attribute("action", base)), extra)
}

pub(super) fn hop(verb: &Element, url: String, extra: Form) -> Hop {
    Hop { purpose: Purpose::Action, method: verb.attribute("method", "POST").to_owned(), url, extra }
}

fn read_document(reply: &Reply) -> Result<Element, (u32, String)> {
    if reply.status != 200 {
        return Err((11200, format!("status {}", reply.status)));
    }
    if !reply.is_xml() {
        return Err((12300, format!("content type {:?}", reply.content_type)));
    }
    let text = std::str::from_utf8(&reply.body).map_err(|_| (12100, "not UTF-8".to_owned()))?;
    twiml::read(text).map_err(|why| (12100, why.to_string()))
}
