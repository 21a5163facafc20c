//! What kind of file is this? Told from its first bytes, never from its name or from what the provider calls it.

use thiserror::Error;

use super::mpeg::Frame;

/// A kind of sound file that we know by its first bytes. The first five play in every browser and can be measured here, as
/// far as their codec is known; of the others only the name is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// RIFF with its sisters for large files, RF64 and BW64.
    Wav,
    /// All three layers of MPEG audio.
    Mp3,
    Ogg,
    Flac,
    /// MPEG-4, as telephones record: `.m4a`.
    Mp4,
    Amr,
    AmrWideband,
    Aiff,
    Au,
    Aac,
    Caf,
    /// WAV with its bytes the other way round.
    Rifx,
    Webm,
    /// Windows Media.
    Wma,
}

impl Container {
    pub const ALL: [Self; 14] = [
        Self::Wav,
        Self::Mp3,
        Self::Ogg,
        Self::Flac,
        Self::Mp4,
        Self::Amr,
        Self::AmrWideband,
        Self::Aiff,
        Self::Au,
        Self::Aac,
        Self::Caf,
        Self::Rifx,
        Self::Webm,
        Self::Wma,
    ];

    /// The container of files whose names end so.
    pub fn of_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|container| container.extension() == extension)
    }

    /// The end of the file's name: `wav`, `mp3`, `ogg`, `flac`, `m4a`, …
    pub fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Mp3 => "mp3",
            Self::Ogg => "ogg",
            Self::Flac => "flac",
            Self::Mp4 => "m4a",
            Self::Amr => "amr",
            Self::AmrWideband => "awb",
            Self::Aiff => "aiff",
            Self::Au => "au",
            Self::Aac => "aac",
            Self::Caf => "caf",
            Self::Rifx => "rifx",
            Self::Webm => "webm",
            Self::Wma => "wma",
        }
    }

    /// The media type to serve it with.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Wav | Self::Rifx => "audio/wav",
            Self::Mp3 => "audio/mpeg",
            Self::Ogg => "audio/ogg",
            Self::Flac => "audio/flac",
            Self::Mp4 => "audio/mp4",
            Self::Amr => "audio/amr",
            Self::AmrWideband => "audio/amr-wb",
            Self::Aiff => "audio/aiff",
            Self::Au => "audio/basic",
            Self::Aac => "audio/aac",
            Self::Caf => "audio/x-caf",
            Self::Webm => "audio/webm",
            Self::Wma => "audio/x-ms-wma",
        }
    }
}

/// The end of a file's name whose container nobody knows.
pub const UNKNOWN_EXTENSION: &str = "bin";

/// The ends that the file of a message may have.
pub fn extensions() -> impl Iterator<Item = &'static str> {
    Container::ALL.into_iter().map(Container::extension).chain([UNKNOWN_EXTENSION])
}

/// Some encoders begin a file with this many zeros at most.
pub const MAX_ZEROS: usize = 64 * 1024;

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

/// Looks at the beginning of a file; the first 64 bytes are enough, or those up to 64 bytes behind its zeros, of which at most
/// [`MAX_ZEROS`] count. Ask before storing what a provider sent.
pub fn sniff(beginning: &[u8]) -> Result<Container, Unplayable> {
    match beginning {
        [] => Err(Unplayable::Empty),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Ok(Container::Wav),
        [b'R', b'F', b'6', b'4', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Ok(Container::Wav),
        [b'B', b'W', b'6', b'4', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Ok(Container::Wav),
        [b'R', b'I', b'F', b'X', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Ok(Container::Rifx),
        [b'O', b'g', b'g', b'S', ..] => Ok(Container::Ogg),
        [b'f', b'L', b'a', b'C', ..] => Ok(Container::Flac),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Ok(Container::Mp4),
        [b'#', b'!', b'A', b'M', b'R', b'-', b'W', b'B', ..] => Ok(Container::AmrWideband),
        [b'#', b'!', b'A', b'M', b'R', ..] => Ok(Container::Amr),
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F' | b'C', ..] => Ok(Container::Aiff),
        [b'.', b's', b'n', b'd', ..] => Ok(Container::Au),
        [b'c', b'a', b'f', b'f', 0, ..] => Ok(Container::Caf),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Ok(Container::Webm),
        [0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11, ..] => Ok(Container::Wma),
        // An ID3v2 tag, or the header of an MPEG frame.
        [b'I', b'D', b'3', ..] => Ok(Container::Mp3),
        [0xff, 0xf0 | 0xf1 | 0xf8 | 0xf9, ..] => Ok(Container::Aac),
        other if Frame::read(other).is_some() => Ok(Container::Mp3),
        // Telephone samples begin with zeros too: only a whole frame and the next one make it an MP3.
        [0, ..] if is_mp3_behind_zeros(beginning) => Ok(Container::Mp3),
        other => Err(something_else(other)),
    }
}

/// How many zeros a file begins with.
pub fn zeros(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte == 0).count()
}

fn is_mp3_behind_zeros(bytes: &[u8]) -> bool {
    let behind = &bytes[zeros(bytes)..];
    let Some(frame) = Frame::read(behind) else { return false };
    // As much of it as was looked at.
    bytes.len() - behind.len() <= MAX_ZEROS
        && behind.get(frame.length_bytes..).is_none_or(|next| Frame::read(next).is_some())
}

fn something_else(bytes: &[u8]) -> Unplayable {
    let beginning = &bytes[..bytes.len().min(64)];
    // Text has none of these; samples that happen to begin as a document does have them soon.
    let is_text = !beginning.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace());
    let text = if is_text { String::from_utf8_lossy(beginning) } else { "".into() };
    let text = text.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    if text.starts_with("<!doctype html") || text.starts_with("<html") {
        Unplayable::NotSound("an HTML page")
    } else if text.starts_with("<?xml") || text.starts_with('<') {
        Unplayable::NotSound("an XML document")
    } else if text.starts_with('{') || text.starts_with('[') {
        Unplayable::NotSound("a JSON document")
    } else if is_text && beginning.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
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
        assert_eq!(sniff(b"RF64\xff\xff\xff\xffWAVEds64"), Ok(Container::Wav));
    }

    #[test]
    fn every_container_has_an_ending_and_a_type_of_its_own() {
        for container in Container::ALL {
            assert_eq!(Container::of_extension(container.extension()), Some(container));
            assert!(container.content_type().starts_with("audio/"));
        }
        assert_eq!(Container::of_extension(UNKNOWN_EXTENSION), None);
    }

    #[test]
    fn samples_are_not_taken_for_a_document_or_an_mp3() {
        for bytes in [&[0xff_u8; 64][..], &[0; 64], b"{\0\x10\0\x20\0\x07\0", b"<\0<\0\x01\0"] {
            assert!(matches!(sniff(bytes), Err(Unplayable::Unknown(_))), "{bytes:02x?}");
        }
    }
}
