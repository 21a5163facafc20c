//! What a call sends: its parameters, and the callbacks on how it stands, delivered as well as the plan wants.

use super::dialogue::{Callback, Dialogue};
use super::plan::{Purpose, Sent};
use super::rest::rfc2822;
use super::wire::{Form, Reply, Unanswered};
use crate::time::elapsed_ms;

impl Dialogue<'_> {
    /// The standard set of a request about this call (contract §2), empty fields and all.
    pub fn parameters(&self) -> Form {
        let plan = &self.report.plan;
        let mut form = Form::new();
        let mut add = |name: &str, value: &str| form.push((name.to_owned(), value.to_owned()));
        add("CallSid", &self.report.sid);
        add("AccountSid", &self.exchange.settings.account_sid);
        add("ApiVersion", "2010-04-01");
        add("Direction", "inbound");
        add("CallStatus", self.status);
        for (name, number) in
            [("From", &plan.caller), ("Caller", &plan.caller), ("To", &plan.called), ("Called", &plan.called)]
        {
            add(name, number);
            for place in ["City", "State", "Zip"] {
                add(&format!("{name}{place}"), "");
            }
            add(&format!("{name}Country"), if number.starts_with("+7") { "RU" } else { "" });
        }
        if let Some(forwarded_from) = &plan.forwarded_from {
            add("ForwardedFrom", forwarded_from);
            add("CalledVia", forwarded_from);
        }
        add("CallToken", "{\"parentCallInfoToken\":\"simulated\",\"identityHeaderTokens\":[]}");
        form
    }

    /// Sends one request as the plan delivers it, and writes it down.
    pub async fn post(&mut self, purpose: Purpose, method: &str, url: &str, form: Form) -> Result<Reply, Unanswered> {
        let token = self.token();
        let wire = &self.exchange.wire;
        let mut reply = wire.send(method, url, &form, &token).await;
        self.note(purpose, url, &form, &reply);
        if self.report.plan.delivery.twice {
            let again = wire.send(method, url, &form, &token).await;
            self.note(purpose, url, &form, &again);
            if let (Ok(first), Ok(second)) = (&reply, &again)
                && (first.status, &first.body) != (second.status, &second.body)
            {
                self.warn(0, &format!("{url}: the same request twice got two different answers"));
            }
            // The answer to a repeated request is the one that is played.
            reply = again.or(reply);
        }
        reply
    }

    fn note(&mut self, purpose: Purpose, url: &str, form: &Form, reply: &Result<Reply, Unanswered>) {
        let status = reply.as_ref().ok().map(|reply| reply.status);
        self.report.requests.push(Sent { purpose, url: url.to_owned(), form: form.clone(), status });
    }

    /// What `I-Twilio-Idempotency-Token` carries: new for each request, the same for its repetition.
    pub fn token(&self) -> String {
        format!("{}-{}", self.report.sid, self.report.requests.len())
    }

    pub async fn call_back(&mut self, callback: Callback) {
        let Callback { purpose, method, url, form } = callback;
        if self.report.plan.delivery.lost.contains(&purpose) {
            self.report.requests.push(Sent { purpose, url, form, status: None });
            return;
        }
        match self.post(purpose, &method, &url, form).await {
            Ok(reply) if (200..300).contains(&reply.status) => {
                if !reply.body.is_empty() && !reply.is_xml() {
                    self.warn(12300, &format!("{url}: a callback wants no answer, or XML"));
                }
            }
            Ok(reply) => self.warn(11200, &format!("{url}: callback answered with status {}", reply.status)),
            Err(unanswered) => self.warn(11200, &format!("{url}: {unanswered}")),
        }
    }

    /// Tells the status URL how the call stands.
    pub async fn tell_status(&mut self, status: &str) {
        let mut form = self.parameters();
        for (name, value) in &mut form {
            if name == "CallStatus" {
                *value = status.to_owned();
            }
        }
        let mut add = |name: &str, value: String| form.push((name.to_owned(), value));
        add("CallbackSource", "call-progress-events".to_owned());
        add("SequenceNumber", self.sequence.to_string());
        add("Timestamp", rfc2822(self.now));
        if status == "completed" {
            let seconds = self.answered_at.map_or(0, |at| elapsed_ms(at, self.now) / 1_000);
            add("CallDuration", seconds.to_string());
            add("Duration", (seconds / 60 + 1).to_string());
        }
        self.sequence += 1;
        let url = self.exchange.wire.webhook("status");
        let callback = Callback { purpose: Purpose::Status, method: "POST".to_owned(), url, form };
        match self.report.plan.delivery.reversed {
            true => self.kept_back.push(callback),
            false => self.call_back(callback).await,
        }
    }

    /// Sends the callbacks that had to wait for the dialogue.
    pub async fn send_later(&mut self) {
        for callback in std::mem::take(&mut self.later) {
            self.call_back(callback).await;
        }
    }

    /// Sends the callbacks that were kept back, the last one first.
    pub async fn send_kept_back(&mut self) {
        while let Some(callback) = self.kept_back.pop() {
            self.call_back(callback).await;
        }
    }
}
