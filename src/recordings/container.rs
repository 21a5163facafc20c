//! What kind of file is this? Told from its first bytes, never from its name or from what the provider calls it.

use thiserror::Error;

/// A file that plays in a browser and that we can measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    Wav,
    Mp3,
    Ogg,
    Flac,
    /// MPEG-4, as telephones record: `.m4a`.
    Mp4,
}

impl Container {
    pub const ALL: [Self; 5] = [Self::Wav, Self::Mp3, Self::Ogg, Self::Flac, Self::Mp4];

    /// The container of files whose names end so.
    pub fn of_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|container| container.extension() == extension)
    }

    /// What it is called where no codec is known.
    pub fn name(self) -> &'static str {
        self.extension()
    }

    /// The end of the file's name: `wav`, `mp3`, `ogg`, `flac`, `m4a`.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Mp3 => "mp3",
            Self::Ogg => "ogg",
            Self::Flac => "flac",
            Self::Mp4 => "m4a",
        }
    }

    /// The media type to serve it with.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Wav => "audio/wav",
            Self::Mp3 => "audio/mpeg",
            Self::Ogg => "audio/ogg",
            Self::Flac => "audio/flac",
            Self::Mp4 => "audio/mp4",
        }
    }
}

/// The end of a file's name whose container nobody knows.
pub const UNKNOWN_EXTENSION: &str = "bin";

/// The ends that the file of a message may have.
pub const EXTENSIONS: [&str; 6] = ["wav", "mp3", "ogg", "flac", "m4a", UNKNOWN_EXTENSION];

/// Why a file cannot be measured. Nothing here says that it may be thrown away.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unplayable {
    #[error("the file is empty")]
    Empty,
    /// Providers send error pages where sound should be, sometimes with status 200.
    #[error("{0} instead of sound")]
    NotSound(&'static str),
    #[error("no sound format we know, it begins with the bytes {0}")]
    Unknown(String),
    #[error("sound coded as {0} cannot be measured here")]
    Unsupported(String),
    #[error("there is no sound track in it")]
    NoSoundTrack,
    #[error("the sound file is broken: {0}")]
    Broken(String),
    #[error("longer than {} minutes", .limit_ms / 60_000)]
    TooLong { limit_ms: i64 },
}

/// Looks at the beginning of a file; the first 64 bytes are enough. Ask before storing what a provider sent.
pub fn sniff(beginning: &[u8]) -> Result<Container, Unplayable> {
    match beginning {
        [] => Err(Unplayable::Empty),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Ok(Container::Wav),
        [b'O', b'g', b'g', b'S', ..] => Ok(Container::Ogg),
        [b'f', b'L', b'a', b'C', ..] => Ok(Container::Flac),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Ok(Container::Mp4),
        // An ID3v2 tag, or the eleven set bits that begin an MPEG frame and a layer that exists.
        [b'I', b'D', b'3', ..] => Ok(Container::Mp3),
        [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 != 0 => Ok(Container::Mp3),
        other => Err(something_else(other)),
    }
}

fn something_else(bytes: &[u8]) -> Unplayable {
    let beginning = &bytes[..bytes.len().min(64)];
    let text = String::from_utf8_lossy(beginning);
    let text = text.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    if text.starts_with("<!doctype html") || text.starts_with("<html") {
        Unplayable::NotSound("an HTML page")
    } else if text.starts_with("<?xml") || text.starts_with('<') {
        Unplayable::NotSound("an XML document")
    } else if text.starts_with('{') || text.starts_with('[') {
        Unplayable::NotSound("a JSON document")
    } else if beginning.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
        Unplayable::NotSound("plain text")
    } else {
        let bytes: Vec<String> = beginning.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Unplayable::Unknown(bytes.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_page_is_not_taken_for_sound() {
        for (body, what) in [
            ("<?xml version='1.0'?><TwilioResponse/>", "an XML document"),
            ("\u{feff}\r\n<!DOCTYPE html><title>502</title>", "an HTML page"),
            ("<html>", "an HTML page"),
            (" {\"code\": 20404}", "a JSON document"),
            ("Not Found\n", "plain text"),
        ] {
            assert_eq!(sniff(body.as_bytes()), Err(Unplayable::NotSound(what)), "{body}");
        }
        assert_eq!(sniff(b""), Err(Unplayable::Empty));
        assert_eq!(sniff(&[0, 1, 2, 255]), Err(Unplayable::Unknown("00 01 02 ff".into())));
    }

    #[test]
    fn a_sound_file_is_known_by_its_first_bytes() {
        assert_eq!(sniff(b"RIFF\0\0\0\0WAVEfmt "), Ok(Container::Wav));
        assert_eq!(sniff(&[0xff, 0xe3, 0x18, 0xc4]), Ok(Container::Mp3));
        assert_eq!(sniff(b"ID3\x04\0\0"), Ok(Container::Mp3));
        assert_eq!(sniff(b"OggS"), Ok(Container::Ogg));
        assert_eq!(sniff(b"fLaC"), Ok(Container::Flac));
        assert_eq!(sniff(b"\0\0\0\x20ftypM4A "), Ok(Container::Mp4));
    }
}
