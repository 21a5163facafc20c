//! A mail server on loopback: takes letters, or treats them as a story wants.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};

/// How one connection is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// As it should be.
    Good,
    /// Hangs up when the letter is about to come: it has nothing.
    HangsUpBeforeTheLetter,
    /// Hangs up when the letter is there, without a word: it has it, and nobody knows.
    HangsUpAfterTheLetter,
    /// Takes the letter, says so, and hangs up before the parting.
    HangsUpAtTheParting,
    /// «Try later», before the letter.
    PutsOff,
    /// «No such reader».
    Refuses,
    /// Does not know the password.
    KnowsNobody,
    /// «Try later», and says what it does not like in the words of [`MailServer::quote`].
    Quotes,
}

/// A letter as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Of the envelope.
    pub to: Vec<String>,
    pub raw: String,
}

pub struct MailServer {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    manners: Arc<Mutex<VecDeque<Manners>>>,
    quoted: Arc<Mutex<String>>,
    connections: Arc<Mutex<usize>>,
}

impl MailServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let server = Self {
            address: listener.local_addr().expect("it is bound"),
            received: Arc::default(),
            manners: Arc::default(),
            quoted: Arc::default(),
            connections: Arc::default(),
        };
        let (received, manners, connections) =
            (server.received.clone(), server.manners.clone(), server.connections.clone());
        let quoted = server.quoted.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                *connections.lock().unwrap() += 1;
                let manner = manners.lock().unwrap().pop_front().unwrap_or(Manners::Good);
                let (received, quoted) = (received.clone(), quoted.lock().unwrap().clone());
                tokio::spawn(async move { talk(connection, manner, &quoted, &received).await });
            }
        });
        server
    }

    /// How the next connections are treated; those after them, well.
    pub fn behave(&self, manners: &[Manners]) {
        self.manners.lock().unwrap().extend(manners);
    }

    /// What it says where it [`Manners::Quotes`].
    pub fn quote(&self, words: &str) {
        words.clone_into(&mut self.quoted.lock().unwrap());
    }

    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    /// Every letter that came, also twice.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// What readers find: a second copy under the same `Message-ID` is none.
    pub fn letters(&self) -> Vec<Received> {
        let mut seen = BTreeSet::new();
        self.received().into_iter().filter(|letter| seen.insert(letter.header("Message-ID"))).collect()
    }

    /// The only letter, and no second copy of it.
    pub fn only(&self) -> Received {
        let mut received = self.received();
        assert_eq!(received.len(), 1, "{received:#?}");
        received.remove(0)
    }
}

impl Received {
    fn head(&self) -> &str {
        self.raw.split_once("\r\n\r\n").expect("a head and a body").0
    }

    /// Names of all headers, in their order.
    pub fn headers(&self) -> Vec<String> {
        let lines = self.head().split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
        lines.map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
    }

    /// The header, unfolded and decoded; empty if it is not there.
    pub fn header(&self, name: &str) -> String {
        let unfolded = self.head().replace("\r\n ", " ").replace("\r\n\t", " ");
        let line = unfolded.split("\r\n").find_map(|line| line.strip_prefix(&format!("{name}: ")));
        decode_words(line.unwrap_or_default())
    }

    pub fn subject(&self) -> String {
        self.header("Subject")
    }

    /// The attached file, if there is one: its name and bytes.
    pub fn attachment(&self) -> Option<(String, Vec<u8>)> {
        let (_, part) = self.raw.split_once("Content-Disposition: attachment; filename=\"")?;
        let (name, rest) = part.split_once('"')?;
        let (_, body) = rest.split_once("\r\n\r\n")?;
        let plain: String = body.split("\r\n--").next()?.split_whitespace().collect();
        Some((name.to_owned(), BASE64_STANDARD.decode(plain).expect("base64")))
    }

    /// The text of the letter, of its first part if it has several.
    pub fn text(&self) -> String {
        let (mut head, mut body) = self.raw.split_once("\r\n\r\n").expect("a head and a body");
        if head.contains("multipart/mixed") {
            (head, body) = body.split_once("\r\n\r\n").expect("a part with a head");
            body = body.split("\r\n--").next().unwrap_or(body);
        }
        let head = head.to_lowercase();
        if head.contains("content-transfer-encoding: base64") {
            let plain: String = body.split_whitespace().collect();
            String::from_utf8(BASE64_STANDARD.decode(plain).expect("base64")).expect("UTF-8")
        } else if head.contains("content-transfer-encoding: quoted-printable") {
            unquote(body)
        } else {
            body.to_owned()
        }
    }
}

/// RFC 2047, as far as the house writes it.
fn decode_words(text: &str) -> String {
    let mut decoded = Vec::new();
    let mut last_was_word = false;
    for (index, part) in text.split(' ').enumerate() {
        let word = part.strip_prefix("=?utf-8?b?").and_then(|part| part.strip_suffix("?="));
        if index > 0 && !(last_was_word && word.is_some()) {
            decoded.push(b' ');
        }
        match word {
            Some(word) => decoded.extend(BASE64_STANDARD.decode(word).expect("base64")),
            None => decoded.extend(part.as_bytes()),
        }
        last_was_word = word.is_some();
    }
    String::from_utf8(decoded).expect("UTF-8")
}

fn unquote(text: &str) -> String {
    let text = text.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'=' {
            let code = std::str::from_utf8(&after[..2]).expect("two digits");
            bytes.push(u8::from_str_radix(code, 16).expect("a hexadecimal number"));
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

async fn say(out: &mut OwnedWriteHalf, line: &str) {
    let _ = out.write_all(format!("{line}\r\n").as_bytes()).await;
}

async fn talk(connection: TcpStream, manner: Manners, quoted: &str, received: &Mutex<Vec<Received>>) -> Option<()> {
    let (incoming, mut out) = connection.into_split();
    let mut lines = BufReader::new(incoming).lines();
    say(&mut out, "220 loopback").await;
    let mut to = Vec::new();
    loop {
        let line = lines.next_line().await.ok()??;
        let command = line.to_ascii_uppercase();
        if command.starts_with("EHLO") {
            say(&mut out, "250-loopback").await;
            say(&mut out, "250 AUTH PLAIN LOGIN").await;
        } else if command.starts_with("AUTH") {
            let known = manner != Manners::KnowsNobody;
            say(&mut out, if known { "235 welcome" } else { "535 5.7.8 bad credentials" }).await;
        } else if command.starts_with("RCPT") {
            match manner {
                Manners::PutsOff => say(&mut out, "451 4.7.1 try later").await,
                Manners::Quotes => say(&mut out, &format!("451 4.7.1 {quoted}")).await,
                Manners::Refuses => say(&mut out, "550 5.1.1 no such reader").await,
                _ => {
                    to.push(line[line.find('<')? + 1..line.find('>')?].to_owned());
                    say(&mut out, "250 ok").await;
                }
            }
        } else if command == "DATA" {
            if manner == Manners::HangsUpBeforeTheLetter {
                return None;
            }
            say(&mut out, "354 go on").await;
            let mut raw = String::new();
            loop {
                let line = lines.next_line().await.ok()??;
                if line == "." {
                    break;
                }
                raw.push_str(line.strip_prefix('.').unwrap_or(&line));
                raw.push_str("\r\n");
            }
            received.lock().unwrap().push(Received { to: std::mem::take(&mut to), raw });
            if manner == Manners::HangsUpAfterTheLetter {
                return None;
            }
            say(&mut out, "250 taken").await;
            if manner == Manners::HangsUpAtTheParting {
                return None;
            }
        } else if command == "QUIT" {
            say(&mut out, "221 bye").await;
            return Some(());
        } else {
            say(&mut out, "250 ok").await;
        }
    }
}
