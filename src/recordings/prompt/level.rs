//! Silence off the ends, and one loudness for all greetings.

use ebur128::{EbuR128, Mode};

use crate::recordings::tone::SAMPLE_RATE;

/// How loud every greeting is, LUFS (EBU R 128, one channel). It is the level at which the human prompts of telephone
/// exchanges are recorded (the Russian ones of Asterisk measure -20.0 in their middle), so that a greeting and the date after
/// it sound as one; broadcasting's -23 is too soft beside a street.
pub const LOUDNESS_LUFS: f64 = -20.0;
/// No sample is louder, dBFS. Half of full scale is left for what filters and coders on the way add to the tips.
pub const PEAK_DBFS: f64 = -3.0;

/// Blocks in which silence is told from speech: 10 ms.
const BLOCK: usize = SAMPLE_RATE as usize / 100;
/// A block this much softer than the loudest one is silence: breath, and the noise of a quiet room.
const SOFTER_DB: f32 = 40.0;
/// Softer than this nothing was said, whatever follows.
const SILENCE_DBFS: f32 = -55.0;
/// A word lasts longer than three blocks; a click of the mouse does not.
const WORD_BLOCKS: usize = 3;
/// What is left of the silence before and after, so that no first sound is cut off: 0.12 s.
const MARGIN: usize = SAMPLE_RATE as usize * 12 / 100;
/// The ends are faded over 5 ms, or they would click.
const FADE: usize = SAMPLE_RATE as usize / 200;

/// The part from the first word to the last with a short margin; `None` if nothing is said.
pub(super) fn without_silent_ends(samples: &[f32]) -> Option<&[f32]> {
    let levels: Vec<f32> = samples.chunks(BLOCK).map(decibels).collect();
    let loudest = levels.iter().copied().fold(f32::MIN, f32::max);
    if loudest < SILENCE_DBFS {
        return None;
    }
    let quiet = (loudest - SOFTER_DB).max(SILENCE_DBFS - 10.0);
    let word = |blocks: &[f32]| blocks.iter().all(|level| *level > quiet);
    let first = levels.windows(WORD_BLOCKS).position(word)?;
    let last = levels.windows(WORD_BLOCKS).rposition(word)? + WORD_BLOCKS;
    let start = (first * BLOCK).saturating_sub(MARGIN);
    let end = (last * BLOCK + MARGIN).min(samples.len());
    Some(&samples[start..end])
}

fn decibels(block: &[f32]) -> f32 {
    let energy: f32 = block.iter().map(|sample| sample * sample).sum();
    10.0 * (energy / block.len().max(1) as f32 + 1e-12).log10()
}

/// Brought to [`LOUDNESS_LUFS`] with no sample above [`PEAK_DBFS`], and by how many dB it was made louder. `None` if it
/// cannot be measured: too soft all over.
pub(super) fn levelled(samples: &[f32]) -> Option<(Vec<f32>, f64)> {
    /// The limiter takes a little of the loudness away, which the next round gives back.
    const ROUNDS: usize = 6;
    const NEAR_DB: f64 = 0.1;
    let raised_db = LOUDNESS_LUFS - loudness(samples)?;
    let mut gain_db = raised_db;
    let mut levelled = Vec::new();
    for _ in 0..ROUNDS {
        let gain = 10_f64.powf(gain_db / 20.0) as f32;
        levelled = limited(samples.iter().map(|sample| sample * gain).collect(), 10_f64.powf(PEAK_DBFS / 20.0) as f32);
        let missing_db = LOUDNESS_LUFS - loudness(&levelled)?;
        if missing_db.abs() < NEAR_DB {
            break;
        }
        gain_db += missing_db;
    }
    fade(&mut levelled);
    Some((levelled, raised_db))
}

/// Integrated loudness, LUFS, of one channel at the telephone's rate.
pub(super) fn loudness(samples: &[f32]) -> Option<f64> {
    /// One block of the measure; shorter sound is taken for itself, repeated.
    const BLOCK_SAMPLES: usize = SAMPLE_RATE as usize * 4 / 10;
    let mut meter = EbuR128::new(1, SAMPLE_RATE, Mode::I).ok()?;
    let repeats = if samples.is_empty() { 0 } else { BLOCK_SAMPLES.div_ceil(samples.len()) };
    for _ in 0..repeats {
        meter.add_frames_f32(samples).ok()?;
    }
    meter.loudness_global().ok().filter(|loudness| loudness.is_finite())
}

/// Turns the sound down around every sample above `ceiling`, softly enough that it is not heard as a click.
fn limited(mut samples: Vec<f32>, ceiling: f32) -> Vec<f32> {
    /// 5 ms before and after.
    const REACH: usize = SAMPLE_RATE as usize / 200;
    let count = samples.len();
    let mut gains = vec![1.0_f32; count];
    for (n, sample) in samples.iter().enumerate() {
        let gain = ceiling / sample.abs();
        if gain < 1.0 {
            let around = n.saturating_sub(REACH)..(n + REACH + 1).min(count);
            gains[around].iter_mut().for_each(|known| *known = known.min(gain));
        }
    }
    // The mean over the same reach: each of the gains in it is low enough for the sample in the middle.
    let mut sum: f64 = gains[..REACH.min(count)].iter().map(|&gain| f64::from(gain)).sum();
    let mut width = REACH.min(count);
    for (n, sample) in samples.iter_mut().enumerate() {
        if n + REACH < count {
            sum += f64::from(gains[n + REACH]);
            width += 1;
        }
        if n > REACH {
            sum -= f64::from(gains[n - REACH - 1]);
            width -= 1;
        }
        *sample = (*sample * (sum / width as f64) as f32).clamp(-ceiling, ceiling);
    }
    samples
}

fn fade(samples: &mut [f32]) {
    let count = samples.len();
    for n in 0..FADE.min(count) {
        let part = n as f32 / FADE as f32;
        samples[n] *= part;
        samples[count - 1 - n] *= part;
    }
}
