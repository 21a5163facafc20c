//! The header of a WAV file, read with distrust: what is behind it counts, not the lengths it states.
//!
//! After a crash of Asterisk in mid-recording both lengths in the header are 0 with all the sound behind it; a reader
//! that believes the header, hound included, finds no sample there. So the chunks are walked here, and hound is asked
//! for a second opinion where nothing seems wrong.

use std::io::Cursor;

use super::analyse::Damage;
use super::container::Unplayable;

/// How the samples of a WAV file are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    U8,
    S16,
    S24,
    S32,
    F32,
    Alaw,
    Mulaw,
}

impl Coding {
    /// Container and codec in the words of ffmpeg.
    pub fn format(self) -> &'static str {
        match self {
            Self::U8 => "wav/pcm_u8",
            Self::S16 => "wav/pcm_s16le",
            Self::S24 => "wav/pcm_s24le",
            Self::S32 => "wav/pcm_s32le",
            Self::F32 => "wav/pcm_f32le",
            Self::Alaw => "wav/alaw",
            Self::Mulaw => "wav/mulaw",
        }
    }

    fn sample_bytes(self) -> usize {
        match self {
            Self::U8 | Self::Alaw | Self::Mulaw => 1,
            Self::S16 => 2,
            Self::S24 => 3,
            Self::S32 | Self::F32 => 4,
        }
    }

    /// From the format tag and the bits per sample (RFC 2361 lists the tags).
    fn find(tag: u16, bits: u16) -> Result<Self, Unplayable> {
        match (tag, bits) {
            (1, 8) => Ok(Self::U8),
            (1, 16) => Ok(Self::S16),
            (1, 24) => Ok(Self::S24),
            (1, 32) => Ok(Self::S32),
            (3, 32) => Ok(Self::F32),
            (6, 8) => Ok(Self::Alaw),
            (7, 8) => Ok(Self::Mulaw),
            (0x31, _) => Err(Unplayable::Unsupported("wav/gsm".into())),
            _ => Err(Unplayable::Unsupported(format!("wav with format tag {tag} and {bits} bits"))),
        }
    }
}

/// The same file with the lengths of its header set right, if they are wrong: 0 after a crash of Asterisk in mid-recording,
/// or more than is there. No player finds a second in such a file otherwise. `None`: nothing to mend.
pub fn with_true_lengths(bytes: &[u8]) -> Option<Vec<u8>> {
    let wav = Wav::read(bytes).ok()?;
    let wrong = |damage: &Damage| matches!(damage, Damage::LengthMissing { .. } | Damage::LengthBeyondEnd { .. });
    if !wav.damage.iter().any(wrong) {
        return None;
    }
    let start = wav.data.as_ptr() as usize - bytes.as_ptr() as usize;
    let mut mended = bytes[..start + wav.data.len()].to_vec();
    let riff_bytes = u32::try_from(mended.len() - 8).ok()?;
    let data_bytes = u32::try_from(wav.data.len()).ok()?;
    mended[4..8].copy_from_slice(&riff_bytes.to_le_bytes());
    mended[start - 4..start].copy_from_slice(&data_bytes.to_le_bytes());
    Some(mended)
}

/// A WAV file whose header was understood. `data` holds whole frames only.
#[derive(Debug)]
pub struct Wav<'a> {
    pub coding: Coding,
    pub sample_rate: u32,
    pub channels: u16,
    pub data: &'a [u8],
    pub damage: Vec<Damage>,
}

impl<'a> Wav<'a> {
    /// `bytes` is the whole file.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Unplayable> {
        let mut chunks = bytes.get(12..).unwrap_or_default();
        let mut format = None;
        while let Some((header, body)) = chunks.split_at_checked(8) {
            let stated = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
            if &header[..4] == b"data" {
                let (coding, channels, sample_rate) = format.ok_or_else(|| broken("sound before its format"))?;
                let mut wav = Wav { coding, sample_rate, channels, data: body, damage: Vec::new() };
                wav.cut_to(stated);
                wav.ask_hound(bytes);
                return Ok(wav);
            }
            let content = body.get(..stated).ok_or_else(|| broken("it ends inside its header"))?;
            if &header[..4] == b"fmt " {
                format = Some(read_format(content)?);
            }
            // A chunk of odd length is followed by a byte of padding.
            chunks = body.get(stated + stated % 2..).unwrap_or_default();
        }
        Err(broken("it ends before the sound begins"))
    }

    pub fn frame_bytes(&self) -> usize {
        self.coding.sample_bytes() * usize::from(self.channels)
    }

    /// Keeps the stated length where it is possible, else all that is there, and only whole frames of it.
    fn cut_to(&mut self, stated: usize) {
        let found = self.data.len();
        if stated == 0 && found > 0 {
            self.damage.push(Damage::LengthMissing { found_bytes: found as u64 });
        } else if stated > found {
            self.damage.push(Damage::LengthBeyondEnd { stated_bytes: stated as u64, found_bytes: found as u64 });
        } else {
            self.data = &self.data[..stated];
        }
        let extra = self.data.len() % self.frame_bytes();
        if extra > 0 {
            self.damage.push(Damage::PartialFrame { extra_bytes: extra as u64 });
            self.data = &self.data[..self.data.len() - extra];
        }
    }

    fn ask_hound(&mut self, bytes: &[u8]) {
        if !self.damage.is_empty() || matches!(self.coding, Coding::Alaw | Coding::Mulaw) {
            return; // hound refuses both laws, and would only repeat the damage already seen
        }
        let doubt = match hound::WavReader::new(Cursor::new(bytes)) {
            Err(error) => Some(error.to_string()),
            Ok(reader) => {
                let frames = self.data.len() / self.frame_bytes();
                let same = reader.spec().sample_rate == self.sample_rate
                    && reader.spec().channels == self.channels
                    && reader.duration() as usize == frames;
                (!same).then(|| "its fields contradict each other".into())
            }
        };
        self.damage.extend(doubt.map(|reason| Damage::HeaderDoubtful { reason }));
    }
}

/// Coding, channels, samples a second.
fn read_format(content: &[u8]) -> Result<(Coding, u16, u32), Unplayable> {
    let word = |at: usize| content.get(at..at + 2).map(|two| u16::from_le_bytes([two[0], two[1]]));
    let (Some(tag), Some(channels), Some(bits)) = (word(0), word(2), word(14)) else {
        return Err(broken("its format is cut short"));
    };
    let sample_rate = u32::from_le_bytes([content[4], content[5], content[6], content[7]]);
    // The extensible form keeps the real tag at the start of a GUID.
    let tag = if tag == 0xfffe { word(24).unwrap_or(tag) } else { tag };
    Ok((Coding::find(tag, bits)?, channels, sample_rate))
        .and_then(|format| if channels == 0 { Err(broken("it has no channel")) } else { Ok(format) })
}

fn broken(reason: &str) -> Unplayable {
    Unplayable::Broken(reason.into())
}

#[cfg(test)]
mod tests {
    use super::super::tone;
    use super::*;

    fn voice() -> Vec<u8> {
        tone::wav_bytes(&tone::speech_like(1_000, 3))
    }

    #[test]
    fn a_sane_header_is_believed_and_hound_agrees() {
        let bytes = voice();
        let wav = Wav::read(&bytes).unwrap();
        assert_eq!((wav.coding, wav.sample_rate, wav.channels), (Coding::S16, 8_000, 1));
        assert_eq!((wav.data.len(), wav.damage), (16_000, vec![]));
    }

    #[test]
    fn after_a_crash_of_the_exchange_all_the_sound_is_there() {
        let mut bytes = voice();
        bytes[4..8].fill(0);
        bytes[40..44].fill(0);
        let wav = Wav::read(&bytes).unwrap();
        assert_eq!((wav.data.len(), wav.damage), (16_000, vec![Damage::LengthMissing { found_bytes: 16_000 }]));
    }

    #[test]
    fn a_length_beyond_the_end_takes_what_is_there() {
        let mut bytes = voice();
        bytes.truncate(44 + 10_001);
        let wav = Wav::read(&bytes).unwrap();
        assert_eq!(wav.data.len(), 10_000);
        let beyond = Damage::LengthBeyondEnd { stated_bytes: 16_000, found_bytes: 10_001 };
        assert_eq!(wav.damage, [beyond, Damage::PartialFrame { extra_bytes: 1 }]);
    }

    #[test]
    fn an_odd_byte_is_left_out_and_told() {
        let mut bytes = voice();
        bytes[40..44].copy_from_slice(&15_999_u32.to_le_bytes());
        let wav = Wav::read(&bytes).unwrap();
        assert_eq!((wav.data.len(), wav.damage), (15_998, vec![Damage::PartialFrame { extra_bytes: 1 }]));
    }

    #[test]
    fn what_follows_the_sound_is_no_sound() {
        let mut bytes = voice();
        bytes.extend_from_slice(b"LIST\x04\0\0\0INFO");
        assert_eq!(Wav::read(&bytes).unwrap().data.len(), 16_000);
    }

    #[test]
    fn a_header_that_contradicts_itself_is_told() {
        let mut bytes = voice();
        bytes[32] = 4; // bytes a frame
        assert!(matches!(Wav::read(&bytes).unwrap().damage[..], [Damage::HeaderDoubtful { .. }]));
    }

    #[test]
    fn a_header_cut_anywhere_is_refused_and_never_panics() {
        let bytes = voice();
        for length in 12..44 {
            assert!(matches!(Wav::read(&bytes[..length]), Err(Unplayable::Broken(_))), "{length}");
        }
        assert_eq!(Wav::read(&bytes[..44]).unwrap().data.len(), 0);
    }

    #[test]
    fn sound_in_gsm_is_named() {
        let mut bytes = voice();
        bytes[20] = 0x31;
        assert_eq!(Wav::read(&bytes).unwrap_err().to_string(), "sound coded as wav/gsm cannot be measured here");
    }
}
