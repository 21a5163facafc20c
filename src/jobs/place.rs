//! Calls that an exchange places for officers. The one request to ring is marked before it goes out and never sent again:
//! whatever happens to its answer or to this program, afterwards the exchange is only looked at.

use tracing::warn;

use super::http::NoAnswer;
use super::{Ended, Worker};
use crate::core::call::MAX_CALL_MS;
use crate::core::placed_call::Ending;
use crate::providers::{Dialler, Leg, Placing};
use crate::store::{ActError, Job, PlacedCall, RING_WITHIN};
use crate::time::{SignedDuration, Timestamp, elapsed_ms};

/// Between two looks while the officer's telephone rings, and while he talks: then it is the exchange that tells.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(2);
const LOOK_EVERY_IN_A_TALK: SignedDuration = SignedDuration::from_secs(5);
/// How long after a call is gone its end may be awaited. The exchange tells at once, and again after a minute.
const TOLD_WITHIN_MS: i64 = 130_000;
/// The same of a call whose officer was never seen to take up the receiver.
const TOLD_AT_ONCE_MS: i64 = 4_000;
/// An exchange that cannot be looked at for this long after it was asked: longer than it rings.
const SILENT_FOR_MS: i64 = 60_000;

impl Worker {
    pub(super) async fn place_call(&self, job: &Job) -> Ended {
        let call = match self.store.placed_call(job.subject).await {
            Ok(Some(call)) if call.ending.is_none() => call,
            Ok(_) => return Ended::Done,
            Err(failed) => return failed.into(),
        };
        let now = self.clock.now();
        match self.providers.get(&call.provider).and_then(|provider| provider.dialler()) {
            None => self.ends(call.id, Ending::OutOfReach, now).await,
            Some(dialler) if call.placed_at.is_none() => self.ring(dialler, &call, now).await,
            Some(dialler) => self.look(dialler, &call, now).await,
        }
    }

    /// The exchange has told the end of a placed call.
    pub(super) async fn end_placed_call(&self, job: &Job) -> Ended {
        ended(self.store.end_call(job.subject, None, &self.store.lines(), self.clock.now()).await)
    }

    async fn ends(&self, id: i64, ending: Ending, now: Timestamp) -> Ended {
        ended(self.store.end_call(id, Some(ending), &self.store.lines(), now).await)
    }

    /// The one request to ring.
    async fn ring(&self, dialler: &dyn Dialler, call: &PlacedCall, now: Timestamp) -> Ended {
        if elapsed_ms(call.asked_at, now) >= RING_WITHIN.as_millis() as i64 {
            return self.ends(call.id, Ending::OutOfReach, now).await;
        }
        let call = match self.store.call_goes_out(call.id, now).await {
            Ok(Some(call)) => call,
            Ok(None) => return Ended::After(LOOK_EVERY, "another worker has placed it".to_owned()),
            Err(failed) => return failed.into(),
        };
        let request = dialler.place_request(call.id, &call.telephone, &call.number, &call.line_number);
        let (ending, alarm) = match self.http.answer(request).await {
            Ok((status, _)) => match dialler.placing(status) {
                Placing::Rings => {
                    self.clear_alarm("calls_not_placed", 0, now).await;
                    return Ended::After(LOOK_EVERY, "it rings".to_owned());
                }
                Placing::WrongPassword => {
                    (Ending::WrongPassword, Some("АТС не приняла пароль. Сравните ari_user и ari_password с ari.conf."))
                }
                // Whoever answered may stand before the exchange: it alone knows whether it rings.
                refused if matches!(self.leg(dialler, call.id).await, Some(Leg::Gone)) => match refused {
                    Placing::NoSuchTelephone => (Ending::NoSuchTelephone, None),
                    _ => (Ending::OutOfReach, Some("АТС отвечает не так, как должна. Проверьте ari_base.")),
                },
                _ => return Ended::After(LOOK_EVERY, format!("the exchange answered {status}")),
            },
            Err(NoAnswer::NothingSent(why)) => {
                warn!(placed_call.id = call.id, why, "The exchange cannot be asked to ring an officer: {why}");
                (Ending::OutOfReach, Some("АТС не отвечает. Проверьте её и ari_base."))
            }
            Err(NoAnswer::Lost(why)) => return Ended::After(LOOK_EVERY, why),
        };
        if let Some(why) = alarm {
            self.alarm("calls_not_placed", 0, &format!("АТС не звонит сотрудникам. {why}"), now).await;
        }
        self.ends(call.id, ending, now).await
    }

    async fn leg(&self, dialler: &dyn Dialler, id: i64) -> Option<Leg> {
        let (status, body) = self.http.answer(dialler.placed_request(id)).await.ok()?;
        dialler.leg(status, &body)
    }

    /// How far it is. What the exchange tells of its end comes by itself.
    async fn look(&self, dialler: &dyn Dialler, call: &PlacedCall, now: Timestamp) -> Ended {
        if elapsed_ms(call.asked_at, now) >= MAX_CALL_MS {
            return self.ends(call.id, Ending::Unknown, now).await;
        }
        let was_answered = call.answered_at.is_some();
        match self.leg(dialler, call.id).await {
            Some(Leg::Rings) => Ended::After(LOOK_EVERY, "it rings".to_owned()),
            Some(Leg::Up) if was_answered => Ended::After(LOOK_EVERY_IN_A_TALK, "it goes on".to_owned()),
            Some(Leg::Up) => match self.store.call_answered(call.id, now).await {
                Ok(()) => Ended::After(LOOK_EVERY_IN_A_TALK, "it goes on".to_owned()),
                Err(failed) => failed.into(),
            },
            Some(Leg::Gone) => {
                if call.over_at.is_none()
                    && let Err(failed) = self.store.call_over(call.id, now).await
                {
                    return failed.into();
                }
                let waited_ms = call.over_at.map_or(0, |over_at| elapsed_ms(over_at, now));
                match was_answered {
                    true if waited_ms >= TOLD_WITHIN_MS => self.ends(call.id, Ending::Unknown, now).await,
                    false if waited_ms >= TOLD_AT_ONCE_MS => self.ends(call.id, Ending::NotPickedUp, now).await,
                    _ => Ended::After(LOOK_EVERY, "its end is awaited".to_owned()),
                }
            }
            None if !was_answered && elapsed_ms(call.placed_at.unwrap_or(now), now) >= SILENT_FOR_MS => {
                self.ends(call.id, Ending::Unknown, now).await
            }
            None => Ended::After(LOOK_EVERY_IN_A_TALK, "the exchange does not say".to_owned()),
        }
    }
}

fn ended(written: Result<(), ActError>) -> Ended {
    match written {
        Ok(()) => Ended::Done,
        Err(ActError::Store(failed)) => failed.into(),
        Err(refused) => Ended::GivenUp(refused.to_string()),
    }
}
