//! Sound made by arithmetic, for the demo and the tests. 8 kHz, mono, 16 bits.

pub const SAMPLE_RATE: u32 = 8_000;

/// A whole WAV file of these samples.
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
    vec![0; length_ms as usize * 8]
}

/// `length_ms` of the busy tone.
pub fn busy_tone(length_ms: u32) -> Vec<i16> {
    let sine = |n: usize| (std::f32::consts::TAU * 425.0 * (n % 8_000) as f32 / 8_000.0).sin();
    (0..length_ms as usize * 8).map(|n| if n / 2_800 % 2 == 0 { (8_000.0 * sine(n)) as i16 } else { 0 }).collect()
}

/// `length_ms` of something like a voice.
pub fn speech_like(length_ms: u32, seed: u64) -> Vec<i16> {
    let pulse = 50 + (seed % 30) as usize;
    (0..length_ms as usize * 8).map(|n| if n % pulse == 0 { 12_000 } else { 0 }).collect()
}
