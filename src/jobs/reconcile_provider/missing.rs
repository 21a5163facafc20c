//! What a page of a list has and we lack, taken in like a delivery.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::pages::{Run, Stop};
use crate::core::call::{CallEvent, CallKey, Fact, Ringing};
use crate::providers::{ListedCall, ListedKind, ListedRecording, legs_of};
use crate::store::{Delivery, ForgottenNumber, KnownCall, OWN, StoreError};
use crate::time::{Timestamp, elapsed_ms};

/// The webhook about a recording, or about a talk, that is younger than this may still be on its way.
const WEBHOOK_GRACE_MS: i64 = 5 * 60_000;
/// The officers' telephones are rung no later than this after a call began.
const MAX_RINGING_MS: i64 = 30 * 60_000;

/// The endpoint of deliveries that a look makes; their body is a [`RestoredBody`].
pub(in crate::jobs) const RESTORED: &str = "restored";

/// What a look brought in, as the inbox keeps it. A replay applies the events as they are.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::jobs) struct RestoredBody {
    pub events: Vec<CallEvent>,
    /// The entry of the provider's list; `null` where the events are of officers' telephones.
    listed: serde_json::Value,
}

/// Whether the officer whose telephone was rung took the call.
fn is_talk(leg: &CallEvent) -> bool {
    matches!(leg.fact, Fact::Rang { ringing: Ringing::Answered, .. })
}

/// Whether its caller asked after this call that all about him be erased.
fn is_forgotten(call: &ListedCall, forgotten: &[ForgottenNumber]) -> bool {
    let caller = call.events.iter().find_map(|event| match &event.fact {
        Fact::Parties { caller, .. } => caller.number.as_ref(),
        _ => None,
    });
    let since = |it: &ForgottenNumber| call.started_at.is_some_and(|at| at <= it.forgotten_at);
    caller.is_some_and(|number| forgotten.iter().any(|it| since(it) && it.is(number)))
}

impl Run<'_> {
    /// Only calls to our lines that are over: one that is going on is there at the next look, with its end.
    pub(super) async fn take_in_calls(&mut self, entries: Vec<ListedCall>, now: Timestamp) -> Result<(), Stop> {
        let mut ours = Vec::new();
        for mut call in entries {
            match std::mem::replace(&mut call.kind, ListedKind::Outbound) {
                ListedKind::Inbound if self.concerns_us(&call) => ours.push(call),
                ListedKind::Leg { parent_call_id: Some(parent), ringing: Some(ringing) } => {
                    self.legs.entry(parent).or_default().push(ringing);
                }
                ListedKind::Inbound | ListedKind::Leg { .. } | ListedKind::Outbound => {}
            }
        }
        ours.sort_by_key(|call| call.started_at);
        let ids: Vec<String> =
            ours.iter().map(|call| call.provider_call_id.clone()).chain(self.legs.keys().cloned()).collect();
        let known = self.reconciler.store.known_calls(&self.provider, &ids).await?;
        self.take_in_talks(&known, now).await?;
        let forgotten = match ours.iter().any(|call| !known.contains_key(&call.provider_call_id)) {
            true => self.reconciler.store.forgotten().await?,
            false => Vec::new(),
        };
        for call in ours {
            if self.restored.contains(&call.provider_call_id) {
                continue;
            }
            match known.get(&call.provider_call_id) {
                // Taken in, but not yet counted, before the service ended.
                Some(known) if self.has_restored(known) && self.is_at_broken_page() => {
                    self.restored.insert(call.provider_call_id);
                    self.look.listed += 1;
                    self.look.restored += 1;
                }
                // An earlier go has counted it: the list repeats itself.
                Some(known) if self.has_restored(known) => {}
                Some(known) if self.known.insert(known.id) => {
                    self.look.listed += 1;
                    self.look.known += 1;
                }
                Some(_) => {}
                // He was called back and has been forgotten; a restored backup of before his call does not know it.
                None if is_forgotten(&call, &forgotten) => {
                    self.look.listed += 1;
                    self.look.known += 1;
                }
                None => {
                    let legs = self.legs_of(&call, now).await?;
                    let events = call.events.into_iter().chain(legs).collect();
                    self.deliver(&call.provider_call_id, call.json, events, true, now).await?;
                    self.restored.insert(call.provider_call_id);
                    self.look.listed += 1;
                    self.look.restored += 1;
                }
            }
        }
        // A list in another order: the call came first.
        let late: Vec<String> = self.legs.keys().filter(|id| self.restored.contains(*id)).cloned().collect();
        for provider_call_id in late {
            let legs = self.legs.remove(&provider_call_id).unwrap_or_default();
            self.deliver_legs(&provider_call_id, legs, now).await?;
        }
        Ok(())
    }

    /// Talks of calls that we have and of which no webhook told how the ringing ended: without them such a call counts as
    /// missed, and its caller is called back for nothing.
    async fn take_in_talks(&mut self, known: &HashMap<String, KnownCall>, now: Timestamp) -> Result<(), Stop> {
        for (provider_call_id, call) in known {
            let Some(legs) = self.legs.remove(provider_call_id) else { continue };
            let is_restored = self.restored.contains(provider_call_id) || self.has_restored(call);
            let is_due = |leg: &CallEvent| is_restored || elapsed_ms(leg.at, now) >= WEBHOOK_GRACE_MS;
            if call.was_talked || !legs.iter().any(|leg| is_talk(leg) && is_due(leg)) {
                continue;
            }
            self.deliver_legs(provider_call_id, legs, now).await?;
            if !is_restored {
                self.count_as_restored(provider_call_id, call);
            }
        }
        Ok(())
    }

    /// The officers' telephones that were rung in a call. Where an earlier go has read the pages before it, they may have
    /// been there, and it has forgotten them.
    async fn legs_of(&mut self, call: &ListedCall, now: Timestamp) -> Result<Vec<CallEvent>, Stop> {
        let legs = self.legs.remove(&call.provider_call_id).unwrap_or_default();
        let is_near =
            call.started_at.zip(self.begins_at).is_none_or(|(at, begin)| elapsed_ms(at, begin) < MAX_RINGING_MS);
        if !self.goes_on || !legs.is_empty() || !is_near {
            return Ok(legs);
        }
        let sid = &call.provider_call_id;
        let json = self.reconciler.http.ask_for_legs(self.listing, sid).await.map_err(Stop::Http)?;
        let Some(json) = json else { return Ok(legs) };
        let page = self.listing.parse_call_page(&json, now).map_err(Stop::Malformed)?;
        Ok(legs_of(page, sid))
    }

    async fn deliver_legs(
        &self,
        provider_call_id: &str,
        legs: Vec<CallEvent>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.deliver(provider_call_id, Vec::new(), legs, false, now).await
    }

    /// A call that we have, of which this look has brought in what no webhook told.
    fn count_as_restored(&mut self, provider_call_id: &str, call: &KnownCall) {
        if self.known.remove(&call.id) {
            self.look.known -= 1;
        } else {
            self.look.listed += 1;
        }
        self.look.restored += 1;
        self.restored.insert(provider_call_id.to_owned());
    }

    /// Whether an earlier go of this look brought in the call.
    fn has_restored(&self, call: &KnownCall) -> bool {
        self.goes_on && call.restored_at.is_some_and(|at| at >= self.look.to)
    }

    /// Whether an earlier go may have taken in calls of this page without counting them.
    fn is_at_broken_page(&self) -> bool {
        self.pages == 0 && self.row.is_broken_off
    }

    fn concerns_us(&self, call: &ListedCall) -> bool {
        call.is_over
            && call.started_at.is_some_and(|at| at >= self.look.from)
            && !self.lines.of_call(&call.dialled, call.forwarded_from.as_deref()).id.is_unknown()
    }

    /// Messages of calls that we have. All calls of ours in the span of the look are here by now; others are not ours.
    pub(super) async fn take_in_recordings(
        &mut self,
        entries: Vec<ListedRecording>,
        now: Timestamp,
    ) -> Result<(), Stop> {
        let store = &self.reconciler.store;
        let ids: Vec<String> = entries.iter().map(|recording| recording.provider_call_id.clone()).collect();
        let calls = store.known_calls(&self.provider, &ids).await?;
        let known = store.known_recordings(&calls.values().map(|call| call.id).collect::<Vec<_>>()).await?;
        for recording in entries {
            let ListedRecording { provider_call_id, recording_id, created_at, event, json } = recording;
            let Some(call) = calls.get(&provider_call_id) else { continue };
            if known.contains(&(call.id, recording_id)) {
                continue;
            }
            let is_restored = self.restored.contains(&provider_call_id) || self.has_restored(call);
            let length_seconds = match &event.fact {
                Fact::Recording { length_seconds, .. } => length_seconds.unwrap_or(0),
                _ => 0,
            };
            let age_ms = created_at.map_or(i64::MAX, |at| elapsed_ms(at, now) - i64::from(length_seconds) * 1000);
            if !is_restored && age_ms < WEBHOOK_GRACE_MS {
                continue;
            }
            self.deliver(&provider_call_id, json, vec![event], false, now).await?;
            if !is_restored {
                self.count_as_restored(&provider_call_id, call);
            }
        }
        Ok(())
    }

    /// Keeps what the list says like a webhook, with the mark that it was asked for.
    async fn deliver(
        &self,
        provider_call_id: &str,
        json: Vec<u8>,
        mut events: Vec<CallEvent>,
        can_be_asked: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        events.push(CallEvent { at: now, fact: Fact::Restored });
        let key = CallKey { provider: self.provider.clone(), provider_call_id: provider_call_id.to_owned() };
        let body = RestoredBody { events, listed: serde_json::from_slice(&json).unwrap_or_default() };
        let delivery = Delivery {
            provider: self.provider.clone(),
            endpoint: RESTORED.to_owned(),
            method: OWN.to_owned(),
            target: String::new(),
            content_type: "application/json".to_owned(),
            body: serde_json::to_vec(&body).expect("plain fields always become JSON").into(),
            received_at: now,
            key: Some(key),
            events: body.events,
            can_be_asked,
            applied_at: None,
        };
        self.reconciler.store.deliver(delivery).await.map(drop)
    }
}
