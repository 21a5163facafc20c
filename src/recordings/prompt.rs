//! What becomes of an uploaded greeting: one channel at 8 kHz, no silence at its ends, one loudness for all.
//!
//! Pure and busy for a second at most: callers on the async runtime use `spawn_blocking`.

mod clipping;
mod level;

use audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction, audioadapter_buffers};
use thiserror::Error;

use super::container::{Container, Unplayable, sniff};
use super::decode::Source;
use super::telephone::{Biquad, PhoneSound, samples_ms};
use super::tone::SAMPLE_RATE;

pub use level::{LOUDNESS_LUFS, PEAK_DBFS};

/// The largest upload, bytes.
pub const LARGEST_UPLOAD: usize = 10 * 1024 * 1024;
/// The longest greeting that is taken at all; from 25 seconds on callers hang up.
pub const LONGEST_UPLOAD_MS: i64 = 60_000;
/// Shorter than this there is no word in it.
const SHORTEST_MS: i64 = 300;
/// The rumble of a desk and the hum of a plug are below it, and every voice and telephone above.
const RUMBLE_HZ: f64 = 80.0;
/// Of what a microphone or telephone records; more would only cost memory.
const HIGHEST_RATE: u32 = 96_000;

/// A greeting that is ready to be heard.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub sound: PhoneSound,
    /// What was uploaded.
    pub container: Container,
    pub original_length_ms: i64,
    /// By how much it was made louder, dB; negative: softer.
    pub raised_db: f64,
    /// Places where the microphone was overdriven so that it can be heard; 0 if hardly any.
    pub clipped: usize,
    /// What was wrong with the file, in words; empty if nothing.
    pub damage: String,
}

/// Why an upload is no greeting.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoGreeting {
    #[error("the file is empty")]
    Empty,
    #[error("it is no sound file")]
    NotSound,
    /// Sound, but coded as we cannot read it.
    #[error("sound coded as {0} cannot be read here")]
    Unsupported(String),
    #[error("there is no sound track in it")]
    NoSoundTrack,
    #[error("the file is damaged: {0}")]
    Damaged(String),
    #[error("longer than {} s", LONGEST_UPLOAD_MS / 1_000)]
    TooLong,
    #[error("there is only silence in it")]
    Silent,
    #[error("there is hardly anything in it")]
    TooShort,
}

impl From<Unplayable> for NoGreeting {
    fn from(unplayable: Unplayable) -> Self {
        match unplayable {
            Unplayable::Empty => Self::Empty,
            Unplayable::NotSound(_) | Unplayable::Unknown(_) => Self::NotSound,
            Unplayable::Unsupported(coding) => Self::Unsupported(coding),
            Unplayable::NoSoundTrack => Self::NoSoundTrack,
            Unplayable::Broken(reason) => Self::Damaged(reason),
            Unplayable::TooLong { .. } => Self::TooLong,
        }
    }
}

/// Makes a greeting out of the bytes of a file. Needs less than a second, and less than 60 MB however
/// small the file is.
pub fn prepare(bytes: &[u8]) -> Result<Prepared, NoGreeting> {
    let container = sniff(bytes)?;
    let Mixed { samples, sample_rate, damage } = mixed(bytes)?;
    let original_length_ms = samples.len() as i64 * 1_000 / i64::from(sample_rate);
    let clipped = clipping::places(&samples, sample_rate);
    let mut samples = to_telephone_rate(samples, sample_rate)?;
    let mut no_rumble = Biquad::high_pass(RUMBLE_HZ / f64::from(SAMPLE_RATE), std::f64::consts::FRAC_1_SQRT_2);
    samples.iter_mut().for_each(|sample| *sample = no_rumble.next(f64::from(*sample)) as f32);
    let spoken = level::without_silent_ends(&samples).ok_or(NoGreeting::Silent)?;
    if samples_ms(spoken.len()) < SHORTEST_MS {
        return Err(NoGreeting::TooShort);
    }
    let (samples, raised_db) = level::levelled(spoken).ok_or(NoGreeting::Silent)?;
    Ok(Prepared { sound: to_phone(&samples), container, original_length_ms, raised_db, clipped, damage })
}

/// Words of other people beside the school's recordings: brought to [`LOUDNESS_LUFS`] where a listener would notice the
/// difference, else left as they are.
pub fn at_one_loudness(sound: PhoneSound) -> PhoneSound {
    const NOTICED_DB: f64 = 3.0;
    let samples: Vec<f32> = sound.0.iter().map(|&sample| f32::from(sample) / 32_768.0).collect();
    match level::loudness(&samples) {
        Some(loudness) if (loudness - LOUDNESS_LUFS).abs() > NOTICED_DB => {}
        _ => return sound,
    }
    level::levelled(&samples).map_or(sound, |(samples, _)| to_phone(&samples))
}

fn to_phone(samples: &[f32]) -> PhoneSound {
    PhoneSound(samples.iter().map(|sample| (sample * 32_768.0).round() as i16).collect())
}

struct Mixed {
    /// One channel, full scale ±1.
    samples: Vec<f32>,
    sample_rate: u32,
    damage: String,
}

/// All channels in one. Where they cancel each other out, as with two microphones of opposite poles, the louder one alone.
fn mixed(bytes: &[u8]) -> Result<Mixed, Unplayable> {
    let source = Source::open(bytes)?;
    let (sample_rate, channels) = (source.sample_rate, usize::from(source.channels));
    if sample_rate > HIGHEST_RATE {
        return Err(Unplayable::Unsupported(format!("{sample_rate} samples a second")));
    }
    let mut samples = Vec::new();
    let mut energies = vec![0.0_f64; channels];
    let damage = source.read_all_channels(LONGEST_UPLOAD_MS, |interleaved| {
        for frame in interleaved.chunks_exact(channels) {
            let sum: i32 = frame.iter().map(|&sample| i32::from(sample)).sum();
            samples.push(sum as f32 / (32_768.0 * channels as f32));
            for (energy, &sample) in energies.iter_mut().zip(frame) {
                *energy += (f64::from(sample) / 32_768.0).powi(2);
            }
        }
    })?;
    let mixed: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    let loudest = energies.iter().copied().fold(0.0, f64::max);
    if mixed < loudest / (4.0 * (channels * channels) as f64) {
        samples.clear();
        let source = Source::open(bytes)?;
        source.read(LONGEST_UPLOAD_MS, |one| samples.extend(one.iter().map(|&sample| f32::from(sample) / 32_768.0)))?;
    }
    let damage: Vec<String> = damage.iter().filter(|damage| damage.is_loss()).map(ToString::to_string).collect();
    Ok(Mixed { samples, sample_rate, damage: damage.join(", ") })
}

/// What lies above the telephone's 4 kHz is taken out first, or it would come back as whistles below.
fn to_telephone_rate(samples: Vec<f32>, sample_rate: u32) -> Result<Vec<f32>, NoGreeting> {
    /// Steep enough that nothing above 4 kHz comes through and everything below 3.4 kHz does.
    const CHUNK_FRAMES: usize = 4_096;
    if sample_rate == SAMPLE_RATE || samples.is_empty() {
        return Ok(samples);
    }
    let failed = |error: &dyn std::fmt::Display| NoGreeting::Damaged(error.to_string());
    let (from, to) = (sample_rate as usize, SAMPLE_RATE as usize);
    let window = WindowFunction::BlackmanHarris2;
    let mut resampler = Fft::<f32>::new_custom(from, to, CHUNK_FRAMES, 1, 1, window, FixedSync::Input)
        .map_err(|error| failed(&error))?;
    let input = InterleavedSlice::new(&samples, 1, samples.len()).map_err(|error| failed(&error))?;
    let output = resampler.process_all(&input, samples.len(), None).map_err(|error| failed(&error))?;
    Ok(output.take_data())
}

#[cfg(test)]
mod tests;
