//! One call, seen from one telephone, and what the person at it does and waits for.

use std::sync::Arc;
use std::time::Duration;

use super::rtp::Heard;
use super::sip::{read_session, session};
use super::telephone::{Line, Telephone};

/// The longest anybody waits for anything before the story has failed.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Calling,
    Ringing,
    Up,
    Over(Ending),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    WeHungUp,
    TheyHungUp,
    /// With the status of the refusal; 487 is for who gave up while it rang.
    Refused(u16),
}

/// One call, seen from one telephone.
pub struct Call {
    pub(super) line: Arc<Line>,
    /// A telephone that was taken for this call only.
    pub(super) telephone: Option<Telephone>,
}

impl Call {
    /// Who calls, as the called telephone shows it.
    pub fn shows(&self) -> String {
        self.line.dialog.lock().unwrap().invite.as_ref().map(|invite| invite.user_in("From")).unwrap_or_default()
    }

    /// What was dialled, as the called telephone sees it.
    pub fn dialled(&self) -> String {
        let dialog = self.line.dialog.lock().unwrap();
        let invite = dialog.invite.as_ref().expect("a call to us");
        let address = invite.first_line.split(' ').nth(1).unwrap_or("");
        address.trim_start_matches("sip:").split('@').next().unwrap_or("").to_owned()
    }

    pub async fn is_answered(&self) {
        self.comes_to("an answer", |state| state == State::Up).await;
    }

    /// Returns when the call is over, by whomever.
    pub async fn is_over(&self) -> Ending {
        let over = |state| matches!(state, State::Over(_));
        match self.comes_to("the end of the call", over).await {
            State::Over(ending) => ending,
            other => unreachable!("{other:?} is not over"),
        }
    }

    async fn comes_to(&self, what: &str, holds: impl Fn(State) -> bool) -> State {
        let mut state = self.line.state.subscribe();
        let reached = state.wait_for(|state| holds(*state) || matches!(state, State::Over(_)));
        let reached = *patiently(what, reached).await.expect("we hold its sender");
        assert!(holds(reached), "instead of {what}: {reached:?}");
        reached
    }

    /// Takes up a telephone that rings.
    pub async fn answer(&self) {
        let invite = self.line.dialog.lock().unwrap().invite.clone().expect("only calls to us are answered");
        let (_, key_type) = read_session(&invite.body).expect("the exchange offers sound");
        let offer = session(self.line.sound.port, key_type);
        let more = format!("{}Content-Type: application/sdp\r\n\r\n{offer}", self.line.contact());
        self.line.send(&invite.answer("200 OK", "called", &more)).await;
        self.is_answered().await;
    }

    /// Somebody speaks on this telephone already.
    pub async fn is_busy(&self) {
        self.line.refuse("486 Busy Here").await;
    }

    pub async fn hang_up(&self) {
        let state = *self.line.state.borrow();
        match state {
            State::Over(_) => {}
            State::Up => self.line.send(&self.line.request("BYE", 2, "")).await,
            State::Calling | State::Ringing if self.telephone.is_some() => {
                self.line.send(&self.line.request("CANCEL", 1, "")).await;
            }
            State::Calling | State::Ringing => self.line.refuse("603 Decline").await,
        }
        self.is_over().await;
    }

    /// Returns when it was said.
    pub async fn say(&self, samples: &[i16]) {
        self.begins_to_say(samples);
        self.has_said_all().await;
    }

    /// Does not wait for the end of it.
    pub fn begins_to_say(&self, samples: &[i16]) {
        self.line.sound.say(samples);
    }

    pub async fn has_said_all(&self) {
        self.hears("the end of one's own words", |_, left| left == 0).await;
    }

    /// Returns when all were pressed.
    pub async fn press(&self, keys: &str) {
        self.line.sound.press(keys);
        self.hears("the last key", |_, left| left == 0).await;
    }

    /// Returns as soon as the signal begins.
    pub async fn the_beep_begins(&self) {
        self.hears("the beep", |heard, _| heard.beeps()).await;
    }

    /// Returns when the signal is over: now one may speak.
    pub async fn the_beep_is_over(&self) {
        self.hears("the end of the beep", |heard, _| heard.beep_is_over()).await;
    }

    /// Returns when so much was heard, milliseconds.
    pub async fn hears_for(&self, ms: usize) {
        self.hears("so much sound", |heard, _| heard.samples.len() >= ms * 8).await;
    }

    /// The same from now on.
    pub async fn hears_for_more(&self, ms: usize) {
        self.hears_for(self.heard().len() / 8 + ms).await;
    }

    async fn hears(&self, what: &str, holds: impl FnMut(&Heard, usize) -> bool) {
        let mut state = self.line.state.subscribe();
        tokio::select! {
            () = patiently(what, self.line.sound.until(holds)) => {}
            over = state.wait_for(|state| matches!(state, State::Over(_))) => {
                panic!("instead of {what}: {:?}", *over.expect("we hold its sender"));
            }
        }
    }

    /// All that was heard so far, from the first packet on: 8 kHz.
    pub fn heard(&self) -> Vec<i16> {
        self.line.sound.heard()
    }
}

/// Waits, but not for ever.
pub async fn patiently<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(done) => done,
        Err(_) => panic!("waited {} s for {what}", PATIENCE.as_secs()),
    }
}
