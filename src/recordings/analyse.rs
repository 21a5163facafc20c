//! Checks and measures a recording: is it sound, how long really, how loud, does somebody speak.
//!
//! Pure over the bytes of the file and busy for some milliseconds for each minute of sound: callers on the async
//! runtime use `spawn_blocking`, which also keeps a decoder's panic to the one recording.

use thiserror::Error;

use super::container::Unplayable;
use super::decode::Source;
use super::meter::Meter;
use super::speech::{LEAST_SPEECH_MS, Listener};

/// Longer sound is not measured, whatever small file it came out of. Lines record 3 minutes, exchanges 1 hour.
pub const LONGEST_MS: i64 = 4 * 60 * 60 * 1_000;

/// What is wrong with a file that can be played all the same.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// The header states 0: the exchange crashed in mid-recording. All that follows was taken as sound.
    #[error("the header states no length, {found_bytes} bytes of sound follow")]
    LengthMissing { found_bytes: u64 },
    /// The header states a length that no recording has: its writer did not know it in advance. All that follows was taken.
    #[error("the header leaves the length open, {found_bytes} bytes of sound follow")]
    LengthUnknown { found_bytes: u64 },
    /// More sound follows the stated end: as samples, as a second chunk or as a second file. It was taken too.
    #[error("the header states {stated_bytes} bytes of sound, {found_bytes} are there in all")]
    MoreThanStated { stated_bytes: u64, found_bytes: u64 },
    /// The file was cut. All that is there was taken.
    #[error("the header states {stated_bytes} bytes of sound, {found_bytes} are there")]
    LengthBeyondEnd { stated_bytes: u64, found_bytes: u64 },
    #[error("the sound ends in mid-frame, {extra_bytes} bytes left out")]
    PartialFrame { extra_bytes: u64 },
    #[error("the header is doubtful: {reason}")]
    HeaderDoubtful { reason: String },
    #[error("{packets} packets could not be decoded")]
    Undecodable { packets: u64 },
    #[error("the file breaks off: {reason}")]
    CutShort { reason: String },
    /// An MP3 with fewer frames than its own tag counts.
    #[error("its tag counts {stated} frames of sound, {found} are there")]
    FramesMissing { stated: u64, found: u64 },
}

impl Damage {
    /// Whether some of the sound may be lost; the rest are quirks of whoever wrote the file.
    pub fn is_loss(&self) -> bool {
        matches!(
            self,
            Self::Undecodable { .. }
                | Self::CutShort { .. }
                | Self::LengthBeyondEnd { .. }
                | Self::FramesMissing { .. }
        )
    }
}

/// A recording as it measures. Several channels are measured by the louder one, piece by piece.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Container and codec: `wav/pcm_s16le`, `wav/mulaw`, `wav/alaw`, `mp3`, `ogg/vorbis`, `flac`, …
    pub format: &'static str,
    /// What the file's name should end in, without the dot.
    pub extension: &'static str,
    /// The media type to serve it with.
    pub content_type: &'static str,
    /// Samples a second of each channel.
    pub sample_rate: u32,
    pub channels: u16,
    /// Counted from the samples, not read from the header; rounded to the millisecond. An MP3 whose encoder left no tag
    /// about its padding measures up to 0.2 s longer than what was said into it.
    pub length_ms: i64,
    /// Mean power (RMS) of the blocks of 5 ms that are not pauses (above -50 dBFS), or of everything where nothing is.
    /// Full scale is the loudest sample, so a sine at its limit has -3; digital silence has -96.
    pub loudness_dbfs: f32,
    /// The loudest sample; -96 for digital silence.
    pub peak_dbfs: f32,
    /// The picture: 200 columns from left to right, 0 for silence to 255 for full scale, on a scale of square roots so
    /// that quiet speech is visible: 128 is -12 dBFS, 26 is -40 dBFS.
    pub peaks: Vec<u8>,
    /// Empty for a file without fault.
    pub damage: Vec<Damage>,
}

/// A recording measured and listened to.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    pub sound: Sound,
    /// Time in which somebody speaks, without pauses.
    pub speech_ms: i64,
    /// [`LEAST_SPEECH_MS`] of speech or more. Says nothing about sense; labels are made of it, nothing is deleted.
    pub has_speech: bool,
}

/// Measures and listens; about 30 ms for each minute of sound, nearly all of it for listening.
pub fn analyse(bytes: &[u8]) -> Result<Analysis, Unplayable> {
    analyse_up_to(bytes, LONGEST_MS)
}

/// Measures without listening: under 1 ms for each minute of telephone PCM.
pub fn measure(bytes: &[u8]) -> Result<Sound, Unplayable> {
    let source = Source::open(bytes)?;
    measure_source(source, LONGEST_MS, |_| ())
}

fn analyse_up_to(bytes: &[u8], limit_ms: i64) -> Result<Analysis, Unplayable> {
    let source = Source::open(bytes)?;
    let mut listener = Listener::new(source.sample_rate);
    let sound = measure_source(source, limit_ms, |samples| listener.hear(samples))?;
    let speech_ms = listener.finish();
    Ok(Analysis { sound, speech_ms, has_speech: speech_ms >= LEAST_SPEECH_MS })
}

fn measure_source(source: Source<'_>, limit_ms: i64, mut hear: impl FnMut(&[i16])) -> Result<Sound, Unplayable> {
    let Source { container, format, sample_rate, channels, .. } = source;
    let mut meter = Meter::new(sample_rate);
    let damage = source.read(limit_ms, |samples| {
        meter.hear(samples);
        hear(samples);
    })?;
    let reading = meter.finish();
    Ok(Sound {
        format,
        extension: container.extension(),
        content_type: container.content_type(),
        sample_rate,
        channels,
        length_ms: reading.length_ms,
        loudness_dbfs: reading.loudness_dbfs,
        peak_dbfs: reading.peak_dbfs,
        peaks: reading.peaks,
        damage,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::container::{Container, sniff};
    use super::super::meter::PEAK_COUNT;
    use super::super::tone;
    use super::*;

    fn file(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/tests/data/sound/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    fn wav(spec: hound::WavSpec, samples: impl IntoIterator<Item = i32>) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
        samples.into_iter().for_each(|sample| writer.write_sample(sample).unwrap());
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    fn spec(channels: u16, sample_rate: u32, bits_per_sample: u16) -> hound::WavSpec {
        hound::WavSpec { channels, sample_rate, bits_per_sample, sample_format: hound::SampleFormat::Int }
    }

    /// The files hold `tone::speech_like(1_500, 1)`, written by sox and lame.
    #[test]
    fn every_format_measures_like_the_original() {
        let original = analyse(&tone::wav_bytes(&tone::speech_like(1_500, 1))).unwrap();
        assert_eq!((original.sound.format, original.sound.length_ms), ("wav/pcm_s16le", 1_500));
        for (name, format, extension, content_type) in [
            ("voice-mulaw.wav", "wav/mulaw", "wav", "audio/wav"),
            ("voice-alaw.wav", "wav/alaw", "wav", "audio/wav"),
            ("voice.mp3", "mp3", "mp3", "audio/mpeg"),
            ("voice.ogg", "ogg/vorbis", "ogg", "audio/ogg"),
            ("voice.flac", "flac", "flac", "audio/flac"),
        ] {
            let Analysis { sound, speech_ms, has_speech } = analyse(&file(name)).unwrap();
            assert_eq!((sound.format, sound.extension, sound.content_type), (format, extension, content_type));
            assert_eq!((sound.sample_rate, sound.channels, sound.length_ms), (8_000, 1, 1_500), "{name}");
            assert_eq!((sound.damage, sound.peaks.len()), (vec![], PEAK_COUNT), "{name}");
            assert!(
                (sound.loudness_dbfs - original.sound.loudness_dbfs).abs() < 1.5,
                "{name}: {}",
                sound.loudness_dbfs
            );
            assert!((sound.peak_dbfs - original.sound.peak_dbfs).abs() < 2.0, "{name}: {}", sound.peak_dbfs);
            assert!(has_speech && (speech_ms - original.speech_ms).abs() < 300, "{name}: {speech_ms} ms");
        }
    }

    #[test]
    fn a_recording_after_a_crash_of_the_exchange_is_measured_whole() {
        let mut bytes = tone::wav_bytes(&tone::speech_like(8_192, 4));
        bytes[4..8].fill(0);
        bytes[40..44].fill(0);
        let analysis = analyse(&bytes).unwrap();
        assert_eq!((analysis.sound.length_ms, analysis.has_speech), (8_192, true));
        assert_eq!(analysis.sound.damage, [Damage::LengthMissing { found_bytes: 131_072 }]);
    }

    #[test]
    fn a_message_without_a_sample_is_empty_and_not_broken() {
        let analysis = analyse(&tone::wav_bytes(&[])).unwrap();
        assert_eq!((analysis.sound.length_ms, analysis.speech_ms, analysis.has_speech), (0, 0, false));
        assert_eq!((analysis.sound.loudness_dbfs, analysis.sound.damage), (-96.0, vec![]));
        assert_eq!(analysis.sound.peaks, [0; PEAK_COUNT]);
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        assert_eq!(analyse(b""), Err(Unplayable::Empty));
        let xml = b"<?xml version=\"1.0\"?><TwilioResponse><RestException/></TwilioResponse>";
        assert_eq!(analyse(xml).unwrap_err().to_string(), "an XML document instead of sound");
    }

    #[test]
    fn sound_over_the_limit_is_not_measured() {
        let bytes = tone::wav_bytes(&tone::silence(1_000));
        assert_eq!(analyse_up_to(&bytes, 999), Err(Unplayable::TooLong { limit_ms: 999 }));
        assert!(analyse_up_to(&bytes, 1_000).is_ok());
        for name in ["voice-mulaw.wav", "voice.mp3", "voice.ogg", "voice.flac"] {
            assert_eq!(analyse_up_to(&file(name), 1_499), Err(Unplayable::TooLong { limit_ms: 1_499 }), "{name}");
        }
    }

    #[test]
    fn stereo_is_measured_by_the_channel_that_speaks() {
        let voice = tone::speech_like(2_000, 1);
        let mono = analyse(&tone::wav_bytes(&voice)).unwrap();
        for caller_is_left in [true, false] {
            let both = voice
                .iter()
                .flat_map(|&sample| if caller_is_left { [i32::from(sample), 0] } else { [0, i32::from(sample)] });
            let stereo = analyse(&wav(spec(2, 8_000, 16), both)).unwrap();
            assert_eq!((stereo.sound.channels, stereo.sound.length_ms), (2, 2_000));
            assert_eq!((stereo.speech_ms, &stereo.sound.peaks), (mono.speech_ms, &mono.sound.peaks));
        }
    }

    #[test]
    fn other_depths_of_pcm_measure_the_same() {
        let voice = tone::speech_like(1_000, 6);
        let expected = measure(&tone::wav_bytes(&voice)).unwrap();
        for (bits, shift, format) in [(24, 8, "wav/pcm_s24le"), (32, 16, "wav/pcm_s32le")] {
            let sound = measure(&wav(spec(1, 8_000, bits), voice.iter().map(|&s| i32::from(s) << shift))).unwrap();
            assert_eq!((sound.format, sound.length_ms, sound.damage), (format, 1_000, vec![]));
            assert_eq!(sound.peaks, expected.peaks);
        }
        let eight = measure(&wav(spec(1, 8_000, 8), voice.iter().map(|&s| i32::from(s) >> 8))).unwrap();
        assert!((eight.loudness_dbfs - expected.loudness_dbfs).abs() < 1.0, "{}", eight.loudness_dbfs);
    }

    #[test]
    fn a_file_cut_anywhere_is_measured_or_refused_and_never_panics() {
        for name in ["voice-mulaw.wav", "voice-alaw.wav", "voice.mp3", "voice.ogg", "voice.flac"] {
            let whole = file(name);
            for length in (0..whole.len()).step_by(97) {
                if let Ok(sound) = measure(&whole[..length]) {
                    assert!(sound.length_ms <= 1_500, "{name} cut to {length}: {} ms", sound.length_ms);
                }
            }
            if name != "voice.ogg" {
                // An Ogg page lost its end: it is dropped whole, and this short file has only one page of sound.
                let most = measure(&whole[..whole.len() * 3 / 4]).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!((1_000..1_400).contains(&most.length_ms), "{name}: {} ms", most.length_ms);
                assert!(most.damage.iter().any(Damage::is_loss), "{name}");
            }
        }
    }

    #[test]
    fn the_frames_of_an_mp3_count_and_not_its_tag() {
        let whole = file("voice.mp3");
        let tag_at = whole.windows(4).position(|four| four == b"Xing" || four == b"Info").expect("a tag");
        for stated in [0_u32, 1, 7] {
            let mut bytes = whole.clone();
            bytes[tag_at + 8..tag_at + 12].copy_from_slice(&stated.to_be_bytes());
            let analysis = analyse(&bytes).unwrap();
            assert!((1_500..1_800).contains(&analysis.sound.length_ms), "{stated}: {} ms", analysis.sound.length_ms);
            assert!(analysis.has_speech && !analysis.sound.damage.iter().any(Damage::is_loss), "{stated}");
        }
    }

    #[test]
    fn zeros_before_an_mp3_are_passed_over() {
        let bytes = [&[0; 500][..], &file("voice.mp3")].concat();
        assert_eq!(sniff(&bytes), Ok(Container::Mp3));
        assert_eq!(measure(&bytes).unwrap().length_ms, 1_500);
    }

    #[test]
    fn sound_that_cannot_be_measured_is_named() {
        let mut wav = tone::wav_bytes(&[1; 800]);
        for (tag, name) in [(0x31, "wav/gsm"), (0x11, "wav/adpcm_ima"), (0x55, "wav/mp3")] {
            wav[20] = tag;
            assert_eq!(measure(&wav), Err(Unplayable::Unsupported(name.to_owned())));
        }
        let mut ogg = b"OggS\0\x02".to_vec();
        ogg.resize(28, 0);
        ogg.extend(b"Speex   1.2");
        ogg.resize(400, 0);
        for (bytes, name) in [
            (&b"#!AMR\n\x04"[..], "amr"),
            (b"FORM\0\0\0\x20AIFFCOMM", "aiff"),
            (b".snd\0\0\0\x2c", "au"),
            (b"\x1a\x45\xdf\xa3\x9f\x42", "webm"),
            (b"RIFX\0\0\0\x20WAVEfmt ", "rifx"),
            (&[0xff, 0xf5, 0xe8, 0xc4], "mp2"),
            (&ogg, "ogg/speex"),
        ] {
            assert_eq!(measure(bytes), Err(Unplayable::Unsupported(name.to_owned())));
        }
    }

    #[test]
    fn a_tag_before_an_mp3_is_passed_over() {
        let mut tagged = b"ID3\x04\0\0\0\0\x02\x00".to_vec();
        tagged.extend([0xff_u8, 0xfb].repeat(128)); // looks like frames, is a picture
        tagged.extend(file("voice.mp3"));
        assert_eq!(measure(&tagged).unwrap().length_ms, 1_500);
    }

    #[test]
    fn a_header_of_nonsense_is_refused() {
        for (rate, channels) in [(0, 1), (1, 1), (4_000_000_000, 1), (8_000, 0), (8_000, 9)] {
            let mut bytes = tone::wav_bytes(&[1; 100]);
            bytes[22..24].copy_from_slice(&u16::to_le_bytes(channels));
            bytes[24..28].copy_from_slice(&u32::to_le_bytes(rate));
            assert!(matches!(analyse(&bytes), Err(Unplayable::Broken(_))), "{rate} {channels}");
        }
    }
}
