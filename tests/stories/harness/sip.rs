//! The few words of SIP (RFC 3261) that a telephone needs towards our own exchange on the loopback.

/// A request or a response.
#[derive(Clone, Debug)]
pub struct Message {
    pub first_line: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let first_line = lines.next()?.to_owned();
        let headers = lines
            .map(|line| line.split_once(':').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())))
            .collect::<Option<_>>()?;
        (first_line.contains("SIP/2.0")).then(|| Self { first_line, headers, body: body.to_owned() })
    }

    /// The status of a response.
    pub fn status(&self) -> Option<u16> {
        self.first_line.strip_prefix("SIP/2.0 ")?.split(' ').next()?.parse().ok()
    }

    /// What is asked, or what is answered: `INVITE`, `BYE`, …
    pub fn method(&self) -> &str {
        self.header("CSeq").split(' ').next_back().unwrap_or("")
    }

    /// The first of this name, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.all(name).first().copied().unwrap_or("")
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The address in the angle brackets of a header.
    pub fn address_in(&self, name: &str) -> Option<String> {
        Some(self.header(name).split_once('<')?.1.split_once('>')?.0.to_owned())
    }

    /// The user part of the address in a header: who it is.
    pub fn user_in(&self, name: &str) -> String {
        let address = self.address_in(name).unwrap_or_default();
        address.trim_start_matches("sip:").split('@').next().unwrap_or("").to_owned()
    }

    /// The answer to this request. `tag` is ours.
    pub fn answer(&self, status: &str, tag: &str, more: &str) -> String {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for via in self.all("Via") {
            text += &format!("Via: {via}\r\n");
        }
        let to = self.header("To");
        let tag = if to.contains(";tag=") { String::new() } else { format!(";tag={tag}") };
        text += &format!("From: {}\r\nTo: {to}{tag}\r\n", self.header("From"));
        text += &format!("Call-ID: {}\r\nCSeq: {}\r\n", self.header("Call-ID"), self.header("CSeq"));
        text + &with_length(more)
    }
}

/// Headers and, behind an empty line, a body; completed by the length of the body.
pub fn with_length(more: &str) -> String {
    let (headers, body) = more.split_once("\r\n\r\n").map_or((more, ""), |(headers, body)| (headers, body));
    let headers =
        if headers.is_empty() || headers.ends_with("\r\n") { headers.to_owned() } else { format!("{headers}\r\n") };
    format!("{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// What a telephone can hear and say: A-law, and keys as events (RFC 4733).
pub fn session(port: u16, key_type: u8) -> String {
    let lines = [
        "v=0",
        "o=phone 1 1 IN IP4 127.0.0.1",
        "s=-",
        "c=IN IP4 127.0.0.1",
        "t=0 0",
        &format!("m=audio {port} RTP/AVP 8 {key_type}"),
        "a=rtpmap:8 PCMA/8000",
        &format!("a=rtpmap:{key_type} telephone-event/8000"),
        &format!("a=fmtp:{key_type} 0-16"),
        "a=ptime:20",
        "a=sendrecv",
    ];
    lines.map(|line| format!("{line}\r\n")).concat()
}

/// Where the other side of a session listens, and the payload type of its keys.
pub fn read_session(body: &str) -> Option<(u16, u8)> {
    let port = body.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok())?;
    let key_type = body.lines().find_map(|line| {
        let (number, codec) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        codec.starts_with("telephone-event/8000").then(|| number.parse().ok())?
    });
    Some((port, key_type.unwrap_or(101)))
}
