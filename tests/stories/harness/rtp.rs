//! The sound of one call: A-law over RTP both ways, one packet each 20 ms as a telephone sends them, keys as events
//! (RFC 4733).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use audio_codec_algorithms::{decode_alaw, encode_alaw};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

const FRAME: usize = 160;
const ALAW: u8 = 8;
/// How long a key is held and let go, packets.
const HELD: u16 = 6;
const LET_GO: usize = 4;
const KEYS: &str = "0123456789*#";
/// The signal of the exchange after which the caller speaks, hertz.
const BEEP: f64 = 700.0;
/// It lasts 0.4 s; so many packets of it are no word of a greeting.
const WHOLE_BEEP: u32 = 10;

enum Frame {
    Sound([u8; FRAME]),
    /// The key's code, and how many packets of it went before.
    Key(u8, u16),
}

/// What the other side played.
#[derive(Default)]
pub struct Heard {
    pub samples: Vec<i16>,
    next_timestamp: Option<u32>,
    /// Packets in a row that are the signal, and ticks since the last of them.
    beeping: u32,
    since: u32,
}

impl Heard {
    fn take(&mut self, packet: &[u8]) {
        if packet.len() <= 12 || packet[1] & 0x7f != ALAW {
            return;
        }
        let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        let samples: Vec<i16> = packet[12..].iter().map(|byte| decode_alaw(*byte)).collect();
        // A pause of the other side is silence.
        let gap = self.next_timestamp.map_or(0, |expected| timestamp.wrapping_sub(expected));
        if gap < 8_000 * 60 {
            self.samples.resize(self.samples.len() + gap as usize, 0);
        }
        self.next_timestamp = Some(timestamp.wrapping_add(samples.len() as u32));
        match is_beep(&samples) {
            true => (self.beeping, self.since) = (self.beeping + 1, 0),
            false if self.beeping < WHOLE_BEEP => self.beeping = 0,
            false => {}
        }
        self.samples.extend(samples);
    }

    pub fn beeps(&self) -> bool {
        self.beeping >= 3
    }

    pub fn beep_is_over(&self) -> bool {
        self.beeping >= WHOLE_BEEP && self.since >= 4
    }
}

/// Nearly all of its energy lies at the signal's frequency.
fn is_beep(samples: &[i16]) -> bool {
    let turn = std::f64::consts::TAU * BEEP / 8_000.0;
    let (mut cosine, mut sine, mut energy) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let (angle, sample) = (turn * n as f64, f64::from(*sample));
        cosine += sample * angle.cos();
        sine += sample * angle.sin();
        energy += sample * sample;
    }
    let length = samples.len() as f64;
    energy / length > 1e5 && 2.0 * (cosine * cosine + sine * sine) / length > 0.9 * energy
}

#[derive(Default)]
struct Shared {
    to_send: Mutex<VecDeque<Frame>>,
    heard: Mutex<Heard>,
}

pub struct Sound {
    pub port: u16,
    socket: Arc<UdpSocket>,
    shared: Arc<Shared>,
    ticks: watch::Sender<u64>,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Sound {
    pub async fn new() -> Self {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a loopback port is free"));
        let port = socket.local_addr().expect("it is bound").port();
        Self { port, socket, shared: Arc::default(), ticks: watch::channel(0).0, running: Mutex::default() }
    }

    /// Sends silence until there is something to say, and listens.
    pub fn start(&self, other_side: (u16, u8)) {
        let mut running = self.running.lock().unwrap();
        if running.is_none() {
            let going_on = run(self.socket.clone(), other_side, self.shared.clone(), self.ticks.clone());
            *running = Some(tokio::spawn(going_on));
        }
    }

    pub fn stop(&self) {
        if let Some(running) = self.running.lock().unwrap().take() {
            running.abort();
        }
    }

    pub fn say(&self, samples: &[i16]) {
        let mut to_send = self.shared.to_send.lock().unwrap();
        for part in samples.chunks(FRAME) {
            let mut frame = [encode_alaw(0); FRAME];
            for (byte, sample) in frame.iter_mut().zip(part) {
                *byte = encode_alaw(*sample);
            }
            to_send.push_back(Frame::Sound(frame));
        }
    }

    pub fn press(&self, keys: &str) {
        let mut to_send = self.shared.to_send.lock().unwrap();
        for key in keys.chars() {
            let code = KEYS.find(key).expect("a telephone has this key") as u8;
            to_send.extend((0..HELD).map(|before| Frame::Key(code, before)));
            to_send.extend((0..LET_GO).map(|_| Frame::Sound([encode_alaw(0); FRAME])));
        }
    }

    /// Returns when this holds of what was heard and of how much is still to be said, packets.
    pub async fn until(&self, mut holds: impl FnMut(&Heard, usize) -> bool) {
        let mut ticks = self.ticks.subscribe();
        loop {
            let left = self.shared.to_send.lock().unwrap().len();
            if holds(&self.shared.heard.lock().unwrap(), left) {
                return;
            }
            ticks.changed().await.expect("we hold its sender");
        }
    }

    pub fn heard(&self) -> Vec<i16> {
        self.shared.heard.lock().unwrap().samples.clone()
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn run(socket: Arc<UdpSocket>, (port, key_type): (u16, u8), shared: Arc<Shared>, ticks: watch::Sender<u64>) {
    let other_side = SocketAddr::from(([127, 0, 0, 1], port));
    let mut timer = interval(Duration::from_millis(20));
    // A machine that is busy sends later, but never less.
    timer.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut incoming = [0; 2048];
    let (mut sequence, mut now) = (0_u16, 0_u32);
    loop {
        tokio::select! {
            _ = timer.tick() => {
                let frame = shared.to_send.lock().unwrap().pop_front();
                let (kind, stamp, payload, times) = match frame.unwrap_or(Frame::Sound([encode_alaw(0); FRAME])) {
                    Frame::Sound(bytes) => (ALAW, now, bytes.to_vec(), 1),
                    Frame::Key(code, before) => {
                        let is_last = before + 1 == HELD;
                        let length = ((before + 1) * FRAME as u16).to_be_bytes();
                        let payload = vec![code, if is_last { 0x8a } else { 0x0a }, length[0], length[1]];
                        // An event keeps the time of its beginning, and its end is told three times.
                        (key_type, now - u32::from(before) * FRAME as u32, payload, if is_last { 3 } else { 1 })
                    }
                };
                for _ in 0..times {
                    let packet = packet(kind, sequence, stamp, &payload);
                    // Nobody may be listening any more.
                    let _ = socket.send_to(&packet, other_side).await;
                    sequence = sequence.wrapping_add(1);
                }
                now += FRAME as u32;
                shared.heard.lock().unwrap().since += 1;
                ticks.send_modify(|ticks| *ticks += 1);
            }
            received = socket.recv_from(&mut incoming) => {
                if let Ok((length, _)) = received {
                    shared.heard.lock().unwrap().take(&incoming[..length]);
                }
            }
        }
    }
}

fn packet(kind: u8, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, kind];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(*b"call");
    packet.extend(payload);
    packet
}
