//! Telephones of callers and officers: SIP over UDP on the loopback.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::call::{Call, Ending, State, patiently};
use super::rtp::Sound;
use super::sip::{Message, read_session, session, with_length};

/// The payload type of keys, where we may choose it.
const KEY_TYPE: u8 = 96;

/// A telephone with a port of its own. It rings when it is called; what is to be done then the story says.
pub struct Telephone {
    pub port: u16,
    socket: Arc<UdpSocket>,
    lines: Lines,
    calls: tokio::sync::Mutex<mpsc::UnboundedReceiver<Call>>,
    listening: JoinHandle<()>,
}

/// By the Call-ID.
type Lines = Arc<Mutex<HashMap<String, Arc<Line>>>>;

/// One call of this telephone, as SIP has it.
pub struct Line {
    socket: Arc<UdpSocket>,
    exchange: SocketAddr,
    pub(super) dialog: Mutex<Dialog>,
    pub(super) state: watch::Sender<State>,
    pub(super) sound: Sound,
}

/// How the two sides name each other and the call.
pub struct Dialog {
    call_id: String,
    ours: String,
    theirs: String,
    /// The address of requests.
    target: String,
    branch: String,
    /// Of a call to us.
    pub(super) invite: Option<Message>,
}

impl Telephone {
    pub async fn new() -> Self {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a loopback port is free"));
        let port = socket.local_addr().expect("it is bound").port();
        let (ring, calls) = mpsc::unbounded_channel();
        let lines = Lines::default();
        let listening = tokio::spawn(listen(socket.clone(), lines.clone(), ring));
        Self { port, socket, lines, calls: tokio::sync::Mutex::new(calls), listening }
    }

    /// The next call to this telephone; it rings.
    pub async fn rings(&self) -> Call {
        let mut calls = self.calls.lock().await;
        patiently("the telephone to ring", calls.recv()).await.expect("it listens as long as it lives")
    }

    /// Nobody has called it since the last call that was taken up.
    pub async fn is_quiet(&self) -> bool {
        self.calls.lock().await.is_empty()
    }

    /// Dials `to` at the exchange on this port. `from` and `more` are the header `From` and further ones as they stand.
    pub async fn dial(self, exchange_port: u16, from: &str, to: &str, more: &str) -> Call {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let exchange = SocketAddr::from(([127, 0, 0, 1], exchange_port));
        let dialog = Dialog {
            call_id: format!("call-{n}-{}", self.port),
            ours: format!("{from};tag=caller{n}"),
            theirs: format!("<sip:{to}@{exchange}>"),
            target: format!("sip:{to}@{exchange}"),
            branch: format!("z9hG4bK-{n}-{}", self.port),
            invite: None,
        };
        let line = Line::new(self.socket.clone(), exchange, dialog, State::Calling).await;
        self.lines.lock().unwrap().insert(line.dialog.lock().unwrap().call_id.clone(), line.clone());
        let offer = session(line.sound.port, KEY_TYPE);
        let invite = line.request("INVITE", 1, &format!("{more}Content-Type: application/sdp\r\n\r\n{offer}"));
        line.send(&invite).await;
        Call { line, telephone: Some(self) }
    }
}

impl Drop for Telephone {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(socket: Arc<UdpSocket>, lines: Lines, ring: mpsc::UnboundedSender<Call>) {
    let mut bytes = [0; 8192];
    loop {
        // An error tells that an earlier packet reached nobody.
        let Ok((length, exchange)) = socket.recv_from(&mut bytes).await else { continue };
        let Some(message) = Message::parse(&bytes[..length]) else { continue };
        let known = lines.lock().unwrap().get(message.header("Call-ID")).cloned();
        match known {
            Some(line) => line.receive(message).await,
            None if message.status().is_none() && message.method() == "INVITE" => {
                let call_id = message.header("Call-ID").to_owned();
                let line = Line::called(socket.clone(), exchange, message).await;
                lines.lock().unwrap().insert(call_id, line.clone());
                let _ = ring.send(Call { line, telephone: None });
            }
            None if message.status().is_none() && message.method() != "ACK" => {
                let _ = socket.send_to(message.answer("481 No such call", "none", "").as_bytes(), exchange).await;
            }
            None => {}
        }
    }
}

impl Line {
    async fn new(socket: Arc<UdpSocket>, exchange: SocketAddr, dialog: Dialog, state: State) -> Arc<Self> {
        let (dialog, state, sound) = (Mutex::new(dialog), watch::channel(state).0, Sound::new().await);
        Arc::new(Self { socket, exchange, dialog, state, sound })
    }

    /// We are called: it rings.
    async fn called(socket: Arc<UdpSocket>, exchange: SocketAddr, invite: Message) -> Arc<Self> {
        let dialog = Dialog {
            call_id: invite.header("Call-ID").to_owned(),
            ours: format!("{};tag=called", invite.header("To")),
            theirs: invite.header("From").to_owned(),
            target: invite.address_in("Contact").unwrap_or_default(),
            branch: format!("z9hG4bK-{}", invite.header("Call-ID")),
            invite: Some(invite.clone()),
        };
        let line = Self::new(socket, exchange, dialog, State::Ringing).await;
        line.send(&invite.answer("180 Ringing", "called", &line.contact())).await;
        line
    }

    pub(super) fn contact(&self) -> String {
        format!("Contact: <sip:phone@{}>\r\n", self.socket.local_addr().expect("it is bound"))
    }

    pub(super) fn request(&self, method: &str, sequence: u32, more: &str) -> String {
        let dialog = self.dialog.lock().unwrap();
        let Dialog { call_id, ours, theirs, target, branch, .. } = &*dialog;
        // All that belongs to one request and its end has the branch of that request.
        let branch = match method {
            "INVITE" | "CANCEL" => branch.clone(),
            _ => format!("{branch}-{method}"),
        };
        let via = self.socket.local_addr().expect("it is bound");
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch={branch}\r\nMax-Forwards: 70\r\n\
             From: {ours}\r\nTo: {theirs}\r\nCall-ID: {call_id}\r\nCSeq: {sequence} {method}\r\n{}{}",
            self.contact(),
            with_length(more)
        )
    }

    pub(super) async fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.exchange).await.expect("the loopback takes packets");
    }

    fn is(&self, state: State) {
        if let State::Over(_) = state {
            self.sound.stop();
        }
        // What is over stays over.
        self.state.send_modify(|known| {
            if !matches!(known, State::Over(_)) {
                *known = state;
            }
        });
    }

    async fn receive(&self, message: Message) {
        match (message.status(), message.method()) {
            (Some(180 | 183), "INVITE") => self.is(State::Ringing),
            (Some(200), "INVITE") => {
                {
                    let mut dialog = self.dialog.lock().unwrap();
                    dialog.theirs = message.header("To").to_owned();
                    dialog.target = message.address_in("Contact").unwrap_or_default();
                }
                self.send(&self.request("ACK", 1, "")).await;
                self.begin(&message);
            }
            (Some(status @ 300..), "INVITE") => {
                self.dialog.lock().unwrap().theirs = message.header("To").to_owned();
                let ack = self.request("ACK", 1, "").replace("-ACK\r\n", "\r\n");
                self.send(&ack).await;
                self.is(State::Over(Ending::Refused(status)));
            }
            (Some(200..), "BYE") => self.is(State::Over(Ending::WeHungUp)),
            (Some(_), _) => {}
            // Its answer was lost to who asks again, or is not there yet.
            (None, "INVITE") => {}
            (None, "ACK") => {
                if *self.state.borrow() != State::Ringing {
                    return;
                }
                let invite = self.dialog.lock().unwrap().invite.clone().expect("only who called sends ACK");
                self.begin(&invite);
            }
            (None, "BYE") => {
                self.send(&message.answer("200 OK", "called", "")).await;
                self.is(State::Over(Ending::TheyHungUp));
            }
            (None, "CANCEL") => {
                self.send(&message.answer("200 OK", "called", "")).await;
                self.refuse("487 Request Terminated").await;
            }
            (None, _) => self.send(&message.answer("200 OK", "called", "")).await,
        }
    }

    /// Sound flows both ways.
    fn begin(&self, with: &Message) {
        self.sound.start(read_session(&with.body).expect("the exchange tells where it listens"));
        self.is(State::Up);
    }

    pub(super) async fn refuse(&self, status: &str) {
        let invite = self.dialog.lock().unwrap().invite.clone().expect("only calls to us are refused");
        self.send(&invite.answer(status, "called", &self.contact())).await;
        let number = status.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0);
        self.is(State::Over(Ending::Refused(number)));
    }
}
