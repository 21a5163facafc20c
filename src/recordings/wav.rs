//! The header of a WAV file, read with distrust: what is behind it counts, not the lengths it states.
//!
//! After a crash of Asterisk in mid-recording both lengths in the header are 0 with all the sound behind it; a reader
//! that believes the header, hound included, finds no sample there. So the chunks are walked here, and hound is asked
//! for a second opinion where nothing seems wrong.

use std::borrow::Cow;
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
            (0x02, _) => Err(Unplayable::Unsupported("wav/adpcm_ms".into())),
            (0x11, _) => Err(Unplayable::Unsupported("wav/adpcm_ima".into())),
            (0x31, _) => Err(Unplayable::Unsupported("wav/gsm".into())),
            (0x50, _) => Err(Unplayable::Unsupported("wav/mp2".into())),
            (0x55, _) => Err(Unplayable::Unsupported("wav/mp3".into())),
            _ => Err(Unplayable::Unsupported(format!("wav with format tag {tag} and {bits} bits"))),
        }
    }
}

/// A length no recording has: what a writer states that cannot go back to the header, as ffmpeg into a pipe (0xFFFFFFFF),
/// sox (0x7FFFF000) and others (0x7FFFFFFF).
const UNKNOWN_LENGTH: usize = 0x7fff_0000;

/// What follows the sound without being a chunk is sound from this length on; shorter, it is rubbish.
const LEAST_MORE_MS: usize = 250;

/// A file whose header tells the truth now.
pub struct Mended {
    pub bytes: Vec<u8>,
    /// The lengths were 0, or more than is there: whoever wrote it was interrupted, or something is missing.
    pub broke_off: bool,
}

/// The same file with the lengths of its header set right, if they are wrong: no player finds more sound in it than they say.
/// `None`: nothing to mend.
pub fn with_true_lengths(bytes: &[u8]) -> Option<Mended> {
    let wav = Wav::read(bytes).ok()?;
    let has = |is: fn(&Damage) -> bool| wav.damage.iter().any(is);
    let broke_off = has(|it| matches!(it, Damage::LengthMissing { .. } | Damage::LengthBeyondEnd { .. }));
    let is_wrong = broke_off || has(|it| matches!(it, Damage::LengthUnknown { .. } | Damage::MoreThanStated { .. }));
    // RF64 has its lengths elsewhere.
    if !is_wrong || !bytes.starts_with(b"RIFF") {
        return None;
    }
    let mut mended = [&bytes[..wav.starts_at], &wav.data].concat();
    if wav.data.len() % 2 == 1 {
        mended.push(0);
    }
    let riff_bytes = u32::try_from(mended.len() - 8).ok()?;
    let data_bytes = u32::try_from(wav.data.len()).ok()?;
    mended[4..8].copy_from_slice(&riff_bytes.to_le_bytes());
    mended[wav.starts_at - 4..wav.starts_at].copy_from_slice(&data_bytes.to_le_bytes());
    Some(Mended { bytes: mended, broke_off })
}

/// A WAV file whose header was understood. `data` holds whole frames only.
#[derive(Debug)]
pub struct Wav<'a> {
    pub coding: Coding,
    pub sample_rate: u32,
    pub channels: u16,
    pub data: Cow<'a, [u8]>,
    pub damage: Vec<Damage>,
    /// Where its sound begins.
    starts_at: usize,
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
                let starts_at = bytes.len() - body.len();
                let mut wav =
                    Wav { coding, sample_rate, channels, data: Cow::Borrowed(body), damage: Vec::new(), starts_at };
                wav.cut_to(body, stated);
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

    /// Keeps the stated length where it is possible, with what sound follows it all the same, else all that is there; and
    /// only whole frames of it.
    fn cut_to(&mut self, body: &'a [u8], stated: usize) {
        let found = body.len();
        let (stated_bytes, found_bytes) = (stated as u64, found as u64);
        if stated == 0 && found > 0 {
            self.damage.push(Damage::LengthMissing { found_bytes });
        } else if stated > found && stated >= UNKNOWN_LENGTH {
            self.damage.push(Damage::LengthUnknown { found_bytes });
        } else if stated > found {
            self.damage.push(Damage::LengthBeyondEnd { stated_bytes, found_bytes });
        } else {
            let more = self.more_sound(body.get(stated + stated % 2..).unwrap_or_default());
            self.data = match more.is_empty() {
                true => Cow::Borrowed(&body[..stated]),
                false => Cow::Owned([&[&body[..stated]], &more[..]].concat().concat()),
            };
            if !more.is_empty() {
                self.damage.push(Damage::MoreThanStated { stated_bytes, found_bytes: self.data.len() as u64 });
            }
        }
        let extra = self.data.len() % self.frame_bytes();
        if extra > 0 {
            self.damage.push(Damage::PartialFrame { extra_bytes: extra as u64 });
            let whole = self.data.len() - extra;
            match &mut self.data {
                Cow::Borrowed(data) => *data = &data[..whole],
                Cow::Owned(data) => data.truncate(whole),
            }
        }
    }

    /// Sound behind the stated end: a second chunk of it, a second file, or simply samples. Other chunks are no sound.
    fn more_sound(&self, mut rest: &'a [u8]) -> Vec<&'a [u8]> {
        let mut more = Vec::new();
        let least = self.sample_rate as usize * self.frame_bytes() * LEAST_MORE_MS / 1_000;
        while let Some((header, body)) = rest.split_at_checked(8) {
            let stated = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
            let is_chunk = header[..4].iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
            rest = match (&header[..4], body.get(..stated)) {
                (b"RIFF", _) if body.starts_with(b"WAVE") => &body[4..],
                (b"data", piece) => {
                    more.push(piece.unwrap_or(body));
                    body.get(stated + stated % 2..).unwrap_or_default()
                }
                (_, Some(_)) if is_chunk => body.get(stated + stated % 2..).unwrap_or_default(),
                _ => {
                    more.extend(Some(rest).filter(|rest| !is_chunk && rest.len() >= least.max(1)));
                    &[]
                }
            };
        }
        more.retain(|piece| !piece.is_empty());
        more
    }

    fn ask_hound(&mut self, bytes: &[u8]) {
        if !self.damage.is_empty() || !bytes.starts_with(b"RIFF") || matches!(self.coding, Coding::Alaw | Coding::Mulaw)
        {
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

    fn with_length(stated: u32) -> Vec<u8> {
        let mut bytes = voice();
        bytes[4..8].copy_from_slice(&stated.saturating_add(36).to_le_bytes());
        bytes[40..44].copy_from_slice(&stated.to_le_bytes());
        bytes
    }

    #[test]
    fn a_streamed_file_is_whole_and_gets_its_length() {
        for stated in [u32::MAX, 0x7fff_ffff, 0x7fff_f000, 0xffff_ffdb] {
            let bytes = with_length(stated);
            let wav = Wav::read(&bytes).unwrap();
            assert_eq!(
                (wav.data.len(), &wav.damage[..]),
                (16_000, &[Damage::LengthUnknown { found_bytes: 16_000 }][..])
            );
            assert!(!wav.damage[0].is_loss());
            let mended = with_true_lengths(&bytes).unwrap();
            assert_eq!((mended.bytes, mended.broke_off), (voice(), false), "{stated:x}");
        }
        let rf64 = [b"RF64", &with_length(u32::MAX)[4..]].concat();
        assert_eq!(Wav::read(&rf64).unwrap().data.len(), 16_000);
        assert!(with_true_lengths(&rf64).is_none());
    }

    #[test]
    fn sound_behind_the_stated_end_is_kept() {
        let (whole, half) = (voice(), 44 + 8_000);
        let too_short = with_length(8_000);
        let header = [b"data", &8_000_u32.to_le_bytes()[..]].concat();
        let two_chunks = [&too_short[..half], &header, &whole[half..]].concat();
        let two_files = [&too_short[..half], &too_short[..44], &whole[half..]].concat();
        let with_a_note = [&too_short[..half], b"LIST\x04\0\0\0INFO", &header, &whole[half..]].concat();
        for (what, bytes) in [
            ("samples", too_short),
            ("a second chunk", two_chunks),
            ("a second file", two_files),
            ("a chunk behind a note", with_a_note),
        ] {
            let wav = Wav::read(&bytes).unwrap();
            let more = Damage::MoreThanStated { stated_bytes: 8_000, found_bytes: 16_000 };
            assert_eq!((wav.data.len(), &wav.damage[..]), (16_000, &[more][..]), "{what}");
            assert_eq!(with_true_lengths(&bytes).unwrap().bytes, whole, "{what}");
        }
    }

    #[test]
    fn padding_and_rubbish_behind_the_sound_are_no_sound() {
        for behind in [&b"\0"[..], &[0x95; 300], b"id3 \x10\0\0\0ID3", b"TAGTitle"] {
            let bytes = [&voice(), behind].concat();
            let wav = Wav::read(&bytes).unwrap();
            assert_eq!((wav.data.len(), wav.damage.iter().any(Damage::is_loss)), (16_000, false), "{behind:?}");
        }
    }

    #[test]
    fn a_long_format_chunk_and_odd_chunks_are_no_damage() {
        let plain = voice();
        // The extensible form, with two bytes more than it needs: hound refuses it.
        let mut format = plain[20..36].to_vec();
        format[..2].copy_from_slice(&0xfffe_u16.to_le_bytes());
        format
            .extend([24, 0, 16, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71, 0, 0]);
        let odd = b"note\x03\0\0\0abc\0";
        let bytes = [&plain[..16], &42_u32.to_le_bytes()[..], &format, odd, &plain[36..]].concat();
        let wav = Wav::read(&bytes).unwrap();
        assert_eq!((wav.coding, wav.data.len()), (Coding::S16, 16_000));
        assert!(!wav.damage.iter().any(Damage::is_loss), "{:?}", wav.damage);
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
