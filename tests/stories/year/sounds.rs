//! What the provider sends as the sound of a message: mostly plain WAV, now and then what other writers make of it.

use perezvon::recordings::tone;

use super::random::Random;

/// Which kind of file a recording is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    Wav,
    /// Written into a pipe: both lengths in its header are this.
    Streamed(u32),
    /// Another chunk of odd length stands before the sound.
    OddChunk,
    /// The format is told in so many bytes.
    LongFormat(u8),
    Mp3,
    /// Nobody here can measure what begins so.
    Unknown(&'static [u8]),
    /// Its length is told, and more than the service takes.
    TooLarge,
}

const ODD: [Sound; 11] = [
    Sound::Streamed(0),
    Sound::Streamed(0x7fff_ffff),
    Sound::Streamed(u32::MAX),
    Sound::OddChunk,
    Sound::LongFormat(18),
    Sound::LongFormat(20),
    Sound::Mp3,
    Sound::Unknown(b"#!AMR\n\x04\x92\0\x67"),
    Sound::Unknown(b"\x1a\x45\xdf\xa3"),
    Sound::Unknown(b"\x0e\0\x23\0\x09\0\x08\0"),
    Sound::TooLarge,
];

/// Where the chunks of a plain WAV begin: its format, and its sound.
const FORMAT_AT: usize = 12;
const SOUND_AT: usize = 36;

impl Sound {
    /// So many of a thousand recordings are of another kind.
    pub fn of(sid: &str, per_mille: u64) -> Self {
        let mut random = Random::of(sid);
        if random.chance(per_mille) { random.pick(&ODD) } else { Self::Wav }
    }

    pub fn can_be_measured(self) -> bool {
        !matches!(self, Self::Unknown(_))
    }

    /// Whether half a file can be known from a whole one. Of a second of sound nobody can tell where the header is silent.
    pub fn shows_a_cut(self) -> bool {
        matches!(self, Self::Wav | Self::Unknown(_))
    }

    /// The file: the same for the same recording, and for no other.
    pub fn file(self, sid: &str, length_ms: u32) -> Vec<u8> {
        let wav = tone::wav_bytes(&noise(sid, length_ms));
        let (header, sound) = wav.split_at(SOUND_AT);
        match self {
            Self::Wav | Self::TooLarge => wav,
            Self::Streamed(length) => {
                let mut streamed = wav.clone();
                streamed[4..8].copy_from_slice(&length.to_le_bytes());
                streamed[SOUND_AT + 4..SOUND_AT + 8].copy_from_slice(&length.to_le_bytes());
                streamed
            }
            Self::OddChunk => riff([header, b"LIST\x05\0\0\0INFOx\0", sound].concat()),
            Self::LongFormat(bytes) => {
                let (riff_header, format) = header.split_at(FORMAT_AT);
                let more = vec![0; usize::from(bytes) - 16];
                riff([riff_header, b"fmt ", &[bytes, 0, 0, 0], &format[8..], &more, sound].concat())
            }
            Self::Mp3 => [&tag(sid), MP3].concat(),
            Self::Unknown(beginning) => [beginning, &sound[8..]].concat(),
        }
    }

    /// What is to be kept of a file that was sent whole: where its header is silent about the lengths, they are set right.
    pub fn kept(self, sent: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Streamed(_) => {
                let mut kept = sent;
                let sound_bytes = (kept.len() - SOUND_AT - 8) as u32;
                kept[SOUND_AT + 4..SOUND_AT + 8].copy_from_slice(&sound_bytes.to_le_bytes());
                riff(kept)
            }
            _ => sent,
        }
    }
}

/// A second and a half.
const MP3: &[u8] = include_bytes!("../../data/sound/voice.mp3");

/// A comment before an MP3, which makes it one of its own.
fn tag(sid: &str) -> Vec<u8> {
    let text = [b"\x03\0", sid.as_bytes()].concat();
    let length = |bytes: usize| [0, 0, (bytes >> 7) as u8, (bytes & 0x7f) as u8];
    let frame = [b"TXXX", &length(text.len())[..], &[0, 0], &text].concat();
    [b"ID3\x04\0\0", &length(frame.len())[..], &frame].concat()
}

/// The file with its whole length in the header.
fn riff(mut file: Vec<u8>) -> Vec<u8> {
    let length = (file.len() - 8) as u32;
    file[4..8].copy_from_slice(&length.to_le_bytes());
    file
}

fn noise(sid: &str, length_ms: u32) -> Vec<i16> {
    let mut noise = Random::of(sid);
    let sample = |n: usize| {
        let loudness = if n / 800 % 3 == 2 { 600 } else { 9_000 };
        (noise.below(2 * loudness) as i64 - loudness as i64) as i16
    };
    (0..length_ms as usize * 8).map(sample).collect()
}
