use std::io::Cursor;

use super::super::tone;
use super::*;
use crate::recordings::{SoundFolder, measure};

/// A human prompt of a telephone exchange.
fn voice(name: &str) -> Vec<f32> {
    let path = SoundFolder::installed().path().join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    PhoneSound::read(&bytes, LONGEST_UPLOAD_MS).unwrap().0.iter().map(|&sample| f32::from(sample) / 32_768.0).collect()
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/sound/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The voice at another rate, as a microphone would have given it.
fn at_rate(samples: &[f32], sample_rate: u32) -> Vec<f32> {
    let window = WindowFunction::BlackmanHarris2;
    let (from, to) = (SAMPLE_RATE as usize, sample_rate as usize);
    let mut resampler = Fft::<f32>::new_custom(from, to, 4_096, 1, 1, window, FixedSync::Input).unwrap();
    let input = InterleavedSlice::new(samples, 1, samples.len()).unwrap();
    resampler.process_all(&input, samples.len(), None).unwrap().take_data()
}

fn wav(channels: u16, sample_rate: u32, samples: impl IntoIterator<Item = f32>) -> Vec<u8> {
    let spec = hound::WavSpec { channels, sample_rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    samples.into_iter().for_each(|sample| writer.write_sample((sample * 32_768.0).round() as i16).unwrap());
    writer.finalize().unwrap();
    bytes.into_inner()
}

fn loudness_of(sound: &PhoneSound) -> f64 {
    let samples: Vec<f32> = sound.0.iter().map(|&sample| f32::from(sample) / 32_768.0).collect();
    level::loudness(&samples).unwrap()
}

fn peak_dbfs(sound: &PhoneSound) -> f64 {
    let peak = sound.0.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
    20.0 * (f64::from(peak) / 32_768.0).log10()
}

fn sine(hz: f32, sample_rate: u32, seconds: f32) -> Vec<f32> {
    let count = (sample_rate as f32 * seconds) as usize;
    (0..count).map(|n| 0.3 * (std::f32::consts::TAU * hz * n as f32 / sample_rate as f32).sin()).collect()
}

#[test]
fn every_voice_however_recorded_comes_out_equally_loud_and_never_too_high() {
    for name in ["vm-intro.wav", "vm-goodbye.wav", "activated.wav", "vm-options.wav"] {
        let spoken = voice(name);
        for (sample_rate, channels, gain) in
            [(8_000, 1, 1.0), (44_100, 2, 0.5), (44_100, 2, 0.03), (48_000, 1, 0.1), (16_000, 2, 1.0), (96_000, 1, 0.3)]
        {
            let recorded = at_rate(&spoken, sample_rate).into_iter().map(|sample| (sample * gain).clamp(-1.0, 0.999));
            let all: Vec<f32> = recorded.flat_map(|sample| vec![sample; usize::from(channels)]).collect();
            let prepared = prepare(&wav(channels, sample_rate, all)).unwrap();
            let (loudness, peak) = (loudness_of(&prepared.sound), peak_dbfs(&prepared.sound));
            let what = format!("{name} at {sample_rate} Hz × {gain}: {loudness} LUFS, {peak} dBFS");
            assert!((loudness - LOUDNESS_LUFS).abs() < 1.0, "{what}");
            assert!(peak <= PEAK_DBFS + 0.01, "{what}");
            let measured = measure(&prepared.sound.wav()).unwrap();
            assert_eq!((measured.format, measured.sample_rate, measured.channels), ("wav/pcm_s16le", 8_000, 1));
        }
    }
}

#[test]
fn it_is_told_by_how_much_a_soft_voice_was_raised() {
    let raised = |gain: f32| {
        let soft = voice("vm-intro.wav").into_iter().map(|sample| sample * gain);
        prepare(&wav(1, 8_000, soft)).unwrap().raised_db
    };
    let as_it_is = raised(1.0);
    assert!(as_it_is.abs() < 1.0, "{as_it_is}");
    assert!((raised(0.25) - as_it_is - 12.04).abs() < 0.2, "{}", raised(0.25));
}

#[test]
fn silence_goes_from_both_ends_and_a_little_stays() {
    let silence = |seconds: f32| {
        // The hiss of a room, 60 dB below the voice.
        (0..(seconds * 8_000.0) as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 16) as f32 / 65_536.0 * 0.0004)
    };
    let spoken = voice("vm-intro.wav");
    let bare = prepare(&wav(1, 8_000, spoken.clone())).unwrap().sound.length_ms();
    let long: Vec<f32> = silence(3.0).chain(spoken.clone()).chain(silence(4.5)).collect();
    let prepared = prepare(&wav(1, 8_000, long)).unwrap();
    let length_ms = prepared.sound.length_ms();
    assert!((prepared.original_length_ms - length_ms - 7_500).abs() < 400, "{length_ms} ms, {bare} ms");
    assert!((bare..bare + 250).contains(&length_ms), "{length_ms} ms, {bare} ms");
    let (first, last) = (prepared.sound.0[..800].iter(), prepared.sound.0[prepared.sound.0.len() - 800..].iter());
    assert!(first.chain(last).all(|sample| sample.abs() < 1_500), "100 ms before and after are quiet");
}

#[test]
fn what_no_telephone_carries_does_not_come_back_as_a_whistle() {
    let level = |hz: f32| {
        let taken = to_telephone_rate(sine(hz, 44_100, 1.0), 44_100).unwrap();
        let middle = &taken[2_000..6_000];
        10.0 * (middle.iter().map(|sample| sample * sample).sum::<f32>() / middle.len() as f32 + 1e-12).log10()
    };
    let carried = level(1_000.0);
    for hz in [100.0, 500.0, 3_000.0, 3_400.0] {
        assert!((level(hz) - carried).abs() < 0.5, "{hz} Hz: {} dB", level(hz) - carried);
    }
    for hz in [4_100.0, 5_000.0, 7_000.0, 12_000.0] {
        assert!(level(hz) < carried - 60.0, "{hz} Hz: {} dB", level(hz) - carried);
    }
}

#[test]
fn an_overdriven_voice_is_told_and_an_unharmed_one_is_not() {
    for name in ["vm-intro.wav", "vm-goodbye.wav", "vm-options.wav", "activated.wav"] {
        for sample_rate in [8_000, 44_100] {
            let spoken = at_rate(&voice(name), sample_rate);
            let peak = spoken.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
            let recorded =
                |gain: f32| wav(1, sample_rate, spoken.iter().map(|it| (it * gain / peak).clamp(-1.0, 0.999)));
            assert_eq!(prepare(&recorded(0.99)).unwrap().clipped, 0, "{name} at {sample_rate}");
            assert!(prepare(&recorded(6.0)).unwrap().clipped > 0, "{name} at {sample_rate}");
        }
    }
}

#[test]
fn no_prompt_of_the_exchange_is_called_overdriven() {
    let files = std::fs::read_dir(SoundFolder::installed().path()).unwrap().map(|entry| entry.unwrap().path());
    let (mut told, mut heard) = (Vec::new(), 0);
    for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "wav")) {
        if let Ok(prepared) = prepare(&std::fs::read(&path).unwrap()) {
            heard += 1;
            if prepared.clipped > 0 {
                told.push((path, prepared.clipped));
            }
            let loudness = loudness_of(&prepared.sound);
            assert!((loudness - LOUDNESS_LUFS).abs() < 1.0, "{:?}: {loudness}", told.last());
        }
    }
    assert!(heard > 200 && told.len() * 50 < heard, "{heard} heard, told: {told:?}");
}

#[test]
fn every_format_of_a_telephone_or_computer_is_taken() {
    let original = prepare(&tone::wav_bytes(&tone::speech_like(1_500, 1))).unwrap();
    for name in ["voice-mulaw.wav", "voice-alaw.wav", "voice.mp3", "voice.ogg", "voice.flac", "voice.m4a"] {
        let prepared = prepare(&fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let length_ms = prepared.sound.length_ms();
        // AAC fades in before its first sample.
        assert!((length_ms - original.sound.length_ms()).abs() < 130, "{name}: {length_ms} ms");
        assert!((prepared.raised_db - original.raised_db).abs() < 2.0, "{name}: {} dB", prepared.raised_db);
        assert!((loudness_of(&prepared.sound) - LOUDNESS_LUFS).abs() < 1.0, "{name}");
        assert_eq!(prepared.damage, "", "{name}");
    }
}

#[test]
fn a_silent_channel_or_two_of_opposite_poles_lose_nothing() {
    let spoken = voice("vm-intro.wav");
    for (left, right) in [(1.0, 0.0), (0.0, 1.0), (1.0, -1.0)] {
        let both = spoken.iter().flat_map(|sample| [sample * left, sample * right]);
        let prepared = prepare(&wav(2, 8_000, both)).unwrap();
        assert!((loudness_of(&prepared.sound) - LOUDNESS_LUFS).abs() < 1.0, "{left} {right}");
        assert!(prepared.raised_db < 8.0, "{left} {right}: {}", prepared.raised_db);
    }
}

#[test]
fn what_is_no_greeting_is_refused_by_name() {
    let hiss = (0..16_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 16) as f32 / 65_536.0 * 0.001);
    let click = (0..16_000).map(|n| if n == 8_000 { 0.9 } else { 0.0 });
    let too_long = sine(400.0, 8_000, 60.1);
    let word = voice("vm-intro.wav").into_iter().skip(4_000).take(800);
    for (bytes, expected) in [
        (Vec::new(), NoGreeting::Empty),
        (b"<!doctype html><title>404</title>".to_vec(), NoGreeting::NotSound),
        (b"PK\x03\x04\x14\0\x06\0".to_vec(), NoGreeting::NotSound),
        (b"\x1a\x45\xdf\xa3webm".to_vec(), NoGreeting::Unsupported("webm".to_owned())),
        (fixture("voice-opus.ogg"), NoGreeting::Unsupported("ogg/opus".to_owned())),
        (fixture("no-sound.mp4"), NoGreeting::NoSoundTrack),
        (wav(1, 8_000, vec![0.0; 16_000]), NoGreeting::Silent),
        (wav(1, 8_000, hiss), NoGreeting::Silent),
        (wav(1, 8_000, click), NoGreeting::Silent),
        (wav(1, 8_000, word), NoGreeting::TooShort),
        (wav(1, 8_000, too_long), NoGreeting::TooLong),
        (wav(1, 8_000, vec![0.1; 0]), NoGreeting::Silent),
    ] {
        assert_eq!(prepare(&bytes).unwrap_err(), expected);
    }
    assert!(matches!(prepare(b"RIFF\0\0\0\0WAVEfmt \x10"), Err(NoGreeting::Damaged(_))));
    let rare = wav(1, 192_000, sine(400.0, 192_000, 0.5));
    assert!(matches!(prepare(&rare), Err(NoGreeting::Unsupported(_))));
}

/// Sixty megabytes of sound in a file of a few kilobytes once would have been unpacked whole.
#[test]
fn a_small_file_with_hours_of_sound_is_given_up_after_a_minute_of_it() {
    // Without its first frame, in which the encoder tells how many there are.
    let once = fixture("voice.mp3");
    let second = once.windows(2).skip(100).position(|two| two == &once[..2]).unwrap() + 100;
    let many = once[second..].repeat(100);
    assert!(many.len() < LARGEST_UPLOAD);
    assert_eq!(prepare(&many).unwrap_err(), NoGreeting::TooLong);
}

#[test]
fn a_file_cut_or_bent_anywhere_is_taken_or_refused_and_never_panics() {
    for name in ["voice.m4a", "voice.mp3", "voice.ogg", "voice-alaw.wav"] {
        let whole = fixture(name);
        for at in (0..whole.len()).step_by(211) {
            let _ = prepare(&whole[..at]);
            let mut bent = whole.clone();
            bent[at] ^= 0xff;
            bent[(at * 7 + 13) % whole.len()] ^= 0x55;
            if let Ok(prepared) = prepare(&bent) {
                assert!(prepared.sound.length_ms() <= LONGEST_UPLOAD_MS, "{name} at {at}");
            }
        }
    }
}
