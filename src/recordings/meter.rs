//! Length, loudness and the picture of the sound, in one pass over mono samples as they come.

/// Columns of the waveform picture.
pub const PEAK_COUNT: usize = 200;

/// What digital silence measures: the floor of 16 bits, so that no infinity reaches a table or a page.
const FLOOR_DBFS: f32 = -96.0;

/// Blocks quieter than this are pauses: they do not make a message with long pauses seem quiet.
const PAUSE_DBFS: f32 = -50.0;

/// The loudest possible sample, the 0 of all decibels here.
const FULL_SCALE: f32 = 32_768.0;

/// Hears samples and remembers one peak for each block of 5 ms: 3 MB for four hours.
pub struct Meter {
    sample_rate: u32,
    block_samples: usize,
    pause_energy: f32,
    block: Block,
    block_peaks: Vec<u16>,
    total: Energy,
    active: Energy,
    peak: u16,
}

#[derive(Default)]
struct Block {
    peak: u16,
    energy: Energy,
}

#[derive(Clone, Copy, Default)]
struct Energy {
    sum: u64,
    samples: u64,
}

impl Energy {
    fn add(&mut self, other: Energy) {
        self.sum += other.sum;
        self.samples += other.samples;
    }

    fn mean(self) -> f32 {
        self.sum as f32 / self.samples.max(1) as f32
    }
}

/// What the meter shows at the end.
#[derive(Debug, PartialEq)]
pub struct Reading {
    pub length_ms: i64,
    pub loudness_dbfs: f32,
    pub peak_dbfs: f32,
    pub peaks: Vec<u8>,
}

impl Meter {
    pub fn new(sample_rate: u32) -> Self {
        Self {
            sample_rate,
            block_samples: (sample_rate as usize / 200).max(1),
            pause_energy: (FULL_SCALE * 10_f32.powf(PAUSE_DBFS / 20.0)).powi(2),
            block: Block::default(),
            block_peaks: Vec::new(),
            total: Energy::default(),
            active: Energy::default(),
            peak: 0,
        }
    }

    pub fn hear(&mut self, mut samples: &[i16]) {
        while !samples.is_empty() {
            let room = self.block_samples - self.block.energy.samples as usize;
            let (now, later) = samples.split_at(room.min(samples.len()));
            self.block.energy.add(Energy { sum: sum_of_squares(now), samples: now.len() as u64 });
            self.block.peak = self.block.peak.max(highest(now));
            if now.len() == room {
                self.close_block();
            }
            samples = later;
        }
    }

    pub fn finish(mut self) -> Reading {
        if self.block.energy.samples > 0 {
            self.close_block();
        }
        let loudness = if self.active.samples > 0 { self.active } else { self.total };
        let rate = u64::from(self.sample_rate);
        Reading {
            length_ms: ((self.total.samples * 1_000 + rate / 2) / rate) as i64,
            loudness_dbfs: decibels(loudness.mean().sqrt()),
            peak_dbfs: decibels(f32::from(self.peak)),
            peaks: columns(&self.block_peaks),
        }
    }

    fn close_block(&mut self) {
        let Block { peak, energy } = std::mem::take(&mut self.block);
        self.block_peaks.push(peak);
        self.peak = self.peak.max(peak);
        self.total.add(energy);
        if energy.mean() >= self.pause_energy {
            self.active.add(energy);
        }
    }
}

/// Two plain loops that the compiler turns into vector code; one loop for both is slower.
fn sum_of_squares(samples: &[i16]) -> u64 {
    samples.iter().map(|&sample| u64::from((i32::from(sample) * i32::from(sample)) as u32)).sum()
}

fn highest(samples: &[i16]) -> u16 {
    let (low, high) = samples.iter().fold((0, 0), |(low, high): (i16, i16), &s| (low.min(s), high.max(s)));
    low.unsigned_abs().max(high.unsigned_abs())
}

fn decibels(amplitude: f32) -> f32 {
    (20.0 * (amplitude / FULL_SCALE).log10()).max(FLOOR_DBFS)
}

/// Each column shows the highest peak of its share of the blocks; with fewer blocks than columns they are repeated.
fn columns(block_peaks: &[u16]) -> Vec<u8> {
    let column = |n: usize| {
        let first = n * block_peaks.len() / PEAK_COUNT;
        let end = ((n + 1) * block_peaks.len() / PEAK_COUNT).max(first + 1).min(block_peaks.len());
        let peak = block_peaks[first.min(end)..end].iter().copied().max().unwrap_or(0);
        // Rounded up, so that whatever is not silence leaves a trace.
        ((f32::from(peak) / FULL_SCALE).sqrt() * 255.0).ceil() as u8
    };
    (0..PEAK_COUNT).map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sample_rate: u32, samples: &[i16]) -> Reading {
        let mut meter = Meter::new(sample_rate);
        meter.hear(samples);
        meter.finish()
    }

    #[test]
    fn a_full_square_wave_is_zero_decibels_and_half_of_it_six_less() {
        let reading = read(8_000, &[i16::MIN; 800]);
        assert_eq!((reading.length_ms, reading.peak_dbfs, reading.loudness_dbfs), (100, 0.0, 0.0));
        assert_eq!(reading.peaks, [255; PEAK_COUNT]);
        let half = read(8_000, &[16_384; 800]);
        assert!((half.loudness_dbfs + 6.02).abs() < 0.01, "{half:?}");
    }

    #[test]
    fn silence_is_the_floor_and_a_flat_line() {
        let reading = read(8_000, &[0; 8_000]);
        assert_eq!((reading.loudness_dbfs, reading.peak_dbfs), (-96.0, -96.0));
        assert_eq!(reading.peaks, [0; PEAK_COUNT]);
    }

    #[test]
    fn pauses_do_not_make_a_message_quiet() {
        let mut samples = vec![1_000; 8_000];
        let loudness = read(8_000, &samples).loudness_dbfs;
        samples.extend([0; 80_000]);
        assert_eq!(read(8_000, &samples).loudness_dbfs, loudness);
    }

    #[test]
    fn the_picture_has_two_hundred_columns_however_short_the_sound() {
        for length in [0, 1, 39, 40, 41, 199, 200, 8_000, 8_001, 99_999] {
            let samples: Vec<i16> = (0..length).map(|n| n as i16 % 1_000 + 1).collect();
            let reading = read(8_000, &samples);
            assert_eq!(reading.peaks.len(), PEAK_COUNT, "{length}");
            assert_eq!(reading.peaks.iter().all(|&peak| peak > 0), length > 0, "{length}");
        }
    }

    #[test]
    fn the_picture_shows_where_it_was_loud() {
        let mut samples = vec![0; 8_000];
        samples.extend([20_000; 8_000]);
        let peaks = read(8_000, &samples).peaks;
        assert_eq!((&peaks[..100], &peaks[100..]), (&[0; 100][..], &[200; 100][..]));
    }

    #[test]
    fn pieces_measure_the_same_as_the_whole() {
        let samples: Vec<i16> = (0..10_007).map(|n| (n * 31 % 7_001) as i16 - 3_500).collect();
        let mut meter = Meter::new(8_000);
        samples.chunks(13).for_each(|piece| meter.hear(piece));
        assert_eq!(meter.finish(), read(8_000, &samples));
    }

    #[test]
    fn length_is_rounded_to_the_millisecond() {
        assert_eq!(read(8_000, &[0; 3]).length_ms, 0);
        assert_eq!(read(8_000, &[0; 4]).length_ms, 1);
        assert_eq!(read(44_100, &vec![0; 44_100 * 3]).length_ms, 3_000);
    }
}
