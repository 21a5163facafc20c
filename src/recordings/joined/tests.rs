use std::path::Path;

use super::*;
use crate::core::announcement::Word;
use crate::recordings::{prompt, tone};
use crate::time::Weekday;

fn package() -> Sounds {
    Sounds::installed()
}

fn joiner(folder: &Path, sounds: Sounds) -> Joiner {
    Joiner::new(Folder::open(folder).unwrap(), sounds)
}

fn samples(joined: &Joined) -> Vec<i16> {
    PhoneSound::read(&joined.wav, 120_000).unwrap().0
}

/// A greeting of the school, kept under its name.
fn recorded(folder: &Path, name: u8) -> (Recorded, Vec<i16>) {
    let prepared = prompt::prepare(&tone::wav_bytes(&tone::speech_like(3_000, u64::from(name)))).unwrap();
    let recorded = Recorded { name: format!("{name:032x}").into(), length_ms: prepared.sound.length_ms() };
    let file = folder.join("prompts").join(format!("{}.wav", recorded.name));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, prepared.sound.wav()).unwrap();
    (recorded, prepared.sound.0)
}

fn word(word: Word) -> Vec<i16> {
    SoundFolder::installed().say(word).unwrap().unwrap().0
}

#[tokio::test]
async fn words_of_the_package_are_joined_sample_by_sample() {
    let folder = tempfile::tempdir().unwrap();
    let of = [Piece::Word(Word::Hello), Piece::Pause(450), Piece::Word(Word::LeaveMessage)];
    let joined = joiner(folder.path(), package()).join(&of).await.unwrap();
    let expected = [word(Word::Hello), vec![0; 3_600], word(Word::LeaveMessage)].concat();
    assert_eq!(samples(&joined), expected);
    assert_eq!(joined.wav.len(), 44 + 2 * expected.len());
}

#[tokio::test]
async fn a_recording_is_followed_by_the_date() {
    let folder = tempfile::tempdir().unwrap();
    let (recorded, own) = recorded(folder.path(), 1);
    let of = [Piece::Recorded(recorded), Piece::Pause(450), Piece::Word(Word::Weekday(Weekday::Monday))];
    let joined = joiner(folder.path(), package()).join(&of).await.unwrap();
    assert_eq!(samples(&joined), [own, vec![0; 3_600], word(Word::Weekday(Weekday::Monday))].concat());
}

#[tokio::test]
async fn words_of_another_loudness_are_brought_to_that_of_recordings() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let soft: Vec<i16> = tone::speech_like(3_000, 3).iter().map(|sample| sample / 20).collect();
    std::fs::write(other.path().join("hello.wav"), tone::wav_bytes(&soft)).unwrap();
    let of = [Piece::Word(Word::Hello)];
    let heard = samples(&joiner(folder.path(), Sounds::within([other.path()])).join(&of).await.unwrap());
    assert_eq!(heard.len(), soft.len());
    let energy = |samples: &[i16]| samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>();
    assert!(energy(&heard) > 20.0 * energy(&soft));
}

#[tokio::test]
async fn a_word_or_recording_that_is_lost_is_told() {
    let (folder, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let of = [Piece::Word(Word::Hello)];
    let lost = joiner(folder.path(), Sounds::within([empty.path()])).join(&of).await;
    assert!(matches!(&lost, Err(NotJoined::NoWord(NoWord::NoPackage(_)))), "{lost:?}");
    std::fs::write(empty.path().join("vm-intro.wav"), "no sound").unwrap();
    let lost = joiner(folder.path(), Sounds::within([empty.path()])).join(&of).await;
    assert!(
        matches!(&lost, Err(NotJoined::NoWord(NoWord::Unreadable { file, .. })) if file.ends_with("hello.wav")),
        "{lost:?}"
    );
    for name in ["0123456789abcdef0123456789abcdef", "../../etc/passwd"] {
        let of = [Piece::Recorded(Recorded { name: name.into(), length_ms: 1 })];
        let lost = joiner(folder.path(), package()).join(&of).await;
        assert!(matches!(&lost, Err(NotJoined::Recording { .. })), "{lost:?}");
    }
}

#[tokio::test]
async fn a_sentence_that_lacks_a_word_is_left_out() {
    let (folder, some) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (own, _) = recorded(folder.path(), 1);
    let sentences = vec![
        vec![Piece::Word(Word::Hello)],
        vec![Piece::Word(Word::Today), Piece::Word(Word::Tomorrow)],
        vec![Piece::Recorded(own)],
    ];
    let joiner = joiner(folder.path(), Sounds::within([some.path()]));
    let (left, lacking) = joiner.speakable(sentences.clone()).await;
    assert_eq!(left, &sentences[2..], "no package at all");
    assert!(matches!(lacking, Some(NoWord::NoPackage(_))));
    std::fs::create_dir(some.path().join("digits")).unwrap();
    for name in ["hello", "digits/today"] {
        let from = SoundFolder::installed().path().join(name).with_extension("wav");
        std::fs::copy(from, some.path().join(name).with_extension("wav")).unwrap();
    }
    let (left, lacking) = joiner.speakable(sentences.clone()).await;
    assert_eq!(left, [sentences[0].clone(), sentences[2].clone()]);
    assert!(lacking.unwrap().to_string().contains("digits/tomorrow.wav"));
}

#[tokio::test]
async fn a_greeting_made_once_needs_no_disk_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let (recorded, _) = recorded(folder.path(), 1);
    let of = [Piece::Recorded(recorded), Piece::Word(Word::Today)];
    let joiner = joiner(folder.path(), package());
    let first = joiner.join(&of).await.unwrap();
    std::fs::remove_dir_all(folder.path().join("prompts")).unwrap();
    assert_eq!(joiner.join(&of).await.unwrap(), first);
    assert!(joiner.join(&of[..1]).await.is_err(), "of other pieces");
}

#[tokio::test]
async fn what_is_kept_in_memory_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let joiner = joiner(folder.path(), package());
    let of = |pause| [Piece::Word(Word::Hello), Piece::Pause(pause)];
    for pause in 0..40 {
        joiner.join(&of(30_000 + pause)).await.unwrap();
        joiner.join(&of(30_000)).await.unwrap();
    }
    let made = joiner.made.lock().unwrap();
    let bytes: usize = made.iter().map(|(_, joined)| joined.wav.len()).sum();
    assert!((MOST_BYTES / 2..=MOST_BYTES).contains(&bytes), "{bytes}");
    assert!(made.iter().any(|(pieces, _)| *pieces == of(30_000)), "what is asked for stays");
    assert!(made.iter().all(|(pieces, _)| *pieces != of(30_001)), "what is not goes");
}

/// UX §2: longer than 25 s callers hang up.
#[tokio::test]
async fn the_longest_announcement_of_the_package_is_no_longer_than_callers_wait() {
    use crate::core::announcement::{Reason, greeting, spoken};
    use crate::core::calendar::{Calendar, Hours};
    use crate::core::greetings::PATIENCE_MS;
    use crate::core::line::{Line, LineId};
    use crate::time::{SignedDuration, Timestamp};

    let week = serde_json::json!({"week": {"sun": ["23:42-24:00"]}, "holidays": []});
    let line = Line::new(LineId::new("x"), None, "x", Calendar::new(Hours::from_json(&week).unwrap()));
    let sounds = package();
    let mut longest = 0;
    for day in (0..365).step_by(5) {
        let at = "2026-01-01T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24 * day);
        let phrase = phrase(&sounds, &spoken(&greeting(&line, Reason::Closed, at)));
        longest = longest.max(phrase.length_ms());
        assert_eq!(at_one_loudness(phrase.clone()), phrase, "{at}: the package is as loud as it should be");
    }
    assert!((15_000..PATIENCE_MS).contains(&longest), "{longest} ms");
}

/// After a recording the date stands alone: a few short words, some of them said more softly.
#[tokio::test]
async fn a_date_alone_is_left_as_it_was_spoken() {
    for day in week_days() {
        for month in (1..=12).map(Word::OfMonth) {
            let words = [Word::Callback, Word::Weekday(day), Word::Tens(20), Word::Ordinal(7), month];
            let words: Vec<Piece> = words.into_iter().map(Piece::Word).collect();
            let phrase = phrase(&package(), &words);
            assert_eq!(at_one_loudness(phrase.clone()), phrase, "{day:?} {month:?}");
        }
    }
}

fn week_days() -> impl Iterator<Item = Weekday> {
    Weekday::Monday.cycle_forward().take(7)
}

fn phrase(sounds: &Sounds, pieces: &[Piece]) -> PhoneSound {
    pieces.iter().fold(PhoneSound::default(), |phrase, piece| match piece {
        Piece::Word(word) => phrase.then(0, &sounds.find().unwrap().say(*word).unwrap().unwrap()),
        Piece::Pause(length_ms) => phrase.then(*length_ms, &PhoneSound::default()),
        Piece::Recorded(_) => phrase,
    })
}
