//! What is said and heard in calls: a person's words, and whether two sounds are the same.

use super::exchange::installed;

/// Sounds of a person, by the names of the exchange's own prompts, one after another: 8 kHz.
pub fn words(names: &[&str]) -> Vec<i16> {
    let folder = installed().join("usr/share/asterisk/sounds/ru_RU_f_IvrvoiceRU");
    let read = |name: &&str| {
        let mut wav = hound::WavReader::open(folder.join(name).with_extension("wav")).expect("a prompt of the package");
        wav.samples::<i16>().collect::<Result<Vec<_>, _>>().expect("a good prompt")
    };
    names.iter().map(read).collect::<Vec<_>>().concat()
}

/// From here on two sounds are the same words, though a busy machine loses some packets of a call.
pub const SAME_WORDS: f64 = 0.85;

/// How well the loudness of `part` over time is found again somewhere in `whole`: 1 is the same, unrelated words stay
/// below 0.6.
pub fn likeness(part: &[i16], whole: &[i16]) -> f64 {
    let (part, mut whole) = (envelope(part), envelope(whole));
    assert!(part.len() > 10, "too short to be compared");
    // Either may begin or end a little earlier than the other.
    let silence = [0.0; 15];
    whole.resize(whole.len().max(part.len()), 0.0);
    let whole = [&silence[..], &whole, &silence].concat();
    whole.windows(part.len()).map(|window| correlation(&part, window)).fold(0.0, f64::max)
}

/// The loudness of each 20 ms.
fn envelope(samples: &[i16]) -> Vec<f64> {
    let loudness = |piece: &[i16]| {
        let energy: f64 = piece.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        (energy / piece.len() as f64).sqrt()
    };
    samples.chunks(160).map(loudness).collect()
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    ab / (aa * bb).sqrt().max(f64::MIN_POSITIVE)
}

#[test]
fn the_same_words_are_alike_and_others_are_not() {
    let (said, other) = (words(&["hello", "vm-tocallback"]), words(&["cannot-complete-as-dialed", "vm-goodbye"]));
    let heard = [&[0; 3_333][..], &said, &[0; 999]].concat();
    assert!(likeness(&said, &heard) > 0.9, "{}", likeness(&said, &heard));
    assert!(likeness(&other, &heard) < 0.6, "{}", likeness(&other, &heard));
}
