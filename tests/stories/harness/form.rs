//! What the provider sends, and what it gets back.

/// The fields of one webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form(pub Vec<(String, String)>);

impl Form {
    /// An incoming call that rings on the parents' line.
    pub fn call(sid: &str) -> Self {
        let fields = [
            ("CallSid", sid),
            ("AccountSid", super::app::ACCOUNT),
            ("From", "+79280000001"),
            ("To", super::PARENTS),
            ("Direction", "inbound"),
            ("CallStatus", "ringing"),
        ];
        Self(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }

    /// The field with this value, replaced or added.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self
    }

    pub fn from(self, caller: &str) -> Self {
        self.with("From", caller)
    }

    pub fn to(self, called: &str) -> Self {
        self.with("To", called)
    }

    pub fn status(self, status: &str) -> Self {
        self.with("CallStatus", status)
    }

    /// The recording of `Record`'s own request and of the recording callback.
    pub fn recording(self, sid: &str, seconds: &str, base: &str) -> Self {
        let url = format!("{base}/Accounts/{}/Recordings/{sid}", super::app::ACCOUNT);
        self.with("RecordingSid", sid).with("RecordingUrl", &url).with("RecordingDuration", seconds)
    }

    pub fn encoded(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

impl Answer {
    /// All that is said, one text after another.
    pub fn said(&self) -> String {
        let texts = self.body.split("<Say").skip(1).filter_map(|rest| {
            let (_, rest) = rest.split_once('>')?;
            Some(rest.split_once("</Say>")?.0)
        });
        texts.collect::<Vec<_>>().join(" ")
    }

    /// The names of the elements inside the document, in their order.
    pub fn verbs(&self) -> Vec<&str> {
        let names = self.body.split('<').skip(1).filter(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
        names
            .map(|rest| rest.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or(""))
            .filter(|name| *name != "Response")
            .collect()
    }

    /// Whether the caller comes to the signal.
    pub fn offers_to_record(&self) -> bool {
        self.status == 200 && self.content_type.starts_with("text/xml") && self.verbs().contains(&"Record")
    }

    /// The value of the first attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!(" {name}=\""))?;
        Some(rest.split_once('"')?.0)
    }
}
