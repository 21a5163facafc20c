//! The simulated provider as a whole: started, asked to place calls, asked what was fetched from it, stopped.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};

use sha1::{Digest, Sha1};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::dialogue::Dialogue;
use super::plan::{CallPlan, CallReport};
use super::rest::{Archive, Counters, KeptCall, KeptRecording, RestFaults};
use super::sounds::{Sound, Voices};
use super::wire::Wire;
use crate::recordings::tone;
use crate::time::{Clock, SignedDuration, Timestamp};

/// Who the provider is, and where it finds the service.
#[derive(Clone)]
pub struct ExchangeSettings {
    pub account_sid: String,
    /// Signs the webhooks, and is the password of the HTTP side.
    pub auth_token: String,
    /// Where the service listens: `http://127.0.0.1:8080/webhooks/demo`.
    pub webhook_base: String,
    /// The service's configured public address: what is signed, and what its replies are made of.
    pub public_url: String,
    /// When a call without a time of its own begins.
    pub clock: Clock,
    /// Moves a standing `clock` on as the calls proceed. It is never moved back.
    pub advances_clock: bool,
    pub voices: Voices,
}

/// What the provider has of a call that nobody reported.
#[derive(Clone, Debug)]
pub struct HeldCall {
    pub caller: String,
    pub called: String,
    pub forwarded_from: Option<String>,
    pub starts_at: Timestamp,
    pub seconds: i64,
    /// The length of the message that the caller left.
    pub message_ms: Option<u32>,
    pub status: &'static str,
    pub direction: &'static str,
    /// Of an officer's leg: the call in which it was dialled.
    pub parent: Option<String>,
}

impl HeldCall {
    /// A caller who left nothing.
    pub fn new(caller: &str, called: &str, starts_at: Timestamp) -> Self {
        Self {
            caller: caller.to_owned(),
            called: called.to_owned(),
            forwarded_from: None,
            starts_at,
            seconds: 30,
            message_ms: None,
            status: "completed",
            direction: "inbound",
            parent: None,
        }
    }

    pub fn leaving(mut self, message_ms: u32) -> Self {
        self.message_ms = Some(message_ms);
        self
    }
}

/// A running provider. Dropping it closes its doors.
pub struct Exchange {
    pub(super) settings: ExchangeSettings,
    pub(super) wire: Wire,
    pub(super) archive: Archive,
    /// `http://127.0.0.1:PORT/2010-04-01`
    api_base: String,
    ids_given: AtomicU64,
    close: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<std::io::Result<()>>>,
}

impl Exchange {
    /// Opens the HTTP side on a free loopback port.
    pub async fn start(settings: ExchangeSettings) -> anyhow::Result<Self> {
        let wire = Wire::new(&settings.auth_token, &settings.webhook_base, &settings.public_url)?;
        let archive = Archive::new(&settings.account_sid, &settings.auth_token);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let api_base = format!("http://{}/2010-04-01", listener.local_addr()?);
        let (close, closed) = oneshot::channel::<()>();
        let server = axum::serve(listener, archive.router()).with_graceful_shutdown(async {
            let _ = closed.await;
        });
        let serving = tokio::spawn(async { server.await });
        Ok(Self {
            settings,
            wire,
            archive,
            api_base,
            ids_given: AtomicU64::new(0),
            close: Some(close),
            serving: Some(serving),
        })
    }

    /// What belongs into the configuration as `api_base`.
    pub fn api_base(&self) -> &str {
        &self.api_base
    }

    /// Places one call and follows it to its end. Takes no real time beyond the service's answers.
    pub async fn call(&self, plan: CallPlan) -> CallReport {
        Dialogue::new(self, plan).run().await
    }

    /// What goes wrong with recordings from now on.
    pub fn set_faults(&self, faults: RestFaults) {
        self.archive.kept().faults = faults;
    }

    pub fn counters(&self) -> Counters {
        self.archive.kept().counters.clone()
    }

    /// A call that the provider had while it could not reach the service: it answered with a document of its own, if at
    /// all, and reported nothing. The answer is the id of the call.
    pub fn hold_call(&self, call: HeldCall) -> String {
        let HeldCall { caller, called, forwarded_from, starts_at, seconds, message_ms, status, direction, parent } =
            call;
        let sid = self.new_sid("CA", &caller, starts_at);
        let ended_at = starts_at + SignedDuration::from_secs(seconds);
        let recording = message_ms.map(|length_ms| KeptRecording {
            sid: self.new_sid("RE", &sid, starts_at),
            call_sid: sid.clone(),
            started_at: starts_at + SignedDuration::from_secs(1),
            duration_seconds: length_ms / 1000,
            absent: None,
            wav: tone::wav_bytes(&self.settings.voices.samples(&Sound::Speech {
                length_ms,
                voice: 7,
                number: "89280000301".to_owned(),
            }))
            .into(),
            asked: 0,
            deletions_asked: 0,
            is_deleted: false,
        });
        let call = KeptCall {
            sid: sid.clone(),
            from: caller,
            to: called,
            forwarded_from,
            status,
            started_at: starts_at,
            ended_at: (status != "in-progress").then_some(ended_at),
            direction,
            parent_sid: parent,
        };
        let mut kept = self.archive.kept();
        kept.calls.insert(sid.clone(), call);
        kept.recordings.extend(recording.map(|recording| (recording.sid.clone(), recording)));
        sid
    }

    /// The sound of a recording as the provider holds it, to compare with what arrived.
    pub fn recording_wav(&self, sid: &str) -> Option<bytes::Bytes> {
        self.archive.kept().recordings.get(sid).map(|recording| recording.wav.clone())
    }

    /// Closes the doors and waits for the answers under way.
    pub async fn stop(mut self) {
        drop(self.close.take());
        if let Some(serving) = self.serving.take() {
            // Nothing to do about a server that failed: it is closed as well.
            let _ = serving.await;
        }
    }

    /// The next id of this kind: the prefix and 32 hex digits, the same in every run of the same evening.
    pub(super) fn new_sid(&self, prefix: &str, seed: &str, at: Timestamp) -> String {
        let number = self.ids_given.fetch_add(1, Ordering::Relaxed);
        let account = &self.settings.account_sid;
        let digest = Sha1::digest(format!("{account} {prefix} {number} {seed} {}", at.as_millisecond()));
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("{prefix}{hex}")
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        drop(self.close.take());
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }
}
