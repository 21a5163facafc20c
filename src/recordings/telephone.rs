//! Sound as a telephone carries it: 8,000 samples a second, one channel, 16 bits. Pieces can be joined, written as a
//! file, and heard as they arrive at the other end of a line.

use std::f64::consts::TAU;
use std::fmt;

use audio_codec_algorithms::{decode_alaw, encode_alaw};

use super::container::Unplayable;
use super::decode::Source;
use super::tone::{SAMPLE_RATE, wav_bytes};

/// What a line lets through, Hz (ITU-T G.712): there is no more bass and no more treble on any telephone.
const BAND_HZ: (f64, f64) = (300.0, 3_400.0);
/// Four biquads in each direction, two for the bass and two for the treble, damp by 24 dB an octave.
const BUTTERWORTH: [f64; 2] = [0.541_196_1, 1.306_563];

/// A piece of telephone sound.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PhoneSound(pub Vec<i16>);

impl fmt::Debug for PhoneSound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneSound({} ms)", self.length_ms())
    }
}

impl PhoneSound {
    /// From a file that is telephone sound already, such as [`PhoneSound::wav`] writes and exchanges bring along.
    pub fn read(wav: &[u8], limit_ms: i64) -> Result<Self, Unplayable> {
        let source = Source::open(wav)?;
        if source.sample_rate != SAMPLE_RATE {
            return Err(Unplayable::Unsupported(format!("{} samples a second", source.sample_rate)));
        }
        let mut samples = Vec::new();
        source.read(limit_ms, |piece| samples.extend_from_slice(piece))?;
        Ok(Self(samples))
    }

    /// A whole WAV file, PCM of 16 bits: the one form that every provider and every exchange plays.
    pub fn wav(&self) -> Vec<u8> {
        wav_bytes(&self.0)
    }

    pub fn length_ms(&self) -> i64 {
        samples_ms(self.0.len())
    }

    /// This piece, a pause, the next piece: a greeting, then the date of the callback.
    pub fn then(mut self, pause_ms: u32, next: &Self) -> Self {
        self.0.resize(self.0.len() + (pause_ms * SAMPLE_RATE / 1_000) as usize, 0);
        self.0.extend_from_slice(&next.0);
        self
    }

    /// What arrives at the caller's ear: the band of the line, and A-law, in which European exchanges send each sample
    /// in 8 bits (ITU-T G.711).
    pub fn through_the_line(&self) -> Self {
        let rate = f64::from(SAMPLE_RATE);
        let mut filters: Vec<Biquad> = BUTTERWORTH
            .iter()
            .flat_map(|&q| [Biquad::high_pass(BAND_HZ.0 / rate, q), Biquad::low_pass(BAND_HZ.1 / rate, q)])
            .collect();
        let through = |&sample: &i16| {
            let filtered = filters.iter_mut().fold(f64::from(sample), |sample, filter| filter.next(sample));
            // Casting keeps to the range of the type.
            decode_alaw(encode_alaw(filtered.round() as i16))
        };
        Self(self.0.iter().map(through).collect())
    }
}

pub(super) fn samples_ms(samples: usize) -> i64 {
    (samples as i64 * 1_000 + i64::from(SAMPLE_RATE) / 2) / i64::from(SAMPLE_RATE)
}

/// A filter of the second order (Audio EQ Cookbook, R. Bristow-Johnson). Frequencies are parts of the sample rate.
pub(super) struct Biquad {
    forward: [f64; 3],
    back: [f64; 2],
    state: [f64; 2],
}

impl Biquad {
    pub fn high_pass(frequency: f64, q: f64) -> Self {
        let cos = (TAU * frequency).cos();
        Self::new(frequency, q, [f64::midpoint(1.0, cos), -(1.0 + cos), f64::midpoint(1.0, cos)])
    }

    pub fn low_pass(frequency: f64, q: f64) -> Self {
        let cos = (TAU * frequency).cos();
        Self::new(frequency, q, [(1.0 - cos) / 2.0, 1.0 - cos, (1.0 - cos) / 2.0])
    }

    fn new(frequency: f64, q: f64, forward: [f64; 3]) -> Self {
        let (sin, cos) = (TAU * frequency).sin_cos();
        let alpha = sin / (2.0 * q);
        let all = 1.0 + alpha;
        Self { forward: forward.map(|it| it / all), back: [-2.0 * cos / all, (1.0 - alpha) / all], state: [0.0; 2] }
    }

    pub fn next(&mut self, sample: f64) -> f64 {
        let out = self.forward[0] * sample + self.state[0];
        self.state[0] = self.forward[1] * sample - self.back[0] * out + self.state[1];
        self.state[1] = self.forward[2] * sample - self.back[1] * out;
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f32) -> PhoneSound {
        let wave = |n: i16| 10_000.0 * (std::f32::consts::TAU * hz * f32::from(n) / 8_000.0).sin();
        PhoneSound((0..8_000).map(|n| wave(n) as i16).collect())
    }

    /// Of the second half: filters need a moment.
    fn decibels(sound: &PhoneSound) -> f64 {
        let settled = &sound.0[sound.0.len() / 2..];
        let energy: f64 = settled.iter().map(|&sample| f64::from(sample).powi(2)).sum();
        10.0 * (energy / settled.len() as f64 + 1e-9).log10()
    }

    #[test]
    fn the_line_has_no_bass_and_no_treble() {
        let loss = |hz| {
            let sound = sine(hz);
            decibels(&sound) - decibels(&sound.through_the_line())
        };
        for hz in [50.0, 100.0, 150.0, 3_900.0] {
            assert!(loss(hz) > 20.0, "{hz} Hz: {} dB", loss(hz));
        }
        for hz in [300.0, 3_400.0] {
            assert!((2.0..4.0).contains(&loss(hz)), "{hz} Hz: {} dB", loss(hz));
        }
        for hz in [500.0, 1_000.0, 2_000.0, 3_000.0] {
            assert!(loss(hz).abs() < 0.5, "{hz} Hz: {} dB", loss(hz));
        }
    }

    #[test]
    fn a_law_is_that_of_the_recommendation() {
        // G.711, table 1a: the least and the greatest value of each sign, every second bit turned.
        for (sample, code) in [(0, 0xd5), (-1, 0x55), (i16::MAX, 0xaa), (i16::MIN, 0x2a), (1_000, 0xfa), (-1_000, 0x7a)]
        {
            assert_eq!(encode_alaw(sample), code, "{sample}");
        }
        for sample in i16::MIN..=i16::MAX {
            let error = (i32::from(decode_alaw(encode_alaw(sample))) - i32::from(sample)).abs();
            assert!(error <= 8 + i32::from(sample).abs() / 32, "{sample}: {error}");
        }
    }

    /// Written by sox, read by symphonia, whose tables are their own.
    #[test]
    fn a_law_is_that_of_everybody_else() {
        let file = format!("{}/tests/data/sound/voice-alaw.wav", env!("CARGO_MANIFEST_DIR"));
        let file = std::fs::read(file).unwrap();
        let codes = &file[file.len() - 12_000..];
        let theirs = PhoneSound::read(&file, 2_000).unwrap();
        assert_eq!(theirs.0, codes.iter().map(|&code| decode_alaw(code)).collect::<Vec<_>>());
        assert_eq!(codes, theirs.0.iter().map(|&sample| encode_alaw(sample)).collect::<Vec<_>>());
    }

    #[test]
    fn pieces_are_joined_with_a_pause() {
        let (one, two) = (PhoneSound(vec![1; 800]), PhoneSound(vec![2; 400]));
        let joined = one.then(50, &two);
        assert_eq!((joined.length_ms(), joined.0[799], joined.0[800], joined.0[1_200]), (200, 1, 0, 2));
        assert_eq!(PhoneSound::read(&joined.wav(), 200).unwrap(), joined);
        assert_eq!(PhoneSound::read(&joined.wav(), 199), Err(Unplayable::TooLong { limit_ms: 199 }));
    }

    #[test]
    fn silence_stays_silent_and_the_loudest_sample_does_not_turn_over() {
        assert!(PhoneSound(vec![0; 800]).through_the_line().0.iter().all(|sample| sample.abs() <= 8));
        let loud = PhoneSound((0..8_000).map(|n| if n / 4 % 2 == 0 { i16::MAX } else { i16::MIN }).collect());
        let heard = loud.through_the_line();
        assert!(heard.0[4_000..].windows(2).filter(|pair| (pair[0] > 0) != (pair[1] > 0)).count() < 1_100);
    }
}
