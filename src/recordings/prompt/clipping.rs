//! Was the microphone overdriven? A voice that is too loud for it loses its tips: they come out flat, all at one height.

/// From this part of the loudest sample on it is a tip.
const TIP: f32 = 0.98;
/// Flat for so long, seconds: the tips of an unharmed voice are sharper at the height of the loudest one.
const FLAT_SECONDS: f32 = 0.000_3;
/// A click or two is nothing to record anew for.
const FEW: usize = 8;
/// A whisper has flat tips too, of one step of the scale.
const LEAST_PEAK: f32 = 0.05;

/// How many tips are flat; 0 where they are so few that nobody hears it. Samples have their full scale at ±1.
pub(super) fn places(samples: &[f32], sample_rate: u32) -> usize {
    let peak = samples.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    if peak < LEAST_PEAK {
        return 0;
    }
    let flat = ((sample_rate as f32 * FLAT_SECONDS).round() as usize).max(3);
    let side = |sample: &f32| if sample.abs() < TIP * peak { 0.0 } else { sample.signum() };
    let tips = samples.chunk_by(|one, next| side(one) == side(next));
    let found = tips.filter(|tip| side(&tip[0]) != 0.0 && tip.len() >= flat).count();
    if found < FEW { 0 } else { found }
}
