//! Sound made by arithmetic, for the demo and the tests: silence, the busy tone, a voice, keys of a telephone.
//!
//! Everything is 8 kHz, mono, 16 bits, as a telephone exchange records it. The same arguments give the same samples.

use std::f32::consts::{PI, TAU};

/// Samples a second of all generated sound.
pub const SAMPLE_RATE: u32 = 8_000;

/// The two frequencies of each key (ITU-T Q.23), in the order of [`KEYS`].
const KEYS: &str = "123A456B789C*0#D";
const KEY_ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const KEY_COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];

/// Formants (Hz) of the Russian vowels а, э, и, о, у, roughly as a man speaks them.
const VOWELS: [[f32; 3]; 5] = [
    [700.0, 1200.0, 2500.0],
    [500.0, 1700.0, 2450.0],
    [300.0, 2150.0, 2900.0],
    [480.0, 850.0, 2400.0],
    [320.0, 680.0, 2300.0],
];

/// A whole WAV file of these samples: a header of 44 bytes, then 16-bit little-endian PCM.
pub fn wav_bytes(samples: &[i16]) -> Vec<u8> {
    let data_bytes = u32::try_from(samples.len() * 2).expect("generated sound is far shorter than 4 GiB");
    let mut wav = Vec::with_capacity(44 + samples.len() * 2);
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + data_bytes).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
    wav.extend_from_slice(&(SAMPLE_RATE * 2).to_le_bytes());
    wav.extend_from_slice(b"\x02\0\x10\0data");
    wav.extend_from_slice(&data_bytes.to_le_bytes());
    wav.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    wav
}

/// `length_ms` of digital silence.
pub fn silence(length_ms: u32) -> Vec<i16> {
    vec![0; sample_count(length_ms)]
}

/// `length_ms` of the busy tone as Russian exchanges send it: 425 Hz, 0.35 s on, 0.35 s off.
pub fn busy_tone(length_ms: u32) -> Vec<i16> {
    const CADENCE: usize = SAMPLE_RATE as usize * 35 / 100;
    let mut tone = dial_tone(length_ms);
    for pause in tone.chunks_mut(CADENCE).skip(1).step_by(2) {
        pause.fill(0);
    }
    tone
}

/// `length_ms` of the dial tone: 425 Hz without a pause.
pub fn dial_tone(length_ms: u32) -> Vec<i16> {
    (0..sample_count(length_ms)).map(|n| (8_000.0 * sine(425.0, n)) as i16).collect()
}

/// The keys of a telephone, one after another: 0.1 s of tone, 0.1 s of pause. What is no key is a longer pause.
pub fn key_tones(keys: &str) -> Vec<i16> {
    let mut tones = Vec::new();
    for key in keys.chars() {
        if let Some(place) = KEYS.find(key) {
            let (row, column) = (KEY_ROWS[place / 4], KEY_COLUMNS[place % 4]);
            tones.extend((0..sample_count(100)).map(|n| (6_000.0 * (sine(row, n) + sine(column, n))) as i16));
        }
        tones.extend(silence(100));
    }
    tones
}

/// `length_ms` of a voice that says nothing: a train of glottal pulses with moving pitch, three formants that go from
/// vowel to vowel, consonants of noise, syllables and short pauses. Detectors of speech take it for speech; another
/// `seed` speaks other syllables at another pitch.
pub fn speech_like(length_ms: u32, seed: u64) -> Vec<i16> {
    let mut dice = Dice(seed);
    let pitch = 105.0 + 90.0 * dice.roll();
    let mut voice = Voice::default();
    let mut samples = Vec::with_capacity(sample_count(length_ms));
    while samples.len() < sample_count(length_ms) {
        let syllables = 4 + (dice.roll() * 6.0) as usize;
        for syllable in 0..syllables {
            let falling = 1.12 - 0.25 * syllable as f32 / syllables as f32;
            consonant(&mut samples, &mut dice);
            voice.vowel(&mut samples, pitch * falling, &mut dice);
        }
        samples.extend(silence(120 + (dice.roll() * 160.0) as u32));
    }
    samples.truncate(sample_count(length_ms));
    samples
}

/// A breath of noise before the vowel, 20 to 60 ms, louder as it goes.
fn consonant(samples: &mut Vec<i16>, dice: &mut Dice) {
    let length = sample_count(20 + (dice.roll() * 40.0) as u32);
    let loudness = 1_200.0 + 3_600.0 * dice.roll();
    samples.extend((0..length).map(|n| (loudness * n as f32 / length as f32 * (dice.roll() - 0.5)) as i16));
}

/// The throat and the mouth: what has to run on smoothly from one vowel to the next.
#[derive(Default)]
struct Voice {
    formants: [Resonator; 3],
    at: [f32; 3],
    phase: f32,
    breath: f32,
}

impl Voice {
    /// A vowel of 110 to 220 ms at about this pitch (Hz), swelling and fading.
    fn vowel(&mut self, samples: &mut Vec<i16>, pitch: f32, dice: &mut Dice) {
        let goal = VOWELS[(dice.roll() * VOWELS.len() as f32) as usize % VOWELS.len()];
        if self.at[0] == 0.0 {
            self.at = goal;
        }
        let length = sample_count(110 + (dice.roll() * 110.0) as u32);
        let glide = (dice.roll() - 0.5) * 0.2;
        let loudness = 0.7 + 0.3 * dice.roll();
        for n in 0..length {
            let done = n as f32 / length as f32;
            let swell = (PI * done).sin().powf(0.6);
            let sound = self.throat(pitch * (1.0 + glide * done + 0.01 * (dice.roll() - 0.5)));
            let mut mouth = 0.0;
            for (formant, resonator) in self.formants.iter_mut().enumerate() {
                self.at[formant] += (goal[formant] - self.at[formant]) * 0.003;
                mouth += resonator.ring(sound, self.at[formant], 70.0 + 40.0 * formant as f32) / (1.0 + formant as f32);
            }
            samples.push((mouth * swell * loudness * 36_000.0).clamp(-32_000.0, 32_000.0) as i16);
        }
    }

    /// The next sample of the glottis: a pulse each period, softened as the throat softens it.
    fn throat(&mut self, pitch: f32) -> f32 {
        self.phase += pitch / SAMPLE_RATE as f32;
        let pulse = if self.phase >= 1.0 { 1.0 } else { 0.0 };
        self.phase = self.phase.fract();
        self.breath = 0.7 * self.breath + pulse;
        self.breath
    }
}

/// A filter of two poles that rings at one frequency.
#[derive(Default)]
struct Resonator {
    last: f32,
    before: f32,
}

impl Resonator {
    fn ring(&mut self, input: f32, frequency: f32, bandwidth: f32) -> f32 {
        let radius = (-PI * bandwidth / SAMPLE_RATE as f32).exp();
        let turn = 2.0 * radius * (TAU * frequency / SAMPLE_RATE as f32).cos();
        let output = (1.0 - radius) * input + turn * self.last - radius * radius * self.before;
        self.before = self.last;
        self.last = output;
        output
    }
}

/// Even numbers between 0 and 1 from a seed (SplitMix64). For sound only: anybody can guess the next one.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }
}

fn sine(frequency: f32, sample: usize) -> f32 {
    // Counted within the second, so that long tones do not lose precision.
    (TAU * frequency * (sample % SAMPLE_RATE as usize) as f32 / SAMPLE_RATE as f32).sin()
}

fn sample_count(length_ms: u32) -> usize {
    length_ms as usize * SAMPLE_RATE as usize / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_says_the_same_and_another_something_else() {
        assert_eq!(speech_like(1_000, 7), speech_like(1_000, 7));
        assert_ne!(speech_like(1_000, 7), speech_like(1_000, 8));
    }

    #[test]
    fn everything_is_as_long_as_it_was_ordered() {
        for sound in [silence(1_500), busy_tone(1_500), dial_tone(1_500), speech_like(1_500, 0)] {
            assert_eq!(sound.len(), 12_000);
        }
        assert_eq!(key_tones("17 #").len(), 5_600);
    }

    #[test]
    fn the_busy_tone_pauses_as_long_as_it_sounds() {
        let tone = busy_tone(1_400);
        let loud: Vec<bool> = tone.chunks(2_800).map(|part| part.iter().any(|&sample| sample != 0)).collect();
        assert_eq!(loud, [true, false, true, false]);
    }

    #[test]
    fn a_voice_is_as_loud_as_on_the_telephone_and_never_clipped() {
        for seed in 0..20 {
            let loudest = speech_like(3_000, seed).iter().map(|sample| sample.unsigned_abs()).max().unwrap();
            assert!((4_000..32_000).contains(&loudest), "seed {seed}: {loudest}");
        }
    }
}
