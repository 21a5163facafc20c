//! Does somebody speak? Tells a message from the busy tone, silence, hum and pressed keys that lines also record.
//!
//! The detector (earshot) alone takes the busy tone, pressed keys and mains hum for speech. So each of its frames has
//! to pass two more questions: is it one of the tones of a telephone line ([`super::line_tone`]), and does its level
//! move as only speech moves? The figures were found by trying the 557 human prompts of a telephone exchange, six of
//! them also quiet, noisy and through GSM and MP3, against tones, noises and hum: of what the detector rightly calls
//! speech 99 % is kept.

use earshot::Detector;

use super::line_tone;

/// Less speech than this is none: two beeps and a click can reach 0.2 s, the shortest word worth hearing lasts 0.35 s.
pub const LEAST_SPEECH_MS: i64 = 300;

/// Everything is brought to the rate of the telephone first; above 4 kHz there is nothing a line carries.
const SAMPLE_RATE: u32 = 8_000;
/// The detector wants frames of 256 samples at 16 kHz, which is 128 of ours.
const FRAME_SAMPLES: usize = 128;
const FRAME_MS: usize = 16;
/// From here on the detector's authors speak of voice.
const VOICE_SCORE: f32 = 0.5;

/// A tone lasts; a vowel that looks like one does not. The shortest key is held 40 ms and more.
const TONE_FRAMES: usize = 3;
/// After a tone ends the detector goes on saying "speech" for about 0.11 s.
const ECHO_FRAMES: usize = 10;
/// Speech rises and falls by 10 dB and more within any half second; hum, noise and tones stay within 5 dB.
const STEADY_FRAMES: usize = 32;
const STEADY_DB: f32 = 5.0;
/// A word lasts longer than 0.1 s, a click does not.
const LEAST_RUN_FRAMES: usize = 6;

/// Hears mono samples of any rate as they come. Keeps 8 bytes for each 16 ms: 7 MB for four hours.
pub struct Listener {
    pace: Pace,
    detector: Box<Detector>,
    last_sample: i16,
    /// The frame before and the frame that is being filled: tones are looked for in both together.
    window: [i16; 2 * FRAME_SAMPLES],
    filled: usize,
    frames: Vec<Frame>,
}

struct Frame {
    is_voice: bool,
    is_tone: bool,
    level_db: f32,
}

impl Listener {
    pub fn new(sample_rate: u32) -> Self {
        Self {
            pace: Pace { sample_rate, ..Pace::default() },
            detector: Box::new(Detector::const_default()),
            last_sample: 0,
            window: [0; 2 * FRAME_SAMPLES],
            filled: 0,
            frames: Vec::new(),
        }
    }

    pub fn hear(&mut self, samples: &[i16]) {
        for &sample in samples {
            for _ in 0..self.pace.take(sample) {
                self.window[FRAME_SAMPLES + self.filled] = self.pace.sample;
                self.filled += 1;
                if self.filled == FRAME_SAMPLES {
                    self.close_frame();
                }
            }
        }
    }

    /// Milliseconds of speech heard, in steps of 16.
    pub fn finish(self) -> i64 {
        let tone = toned(&self.frames);
        let steady = steady(&self.frames);
        let (mut speech, mut run) = (0, 0);
        for (n, frame) in self.frames.iter().enumerate() {
            if frame.is_voice && !tone[n] && !steady[n] {
                run += 1;
            } else {
                speech += if run >= LEAST_RUN_FRAMES { run } else { 0 };
                run = 0;
            }
        }
        speech += if run >= LEAST_RUN_FRAMES { run } else { 0 };
        (speech * FRAME_MS) as i64
    }

    fn close_frame(&mut self) {
        let (energy, is_tone) = line_tone::find(&self.window);
        let doubled = self.doubled();
        let score = self.detector.predict_i16(&doubled);
        let level_db = 10.0 * (energy / self.window.len() as f32 + 1.0).log10();
        self.frames.push(Frame { is_voice: score > VOICE_SCORE, is_tone, level_db });
        self.window.copy_within(FRAME_SAMPLES.., 0);
        self.filled = 0;
    }

    /// The new frame at 16 kHz. Straight lines between the samples leave a trace of their mirror image above 4 kHz,
    /// and that is better here: with a clean filter the detector took plain noise for speech.
    fn doubled(&mut self) -> [i16; 2 * FRAME_SAMPLES] {
        let mut doubled = [0; 2 * FRAME_SAMPLES];
        for (pair, &sample) in doubled.chunks_exact_mut(2).zip(&self.window[FRAME_SAMPLES..]) {
            pair[0] = ((i32::from(self.last_sample) + i32::from(sample)) / 2) as i16;
            pair[1] = sample;
            self.last_sample = sample;
        }
        doubled
    }
}

/// Brings any rate to 8 kHz: the mean of the samples that fall together, or the same one again.
#[derive(Default)]
struct Pace {
    sample_rate: u32,
    phase: u32,
    sum: i64,
    count: i64,
    sample: i16,
}

impl Pace {
    /// How often `self.sample` is due after this one; 1 each time at 8 kHz.
    fn take(&mut self, sample: i16) -> u32 {
        self.sum += i64::from(sample);
        self.count += 1;
        self.phase += SAMPLE_RATE;
        let due = self.phase / self.sample_rate;
        if due > 0 {
            self.phase %= self.sample_rate;
            self.sample = (self.sum / self.count) as i16;
            (self.sum, self.count) = (0, 0);
        }
        due
    }
}

/// Frames inside a tone that lasts, or so soon after it that the detector still hears it.
fn toned(frames: &[Frame]) -> Vec<bool> {
    let mut toned = vec![false; frames.len()];
    let mut start = 0;
    for part in frames.chunk_by(|one, next| one.is_tone == next.is_tone) {
        let end = start + part.len();
        if part[0].is_tone && part.len() >= TONE_FRAMES {
            toned[start..(end + ECHO_FRAMES).min(frames.len())].fill(true);
        }
        start = end;
    }
    toned
}

/// Frames of any half second whose level hardly moves.
fn steady(frames: &[Frame]) -> Vec<bool> {
    let mut steady = vec![false; frames.len()];
    for (start, part) in frames.windows(STEADY_FRAMES).enumerate() {
        let (low, high) = part
            .iter()
            .fold((f32::MAX, f32::MIN), |(low, high), frame| (low.min(frame.level_db), high.max(frame.level_db)));
        if high - low < STEADY_DB {
            steady[start..start + STEADY_FRAMES].fill(true);
        }
    }
    steady
}

#[cfg(test)]
mod tests {
    use crate::recordings::SoundFolder;

    use super::super::tone;
    use super::*;

    fn speech_ms(samples: &[i16]) -> i64 {
        let mut listener = Listener::new(SAMPLE_RATE);
        listener.hear(samples);
        listener.finish()
    }

    #[test]
    fn a_voice_is_speech() {
        for seed in 0..8 {
            let heard = speech_ms(&tone::speech_like(3_000, seed));
            assert!((2_000..=3_000).contains(&heard), "seed {seed}: {heard} ms");
        }
        assert_eq!(speech_ms(&[]), 0);
    }

    #[test]
    fn a_quiet_voice_is_speech_too() {
        let quiet: Vec<i16> = tone::speech_like(3_000, 1).iter().map(|sample| sample / 30).collect();
        assert!(speech_ms(&quiet) > 1_500);
    }

    #[test]
    fn tones_of_the_line_and_silence_are_not() {
        for (what, sound) in [
            ("silence", tone::silence(10_000)),
            ("busy tone", tone::busy_tone(10_000)),
            ("dial tone", tone::dial_tone(10_000)),
            ("keys", tone::key_tones("89281234567 1234567890*#")),
        ] {
            assert_eq!(speech_ms(&sound), 0, "{what}");
        }
    }

    #[test]
    fn hum_and_noise_are_not() {
        use std::f32::consts::TAU;
        let hum = |n: usize| -> f32 {
            [50.0, 150.0, 250.0].iter().map(|hz| 3_000.0 * (TAU * hz * (n % 8_000) as f32 / 8_000.0).sin()).sum()
        };
        let noise =
            |n: usize| (n as u32).wrapping_mul(2_654_435_761).rotate_left(13).wrapping_mul(n as u32) as f32 / 1e6;
        for (what, sound) in [
            ("hum", (0..80_000).map(|n| hum(n) as i16).collect::<Vec<_>>()),
            ("noise", (0..80_000).map(|n| noise(n) as i16).collect()),
            ("hum with noise", (0..80_000).map(|n| (hum(n) + noise(n)) as i16).collect()),
        ] {
            let heard = speech_ms(&sound);
            assert!(heard < LEAST_SPEECH_MS, "{what}: {heard} ms");
        }
    }

    #[test]
    fn a_message_between_tones_is_heard() {
        let mut sound = tone::dial_tone(2_000);
        sound.extend(tone::speech_like(2_000, 5));
        sound.extend(tone::busy_tone(5_000));
        let heard = speech_ms(&sound);
        assert!((1_200..=2_100).contains(&heard), "{heard} ms");
    }

    #[test]
    fn the_rate_of_the_recording_does_not_matter() {
        let voice = tone::speech_like(2_000, 2);
        let expected = speech_ms(&voice);
        for rate in [11_025, 16_000, 44_100, 48_000] {
            let mut listener = Listener::new(rate);
            let samples: Vec<i16> =
                (0..rate * 2).map(|n| voice[(n as u64 * 8_000 / u64::from(rate)) as usize]).collect();
            listener.hear(&samples);
            let heard = listener.finish();
            assert!((heard - expected).abs() <= 200, "{rate}: {heard} ms, {expected} ms at 8 kHz");
        }
    }

    /// Reads the human Russian prompts of a Debian package, which the command that runs all tests installs.
    #[test]
    fn human_speech_is_heard() {
        let package = SoundFolder::installed();
        let heard = |file: &str| {
            let bytes = std::fs::read(package.path().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            super::super::analyse(&bytes).unwrap()
        };
        for file in [
            "vm-intro.wav",
            "vm-leavemsg.wav",
            "vm-goodbye.wav",
            "demo-congrats.wav",
            "pls-try-call-later.wav",
            "hello.wav",
            "vm-sorry.wav",
            "one-moment-please.wav",
            "digits/day-1.wav",
            "digits/4.wav",
        ] {
            let analysis = heard(file);
            let share = analysis.speech_ms * 100 / analysis.sound.length_ms;
            assert!(analysis.has_speech && share >= 60, "{file}: {} ms, {share} %", analysis.speech_ms);
        }
        for file in ["beep.wav", "beeperr.wav", "ascending-2tone.wav", "descending-2tone.wav", "silence/10.wav"] {
            let analysis = heard(file);
            assert!(!analysis.has_speech, "{file}: {} ms", analysis.speech_ms);
        }
    }
}
