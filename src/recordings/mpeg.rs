//! The frames of an MP3, counted: its own tag may say less than is there, nothing, or more, when the file was cut.

/// An MPEG audio frame as its header tells it (ISO 11172-3, 2.4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// 1, 2 or 3.
    pub layer: u8,
    pub length_bytes: usize,
    is_mpeg1: bool,
    is_mono: bool,
}

impl Frame {
    /// Reads the header at the beginning of `bytes`. `None`: there is none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        const LAYER_1: [usize; 15] = [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448];
        const LAYER_2: [usize; 15] = [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
        const LAYER_3: [usize; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
        const LOW_LAYER_1: [usize; 15] = [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256];
        const LOW: [usize; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
        let &[0xff, second, third, fourth, ..] = bytes else { return None };
        let (version, layer) = (second >> 3 & 3, 4 - (second >> 1 & 3));
        if second & 0xe0 != 0xe0 || version == 1 || layer == 4 {
            return None;
        }
        let is_mpeg1 = version == 3;
        let bit_rates = match (is_mpeg1, layer) {
            (true, 1) => LAYER_1,
            (true, 2) => LAYER_2,
            (true, _) => LAYER_3,
            (false, 1) => LOW_LAYER_1,
            (false, _) => LOW,
        };
        // 0 is a rate of the writer's own, which tells no length.
        let bit_rate = bit_rates.get(usize::from(third >> 4)).filter(|kilobits| **kilobits > 0)? * 1000;
        let sample_rate = *[44_100, 48_000, 32_000].get(usize::from(third >> 2 & 3))?
            >> match version {
                3 => 0,
                2 => 1,
                _ => 2,
            };
        let padding = usize::from(third >> 1 & 1);
        let length_bytes = match layer {
            1 => (12 * bit_rate / sample_rate + padding) * 4,
            3 if !is_mpeg1 => 72 * bit_rate / sample_rate + padding,
            _ => 144 * bit_rate / sample_rate + padding,
        };
        Some(Self { layer, length_bytes, is_mpeg1, is_mono: fourth >> 6 == 3 })
    }

    /// Where the tag of encoders lies in the first frame: behind the side information.
    fn tag_at(self) -> usize {
        4 + match (self.is_mpeg1, self.is_mono) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        }
    }
}

/// What the frames of a layer III file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frames {
    /// Frames of sound that are whole.
    pub found: u64,
    /// How many there should be, as the tag (`Xing` or `Info`) has it.
    pub stated: Option<u64>,
    /// Where the sound begins: behind the tag.
    pub sound_at: usize,
}

impl Frames {
    /// Counts the frames of `bytes`, which begin with the first one. `None`: they do not.
    pub fn count(bytes: &[u8]) -> Option<Self> {
        let first = Frame::read(bytes)?;
        let tag = bytes.get(first.tag_at()..first.length_bytes).unwrap_or_default();
        let has_tag = tag.starts_with(b"Xing") || tag.starts_with(b"Info");
        let stated = match tag {
            [_, _, _, _, _, _, _, flags, a, b, c, d, ..] if has_tag && flags & 1 == 1 => {
                Some(u64::from(u32::from_be_bytes([*a, *b, *c, *d])))
            }
            _ => None,
        };
        let sound_at = if has_tag { first.length_bytes.min(bytes.len()) } else { 0 };
        let (mut at, mut found) = (sound_at, 0);
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= 4) {
            match Frame::read(rest) {
                Some(frame) if frame.length_bytes <= rest.len() => {
                    found += 1;
                    at += frame.length_bytes;
                }
                Some(_) => break,
                // Tags at the end, or damage on the way.
                None => at += 1,
            }
        }
        Some(Self { found, stated, sound_at })
    }

    /// Whether the file was cut. Some encoders count the frame of the tag too.
    pub fn lost(self) -> Option<u64> {
        self.stated.and_then(|stated| stated.checked_sub(self.found)).filter(|lost| *lost > 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice() -> Vec<u8> {
        std::fs::read(format!("{}/tests/data/sound/voice.mp3", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn the_tag_and_the_frames_of_a_whole_file_agree() {
        let frames = Frames::count(&voice()).unwrap();
        assert_eq!(frames.stated, Some(frames.found));
        assert!(frames.found > 10 && frames.sound_at > 0 && frames.lost().is_none(), "{frames:?}");
    }

    #[test]
    fn a_file_that_was_cut_has_lost_frames() {
        let whole = voice();
        for tenths in 1..9 {
            let frames = Frames::count(&whole[..whole.len() * tenths / 10]).unwrap();
            assert!(frames.lost().is_some(), "{tenths}: {frames:?}");
        }
    }

    #[test]
    fn samples_of_silence_are_no_frames() {
        for bytes in
            [[0xff, 0xff, 0xff, 0xff], [0xff, 0xfb, 0x00, 0x00], [0xff, 0xfb, 0xf0, 0x00], [0xff, 0xeb, 0x18, 0]]
        {
            assert_eq!(Frame::read(&bytes), None, "{bytes:02x?}");
        }
    }
}
