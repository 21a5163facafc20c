//! Calls whose callbacks were lost: the provider is asked what it knows, and its answer goes the way of a delivery.

use futures_util::future::try_join_all;
use reqwest::StatusCode;
use tracing::{error, info, warn};

use super::{Ended, Worker};
use crate::core::call::{Call, CallEvent, Fact, MAX_CALL_MS};
use crate::providers::{Archive, legs_of};
use crate::recordings::RecordingName;
use crate::store::{Delivery, Job, OWN, StoreError};
use crate::time::{SignedDuration, Timestamp, elapsed_ms};

/// A call of whose end nobody told for this long is asked about.
const SILENT_FOR: SignedDuration = SignedDuration::from_mins(30);
/// A call that must have ended waits this long for the answer to the question that is due then.
const ANSWER_GRACE: SignedDuration = SignedDuration::from_mins(5);
/// A provider that does not answer is asked for this long.
const ASK_FOR_MS: i64 = 24 * 3_600_000;

/// The endpoint of deliveries with the officers' telephones that were rung within a call.
pub(super) const LEGS: &str = "legs";

impl Worker {
    /// What is looked at once a minute. Each part by itself: one that fails keeps no other from its work.
    pub async fn sweep(&self) {
        let now = self.clock.now();
        let told = |part: &str, done: Result<(), StoreError>| {
            if let Err(failed) = done {
                warn!(error = %failed, part, "A part of the sweep failed: {part}");
            }
        };
        told("calls without an end", self.ask_about_silent_calls(now).await);
        told("calls that must have ended", self.end_calls_without_answer(now).await);
        // What another instance changed is taken up here too.
        told("changes of hours and greetings", self.store.renew_lines().await);
        told("warnings of the calendars", self.watch_calendars(now).await);
        told("files of erased messages", self.erase_files().await);
        told("sound that came by itself", self.sweep_arrived().await);
        told("what is searched", self.store.renew_search().await);
        told("the folder of recordings", self.watch_recordings(now).await);
        told("alarms that are over", self.store.clear_shared_alarms(now).await);
        told("old keys of calls", self.store.forget_old_call_keys(now).await);
    }

    /// Plans a question about every call that should have ended by now.
    async fn ask_about_silent_calls(&self, now: Timestamp) -> Result<(), StoreError> {
        let before = now.checked_sub(SILENT_FOR).unwrap_or(now);
        for call in self.store.calls_going_on(before).await? {
            self.store.plan_question(&call, now).await?;
        }
        Ok(())
    }

    /// Ends calls that must have ended and about which their provider keeps silent. Questions wait in their lane for each
    /// other, and at a host that does not answer each of them takes its whole time, so the ends do not wait with them. The
    /// question stays: a lost talk or message is still found, and a talk then proposes to close.
    async fn end_calls_without_answer(&self, now: Timestamp) -> Result<(), StoreError> {
        let asked_by = now.checked_sub(ANSWER_GRACE).unwrap_or(now);
        let began_by = asked_by.checked_sub(SignedDuration::from_millis(MAX_CALL_MS)).unwrap_or(asked_by);
        let calls = self.store.calls_without_answer(began_by, asked_by).await?;
        // Together they share a commit.
        try_join_all(calls.iter().map(|call| self.assume_end(call, now))).await?;
        Ok(())
    }

    /// Ends a call that cannot last any longer.
    async fn assume_end(&self, call: &Call, now: Timestamp) -> Result<(), StoreError> {
        self.store.deliver(own_delivery(call, "assumed-end", Vec::new(), ended(now), now)).await.map(drop)
    }

    /// Takes away the files of erased messages that are still there: after a crash, or because the disk refused.
    pub async fn erase_files(&self) -> Result<(), StoreError> {
        loop {
            let mut count = 0;
            for (id, name) in self.store.files_to_erase().await? {
                let Ok(file) = name.parse::<RecordingName>() else { continue };
                match self.folder.remove(&file).await {
                    Ok(_) => {
                        self.store.file_erased(id).await?;
                        count += 1;
                    }
                    Err(failed) => error!(voicemail.id = id, error = %failed, "An erased message is still on the disk"),
                }
            }
            if count == 0 {
                return Ok(());
            }
        }
    }

    pub(super) async fn reconcile_call(&self, job: &Job) -> Ended {
        let call = match self.store.call(job.subject).await {
            Ok(Some(view)) => view.call,
            Ok(None) => return Ended::Done,
            Err(failed) => return failed.into(),
        };
        let now = self.clock.now();
        let age_ms = elapsed_ms(call.started_at, now);
        let asked = match self.providers.get(&call.key.provider).and_then(|provider| provider.archive()) {
            Some(archive) => self.ask_about(archive, &call, now).await,
            None => Ok(()),
        };
        match asked {
            Ok(()) => {}
            // Not asking any more must not leave the caller waiting in a call that never ends.
            Err(not_yet) if call.ended_at.is_some() && self.age_ms(job) < ASK_FOR_MS => return not_yet,
            Err(not_yet) if call.ended_at.is_none() && age_ms < MAX_CALL_MS => {
                return not_yet.within(job, SignedDuration::from_millis(MAX_CALL_MS - age_ms));
            }
            Err(_) => {}
        }
        self.end_if_it_must_have_ended(&call, now).await
    }

    /// Asks for the call and its recordings; what is new goes the way of a delivery.
    async fn ask_about(&self, archive: &dyn Archive, call: &Call, now: Timestamp) -> Result<(), Ended> {
        let sid = &call.key.provider_call_id;
        let list =
            self.http.ask(archive.recordings_of_call_request(sid)).await.map_err(|failed| self.later(&failed))?;
        let events = archive.parse_recordings(&list, &call.key, now).map_err(|bad| Ended::Later(bad.to_string()))?;
        self.take_in(call, "recordings", list, events, now).await?;
        self.ask_about_talk(archive, call, now).await?;
        match self.http.ask(archive.call_request(sid)).await {
            Ok(state) => {
                let events = archive.parse_call(&state, &call.key, now).map_err(|bad| Ended::Later(bad.to_string()))?;
                self.take_in(call, "call", state, events, now).await
            }
            // The provider has forgotten the call: it is over.
            Err(failed) if failed.status() == Some(StatusCode::NOT_FOUND) => {
                self.take_in(call, "call", Vec::new(), ended(now), now).await
            }
            Err(failed) => Err(self.later(&failed)),
        }
    }

    /// Asks whether an officer talked in a call in which officers were rung, before its end is known: without that webhook
    /// the call would count as missed.
    async fn ask_about_talk(&self, archive: &dyn Archive, call: &Call, now: Timestamp) -> Result<(), Ended> {
        let may_have_rung = call.is_inbound() && !call.was_talked() && call.decision.as_ref().is_some_and(|it| it.open);
        let Some(listing) = archive.listing().ok().filter(|_| may_have_rung) else { return Ok(()) };
        let sid = &call.key.provider_call_id;
        let json = self.http.ask_for_legs(listing, sid).await.map_err(|failed| self.later(&failed))?;
        let Some(json) = json else { return Ok(()) };
        let page = listing.parse_call_page(&json, now).map_err(|bad| Ended::Later(bad.to_string()))?;
        self.take_in(call, LEGS, json, legs_of(page, sid), now).await
    }

    /// Delivers the events that tell something new about the call.
    async fn take_in(
        &self,
        call: &Call,
        endpoint: &str,
        body: Vec<u8>,
        events: Vec<CallEvent>,
        now: Timestamp,
    ) -> Result<(), Ended> {
        let mut told = call.clone();
        events.iter().for_each(|event| told.apply(event.clone()));
        if told == *call {
            return Ok(());
        }
        info!(call.id = call.id, "The provider knew more about a call than its callbacks told");
        self.store.deliver(own_delivery(call, endpoint, body, events, now)).await.map_err(Ended::from)?;
        Ok(())
    }

    async fn end_if_it_must_have_ended(&self, call: &Call, now: Timestamp) -> Ended {
        let told = match self.store.call(call.id).await {
            Ok(Some(view)) => view.call,
            Ok(None) => return Ended::Done,
            Err(failed) => return failed.into(),
        };
        if told.ended_at.is_some() {
            return Ended::Done;
        }
        if elapsed_ms(call.started_at, now) < MAX_CALL_MS {
            return Ended::After(SignedDuration::from_mins(15), "the call is still going on".to_owned());
        }
        match self.assume_end(call, now).await {
            Ok(()) => Ended::Done,
            Err(failed) => failed.into(),
        }
    }
}

fn ended(now: Timestamp) -> Vec<CallEvent> {
    vec![CallEvent { at: now, fact: Fact::Ended }]
}

/// Facts we asked for, kept like those that were sent.
fn own_delivery(call: &Call, endpoint: &str, body: Vec<u8>, events: Vec<CallEvent>, now: Timestamp) -> Delivery {
    Delivery {
        provider: call.key.provider.clone(),
        endpoint: endpoint.to_owned(),
        method: OWN.to_owned(),
        target: String::new(),
        content_type: "application/json".to_owned(),
        body: body.into(),
        received_at: now,
        key: Some(call.key.clone()),
        events,
        can_be_asked: false,
        applied_at: None,
    }
}
